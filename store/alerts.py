"""What needs a person, in sentences: for the panel's top, e-mails and webhooks. Pure over the store."""

from __future__ import annotations

from datetime import datetime, timedelta

from store.records import Ticket
from store.states import TicketState
from store.tables import Store

FAILED_FOR = timedelta(days=1)  # a failure older than that is known, or nobody reads alerts
_WAITING = (TicketState.RENDERING, TicketState.RENDERED, TicketState.PRINTING)


class AlertFailed(Exception):
    """A message did not get through; says what to correct."""


def troubles(store: Store, now: datetime, min_free_bytes: int = 0) -> dict[str, str]:
    """By key, what a person should do something about; the key stays the same as long as the trouble does."""
    found = {f"box {sentence}": sentence for sentence in store.troubles(min_free_bytes)}
    for ticket in store.tickets.by("state", TicketState.HELD.value):
        found[f"held {ticket.id}"] = f"{_name(ticket)} is held: {ticket.reason}."
    waiting: dict[str, list[Ticket]] = {}
    for state in _WAITING:
        for ticket in store.tickets.by("state", state.value):
            if ticket.reason:
                waiting.setdefault(ticket.reason, []).append(ticket)
    for reason, tickets in waiting.items():
        others = f" and {len(tickets) - 1} more" if len(tickets) > 1 else ""
        verb = "wait" if others else "waits"
        found[f"waiting {reason}"] = f"{_name(tickets[0])}{others} {verb}: {reason}."
    for ticket in store.tickets.by("state", TicketState.FAILED.value):
        if now - ticket.changed_at < FAILED_FOR:
            found[f"failed {ticket.id}"] = f"{_name(ticket)} failed: {ticket.reason}."
    return found


def _name(ticket: Ticket) -> str:
    client = f" of {ticket.client_name}" if ticket.client_name else ""
    return f"{ticket.kind.value.capitalize()} {ticket.number}{client} (ticket {ticket.id})"
