"""What needs a person, in sentences: for the panel's top, e-mails and webhooks. Pure over the store."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from store import hot_folders
from store.pulse import LoopState
from store.records import Ticket
from store.states import TicketState
from store.tables import Store

FAILED_FOR = timedelta(days=1)  # a failure older than that is known, or nobody reads alerts
# What changes in a sentence while its trouble lasts.
_FIGURES = re.compile(r"\d+ MB|[A-Z][a-z]+ \d{1,2}, \d{4}, \d\d:\d\d")
_WAITING = (TicketState.RENDERING, TicketState.RENDERED, TicketState.PRINTING)


class AlertFailed(Exception):
    """A message did not get through; says what to correct."""


def troubles(store: Store, now: datetime, min_free_bytes: int = 0, loops: Sequence[LoopState] = ()) -> dict[str, str]:
    """By key, what a person should do something about; the key stays the same as long as the trouble does, also when
    its text gets other figures.

    Args:
        store: the open store.
        now: the time.
        min_free_bytes: with less room on the disk it is told.
        loops: how each of the box's is.
    """
    found = {f"box {_FIGURES.sub('#', sentence)}": f"{sentence}." for sentence in store.troubles(min_free_bytes)}
    found |= {f"loop {loop.name}": f"{loop.trouble}." for loop in loops if loop.trouble}
    found |= {f"hot folder {folder_id} {about}": text for folder_id, about, text in _hot_folders(store)}
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


def hot_folder_troubles(store: Store) -> list[tuple[int, str]]:
    """(hot folder's id, sentence): what people should know of hot folders."""
    return [(folder_id, text) for folder_id, _, text in _hot_folders(store)]


def _hot_folders(store: Store) -> Iterator[tuple[int, str, str]]:
    for notice in store.hot_folder_notices.all():
        hot_folder = store.hot_folders.find(notice.id)
        if hot_folder is not None:
            for about, text in hot_folders.sentences(hot_folder, notice).items():
                yield notice.id, about, f"{text}."


def _name(ticket: Ticket) -> str:
    client = f" of {ticket.client_name}" if ticket.client_name else ""
    return f"{ticket.kind.value.capitalize()} {ticket.number}{client} (ticket {ticket.id})"
