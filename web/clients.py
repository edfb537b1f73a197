"""Desktop clients: the programs that may push statuses; how they are paired, seen and revoked."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.records import DesktopClient, Scope
from store.tables import Store
from web import forms, now, services

pages = Blueprint("clients", __name__, url_prefix="/clients")

SCOPE_TEXTS = {
    Scope.PUSH: ("Send records and pictures", "What a studio’s program needs to order prints."),
    Scope.FOLLOW: ("Hear what became of them", "Finish and error statuses, with results."),
}


def new_client(store: Store, name: str, scopes: Sequence[Scope] = tuple(Scope)) -> tuple[DesktopClient, str]:
    """Add a desktop client; returns it with its token, which is nowhere else than in this answer."""
    token = f"prt_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    # A new client has no use for what happened before it came.
    newest = store.changes.newest(1)
    client = DesktopClient(
        name=name,
        token_sha256=digest,
        scopes=tuple(scopes),
        acknowledged=newest[0].id if newest else 0,
        created_at=store.clock.now(),
    )
    return store.desktop_clients.add(client), token


@pages.route("/", methods=["GET", "POST"])
def index() -> str | tuple[str, int]:
    """All clients; a new one gets a pairing code, or a token that is shown once."""
    parts = services()
    if request.method == "GET":
        return _page({scope.value: "on" for scope in Scope}, {})
    form = request.form
    scopes = tuple(scope for scope in Scope if form.get(scope.value))
    probe = {"name": form.get("name", ""), "token_sha256": "0" * 64, "created_at": now()}
    checked, errors = forms.build(DesktopClient, probe)
    if not scopes:
        errors["scopes"] = "Allow at least one of these."
    if checked is None or errors:
        return _page(form, errors), 422
    if "token" in form:
        _, token = new_client(parts.store, checked.name, scopes)
        return _page({scope.value: "on" for scope in Scope}, {}, token)
    parts.pairing.offer(checked.name, scopes)
    return _page({scope.value: "on" for scope in Scope}, {})


def _page(form: object, errors: forms.Errors, token: str = "") -> str:
    webhooks = len(services().store.webhooks)
    return render_template(
        "clients.html", **_live(), webhooks=webhooks, scopes=SCOPE_TEXTS, token=token, form=form, errors=errors
    )


def _live() -> dict[str, Any]:
    parts = services()
    return {
        "clients": parts.store.desktop_clients.all(),
        "codes": parts.pairing.waiting(),
        "fingerprint": parts.fingerprint,
    }


@pages.get("/list")
def listed() -> str:
    """The part of the page that is live: who is paired, which codes wait."""
    return render_template("_clients.html", **_live())


@pages.post("/<int:client_id>/revoke")
def revoke(client_id: int) -> AnyResponse:
    """End a client's access at once."""
    store = services().store
    store.desktop_clients.remove(store.desktop_clients.get(client_id).id)
    return redirect(url_for("clients.index"))
