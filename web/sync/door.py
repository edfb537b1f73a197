"""Who may use the sync API: token, scope and rate, checked before anything else is looked at."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from flask import Blueprint, Response, g, request
from pydantic import BaseModel

from store.records import DesktopClient, Scope
from web import services
from web.errors import Problem

pages = Blueprint("sync", __name__, url_prefix="/sync/v1")

OPEN = frozenset({"sync.box", "sync.pair", "sync.openapi"})  # without a token
NOTE_USE_EVERY, NOTE_OTHER_EVERY = timedelta(minutes=1), timedelta(seconds=5)

P = ParamSpec("P")
R = TypeVar("R")


@pages.before_request
def _authenticate() -> None:
    parts = services()
    if parts.requires_tls and not request.is_secure:
        raise Problem(
            403,
            "tls-required",
            "this box speaks to desktop clients over TLS only",
            hint="use https:// and the same port",
        )
    if request.endpoint in OPEN:
        return
    client = known_client()
    if client is None:
        raise Problem(
            401,
            "unknown-token",
            "this token is not known here",
            field="Authorization",
            hint="send 'Authorization: Bearer <token>' with a token from the panel's Desktop clients page",
        )
    g.client = client
    if not parts.sync_rates.may_ask(client.id):
        rate = parts.sync_rates.per_s
        raise Problem(
            429, "too-many-requests", f"more than {rate:g} requests a second", hint="wait a second, then go on"
        )
    _note_use(client)


def known_client() -> DesktopClient | None:
    """Whose token came with the request."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    digest = hashlib.sha256(token.strip().encode()).hexdigest()
    # A token that is only on its way to the disk is good enough to knock with.
    return next(iter(services().store.desktop_clients.by("token", digest, settled=False)), None)


def needs(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: only for clients with a scope."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            client = current_client()
            if scope not in client.scopes:
                raise Problem(
                    403,
                    "not-allowed",
                    f"the client '{client.name}' may not {scope.value}",
                    field="Authorization",
                    hint="pair it again with that permission on the panel's Desktop clients page",
                )
            return view(*args, **kwargs)

        return checked

    return decorate


def current_client() -> DesktopClient:
    """The client that asks."""
    client = g.client
    assert isinstance(client, DesktopClient)  # noqa: S101  (set by _authenticate)
    return client


def _note_use(client: DesktopClient) -> None:
    """Remember when and from where a client came last, to the minute."""
    now, address, is_tls = services().store.clock.now(), request.remote_addr or "", request.is_secure
    if client.last_used_at is not None:
        # Two computers that share a token must not make a commit of each request.
        every = NOTE_USE_EVERY if client.last_used_from == address else NOTE_OTHER_EVERY
        if abs(now - client.last_used_at) < every:
            return
    store = services().store
    with store.transaction():
        known = store.desktop_clients.find(client.id)
        if known is not None:
            used = {"last_used_at": now, "last_used_from": address, "last_used_tls": is_tls}
            store.desktop_clients.put(known.with_(**used))


def require_room() -> None:
    """Refuse new work at the door when the disk could not carry it to its end."""
    parts = services()
    if not parts.store.has_room(parts.min_free_bytes):
        raise Problem(
            503,
            "no-room",
            "the box's disk is full or failing: nothing was taken",
            hint="try again later; the panel says what to do about the disk",
        )


def answer(model: BaseModel, status: int = 200) -> Response:
    """A model as an answer."""
    return Response(model.model_dump_json(), status, mimetype="application/json")
