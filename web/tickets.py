"""Today's print room, and each ticket with its sheets as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, g, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from store import decisions, intake, progress
from store.records import Instructions, Priority, ReprintReason
from store.reprints import reprint
from store.states import ENDED_TICKETS
from web import forms, now, output_files, overview, services
from web.errors import Problem

pages = Blueprint("tickets", __name__)

SHOWN_SHEETS = 200
MOST_COPIES = 9999
_MIME_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".tif": "image/tiff"}


@pages.get("/")
def today() -> str:
    """What is printing, waiting, held and done; the printers; live."""
    return render_template("today.html", **overview.today())


@pages.get("/today/live")
def today_live() -> str:
    """The part of Today that changes."""
    return render_template("_today.html", **overview.today())


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
        "summary": overview.summary(ticket),
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
        "destinations": destinations(),
        "priorities": list(Priority),
        "has_files": any(sheet.file for sheet in sheets),
    }


@pages.post("/tickets/<int:ticket_id>/start")
def start(ticket_id: int) -> AnyResponse:
    """A person releases a ticket that waits."""
    store = services().store
    with store.transaction():
        progress.move_ticket(store, store.tickets.get(ticket_id), "start", now(), "started in the panel")
    return redirect(url_for("tickets.show", ticket_id=ticket_id))


@pages.post("/tickets/<int:ticket_id>/cancel")
def cancel(ticket_id: int) -> AnyResponse:
    """A person stops a ticket."""
    decisions.cancel_ticket(services().store, ticket_id, now(), g.person.name)
    return redirect(url_for("tickets.show", ticket_id=ticket_id))


@pages.post("/tickets/<int:ticket_id>/retry")
def retry(ticket_id: int) -> AnyResponse:
    """A person has mended what made it fail."""
    store = services().store
    again = intake.retry(store, store.tickets.get(ticket_id), now())
    return redirect(url_for("tickets.show", ticket_id=again.id))


@pages.post("/tickets/<int:ticket_id>/<any(hold, resume):what>")
def pause(ticket_id: int, what: str) -> AnyResponse:
    """A person holds a ticket: nothing more of it is drawn or given to printers until somebody resumes it."""
    if what == "hold":
        decisions.hold_ticket(services().store, ticket_id, now(), g.person.name)
    else:
        decisions.resume_ticket(services().store, ticket_id)
    return redirect(url_for("tickets.show", ticket_id=ticket_id))


@pages.post("/tickets/<int:ticket_id>/priority")
def prioritise(ticket_id: int) -> AnyResponse:
    """A ticket goes before all others, or after them."""
    store = services().store
    try:
        priority = Priority[request.form.get("priority", "").upper()]
    except KeyError:
        raise Problem(422, "invalid", "choose first, normal or later", "priority") from None
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        if ticket.state in ENDED_TICKETS:
            raise Problem(409, "not-possible-now", "this ticket has ended: look at the page again")
        store.tickets.put(ticket.with_(priority=priority))
    return redirect(url_for("tickets.show", ticket_id=ticket_id))


@pages.get("/tickets/<int:ticket_id>/files.zip")
def files(ticket_id: int) -> AnyResponse:
    """All files of a ticket."""
    store = services().store
    ticket = store.tickets.get(ticket_id)
    wanted = dict.fromkeys(sheet.file for sheet in store.sheets.by("ticket", ticket_id) if sheet.file)
    return output_files.zip_of(output_files.find(list(wanted)), f"{ticket.number}.zip")


@pages.post("/sheets/<int:sheet_id>/answer")
def answer(sheet_id: int) -> AnyResponse:
    """A person answers whether an unsure sheet came out."""
    copies = forms.number_or_none(request.form.get("copies", "").strip())
    if copies is None:  # nothing is printed again because a field was left empty
        raise Problem(422, "invalid", "write how many copies came out: 0 prints all of them again", "copies")
    sheet = decisions.answer_unsure(services().store, sheet_id, copies, now())
    return redirect(url_for("tickets.show", ticket_id=sheet.ticket_id))


@pages.post("/sheets/<int:sheet_id>/cancel")
def cancel_sheet(sheet_id: int) -> AnyResponse:
    """A person wants one sheet no more."""
    sheet = decisions.cancel_sheet(services().store, sheet_id, now(), g.person.name)
    return redirect(url_for("tickets.show", ticket_id=sheet.ticket_id))


@pages.post("/print-jobs/<int:print_job_id>/<any(wait, ask, move):what>")
def stuck(print_job_id: int, what: str) -> AnyResponse:
    """A person decides about a print of which nothing is heard: wait, look at the paper, or let another printer have
    it."""
    store = services().store
    if what == "wait":
        job = decisions.wait_longer(store, print_job_id)
    elif what == "ask":
        job = decisions.ask_about(store, print_job_id, now())
    else:
        job = decisions.print_elsewhere(store, print_job_id, now())
    return redirect(url_for("tickets.show", ticket_id=job.ticket_id))


@pages.post("/tickets/<int:ticket_id>/reprint")
def print_again(ticket_id: int) -> AnyResponse:
    """A person wants some sheets once more: so many copies of each, why, and perhaps on another printer or pool."""
    store = services().store
    ticket = store.tickets.get(ticket_id)
    reason = reprint_reason()
    wanted = []
    for sheet in store.sheets.by("ticket", ticket_id):
        text = request.form.get(f"copies-{sheet.id}", "").strip() or "0"
        if not text.isdecimal() or int(text) > MOST_COPIES:
            raise Problem(422, "invalid", f"'{text[:20]}' is not a number of copies, 0 to {MOST_COPIES}", "copies")
        if int(text) and sheet.prints and not sheet.slip:
            wanted.append((sheet, int(text)))
    if ticket.state not in ENDED_TICKETS:
        raise Problem(409, "not-possible-now", "sheets are printed again when their ticket has ended: wait for that")
    if not wanted:
        raise Problem(422, "invalid", "write for at least one sheet how many copies you want", "copies")
    frozen = store.instructions.get(ticket.id)
    again = reprint(store, ticket, elsewhere(frozen), wanted, reason, now())
    return redirect(url_for("tickets.show", ticket_id=again.id))


def elsewhere(frozen: Instructions) -> Instructions:
    """A ticket's instructions with the printer or pool of the form, where it names one."""
    store = services().store
    kind, _, number = request.form.get("destination", "").partition(":")
    target = forms.number_or_none(number)
    if not kind or target is None:
        return frozen
    known = store.printer_pools.find(target) if kind == "pool" else store.printers.find(target)
    if known is None:
        raise Problem(422, "invalid", "this printer or pool is gone: choose another", "destination")
    where = {"pool_id": target, "printer_id": None} if kind == "pool" else {"pool_id": None, "printer_id": target}
    profiles = tuple(profile.with_(**where) if profile.prints else profile for profile in frozen.profiles)
    return frozen.with_(profiles=profiles)


def destinations() -> list[tuple[str, str]]:
    """Where sheets can be printed again."""
    store = services().store
    return [
        ("", "Where they were printed"),
        *((f"pool:{pool.id}", f"Pool {pool.name}") for pool in store.printer_pools.all()),
        *((f"printer:{printer.id}", f"Printer {printer.name}") for printer in store.printers.all()),
    ]


def reprint_reason() -> ReprintReason:
    """Why a person wants something again, from the form."""
    try:
        return ReprintReason(request.form.get("reason", ""))
    except ValueError:
        raise Problem(422, "invalid", "choose why it is printed again", "reason") from None


@pages.post("/sheets/<int:sheet_id>/release")
def release(sheet_id: int) -> AnyResponse:
    """A person decides about a sheet that would not look good."""
    prints = request.form.get("prints") == "yes"
    sheet = decisions.answer_held(services().store, sheet_id, prints, now())
    return redirect(url_for("tickets.show", ticket_id=sheet.ticket_id))


@pages.get("/sheets/<int:sheet_id>")
def sheet(sheet_id: int) -> str:
    """One sheet, to look at closely."""
    store = services().store
    found = store.sheets.get(sheet_id)
    siblings = [one.id for one in store.sheets.by("ticket", found.ticket_id) if one.file]
    at = siblings.index(sheet_id) if sheet_id in siblings else 0
    return render_template(
        "sheet.html",
        sheet=found,
        ticket=store.tickets.get(found.ticket_id),
        before=siblings[at - 1] if at > 0 else None,
        behind=siblings[at + 1] if at + 1 < len(siblings) else None,
    )


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
