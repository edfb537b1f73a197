"""A record arrives, from whichever door: what changed, and which tickets open.

A ticket opens when the status that the desktop shows *changes to* a select status. The box's own writes (the finish
or error status) do not count as a change by the desktop, whether or not it has seen them yet.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import structlog

from store.model import Model
from store.pushed import RecordKind, RecordPush
from store.records import Instructions, Moment, Record, RenderJob, Ticket
from store.states import TicketState
from store.tables import Store

log = structlog.get_logger("intake")


class Answer(StrEnum):
    """What became of a pushed record."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"  # the box already has this revision
    STALE = "stale"  # the box has a later revision


class Receipt(Model):
    """The answer to one pushed record."""

    kind: RecordKind
    number: str
    answer: Answer
    revision: int  # that the box now has
    status: str  # that the record now has in the box
    tickets: tuple[int, ...] = ()  # opened by this push


def find_record(store: Store, kind: RecordKind, number: str) -> Record | None:
    """The record with this number."""
    found = store.records.by("number", (kind.value, number))
    return found[0] if found else None


def accept(store: Store, push: RecordPush, now: datetime) -> Receipt:
    """Take a record as a desktop sent it; durable when this returns.

    Raises:
        StoreUnavailable: nothing was taken.
    """
    with store.transaction():
        known = find_record(store, push.kind, push.number)
        if known and push.revision < known.revision:
            return _receipt(known, Answer.STALE)
        if known and push.revision == known.revision:
            # The same number may hide different content when two desktops edit at once; the first one stands,
            # and the other learns from `stale` that it must look again and send a higher revision.
            same = push == known.pushed().with_(status=known.pushed_status)
            return _receipt(known, Answer.UNCHANGED if same else Answer.STALE)
        has_changed = known is None or push.status != known.pushed_status
        status = push.status if has_changed or known is None else known.status
        fields = {name: getattr(push, name) for name in RecordPush.model_fields}
        record = Record(
            **{**fields, "status": status},
            id=known.id if known else 0,
            pushed_status=push.status,
            changed_at=now,
        )
        if known:
            store.records.put(record)
        else:
            record = store.records.add(record)
        tickets: tuple[int, ...] = ()
        if has_changed:
            tickets = tuple(
                open_ticket(store, record, render_job, now).id
                for render_job in store.render_jobs.all()
                if is_selected(render_job, push)
            )
    log.info("record.accepted", kind=push.kind.value, number=push.number, status=push.status, tickets=list(tickets))
    return _receipt(record, Answer.ACCEPTED, tickets)


def is_selected(render_job: RenderJob, push: RecordPush) -> bool:
    """Whether a render job wants a record in the status it came with."""
    return not render_job.inactive and render_job.kind == push.kind and render_job.select_status == push.status


def open_ticket(store: Store, record: Record, render_job: RenderJob, now: datetime) -> Ticket:
    """Queue a record for a render job, freezing record, render job and profiles as they stand."""
    ticket = store.tickets.add(
        Ticket(
            record_id=record.id,
            render_job_id=render_job.id,
            kind=record.kind,
            number=record.number,
            client_name=record.client_name,
            render_job_name=render_job.name,
            state=TicketState.WAITING,
            opened_at=now,
            changed_at=now,
            trace=(Moment(at=now, event="open", state=TicketState.WAITING, note=f"status '{record.pushed_status}'"),),
        )
    )
    profiles = tuple(p for i in render_job.profile_ids if (p := store.render_profiles.find(i)))
    store.instructions.add(Instructions(id=ticket.id, record=record.pushed(), render_job=render_job, profiles=profiles))
    return ticket


def _receipt(record: Record, answer: Answer, tickets: tuple[int, ...] = ()) -> Receipt:
    return Receipt(
        kind=record.kind,
        number=record.number,
        answer=answer,
        revision=record.revision,
        status=record.status,
        tickets=tickets,
    )
