"""The box's settings: the studio, when it works, with what; and the page from which the rest is reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.settings import BoxSettings, Units
from web import forms, services

pages = Blueprint("settings", __name__, url_prefix="/settings")

# Everything that is set up seldom: (endpoint, title, what for).
ROOMS = (
    ("settings.edit", "Studio and processing", "Name, units, hours of operation, memory, retention, image folders."),
    ("setup.index", "Set-up, step by step", "The first run’s questions again, and the sample studio."),
    ("queues.index", "Print queues", "What computers, phones and tablets print to."),
    ("hot_folders.index", "Hot folders", "Pictures that are dropped into a folder are printed."),
    ("clients.index", "Desktop clients", "Pair the studio’s programs, see them, let none in that should not be."),
    ("webhooks.index", "Webhooks", "Addresses that are called with every finish and error status."),
    ("alerts.edit", "Alerts", "Who is told by mail or webhook that something needs a person."),
    ("layouts.index", "Layouts", "Several pictures on one sheet; the editor for your own."),
    ("assets.index", "Colour profiles and overlays", "The studio’s ICC profiles and PNG overlays."),
    ("people.index", "People", "Who may log in, and as what."),
    ("audit.index", "Audit log", "Who changed what, and when."),
    ("backups.index", "Backup and restore", "The whole set-up and history as one file."),
    ("box.index", "The box", "Version and updates, the share, restart, safe mode, factory reset."),
    ("health.index", "Health and log", "Disk, memory, clock, versions; the log; a file for support."),
)
_TEXTS = ("studio_name", "time_zone", "units")
_NUMBERS = ("max_memory_mb", "workers", "archive_after_days", "keep_archive_days", "keep_records_days")
_LINES = ("image_roots", "path_mappings")
_AT_THE_START = (*_NUMBERS, *_LINES)  # take effect when the box starts its work anew
UNIT_TEXTS = [(Units.INCHES.value, "Inches"), (Units.CENTIMETRES.value, "Centimetres and millimetres")]


@pages.get("/")
def index() -> str:
    """The way to everything that is set up seldom."""
    return render_template("settings.html", rooms=ROOMS)


@pages.route("/box", methods=["GET", "POST"])
def edit() -> str | AnyResponse | tuple[str, int]:
    """The box as a whole."""
    store = services().store
    known = store.settings
    if request.method == "GET":
        return _page(typed(known), {}, known)
    form = request.form
    settings, errors = parse(known, form)
    if settings is None:
        return _page(form, errors, known), 422
    with store.transaction():
        if form.get("seen") and form["seen"] != forms.seen(store.settings):
            return _page(form, {"": f"{forms.CHANGED}."}, store.settings), 409
        store.box_settings.put(settings)
    return redirect(url_for("settings.edit", saved="yes"))


@pages.post("/restart")
def restart() -> str:
    """Start the box's work anew; pages come back after a few seconds."""
    services().restart()
    return render_template("restarting.html", next=url_for("settings.edit"))


def needs_restart(settings: BoxSettings) -> bool:
    """Whether something was set that is not in force yet."""
    parts = services()
    for name in _AT_THE_START:
        wanted, now = getattr(settings, name), parts.engine.get(name)
        if name not in parts.fixed and name in parts.engine and wanted is not None and _plain(wanted) != _plain(now):
            return True
    return False


def parse(known: BoxSettings, form: Mapping[str, str]) -> tuple[BoxSettings | None, forms.Errors]:
    """The settings with what was typed, or what is wrong with it. Fields that the form lacks stay as they are."""
    changes: dict[str, Any] = {name: form[name].strip() for name in _TEXTS if name in form}
    changes |= {name: form[name].strip() or None for name in (*_NUMBERS, "opens_at", "closes_at") if name in form}
    for name in _LINES:
        if name in form:
            changes[name] = tuple(line.strip() for line in form[name].splitlines() if line.strip()) or None
    if "locations" in form:
        changes["locations"] = tuple(part.strip() for part in form["locations"].split(",") if part.strip())
    if "has_auto_start" in form:  # a box that is not ticked sends nothing
        changes["auto_start"] = "auto_start" in form
    settings, errors = forms.build(BoxSettings, {**dict(known), **changes})
    if "" in errors:
        errors["opens_at"] = errors.pop("")
    return settings, errors


def typed(settings: BoxSettings) -> dict[str, str]:
    """The settings as a person would have typed them."""
    form = {name: str(getattr(settings, name)) for name in _TEXTS}
    form |= {name: "" if (value := getattr(settings, name)) is None else str(value) for name in _NUMBERS}
    form |= {name: "\n".join(getattr(settings, name) or ()) for name in _LINES}
    form |= {
        name: f"{value:%H:%M}" if (value := getattr(settings, name)) is not None else ""
        for name in ("opens_at", "closes_at")
    }
    form["locations"] = ", ".join(settings.locations)
    return {**form, "auto_start": "on"} if settings.auto_start else form


def _plain(value: Any) -> str:
    return ";".join(str(one) for one in value) if isinstance(value, tuple) else str(value)


def _page(form: Mapping[str, Any], errors: forms.Errors, known: BoxSettings) -> str:
    parts = services()
    return render_template(
        "box_settings.html",
        form=form,
        errors=errors,
        known=known,
        units=UNIT_TEXTS,
        zones=sorted(available_timezones()),
        locations=sorted({str(one.get("location", "")) for _, one in parts.store.records.documents()} - {""}),
        engine={name: _plain(value).replace(";", "\n") for name, value in parts.engine.items()},
        fixed=parts.fixed,
        needs_restart=needs_restart(known),
        saved=request.args.get("saved", ""),
    )
