"""A ticket's plan goes into the store: its sheets, and what failed before there was a sheet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from render.errors import RenderError
from render.frames import Picture
from render.plan import plan
from render.sheets import SheetPlan
from store import progress
from store.records import Sheet
from store.states import SheetState, TicketState
from store.tables import Store

log = structlog.get_logger("render")


def plan_ticket(store: Store, ticket_id: int, pictures: Mapping[str, Picture | RenderError], now: datetime) -> None:
    """Plan a ticket's sheets; one that has none ends.

    Args:
        store: the open store.
        ticket_id: of the ticket.
        pictures: by name: what is known of each that it uses.
        now: the time.
    """
    instructions = store.instructions.get(ticket_id)
    opened_at = store.local(store.tickets.get(ticket_id).opened_at)
    plans, failures = plan(instructions, pictures, opened_at)
    prints = {profile.id: profile.prints for profile in instructions.profiles}
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        if ticket.state is not TicketState.RENDERING:
            return  # canceled meanwhile
        ticket = ticket.with_(results=tuple(failures), reason="")
        for sheet_plan in plans:
            store.sheets.add(_planned_sheet(ticket_id, sheet_plan, prints[sheet_plan.profile_id]))
        if plans:
            store.tickets.put(ticket)
        else:
            progress.end_ticket(store, ticket, ticket.results, now, is_idle=not failures)
    log.info("ticket.planned", id=ticket_id, sheets=len(plans), failures=len(failures))


def _planned_sheet(ticket_id: int, sheet_plan: SheetPlan, prints: bool) -> Sheet:
    return Sheet(
        ticket_id=ticket_id,
        profile_id=sheet_plan.profile_id,
        item=sheet_plan.item,
        image=sheet_plan.image,
        lines=sheet_plan.lines,
        size=sheet_plan.size,
        quantity=sheet_plan.quantity,
        state=SheetState.PLANNED,
        plan=sheet_plan.model_dump(mode="json"),
        flags=sheet_plan.flags,
        prints=prints,
        is_cover=sheet_plan.is_cover,
        hold=sheet_plan.hold,
    )
