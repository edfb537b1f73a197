"""Backup and restore: the whole set-up and history as one file, and back again."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store import backups
from store.backups import BackupRefused, Summary
from web import forms, services

pages = Blueprint("backups", __name__, url_prefix="/backup")

LARGEST_BYTES = 64 * 1024**3


@pages.get("/")
def index() -> str:
    """Make one, or restore one."""
    return _page({})


@pages.post("/make")
def make() -> Response | tuple[str, int]:
    """A backup, made while it is downloaded."""
    parts, passphrase = services(), request.form.get("passphrase", "")
    if len(passphrase) < backups.MIN_PASSPHRASE:
        return _page({"passphrase": f"Write at least {backups.MIN_PASSPHRASE} characters."}), 422
    now = services().store.clock.now()
    pieces = backups.backup(parts.store, passphrase, parts.version, now, "pictures" in request.form)
    name = f"printroom-{services().store.local(now):%Y%m%d-%H%M}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(pieces, mimetype="application/zip", headers=headers)


@pages.post("/check")
def check() -> str | tuple[str, int]:
    """Look at a backup and make it ready; nothing is replaced before somebody says so on the page that this answers."""
    store = services().store
    file = request.files.get("file")
    if file is None or not file.filename:
        return _page({"file": "Choose the file of a backup."}), 422
    with tempfile.NamedTemporaryFile(dir=store.folder.incoming, prefix="backup-") as kept:
        shutil.copyfileobj(file.stream, kept)
        kept.flush()
        os.fsync(kept.fileno())
        try:
            summary: Summary = backups.prepare(
                store.folder.root, store.next_ids, Path(kept.name), request.form.get("old_passphrase", "")
            )
        except BackupRefused as error:
            return _page({"file": f"{str(error)[:1].upper()}{str(error)[1:]}."}), 422
    open_now = sum(len(store.tickets.by("state", state)) for state in ("waiting", "rendering", "rendered", "printing"))
    return render_template("restore.html", summary=summary, open_now=open_now)


@pages.post("/restore")
def restore() -> str | AnyResponse:
    """Put the backup that was checked into the store's place, or take it away again."""
    root = services().store.folder.root
    if request.form.get("what") != "restore":
        backups.forget(root)
        return redirect(url_for("backups.index"))
    backups.go(root, services().store.local(services().store.clock.now()))
    services().restart()
    return render_template("restarting.html", next=url_for("tickets.today"))


@pages.post("/forget/<name>")
def forget(name: str) -> AnyResponse:
    """Delete the state that a restore replaced."""
    for path in backups.states_before(services().store.folder.root):
        if path.name == name:
            shutil.rmtree(path)
    return redirect(url_for("backups.index"))


def _page(errors: forms.Errors) -> str:
    return render_template(
        "backups.html",
        errors=errors,
        form=request.form,
        before=[path.name for path in backups.states_before(services().store.folder.root)],
    )
