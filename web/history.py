"""Looking for a ticket by its record's number or its client's name, in the store and in the archive."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request

from web import services

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
