"""What Today shows: tickets with how far they are, printers, and the one thing that needs a person first."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from ipp.estimates import Target, Wanted, estimates, rates
from ipp.supplies import forecast
from store.alerts import hot_folder_troubles
from store.records import Sheet, Ticket
from store.settings import SetupStep
from store.states import ENDED_TICKETS, OPEN_PRINT_JOBS, SETTLED_SHEETS, SheetState, TicketState
from web import services

RECENT = 30
OPEN_STATES = (
    TicketState.HELD,
    TicketState.PRINTING,
    TicketState.RENDERED,
    TicketState.RENDERING,
    TicketState.WAITING,
)


@dataclass(frozen=True)
class Need:
    """Something that a person should do."""

    text: str  # a sentence
    ticket_id: int = 0  # where to do it; 0: not at a ticket
    is_the_box: bool = False  # on the page The box


def today() -> dict[str, Any]:
    """Everything on the page."""
    store = services().store
    settings = store.settings
    tickets = sorted(
        (ticket for state in OPEN_STATES for ticket in store.tickets.by("state", state.value)),
        key=lambda one: (-one.priority, OPEN_STATES.index(one.state), one.id),
    )
    ended = [ticket for ticket in store.tickets.newest(RECENT + len(tickets)) if ticket.state in ENDED_TICKETS]
    wanted = [_wanted(ticket) for ticket in sorted(tickets, key=lambda one: (-one.priority, one.id))]
    statuses = {status.id: status for status in store.printer_status.all()}
    known = rates(store.printers.all(), statuses, store.print_jobs.newest(200))
    left_s = estimates(wanted, known)
    box = [*store.troubles(services().min_free_bytes), *(loop.trouble for loop in services().loops() if loop.trouble)]
    hot_folders = [Need(text) for _, text in hot_folder_troubles(store)]
    needs = [Need(f"{text}.") for text in box] + _needs(tickets) + hot_folders + _given_up()
    return {
        "open_tickets": [{**summary(ticket), "left_s": _time_left(ticket, left_s)} for ticket in tickets],
        "ended_tickets": [summary(ticket) for ticket in ended[:RECENT]],
        "printers": printer_rows(),
        "settings": settings,
        "is_open": settings.is_open(store.local(store.clock.now())),
        "is_set_up": settings.setup is SetupStep.DONE or bool(len(store.render_jobs)),
        "needs": needs,
        "soon": list(_run_outs(wanted)),
    }


def _time_left(ticket: Ticket, left_s: dict[int, float]) -> float | None:
    """Of one that goes on by itself."""
    waits = ticket.is_paused or ticket.state in (TicketState.HELD, TicketState.WAITING)
    return None if waits else left_s.get(ticket.id)


def _needs(tickets: list[Ticket]) -> list[Need]:
    """What open tickets want of people, the most pressing first: questions, then what waits for paper or a printer."""
    store = services().store
    held = [one for one in tickets if one.state is TicketState.HELD]
    asked = [Need(f"{_name(one)}: {one.reason.replace(' on this page', ' on its page')}.", one.id) for one in held]
    waiting: dict[str, list[Ticket]] = {}
    for ticket in tickets:
        if ticket.reason and ticket.state not in (TicketState.WAITING, TicketState.HELD) and not ticket.is_paused:
            waiting.setdefault(ticket.reason, []).append(ticket)
    counted = []
    for reason, some in waiting.items():
        sheets = sum(
            store.sheets.count("open", one.id) - store.sheets.count("ticket_state", (one.id, SheetState.ASSIGNED.value))
            for one in some
        )
        what = f"{sheets} sheet{'s wait' if sheets != 1 else ' waits'}" if sheets else _name(some[0])
        counted.append((sheets, Need(f"{reason[:1].upper()}{reason[1:]}: {what}.", some[0].id)))
    return asked + [need for _, need in sorted(counted, key=lambda one: -one[0])]


def _given_up() -> list[Need]:
    """An update that did not work; nobody may have looked since the box went back by itself."""
    parts = services()
    failed = parts.updates.failed_version() if parts.updates else ""
    if not failed:
        return []
    text = f"Version {failed} did not work, and the box went back to {parts.version} by itself: look for a newer one."
    return [Need(text, is_the_box=True)]


def _name(ticket: Ticket) -> str:
    return ticket.client_name or f"{ticket.kind.value.capitalize()} {ticket.number}"


def _wanted(ticket: Ticket) -> Wanted:
    """What is left to print of a ticket, by where it goes."""
    store = services().store
    copies: dict[Target, int] = {}
    profiles = {profile.id: profile for profile in store.instructions.get(ticket.id).profiles}
    for sheet in store.sheets.by("open", ticket.id):
        profile = profiles[sheet.profile_id]
        target = ("pool", profile.pool_id) if profile.pool_id else ("printer", profile.printer_id or 0)
        if sheet.prints:
            copies[target] = copies.get(target, 0) + sheet.quantity - sheet.copies_done
    return Wanted(ticket.id, copies)


def _run_outs(wanted: list[Wanted]) -> list[str]:
    """What ends before the work that waits is done. Work that several printers may take is shared among them."""
    store = services().store
    printers = [printer for printer in store.printers.all() if not printer.inactive]
    needed: dict[int, float] = {}
    for one in wanted:
        for (kind, target_id), copies in one.copies.items():
            takers = [p.id for p in printers if (p.pool_id if kind == "pool" else p.id) == target_id]
            for printer_id in takers:
                needed[printer_id] = needed.get(printer_id, 0) + copies / len(takers)
    statuses = {status.id: status for status in store.printer_status.all()}
    names = {printer.id: printer.name for printer in printers}
    return list(forecast({one: ceil(copies) for one, copies in needed.items()}, statuses, names))


def summary(ticket: Ticket) -> dict[str, Any]:
    """A ticket with how far it is."""
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
    rows = []
    for printer in store.printers.all():
        jobs = [
            job for state in OPEN_PRINT_JOBS for job in store.print_jobs.by("printer_state", (printer.id, state.value))
        ]
        first = store.tickets.find(jobs[0].ticket_id) if jobs else None
        rows.append(
            {
                "printer": printer,
                "status": store.printer_status.find(printer.id),
                "pool": pools.get(printer.pool_id or 0, ""),
                "print_jobs": jobs,
                "prints_now": first,
            }
        )
    return rows
