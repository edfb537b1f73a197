"""Pairing: six digits from the panel, good once and for minutes, for a token with a name and scopes."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from store.records import Scope
from store.tables import Store
from web.errors import Problem
from web.sync import pairing
from web.sync.pairing import PairingCodes


def pair(anybody: FlaskClient, code: str):  # type: ignore[no-untyped-def]
    return anybody.post("/sync/v1/pair", json={"code": code})


def shown_code(panel: FlaskClient, **form: str) -> str:
    page = panel.post("/clients/", data={"name": "Front desk", "push": "on", **form}).data.decode()
    found = re.search(r"(\d{3}) (\d{3})</code>", page)
    assert found, page
    return found[1] + found[2]


def test_a_code_of_the_panel_becomes_a_named_client_once(
    panel: FlaskClient, anybody: FlaskClient, store: Store
) -> None:
    code = shown_code(panel)
    answer = pair(anybody, code)
    assert answer.status_code == 201
    told = answer.get_json()
    assert (told["client"], told["scopes"], told["box"]["api"]) == ("Front desk", ["push"], "v1")
    headers = {"Authorization": f"Bearer {told['token']}"}
    assert anybody.post("/sync/v1/statuses", json={"records": []}, headers=headers).status_code == 200
    assert [client.scopes for client in store.desktop_clients.all()] == [(Scope.PUSH,)]
    again = pair(anybody, code)
    assert again.status_code == 403 and "Desktop clients page" in again.get_json()["error"]["hint"]
    page = panel.get("/clients/").data.decode()
    assert "last used" in page and "without encryption" in page and code[:3] + " " + code[3:] not in page


def test_a_client_without_any_permission_is_not_made(panel: FlaskClient) -> None:
    answer = panel.post("/clients/", data={"name": "Front desk"})
    assert answer.status_code == 422 and "Allow at least one" in answer.data.decode()


@pytest.mark.parametrize("code", ["12345", "1234567", "abcdef", "", "１２３４５６"])
def test_what_is_no_code_is_said_so(anybody: FlaskClient, code: str) -> None:
    answer = pair(anybody, code)
    assert answer.status_code == 400 and answer.get_json()["error"]["field"] == "code"


def test_guessing_is_stopped_for_one_address_and_then_for_all() -> None:
    codes = PairingCodes()
    offered = codes.offer("Front desk", (Scope.PUSH,))
    wrong = f"{(int(offered.digits) + 1) % 10**6:06d}"
    statuses = []
    for host in range(20):
        for _ in range(pairing.TRIES_OF_ONE + 1):
            with pytest.raises(Problem) as refused:
                codes.redeem(wrong, f"10.0.0.{host}")
            statuses.append(refused.value.status)
    assert statuses[: pairing.TRIES_OF_ONE + 1] == [403] * pairing.TRIES_OF_ONE + [429]
    assert statuses.count(403) == pairing.TRIES_OF_ALL
    assert codes.waiting() == []  # whoever guessed so often gets none of them


def test_a_code_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "GOOD_FOR_S", 0)
    codes = PairingCodes()
    code = codes.offer("Front desk", (Scope.PUSH,))
    with pytest.raises(Problem, match="not good"):
        codes.redeem(code.digits, "10.0.0.1")


def test_a_few_codes_at_a_time(panel: FlaskClient) -> None:
    codes = PairingCodes()
    offered = [codes.offer(f"client {number}", (Scope.PUSH,)).digits for number in range(7)]
    assert [code.digits for code in codes.waiting()] == offered[-pairing.MAX_CODES :]
