"""Printing sheets again: a ticket of its own from what another one froze. The record stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from store import progress
from store.records import Instructions, Moment, ReprintReason, Sheet, Ticket
from store.states import SheetState, TicketState
from store.tables import Store


def reprint(
    store: Store,
    ticket: Ticket,
    instructions: Instructions,
    sheets: Sequence[tuple[Sheet, int]],
    reason: ReprintReason,
    now: datetime,
) -> Ticket:
    """Print sheets again; returns the new ticket.

    Args:
        store: the open store.
        ticket: the one that made the sheets.
        instructions: its.
        sheets: with how many copies are wanted of each.
        reason: why, for the report.
        now: the time.

    A sheet whose file is still there goes straight to a printer; another is drawn again from its recipe.
    """
    has_all = all(store.folder.sheet(sheet.id).is_file() for sheet, _ in sheets)
    state = TicketState.RENDERED if has_all else TicketState.RENDERING
    note = f"of ticket {ticket.id}: {reason.value}"
    with store.transaction():
        again = store.tickets.add(
            ticket.with_(
                id=0,
                state=state,
                reason="",
                opened_at=now,
                changed_at=now,
                trace=(Moment(at=now, event="reprint", state=state, note=note),),
                results=(),
                reprint_of=ticket.id,
                reprint_reason=reason,
            )
        )
        store.instructions.add(instructions.with_(id=again.id))
        for sheet, copies in sheets:
            drawn = store.folder.sheet(sheet.id)
            copy = store.sheets.add(
                sheet.with_(
                    id=0,
                    ticket_id=again.id,
                    quantity=copies,
                    copies_done=0,
                    state=SheetState.DRAWN if has_all else SheetState.PLANNED,
                    reason="",
                    hold="",
                    print_job_id=None,
                )
            )
            if has_all:
                store.folder.sheet(copy.id).hardlink_to(drawn)
                thumbnail = store.folder.thumbnail(sheet.id)
                if thumbnail.is_file():
                    store.folder.thumbnail(copy.id).hardlink_to(thumbnail)
        return progress.review_ticket(store, again.id, now)
