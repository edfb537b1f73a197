"""Looking for a ticket by its record's number or its client's name, in the store and in the archive."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.records import ReprintReason
from store.report import report
from store.reprints import reprint
from web import forms, now, services
from web.errors import Problem
from web.tickets import MOST_COPIES, destinations, elsewhere, reprint_reason

pages = Blueprint("history", __name__, url_prefix="/history")

LIMIT = 100


@pages.get("/")
def index() -> str:
    """Search; without a text, the newest."""
    store = services().store
    text = request.args.get("q", "").strip()
    wanted = text.casefold()
    recent = [
        ticket
        for ticket in store.tickets.newest(len(store.tickets))
        if wanted in ticket.number.casefold() or wanted in ticket.client_name.casefold()
    ][:LIMIT]
    known = {ticket.id for ticket in recent}
    archived = [entry for entry in store.archive.search(text, LIMIT) if entry.ticket_id not in known]
    return render_template(
        "history.html", text=text, recent=recent, archived=archived[: LIMIT - len(recent)], limit=LIMIT
    )


@pages.get("/report")
def printed() -> str:
    """Sheets by printer and paper, and what was printed again."""
    days = min(365, forms.number_or_none(request.args.get("days", "")) or 30)
    return render_template("report.html", report=report(services().store, now() - timedelta(days=days)), days=days)


@pages.get("/<month>/<int:ticket_id>")
def show(month: str, ticket_id: int) -> str:
    """One archived ticket."""
    store = services().store
    found = store.archive.get(month, ticket_id)
    if found is None:
        abort(
            404, "this ticket is not in the archive of that month: it has expired, or is lost, which Health then says"
        )
    return render_template(
        "archived.html",
        found=found,
        month=month,
        printer_names={printer.id: printer.name for printer in store.printers.all()},
        reprint_reasons=list(ReprintReason),
        destinations=destinations(),
    )


@pages.post("/<month>/<int:ticket_id>/sheets/<int:sheet_id>/reprint")
def print_again(month: str, ticket_id: int, sheet_id: int) -> AnyResponse:
    """A person wants a sheet of an archived ticket once more: it is drawn again from its recipe."""
    store = services().store
    found = store.archive.get(month, ticket_id)
    sheet = next((one for one in found.sheets if one.id == sheet_id), None) if found else None
    if found is None or sheet is None or not sheet.prints or sheet.slip:
        abort(404, "this sheet is not in the archive of that month, or was never printed")
    copies, reason = forms.number_or_none(request.form.get("copies", "")) or 0, reprint_reason()
    if not 1 <= copies <= MOST_COPIES:
        raise Problem(422, "invalid", f"write how many copies, 1 to {MOST_COPIES}", "copies")
    again = reprint(store, found.ticket, elsewhere(found.instructions), [(sheet, copies)], reason, now())
    return redirect(url_for("tickets.show", ticket_id=again.id))
