"""Desktop clients: the programs that may push statuses."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.records import DesktopClient
from store.tables import Store
from web import forms, services

pages = Blueprint("clients", __name__, url_prefix="/clients")


def new_client(store: Store, name: str) -> tuple[DesktopClient, str]:
    """Add a desktop client; returns it with its token, which is nowhere else than in this answer."""
    token = f"prt_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    # A new client has no use for what happened before it came.
    newest = store.changes.newest(1)
    client = DesktopClient(
        name=name,
        token_sha256=digest,
        acknowledged=newest[0].id if newest else 0,
        created_at=datetime.now(UTC),
    )
    return store.desktop_clients.add(client), token


@pages.route("/", methods=["GET", "POST"])
def index() -> str | tuple[str, int]:
    """All clients; adding one shows its token once."""
    store = services().store
    token = ""
    errors: forms.Errors = {}
    if request.method == "POST":
        name = request.form.get("name", "")
        probe = {"name": name, "token_sha256": "0" * 64, "created_at": datetime.now(UTC)}
        checked, errors = forms.build(DesktopClient, probe)
        if checked is not None:
            _, token = new_client(store, checked.name)
    page = render_template("clients.html", clients=store.desktop_clients.all(), token=token, errors=errors)
    return (page, 422) if errors else page


@pages.post("/<int:client_id>/revoke")
def revoke(client_id: int) -> AnyResponse:
    """End a client's access at once."""
    store = services().store
    store.desktop_clients.remove(store.desktop_clients.get(client_id).id)
    return redirect(url_for("clients.index"))
