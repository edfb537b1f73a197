"""How much of a body is taken, from whom."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from store.tables import Store
from tests.web.conftest import Desktop
from web import recovery, updates
from web.backups import LARGEST_BYTES
from web.bodies import STRANGERS_BYTES, BodyRule, rule_of
from web.recovery import Recovery, create_recovery_app

MB = 1024 * 1024
IMAGE = f"/sync/v1/images/{'0' * 64}"


def environ(method: str, path: str, client: FlaskClient | None = None, **headers: str) -> dict[str, Any]:
    cookie = client.get_cookie("printroom") if client is not None else None
    said = {**headers, **({"HTTP_COOKIE": f"printroom={cookie.value}"} if cookie is not None else {})}
    head = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "a", "SERVER_PORT": "80"}
    return {**head, "wsgi.url_scheme": "http", "SCRIPT_NAME": "", **said}


@pytest.mark.parametrize(
    "path", ["/login", "/first-run", "/release", "/reset-password", "/tickets/1/cancel", "/box/upload", "/nowhere"]
)
def test_strangers_send_little_to_the_panel(app: Flask, path: str) -> None:
    assert rule_of(app, environ("POST", path)) == BodyRule(STRANGERS_BYTES)


@pytest.mark.parametrize("path", ["/sync/v1/pair", "/sync/v1/statuses", IMAGE])
def test_programs_without_a_token_send_little(app: Flask, path: str) -> None:
    for token in ({}, {"HTTP_AUTHORIZATION": "Bearer wrong"}, {"HTTP_AUTHORIZATION": "Bearer "}):
        assert rule_of(app, environ("PUT" if path == IMAGE else "POST", path, **token)) == BodyRule(STRANGERS_BYTES)


def test_clients_send_batches_and_pictures_of_which_parts_are_kept(app: Flask, desktop: Desktop) -> None:
    token = {"HTTP_AUTHORIZATION": desktop.headers["Authorization"]}
    assert rule_of(app, environ("POST", "/sync/v1/statuses", **token)) == BodyRule(16 * MB)
    assert rule_of(app, environ("PUT", IMAGE, **token)) == BodyRule(512 * MB, keeps_parts=True)


def test_people_send_what_their_pages_are_for(app: Flask, panel: FlaskClient, operator: FlaskClient) -> None:
    assert rule_of(app, environ("POST", "/assets/", panel)) == BodyRule(16 * MB)
    assert rule_of(app, environ("POST", "/backup/check", panel)) == BodyRule(LARGEST_BYTES)
    assert rule_of(app, environ("POST", "/box/upload", panel)) == BodyRule(updates.LARGEST_BYTES)
    for path in ("/assets/", "/backup/check", "/box/upload"):  # which are not an operator's
        assert rule_of(app, environ("POST", path, operator)) == BodyRule(STRANGERS_BYTES)
    assert rule_of(app, environ("POST", "/people/own", operator)) == BodyRule(16 * MB)


def test_what_is_too_large_is_refused_whoever_serves_it(app: Flask, panel: FlaskClient) -> None:
    form = {"data": b"name=" + b"a" * 100_000, "content_type": "application/x-www-form-urlencoded"}
    for path in ("/login", "/sync/v1/pair"):
        assert app.test_client().post(path, **form).status_code == 413, path


def test_nobody_fails_over_a_large_form_to_a_page_that_reads_none(panel: FlaskClient, store: Store) -> None:
    form = {"data": b"a=" + b"b" * 40 * MB, "content_type": "application/x-www-form-urlencoded"}
    assert panel.post("/logout", **form).status_code == 302
    assert store.audit.newest(1)[0].what == "logged out"


def test_large_bodies_need_room(app: Flask, panel: FlaskClient, desktop: Desktop, monkeypatch: Any) -> None:
    monkeypatch.setattr(app.extensions["printroom"], "min_free_bytes", 10**18)
    assert desktop.put(f"/images/{'0' * 64}", bytes(100_000)).get_json()["error"]["code"] == "no-room"
    assert panel.post("/backup/check", data={"file": (io.BytesIO(bytes(100_000)), "b.zip")}).status_code == 503
    assert panel.post("/logout").status_code == 302


def test_the_recovery_page_takes_a_backup_from_whoever_has_the_code(tmp_path: Path) -> None:
    parts = Recovery("damaged", tmp_path, is_disk=False, box=None, restart=lambda: None)
    app = create_recovery_app(parts)
    client = app.test_client()
    assert recovery.rule_of(app, environ("POST", "/restore")) == BodyRule(STRANGERS_BYTES)
    assert client.post("/enter", data={"code": parts.code, "more": "a" * 400_000}).status_code == 413
    client.post("/enter", data={"code": parts.code})
    cookie = client.get_cookie("recovery")
    assert cookie is not None
    known = {"HTTP_COOKIE": f"recovery={cookie.value}"}
    assert recovery.rule_of(app, environ("POST", "/restore", **known)) == BodyRule(recovery.LARGEST_BACKUP_BYTES)
    assert recovery.rule_of(app, environ("POST", "/enter", **known)) == BodyRule(STRANGERS_BYTES)
