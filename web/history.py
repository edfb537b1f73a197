"""Looking for a ticket by its record's number or its client's name, in the store and in the archive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, abort, render_template, request

from store.report import report
from web import forms, services

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
    return render_template(
        "report.html", report=report(services().store, datetime.now(UTC) - timedelta(days=days)), days=days
    )


@pages.get("/<month>/<int:ticket_id>")
def show(month: str, ticket_id: int) -> str:
    """One archived ticket."""
    store = services().store
    found = store.archive.get(month, ticket_id)
    if found is None:
        abort(404, "this ticket is not in the archive of that month, or has expired")
    return render_template(
        "archived.html", found=found, printer_names={printer.id: printer.name for printer in store.printers.all()}
    )
