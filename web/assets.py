"""The studio's own files for its sheets: ICC output profiles and overlay pictures."""

from __future__ import annotations

import hashlib

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from render.colour import check_output_profile
from render.draw import save
from render.pictures import check_overlay
from store.records import Asset, AssetKind
from web import now, services

pages = Blueprint("assets", __name__, url_prefix="/assets")

_CHECKS = {AssetKind.COLOUR_PROFILE: check_output_profile, AssetKind.OVERLAY: check_overlay}


@pages.get("/")
def index() -> str:
    """All of them, with who uses them."""
    return _page("")


@pages.post("/")
def upload() -> AnyResponse | tuple[str, int]:
    """Take a file, when it is what it is said to be."""
    store = services().store
    file = request.files.get("file")
    data = file.stream.read() if file else b""
    if file is None or not data:
        return _page("Choose a file."), 422
    try:
        kind = AssetKind(request.form.get("kind", ""))
        description = _CHECKS[kind](data)
    except ValueError as error:
        return _page(f"{file.filename}: {error}."), 422
    digest = hashlib.sha256(data).hexdigest()
    save(data, store.folder.asset(digest))
    name = request.form.get("name", "").strip() or description or file.filename or "unnamed"
    with store.transaction():
        if not any(asset.sha256 == digest and asset.name == name for asset in store.assets.all()):
            store.assets.add(Asset(kind=kind, name=name[:200], sha256=digest, description=description, added_at=now()))
    return redirect(url_for("assets.index"))


@pages.post("/<int:asset_id>/remove")
def remove(asset_id: int) -> AnyResponse | tuple[str, int]:
    """Take one off the list, unless a profile uses it. Tickets that are open keep it: its content stays."""
    store = services().store
    asset = store.assets.get(asset_id)
    users = _users(asset)
    if users:
        return _page(f"The render profiles {', '.join(users)} use {asset.name}. Take it out of them first."), 409
    store.assets.remove(asset_id)
    return redirect(url_for("assets.index"))


def _users(asset: Asset) -> list[str]:
    profiles = services().store.render_profiles.all()
    return [one.name for one in profiles if any(used.sha256 == asset.sha256 for used in one.assets)]


def _page(error: str) -> str:
    assets = services().store.assets.all()
    return render_template(
        "assets.html", assets=[(asset, _users(asset)) for asset in assets], kinds=list(AssetKind), error=error
    )
