"""How jobs of print queues move: taking them in, and following their tickets. The only writer of their states."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from store import intake, states
from store.profiles import RenderProfile
from store.pushed import RecordKind, RecordPush
from store.queues import PrintQueue, QueueDocument, QueueJob
from store.records import RenderJob, Ticket
from store.states import QueueJobState, TicketState
from store.tables import Store

log = structlog.get_logger("queues")

PRINTED, FAILED = "printed", "failed"  # statuses of such records; no desktop sees them


def move(store: Store, job: QueueJob, event: str, now: datetime, **changes: Any) -> QueueJob:
    """Move a job, with other fields that change along.

    Raises:
        ImpossibleMove: its state does not know the event; nothing was changed.
    """
    state = states.after(states.QUEUE_JOB_MOVES, f"queue job {job.id}", job.state, event)
    moved = job.with_(**{"state": state, "reason": "", **changes})
    if state in states.ENDED_QUEUE_JOBS:
        moved = moved.with_(completed_at=now)
    store.queue_jobs.put(moved)
    log.info("queue_job.moved", id=job.id, **{"from": job.state.value}, to=state.value, reason=moved.reason)
    return moved


def hash_pin(pin: str, salt: str = "") -> str:
    """A PIN as it is kept: scrypt, with a salt of its own in front."""
    salt = salt or secrets.token_hex(8)
    return f"{salt}:{hashlib.scrypt(pin.encode(), salt=salt.encode(), n=2**12, r=8, p=1).hex()}"


def release_by_pin(store: Store, pin: str, now: datetime) -> list[QueueJob]:
    """Release every job that waits for this PIN; returns them."""
    waiting = [job for job in store.queue_jobs.by("state", QueueJobState.HELD.value) if job.pin_hash]
    # Slow on purpose, so not while the store is held.
    right = [job for job in waiting if hmac.compare_digest(hash_pin(pin, job.pin_hash[:16]), job.pin_hash)]
    with store.transaction():
        still = [store.queue_jobs.get(job.id) for job in right]
        return [move(store, job, "release", now) for job in still if job.state is QueueJobState.HELD]


def pause(store: Store, job: QueueJob, is_paused: bool) -> None:
    """Stop a job that is being printed, or let it go on."""
    ticket = store.tickets.find(job.ticket_id or 0)
    if ticket is not None and ticket.state not in states.ENDED_TICKETS:
        store.tickets.put(ticket.with_(is_paused=is_paused))


def begin(store: Store, queue: PrintQueue, fields: dict[str, Any], now: datetime) -> QueueJob:
    """Keep a new job that has no document yet."""
    with store.transaction():
        return store.queue_jobs.add(QueueJob(queue_id=queue.id, state=QueueJobState.INCOMING, created_at=now, **fields))


def begin_whole(
    store: Store, queue: PrintQueue, fields: dict[str, Any], document: QueueDocument, hold: str, now: datetime
) -> QueueJob:
    """Keep a new job with its only document, in one step; see add_document()."""
    with store.transaction():
        job_id = store.queue_jobs.new_id()
        state = QueueJobState.HELD if hold else QueueJobState.PENDING
        job = QueueJob(
            id=job_id,
            queue_id=queue.id,
            state=state,
            reason=hold,
            documents=(document,),
            position=float(job_id),
            created_at=now,
            **fields,
        )
        store.queue_jobs.put(job)
    log.info("queue_job.taken", id=job_id, queue=queue.path, state=state.value, bytes=document.size)
    return job


def add_document(
    store: Store, job_id: int, document: QueueDocument, is_last: bool, hold: str, now: datetime
) -> QueueJob:
    """Keep a document that lies whole in the data folder.

    Args:
        store: the open store.
        job_id: of the job.
        document: its next one.
        is_last: no other follows.
        hold: why the job is then held until it is released; '' lets it go on.
        now: the time.
    """
    with store.transaction():
        job = store.queue_jobs.get(job_id)
        job = job.with_(documents=(*job.documents, document))
        store.queue_jobs.put(job)
        return close(store, job, hold, now) if is_last else job


def close(store: Store, job: QueueJob, hold: str, now: datetime) -> QueueJob:
    """All documents are here; see add_document()."""
    with store.transaction():
        return move(store, job, "hold" if hold else "close", now, position=float(job.id), reason=hold)


@dataclass(frozen=True)
class Progress:
    """How far a job was that still comes in, and since when."""

    documents: int
    since_s: float  # on the clock's monotonic time


def expire_incoming(store: Store, limit_s: float, seen: dict[int, Progress]) -> None:
    """Give up on jobs whose client went away before the last document (multiple-operation-time-out).

    Args:
        store: the open store.
        limit_s: without a new document.
        seen: how far each job was at the last look; brought up to date. After a restart all begin anew.
    """
    now_s = store.clock.monotonic()
    incoming = store.queue_jobs.by("state", QueueJobState.INCOMING.value)
    for gone in seen.keys() - {job.id for job in incoming}:
        del seen[gone]
    for job in incoming:
        known = seen.get(job.id)
        if known is None or known.documents != len(job.documents):
            seen[job.id] = Progress(len(job.documents), now_s)
        elif now_s - known.since_s > limit_s:
            why = "its client did not send all of it in time"
            with store.transaction():
                move(store, store.queue_jobs.get(job.id), "abort", store.clock.now(), reason=why)


def open_ticket(
    store: Store, job_id: int, queue: PrintQueue, push: RecordPush, profile: RenderProfile, now: datetime
) -> Ticket:
    """Make a job whose pages are pictures now a record and a ticket."""
    with store.transaction():
        job = store.queue_jobs.get(job_id)
        known = intake.find_record(store, RecordKind.PRINT_JOB, push.number)
        record = intake.keep_record(store, push, known, now)
        render_job = RenderJob(
            name=f"Print queue {queue.name}",
            kind=RecordKind.PRINT_JOB,
            select_status=push.status,
            profile_ids=(profile.id,),
            finish_status=PRINTED,
            error_status=FAILED,
        )
        ticket = intake.open_ticket(
            store,
            record,
            render_job,
            (profile,),
            now,
            f"'{job.name}' of {job.user}",
            queue_job_id=job.id,
            is_paused=queue.is_paused,
        )
        move(store, job, "open", now, ticket_id=ticket.id, impressions=sum(item.quantity for item in push.items))
        return ticket


def follow(store: Store, ticket: Ticket, now: datetime) -> None:
    """Take over the end of a job's ticket."""
    job = store.queue_jobs.find(ticket.queue_job_id or 0)
    if job is None or job.ticket_id != ticket.id or job.state is not QueueJobState.PRINTING:
        return
    done = sum(sheet.copies_done for sheet in store.sheets.by("ticket", ticket.id))
    event = {TicketState.FINISHED: "complete", TicketState.FAILED: "abort"}.get(ticket.state, "cancel")
    if event == "complete" and job.is_proof:
        move(
            store,
            job,
            "proof",
            now,
            is_proof=False,
            impressions_completed=done,
            reason="look at the proof, then release it",
        )
        return
    move(store, job, event, now, reason=ticket.reason, impressions_completed=done)
