"""The box as a machine: its version and updates, the share, safe mode, restart, factory reset."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store import backups, safe_mode
from web import services
from web.errors import Problem
from web.updates import CHANNELS, Box, BoxRefused, Phase, Updates

pages = Blueprint("box", __name__, url_prefix="/box")


@pages.get("/")
def index() -> str:
    """Everything about the machine."""
    parts, store = services(), services().store
    state: dict[str, Any] = {}
    problem = ""
    update = parts.updates.standing if parts.updates else None
    # While it works this page comes every two seconds: the machine is not asked each time.
    if parts.box is not None and update is not None and update.phase is not Phase.WORKING:
        try:
            state = parts.box.ask("state")
        except BoxRefused as error:
            problem = str(error)
    return render_template(
        "box.html",
        has_box=parts.box is not None,
        version=parts.version,
        state=state,
        problem=problem,
        update=update,
        settings=store.settings,
        channels=CHANNELS,
        is_safe=parts.is_safe,
        copies=backups.copies_before_updates(store.folder.root),
    )


@pages.post("/upload")
def upload() -> AnyResponse:
    """An update from a file; it is checked, and nothing is changed yet."""
    file = request.files.get("file")
    if file is None or not file.filename:
        raise Problem(422, "no-file", "no file was chosen", field="file", hint="choose a file that ends with .update")
    _updates().take(file.stream)
    return redirect(url_for("box.index"))


@pages.post("/fetch")
def fetch() -> AnyResponse:
    """The newest version of a channel; it is checked, and nothing is changed yet."""
    address, channel = request.form.get("update_url", "").strip(), request.form.get("update_channel", "")
    if channel not in CHANNELS:
        raise Problem(422, "invalid", f"there is no channel {channel!r}", hint=f"choose {' or '.join(CHANNELS)}")
    services().store.set(update_url=address, update_channel=channel)
    _updates().fetch(address, channel, services().architecture)
    return redirect(url_for("box.index"))


@pages.post("/install")
def install() -> AnyResponse:
    """Write what was checked to the idle slot; it starts with the next start of the box."""
    _updates().install()
    return redirect(url_for("box.index"))


@pages.post("/forget")
def forget() -> AnyResponse:
    """Not this update."""
    _updates().forget()
    return redirect(url_for("box.index"))


@pages.post("/do/<any('restart', 'go-back', 'switch-off', 'reset'):what>")
def do(what: str) -> str | AnyResponse:
    """What ends this process."""
    if what == "reset":
        if request.form.get("sure", "").strip().lower() != "everything":
            raise Problem(422, "not-sure", "nothing was erased", field="sure", hint="type the word everything")
        _box().ask(what, sure="everything")
    else:
        _box().ask(what)
    if what == "switch-off":
        return render_template("switched_off.html")
    return render_template("restarting.html", next=url_for("tickets.today"), is_box=True)


@pages.post("/safe-mode")
def safe() -> str:
    """Without drawing and printing, or with them again."""
    safe_mode.switch(services().store.folder.root, "on" in request.form)
    services().restart()
    return render_template("restarting.html", next=url_for("box.index"))


@pages.post("/share")
def share() -> AnyResponse:
    """The share for image folders."""
    if request.form.get("what") == "off":
        _box().ask("share", on=False)
    else:
        _box().ask("share", on=True, password=request.form.get("share_password", ""))
    return redirect(url_for("box.index"))


@pages.post("/copies/<name>/forget")
def forget_copy(name: str) -> AnyResponse:
    """Delete a copy that was kept before an update."""
    backups.forget_copy(services().store.folder.root, name)
    return redirect(url_for("box.index"))


def _box() -> Box:
    box = services().box
    if box is None:
        raise Problem(404, "no-box", "this Printroom runs from a checkout", hint="the machine is yours to look after")
    return box


def _updates() -> Updates:
    updates = services().updates
    if updates is None:
        raise Problem(404, "no-box", "this Printroom runs from a checkout", hint="update it with git pull")
    return updates
