"""Today's print room, and each ticket with its sheets as pictures."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from ipp.supplies import forecast
from store import intake, progress
from store.records import ReprintReason, Sheet, Ticket
from store.reprints import reprint
from store.states import ENDED_TICKETS, OPEN_PRINT_JOBS, SETTLED_SHEETS, SheetState, TicketState
from web import forms, services
from web.errors import Problem

pages = Blueprint("tickets", __name__)

RECENT = 30
OPEN_STATES = (
    TicketState.HELD,
    TicketState.PRINTING,
    TicketState.RENDERED,
    TicketState.RENDERING,
    TicketState.WAITING,
)
SHOWN_SHEETS = 200
_MIME_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".tif": "image/tiff"}


@pages.get("/")
def today() -> str:
    """What is printing, waiting, held and done; the printers; live."""
    return render_template("today.html", **_today())


@pages.get("/today/live")
def today_live() -> str:
    """The part of Today that changes."""
    return render_template("_today.html", **_today())


def _today() -> dict[str, Any]:
    store = services().store
    open_tickets = [ticket for state in OPEN_STATES for ticket in store.tickets.by("state", state.value)]
    ended = [ticket for ticket in store.tickets.newest(RECENT + len(open_tickets)) if ticket.state in ENDED_TICKETS]
    return {
        "open_tickets": [_summary(ticket) for ticket in open_tickets],
        "ended_tickets": [_summary(ticket) for ticket in ended[:RECENT]],
        "printers": printer_rows(),
        "is_paused": store.is_paused,
        "needs_setup": _needs_setup(),
        "troubles": [*store.troubles(services().min_free_bytes), *_run_outs()],
    }


def _needs_setup() -> list[tuple[str, str]]:
    """What a new studio still has to do, in order: (sentence, endpoint)."""
    store = services().store
    steps = [
        (
            not len(store.printers),
            "No printer has been found yet. Switch one on, or add it by its address.",
            "printers.index",
        ),
        (not len(store.render_profiles), "Make a render profile: how prints are produced.", "profiles.index"),
        (not len(store.render_jobs), "Make a render job: which status starts it.", "render_jobs.index"),
        (not len(store.desktop_clients), "Connect the studio's software: add a desktop client.", "clients.index"),
    ]
    return [(text, endpoint) for is_open, text, endpoint in steps if is_open]


def _run_outs() -> list[str]:
    """What ends before the work that waits is done. Work that several printers may take is shared among them."""
    store = services().store
    printers = store.printers.all()
    needed: dict[int, float] = {}
    for state in OPEN_STATES:
        for ticket in store.tickets.by("state", state.value):
            profiles = {profile.id: profile for profile in store.instructions.get(ticket.id).profiles}
            for sheet in store.sheets.by("open", ticket.id):
                profile, copies = profiles[sheet.profile_id], sheet.quantity - sheet.copies_done
                takers = [p.id for p in printers if not p.inactive and p.id == profile.printer_id]
                takers += [p.id for p in printers if not p.inactive and p.pool_id and p.pool_id == profile.pool_id]
                for printer_id in takers if sheet.prints else ():
                    needed[printer_id] = needed.get(printer_id, 0) + copies / len(takers)
    statuses = {status.id: status for status in store.printer_status.all()}
    return list(
        forecast(
            {one: ceil(copies) for one, copies in needed.items()},
            statuses,
            {printer.id: printer.name for printer in printers},
        )
    )


def _summary(ticket: Ticket) -> dict[str, Any]:
    store = services().store
    sheets = store.sheets.by("ticket", ticket.id)
    prints = {profile.id: profile.prints for profile in store.instructions.get(ticket.id).profiles}
    copies = sum(sheet.quantity for sheet in sheets if prints[sheet.profile_id])
    # Half of a sheet's way is drawing it, the other half printing it; a sheet that only becomes a file is done then.
    steps = sum(2 if prints[sheet.profile_id] else 1 for sheet in sheets)
    done = sum(_steps_done(sheet, prints[sheet.profile_id]) for sheet in sheets)
    return {
        "ticket": ticket,
        "sheets": len(sheets),
        "copies": copies,
        "percent": 100 if ticket.state in ENDED_TICKETS else round(100 * done / steps) if steps else 0,
        "thumbnails": [sheet.id for sheet in sheets if sheet.state is not SheetState.PLANNED and sheet.file][:6],
    }


def _steps_done(sheet: Sheet, prints: bool) -> int:
    if sheet.state is SheetState.PLANNED:
        return 0
    return 2 if prints and sheet.state in SETTLED_SHEETS else 1


def printer_rows() -> list[dict[str, Any]]:
    """Every printer with its state, its pool and what it has in hand."""
    store = services().store
    pools = {pool.id: pool.name for pool in store.printer_pools.all()}
    return [
        {
            "printer": printer,
            "status": store.printer_status.find(printer.id),
            "pool": pools.get(printer.pool_id or 0, ""),
            "print_jobs": [
                job
                for state in OPEN_PRINT_JOBS
                for job in store.print_jobs.by("printer_state", (printer.id, state.value))
            ],
        }
        for printer in store.printers.all()
    ]


@pages.post("/processing/<any(pause, resume):what>")
def processing(what: str) -> AnyResponse:
    """A person pauses everything, or lets it go on. What printers already have, they print."""
    services().store.pause(what == "pause")
    return redirect(url_for("tickets.today"))


@pages.get("/tickets/<int:ticket_id>")
def show(ticket_id: int) -> str:
    """One ticket: sheets, instructions, trace."""
    return render_template("ticket.html", **_ticket(ticket_id))


@pages.get("/tickets/<int:ticket_id>/live")
def show_live(ticket_id: int) -> str:
    """The part of a ticket's page that changes."""
    return render_template("_ticket.html", **_ticket(ticket_id))


def _ticket(ticket_id: int) -> dict[str, Any]:
    store = services().store
    ticket = store.tickets.get(ticket_id)
    sheets = store.sheets.by("ticket", ticket_id)
    instructions = store.instructions.get(ticket_id)
    jobs = {sheet.id: store.print_jobs.by("sheet", sheet.id) for sheet in sheets[:SHOWN_SHEETS]}
    return {
        "ticket": ticket,
        "summary": _summary(ticket),
        "instructions": instructions,
        "profiles": {profile.id: profile for profile in instructions.profiles},
        "sheets": sheets[:SHOWN_SHEETS],
        "more_sheets": max(0, len(sheets) - SHOWN_SHEETS),
        "print_jobs": jobs,
        "printer_names": {printer.id: printer.name for printer in store.printers.all()},
        "record": store.records.find(ticket.record_id),
        "has_original": bool(ticket.reprint_of and store.tickets.find(ticket.reprint_of)),
        "downloads": store.downloads.by("ticket", ticket_id),
        "is_ended": ticket.state in ENDED_TICKETS,
        "reprint_reasons": list(ReprintReason),
    }


@pages.post("/tickets/<int:ticket_id>/start")
def start(ticket_id: int) -> AnyResponse:
    """A person releases a ticket that waits."""
    store = services().store
    with store.transaction():
        progress.move_ticket(store, store.tickets.get(ticket_id), "start", datetime.now(UTC), "started in the panel")
    return redirect(url_for("tickets.show", ticket_id=ticket_id))


@pages.post("/tickets/<int:ticket_id>/cancel")
def cancel(ticket_id: int) -> AnyResponse:
    """A person stops a ticket."""
    progress.cancel_ticket(services().store, ticket_id, datetime.now(UTC))
    return redirect(url_for("tickets.show", ticket_id=ticket_id))


@pages.post("/tickets/<int:ticket_id>/retry")
def retry(ticket_id: int) -> AnyResponse:
    """A person has mended what made it fail."""
    store = services().store
    again = intake.retry(store, store.tickets.get(ticket_id), datetime.now(UTC))
    return redirect(url_for("tickets.show", ticket_id=again.id))


@pages.post("/tickets/<int:ticket_id>/<any(hold, resume):what>")
def pause(ticket_id: int, what: str) -> AnyResponse:
    """A person holds a ticket: nothing more of it is drawn or given to printers until somebody resumes it."""
    store = services().store
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        if ticket.state in ENDED_TICKETS:
            raise Problem(409, "not-possible-now", "this ticket has ended: look at the page again")
        store.tickets.put(ticket.with_(is_paused=what == "hold"))
    return redirect(url_for("tickets.show", ticket_id=ticket_id))


@pages.post("/sheets/<int:sheet_id>/answer")
def answer(sheet_id: int) -> AnyResponse:
    """A person answers whether an unsure sheet came out."""
    copies = forms.number_or_none(request.form.get("copies", "").strip())
    if copies is None:  # nothing is printed again because a field was left empty
        raise Problem(422, "invalid", "write how many copies came out: 0 prints all of them again", "copies")
    sheet = progress.answer_unsure(services().store, sheet_id, copies, datetime.now(UTC))
    return redirect(url_for("tickets.show", ticket_id=sheet.ticket_id))


@pages.post("/sheets/<int:sheet_id>/reprint")
def print_again(sheet_id: int) -> AnyResponse:
    """A person wants a sheet once more."""
    store = services().store
    sheet = store.sheets.get(sheet_id)
    ticket = store.tickets.get(sheet.ticket_id)
    copies, reason = reprint_wish()
    if ticket.state not in ENDED_TICKETS or not sheet.prints or sheet.slip:
        raise Problem(409, "not-possible-now", "a sheet is printed again when its ticket has ended: wait for that")
    again = reprint(store, ticket, store.instructions.get(ticket.id), [(sheet, copies)], reason, datetime.now(UTC))
    return redirect(url_for("tickets.show", ticket_id=again.id))


def reprint_wish() -> tuple[int, ReprintReason]:
    """How many copies a person wants again, and why, from the form."""
    copies = forms.number_or_none(request.form.get("copies", "")) or 0
    if not 1 <= copies <= 9999:
        raise Problem(422, "invalid", "write how many copies, 1 to 9999", "copies")
    try:
        return copies, ReprintReason(request.form.get("reason", ""))
    except ValueError:
        raise Problem(422, "invalid", "choose why it is printed again", "reason") from None


@pages.post("/sheets/<int:sheet_id>/release")
def release(sheet_id: int) -> AnyResponse:
    """A person decides about a sheet that would not look good."""
    prints = request.form.get("prints") == "yes"
    sheet = progress.answer_held(services().store, sheet_id, prints, datetime.now(UTC))
    return redirect(url_for("tickets.show", ticket_id=sheet.ticket_id))


@pages.get("/sheets/<int:sheet_id>.<any(thumb, full):kind>.jpg")
def picture(sheet_id: int, kind: str) -> Response:
    """A sheet as a picture: small, or as it was drawn."""
    store = services().store
    path = store.folder.thumbnail(sheet_id) if kind == "thumb" else store.folder.sheet(sheet_id)
    ending = (kind == "full" and Path(store.sheets.get(sheet_id).file).suffix) or ".jpg"
    if not path.is_file():
        abort(404, "this sheet has not been drawn, or its picture has expired")
    # Browsers do not show TIFF: it is downloaded under its own name.
    name = f"sheet-{sheet_id}{ending}"
    response = send_file(path, _MIME_TYPES[ending], ending == ".tif", download_name=name, max_age=3600)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response
