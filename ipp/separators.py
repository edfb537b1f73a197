"""Separators: when an order was divided over a pool, a sheet on each printer that says what is where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ipp.slips import SLIP_DPI, words_by_printer
from store import progress
from store.records import Printer, PrinterPool, Sheet, Ticket
from store.sizes import PrintSize
from store.states import SheetState, TicketState
from store.tables import Store


def add(store: Store, ticket_id: int, pools: Mapping[int, PrinterPool]) -> None:
    """Once every sheet of a ticket has its printer: a separator for each printer of a pool that shares them.

    Sheets that went to another printer later are told of by new ones; those not printed yet are taken back.
    """
    ticket = store.tickets.get(ticket_id)
    waiting = store.sheets.by("ticket_state", (ticket_id, SheetState.DRAWN.value))
    if ticket.state is TicketState.RENDERING or any(sheet.prints and not sheet.slip for sheet in waiting):
        return
    instructions = store.instructions.get(ticket_id)
    pool_of = {profile.id: pools.get(profile.pool_id or 0) for profile in instructions.profiles}
    with store.transaction():
        sheets = store.sheets.by("ticket", ticket_id)
        for pool in {pool.id: pool for pool in pool_of.values() if pool and pool.separator_slips}.values():
            _add_of_pool(store, ticket, [sheet for sheet in sheets if pool_of[sheet.profile_id] == pool])


def _add_of_pool(store: Store, ticket: Ticket, sheets: Sequence[Sheet]) -> None:
    portions = _portions(store, [sheet for sheet in sheets if not sheet.slip])
    if len({printer.device for printer, _ in portions}) < 2:
        return
    wanted = words_by_printer(_title(ticket), portions)
    gone = (SheetState.FAILED, SheetState.CANCELED)
    for separator in [sheet for sheet in sheets if sheet.slip and sheet.state not in gone]:
        if wanted.get(separator.printer_id or 0) == separator.slip:
            del wanted[separator.printer_id or 0]
        elif separator.state is SheetState.DRAWN:
            progress.move_sheet(store, separator, "fail", reason="the order was divided anew")
    for printer, theirs in portions:
        if printer.id in wanted:
            store.sheets.add(_sheet(theirs[-1], printer, wanted[printer.id]))


def _portions(store: Store, sheets: Sequence[Sheet]) -> list[tuple[Printer, list[Sheet]]]:
    """Which printer has, or had, which sheets."""
    found: dict[int, list[Sheet]] = {}
    for sheet in sheets:
        if sheet.print_job_id and sheet.state in (SheetState.ASSIGNED, SheetState.PRINTED):
            found.setdefault(store.print_jobs.get(sheet.print_job_id).printer_id, []).append(sheet)
    printers = ((store.printers.find(printer_id), theirs) for printer_id, theirs in sorted(found.items()))
    return [(printer, theirs) for printer, theirs in printers if printer is not None]


def _title(ticket: Ticket) -> str:
    return f"{ticket.kind.value.capitalize()} {ticket.number}{f' · {ticket.client_name}' * bool(ticket.client_name)}"


def _sheet(like: Sheet, printer: Printer, words: tuple[str, ...]) -> Sheet:
    """A separator on the paper of a sheet that the printer has."""
    short_um, long_um = sorted((like.size.width_um, like.size.height_um))
    width_px, height_px = (round(side_um * SLIP_DPI / 25_400) for side_um in (short_um, long_um))
    return Sheet(
        ticket_id=like.ticket_id,
        profile_id=like.profile_id,
        item="",
        image="",
        size=PrintSize(width_um=short_um, height_um=long_um),
        quantity=1,
        state=SheetState.DRAWN,
        plan={"dpi": SLIP_DPI, "width_px": width_px, "height_px": height_px},
        width_px=width_px,
        height_px=height_px,
        prints=True,
        is_cover=True,
        slip=words,
        printer_id=printer.id,
    )
