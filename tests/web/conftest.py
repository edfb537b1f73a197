"""The web side over an open store, without loops: what is asked and answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from ipp.room import IppRoom
from render.rehearse import Rehearser
from render.sources import ImageFolders
from store.records import Person, Role
from store.tables import Store
from web import Services, auth, create_app
from web.clients import new_client

PASSWORD = "a long enough password"
# Real ones are slow on purpose; a thousand tests log in.
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)


@pytest.fixture
def room(store: Store) -> Iterator[IppRoom]:
    running = IppRoom(store, discovers=False)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def app(store: Store, room: IppRoom) -> Iterator[Flask]:
    auth._wrong_tries.clear()
    rehearser = Rehearser(store.folder, ImageFolders(), 10**8, store.reach)
    yield create_app(Services(store=store, room=room, rehearser=rehearser, first_run_code="12345678"), b"k" * 32)
    rehearser.stop()


@pytest.fixture
def anybody(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def panel(app: Flask, store: Store) -> FlaskClient:
    """Somebody who has logged in."""
    store.people.add(Person(name="kim", password_hash=PASSWORD_HASH))
    client = app.test_client()
    assert client.post("/login", data={"name": "kim", "password": PASSWORD}).status_code == 302
    return client


@pytest.fixture
def operator(app: Flask, store: Store) -> FlaskClient:
    """Somebody who prints and looks, beside the administrator."""
    store.people.add(Person(name="sam", password_hash=PASSWORD_HASH, role=Role.OPERATOR))
    client = app.test_client()
    assert client.post("/login", data={"name": "sam", "password": PASSWORD}).status_code == 302
    return client


class Desktop:
    """A desktop client with a token, on Flask's test client."""

    def __init__(self, http: FlaskClient, token: str) -> None:
        self.http, self.headers = http, {"Authorization": f"Bearer {token}"}

    def get(self, path: str):  # type: ignore[no-untyped-def]
        return self.http.get(f"/sync/v1{path}", headers=self.headers)

    def post(self, path: str, body: object):  # type: ignore[no-untyped-def]
        return self.http.post(f"/sync/v1{path}", json=body, headers=self.headers)

    def put(self, path: str, data: bytes):  # type: ignore[no-untyped-def]
        return self.http.put(f"/sync/v1{path}", data=data, headers=self.headers)


@pytest.fixture
def desktop(app: Flask, store: Store) -> Desktop:
    _, token = new_client(store, "Front desk")
    return Desktop(app.test_client(), token)
