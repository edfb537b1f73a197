"""How the box is: facts, the log, and everything that somebody who helps needs to know, as one file."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import sys
import time
import zipfile
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.alerts import hot_folder_troubles
from store.reach import OutOfReach, Steps
from store.states import ENDED_TICKETS, TicketState
from web import services

pages = Blueprint("health", __name__, url_prefix="/health")

OPEN = ("health.alive",)  # to everybody: says no more than that the box works

LOG_LINES = 400
LOG_NAME = "printroom.log"
_SECRETS = ("password", "token", "secret", "smtp_password", "username")


@dataclass(frozen=True)
class Item:
    """One thing that needs a look, while the box goes on."""

    text: str  # a sentence
    link: str  # where to look


@pages.get("/")
def index() -> str:
    """Facts, in words: what is wrong with the box as a whole, and with single things that it takes care of."""
    parts = services()
    troubles = [*parts.store.troubles(parts.min_free_bytes), *(loop.trouble for loop in parts.loops() if loop.trouble)]
    confirms = parts.store.clock.trouble is not None
    return render_template("health.html", facts=facts(), troubles=troubles, items=_items(), confirms_clock=confirms)


def _items() -> list[Item]:
    store = services().store
    found = [
        Item(
            f"Ticket {ticket.id} is held because of a fault in Printroom.", url_for("tickets.show", ticket_id=ticket.id)
        )
        for state in TicketState
        if state not in ENDED_TICKETS
        for ticket in store.tickets.by("state", state.value)
        if ticket.fault is not None
    ]
    for hot_folder_id, text in hot_folder_troubles(store):
        found.append(Item(text, url_for("hot_folders.edit", folder_id=hot_folder_id)))
    for webhook in store.webhooks.all():
        failing = [one for one in store.deliveries.by("webhook", webhook.id) if one.error]
        if failing:
            changes = f"{len(failing)} change{'s' if len(failing) > 1 else ''}"
            given_up = sum(one.is_dead for one in failing)
            text = f"Webhook {webhook.name} did not take {changes}" + (f", {given_up} given up" if given_up else "")
            found.append(Item(f"{text}: {failing[-1].error}.", url_for("webhooks.index")))
    errors = {alert.error for alert in store.alerts.all() if alert.error}
    return found + [Item(f"Alerts do not get through: {error}.", url_for("alerts.edit")) for error in sorted(errors)]


@pages.post("/clock")
def confirm_clock() -> AnyResponse:
    """A person compared the machine's clock with another: it is right."""
    services().store.confirm_clock()
    return redirect(url_for("health.index"))


@pages.get("/alive")
def alive() -> tuple[Response, int]:
    """For the box's own health check, without a login: whether the store can be written and every loop runs.

    A ticket, hot folder, printer, webhook or mail server that does not work is no reason to take the box for broken:
    it would be restarted, or an update given up, because of a file name.
    """
    parts = services()
    problems = [*(loop.trouble for loop in parts.loops() if loop.is_failing), *parts.store.failures()]
    return jsonify(version=parts.version, healthy=not problems, problems=problems), 503 if problems else 200


@pages.get("/log")
def log() -> str:
    """The newest lines of the log; with a text, those that have it."""
    wanted = request.args.get("q", "").strip()
    return render_template("log.html", lines=_log_lines(wanted), text=wanted, limit=LOG_LINES)


@pages.get("/support.zip")
def support() -> Response:
    """Facts, settings, printers, counts and the log: no pictures, no passwords, no customers' names from the store."""
    store, buffer = services().store, io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("facts.json", _json(facts()))
        bundle.writestr("settings.json", store.settings.model_dump_json(indent=2))
        bundle.writestr("engine.json", _json({name: str(value) for name, value in services().engine.items()}))
        bundle.writestr("packages.txt", "\n".join(sorted(f"{one.name}=={one.version}" for one in distributions())))
        tables: dict[str, Any] = {
            "printers": store.printers,
            "printer_status": store.printer_status,
            "printer_pools": store.printer_pools,
            "render_profiles": store.render_profiles,
            "render_jobs": store.render_jobs,
            "print_queues": store.print_queues,
        }
        for name, shelf in tables.items():
            documents = [_without_secrets(one.model_dump(mode="json")) for one in shelf.all()]
            bundle.writestr(f"{name}.json", _json(documents))
        for path in sorted((store.folder.root / "log").glob(f"{LOG_NAME}*")):
            bundle.write(path, f"log/{path.name}")
    name = f"printroom-support-{store.local(store.clock.now()):%Y%m%d-%H%M}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(buffer.getvalue(), mimetype="application/zip", headers=headers)


def facts() -> dict[str, dict[str, str]]:
    """What a person who helps asks first: by group, by name."""
    parts, store = services(), services().store
    disk = shutil.disk_usage(store.folder.root)
    memory = _memory()
    counts = {shelf.name: len(shelf) for shelf in store.shelves()}
    printers = [store.printer_status.find(printer.id) for printer in store.printers.all()]
    up_s = store.clock.monotonic() - parts.began_s
    return {
        "Disk": {
            "Free": f"{disk.free / 1e9:.1f} of {disk.total / 1e9:.1f} GB",
            "No new work is taken below": f"{parts.min_free_bytes / 1e9:.1f} GB",
            "Data folder": str(store.folder.root),
            "Uploaded pictures": _size_of(store.folder.images),
            "Drawn sheets": _size_of(store.folder.sheets),
        },
        "Store": {
            "Commits so far": f"{store.version:,}",
            **{name.replace("_", " ").capitalize(): f"{count:,}" for name, count in counts.items() if count},
            "Damage found at the start": "; ".join([*store.damage, *store.doubts]) or "none",
        },
        "Clock": {
            "Time used": f"{store.local(store.clock.now()):%Y-%m-%d %H:%M:%S %Z}",
            "Time by this machine": f"{store.local(store.clock.machine_time()):%Y-%m-%d %H:%M:%S %Z}",
            "Set by the network": _clock_source(),
        },
        "Machine": {
            "Memory free": f"{_megabytes(memory, 'MemAvailable')} of {_megabytes(memory, 'MemTotal')} MB",
            "Name on the network": f"{parts.room.local_name}.local" if parts.room.local_name else "none of its own",
            "Load": ", ".join(f"{one:.2f}" for one in os.getloadavg()) + f" on {os.cpu_count()} cores",
            "Running since": f"{store.local(parts.started_at):%Y-%m-%d %H:%M} ({up_s // 86_400:.0f} days)",
        },
        "Work": {
            "Processing": "paused" if store.settings.is_paused else "going on",
            "Printers that answer": f"{sum(bool(one and one.state.value != 'unreachable') for one in printers)} "
            f"of {len(printers)}",
            "Loops": ", ".join(f"{loop.name} {'FAILS' if loop.is_failing else 'runs'}" for loop in parts.loops())
            or "not started",
        },
        "Versions": {
            "Printroom": parts.version,
            "Python": sys.version.split()[0],
            "System": f"{_os_name()}, Linux {platform.release()} {platform.machine()}",
        },
    }


def _memory() -> dict[str, int]:
    """/proc/meminfo, in kB."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}


def _megabytes(memory: dict[str, int], name: str) -> str:
    return f"{memory.get(name, 0) * 1024 / 1e6:,.0f}"


def _clock_source() -> str:
    """systemd-timesyncd leaves this file when it has set the clock."""
    stamp = Path("/run/systemd/timesync/synchronized")
    if stamp.exists():
        return f"yes, {(time.time() - stamp.stat().st_mtime) / 3600:.0f} h ago"
    return "not known: compare the time above with a clock"


def _os_name() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _size_of(folder: Path) -> str:
    try:
        return services().store.reach.finish(folder, _counted(folder))
    except OutOfReach:
        return "does not answer"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _counted(folder: Path) -> Steps[str]:
    """Two levels deep, as the data folder is; hundreds of thousands of files take half a second."""
    count, total, folders = 0, 0, [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    with suppress(FileNotFoundError):  # removed just now
                        count, total = count + 1, total + entry.stat(follow_symlinks=False).st_size
        yield
    return f"{count:,} files, {total / 1e9:.2f} GB"


def _log_lines(wanted: str) -> list[str]:
    path = services().store.folder.root / "log" / LOG_NAME
    if not path.is_file():
        return []
    with path.open(errors="replace") as lines:
        return list(deque((one.rstrip() for one in lines if wanted.casefold() in one.casefold()), LOG_LINES))[::-1]


def _without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _SECRETS}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
