"""People: two roles that the server enforces, passwords, sessions that end, and a log of who did what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from store import password_reset
from store.audit import Audit
from store.clock import Clock
from store.records import Person, Role
from store.tables import Store
from tests.machine_time import SetTime
from tests.web.conftest import PASSWORD, PASSWORD_HASH
from web import audit, roles
from web.auth import TRIES


def endpoints(app: Flask) -> set[str]:
    """Every page of the panel."""
    rules = app.url_map.iter_rules()
    return {rule.endpoint for rule in rules if not rule.rule.startswith("/sync/") and rule.endpoint != "static"}


def test_every_part_of_the_panel_says_whom_it_is_for(app: Flask) -> None:
    assert {endpoint.split(".")[0] for endpoint in endpoints(app)} == set(roles.PARTS)
    assert set(roles.PAGES) <= endpoints(app)


def test_every_change_has_words_for_the_audit_log(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if "/sync/" not in rule.rule]
    changing = {rule.endpoint for rule in rules if "POST" in (rule.methods or ())}
    assert changing == set(audit.WORDS) | audit.QUIET


@pytest.mark.parametrize(
    "path", ["/", "/history/", "/records/", "/printers/", "/queues/", "/profiles/", "/render-jobs/", "/help/sync"]
)
def test_an_operator_sees_what_the_day_needs(panel: FlaskClient, operator: FlaskClient, path: str) -> None:
    assert operator.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/clients/", "/webhooks/", "/alerts/", "/people/", "/people/1", "/audit/"])
def test_an_operator_does_not_see_secrets_and_people(panel: FlaskClient, operator: FlaskClient, path: str) -> None:
    answer = operator.get(path)
    assert answer.status_code == 403 and "for administrators" in answer.data.decode()
    assert panel.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/profiles/new", "/render-jobs/new", "/printers/add", "/queues/new", "/hot-folders/new", "/people/"]
)
def test_an_operator_sets_nothing_up(panel: FlaskClient, operator: FlaskClient, path: str) -> None:
    assert operator.post(path, data={"name": "x"}).status_code == 403


def test_the_menu_shows_only_what_one_may_open(panel: FlaskClient, operator: FlaskClient) -> None:
    assert "Desktop clients" in panel.get("/settings/").data.decode()
    page = operator.get("/settings/").data.decode()
    assert "Desktop clients" not in page and "Backup" not in page and "Print queues" in page


def test_a_person_is_added_and_may_log_in(panel: FlaskClient, app: Flask, store: Store) -> None:
    form = {"name": "sam", "role": "operator", "password": "short"}
    refused = panel.post("/people/", data=form)
    assert refused.status_code == 422 and "at least 8 characters" in refused.data.decode()
    assert panel.post("/people/", data={**form, "password": "long enough"}).status_code == 302
    assert panel.post("/people/", data={**form, "password": "long enough"}).status_code == 422  # the name is taken
    assert app.test_client().post("/login", data={"name": "sam", "password": "long enough"}).status_code == 302
    assert store.people.get(2).role is Role.OPERATOR


def test_the_last_administrator_stays(panel: FlaskClient, store: Store) -> None:
    for answer in (panel.post("/people/1", data={"role": "operator"}), panel.post("/people/1/remove")):
        assert answer.status_code in (409, 422) and "only administrator" in answer.data.decode()
    assert store.people.get(1).role is Role.ADMINISTRATOR


def test_a_new_password_ends_the_sessions_elsewhere(panel: FlaskClient, operator: FlaskClient, app: Flask) -> None:
    other = app.test_client()
    other.post("/login", data={"name": "sam", "password": PASSWORD})
    wrong = operator.post("/people/own", data={"old_password": "guess", "password": "another one"})
    assert wrong.status_code == 422 and "not your password" in wrong.data.decode()
    changed = operator.post("/people/own", data={"old_password": PASSWORD, "password": "another one"})
    assert changed.status_code == 302 and operator.get("/").status_code == 200
    assert other.get("/").headers["Location"] == "/login"


def test_an_administrator_logs_somebody_out(panel: FlaskClient, operator: FlaskClient) -> None:
    panel.post("/people/2", data={"role": "operator", "log_out": "on"})
    assert operator.get("/").headers["Location"] == "/login"


def test_a_name_is_locked_whoever_guesses(panel: FlaskClient, app: Flask) -> None:
    for number in range(TRIES):
        address = {"REMOTE_ADDR": f"10.0.0.{number}"}
        guess = {"name": "kim", "password": "guess"}
        assert app.test_client().post("/login", data=guess, environ_overrides=address).status_code == 401
    right = {"name": "kim", "password": PASSWORD}
    answer = app.test_client().post("/login", data=right, environ_overrides={"REMOTE_ADDR": "10.0.0.99"})
    assert answer.status_code == 429


def test_who_did_what_is_written_down_without_passwords(panel: FlaskClient, operator: FlaskClient) -> None:
    panel.post("/people/", data={"name": "lee", "role": "operator", "password": "very secret one"})
    panel.post("/profiles/new", data={"name": ""})  # refused: nothing was done
    operator.post("/tickets/99/cancel")  # there is none
    page = panel.get("/audit/").data.decode()
    assert "added the person lee" in page and "kim" in page and "sam" in page
    assert "very secret one" not in page and "set up the render profile" not in page and "ticket 99" not in page


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(store: Store, panel: FlaskClient) -> None:
    (path,) = (store.folder.root / "audit").glob("*.jsonl")
    path.write_text(path.read_text() + '{"at": "2026-11')
    assert [entry.what for entry in Audit(path.parent).newest(10)] == ["logged in"]


def test_who_stands_before_the_box_sets_a_new_password(anybody: FlaskClient, panel: FlaskClient, store: Store) -> None:
    code = password_reset.make(store.folder.root)
    store.people.add(Person(name="sam", password_hash=PASSWORD_HASH, role=Role.OPERATOR))
    page = anybody.get("/reset-password").data.decode()
    assert "kim" in page and "sam" not in page  # operators ask an administrator
    wrong = {"code": "00000000", "name": "kim", "password": "short"}
    answer = anybody.post("/reset-password", data=wrong)
    assert answer.status_code == 422 and "This is not the code" in answer.data.decode()
    typed = {"code": f"{code[:4]} {code[4:]}", "name": "kim", "password": "a new password"}
    assert anybody.post("/reset-password", data=typed).status_code == 302 and anybody.get("/").status_code == 200
    assert panel.get("/").status_code == 302  # sessions under the old password have ended
    anybody.post("/logout")
    assert anybody.post("/reset-password", data=typed).status_code == 422  # once
    assert anybody.post("/login", data={"name": "kim", "password": "a new password"}).status_code == 302


@pytest.mark.parametrize("wrong", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)])
def test_a_clock_that_is_set_logs_nobody_out_and_keeps_nobody_in(
    panel: FlaskClient, store: Store, machine: SetTime, monkeypatch: pytest.MonkeyPatch, wrong: datetime
) -> None:
    machine.set_wall(datetime.now(UTC))
    monkeypatch.setattr(store, "clock", Clock(machine, store.clock.marks))
    assert panel.get("/records/").status_code == 200
    machine.set_wall(wrong)
    answer = panel.get("/records/")
    assert answer.status_code == 200
    cookie = answer.headers.get("Set-Cookie", "")
    assert "Expires" not in cookie and "Max-Age=604800" in cookie
    machine.pass_s(8 * 86_400)
    assert panel.get("/records/").status_code == 302


@pytest.mark.parametrize("path", ["/login", "/release", "/reset-password"])
def test_looking_at_a_form_s_head_is_no_try(app: Flask, panel: FlaskClient, path: str) -> None:
    anybody = app.test_client()
    assert [anybody.head(path).status_code for _ in range(8)] == [200] * 8
    assert anybody.post("/login", data={"name": "kim", "password": PASSWORD}).status_code == 302
