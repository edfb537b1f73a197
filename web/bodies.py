"""How large the body of a request may be: little from strangers, what a page needs from those whom the box knows."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from flask import Flask, request

from web import auth, backups, roles, services, updates
from web.sync import door

STRANGERS_BYTES = 64 * 1024  # a name and a password, a pairing code: nobody needs more before the box knows him


@dataclass(frozen=True)
class BodyRule:
    """What is taken of one request."""

    most_bytes: int
    keeps_parts: bool = False  # what came of a body that broke off is of use


def install(app: Flask) -> None:
    """Hold every request to its rule; large bodies need room on the disk."""

    @app.before_request
    def limit() -> None:
        said = request.content_length
        if said is not None and said <= STRANGERS_BYTES:
            return
        rule = _rule()
        request.max_content_length = rule.most_bytes
        if rule.most_bytes > STRANGERS_BYTES and said is not None:
            door.require_room()


def rule_of(app: Flask, environ: dict[str, Any]) -> BodyRule:
    """The rule for a request of which only the head is known.

    Args:
        app: the application that will answer it.
        environ: of WSGI.
    """
    with app.request_context({**environ, "wsgi.input": io.BytesIO()}):
        return _rule()


def _rule() -> BodyRule:
    parts = services()
    if not _is_known():
        return BodyRule(STRANGERS_BYTES)
    match request.endpoint:
        case "sync.put_image":
            return BodyRule(parts.max_image_bytes, keeps_parts=True)
        case "backups.check":
            return BodyRule(backups.LARGEST_BYTES)
        case "box.upload":
            return BodyRule(updates.LARGEST_BYTES)
    return BodyRule(parts.max_body_bytes)


def _is_known() -> bool:
    if request.endpoint is None:
        return False
    if request.path.startswith("/sync/"):
        return door.known_client() is not None
    person = auth.known_person()
    return person is not None and roles.may(person.role, request.endpoint, changes=True)
