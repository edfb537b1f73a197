"""Jobs of print queues, in their order: documents become pictures, pictures a record and a ticket."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from appliance.names import readable
from appliance.take_apart import TakeApart, take_apart
from ipp.job_ticket import JobTicket, colorization, profile_of, read
from ipp.queue import PoolQueue, order_of, ticket_of
from ipp.queue_attributes import DPI, default_paper
from render.errors import RenderError
from render.workers import Workers
from store import queue_jobs
from store.profiles import RenderProfile
from store.pulse import Items
from store.pushed import ImageRef, Item, RecordKind, RecordPush
from store.queues import Page, PrintQueue, QueueJob
from store.states import QueueJobState, TicketState
from store.tables import Store

log = structlog.get_logger("queues")

BUSY_S, IDLE_S = 0.05, 0.5
MOST_RENDERING = 8  # tickets of print queues that are not drawn yet; more would not let anybody be promoted
_ENDED = "the program that opens documents was ended by this one: it is damaged"
BEGIN, SETTLE = "begin", "settle"  # what is done about a job
MOST_FAULTS = 5  # of ours with one job, in a row
_FAULT = "a fault in Printroom: send the support file from Health and log to whoever looks after this box"
MOST_ITEMS = 10_000  # of a record
_PHOTOS = ("image/jpeg", "image/png")


class Incoming:
    """Takes pending jobs one after the other."""

    def __init__(self, store: Store, workers: Workers, max_pixels: int) -> None:
        """
        Args:
            store: the open store.
            workers: the processes in which documents are opened.
            max_pixels: pictures with more are refused.
        """
        self._store, self._workers, self._max_pixels = store, workers, max_pixels
        self._running: dict[int, tuple[Future[Any], JobTicket]] = {}
        self._items = Items("queue_job", store.clock.monotonic)
        self._has_resumed = False
        self._crashed: set[int] = set()  # jobs that were open when a process died

    def step(self, now: datetime) -> float:
        """Do what can be done without waiting; returns the seconds until there may be more."""
        if not self._has_resumed:
            self._resume(now)
        self._begin_some(now)
        return BUSY_S if self._running else IDLE_S

    def _resume(self, now: datetime) -> None:
        """What was being converted when the box went down is begun again."""
        with self._store.transaction():
            for job in self._store.queue_jobs.by("state", QueueJobState.CONVERTING.value):
                queue_jobs.move(self._store, job, "retry", now)
        self._has_resumed = True

    def _begin_some(self, now: datetime) -> None:
        self._collect(now)
        for queue in self._store.print_queues.all():
            if queue.is_paused or queue.is_shut_down:
                continue
            pending = self._store.queue_jobs.by("queue_state", (queue.id, QueueJobState.PENDING.value))
            for job in sorted(pending, key=order_of):
                if len(self._running) >= self._workers.count or not self._has_room():
                    break
                if self._items.may((job.id, BEGIN)) and self._items.may((job.id, SETTLE)):
                    self._attempt(BEGIN, job, partial(self._begin, queue, job, now), now)

    def _has_room(self) -> bool:
        rendering = sum(
            one.queue_job_id is not None
            for state in (TicketState.WAITING, TicketState.RENDERING)
            for one in self._store.tickets.by("state", state.value)
        )
        return rendering + len(self._running) < MOST_RENDERING

    def _begin(self, queue: PrintQueue, job: QueueJob, now: datetime) -> None:
        documents = [one for one in job.documents if not one.is_canceled]
        ticket = read(
            ticket_of(job), default_paper(PoolQueue(self._store, queue.id, self._store.clock.monotonic()).view())
        )
        places = tuple((self._store.folder.queued / one.token, one.format) for one in documents)
        with self._store.transaction():
            job = queue_jobs.move(self._store, job, "convert", now, processing_at=job.processing_at or now)
            if not documents or not all(path.is_file() for path, _ in places):
                queue_jobs.move(self._store, job, "abort", now, reason="its document is gone: send it again")
                return
        task = TakeApart(places, self._store.folder.images, ticket, DPI, self._max_pixels)
        self._running[job.id] = (self._workers.submit(take_apart, task), ticket)

    def _profile(self, queue: PrintQueue) -> RenderProfile | None:
        return self._store.render_profiles.find(queue.profile_id) if queue.profile_id else None

    def _collect(self, now: datetime) -> None:
        for job_id in [job_id for job_id, (future, _) in self._running.items() if future.done()]:
            future, ticket = self._running[job_id]
            job = self._store.queue_jobs.find(job_id)
            if job is not None and job.state is QueueJobState.CONVERTING:  # else it was canceled meanwhile
                self._attempt(SETTLE, job, partial(self._settle, job, ticket, future, now), now)
            del self._running[job_id]  # not before: a full disk lets this be done again

    def _settle(self, job: QueueJob, ticket: JobTicket, future: Future[Any], now: datetime) -> None:
        error = future.exception() if not future.cancelled() else BrokenProcessPool()
        if error is None:
            self._open(job, ticket, future.result(), now)
        elif isinstance(error, BrokenProcessPool) and job.id not in self._crashed:
            self._crashed.add(job.id)  # perhaps another job's fault: once more
            with self._store.transaction():
                queue_jobs.move(self._store, job, "retry", now)
        else:
            known = isinstance(error, RenderError)
            reason = str(error) if known else _ENDED
            log.warning("queue_job.failed", id=job.id, error=repr(error))
            with self._store.transaction():
                queue_jobs.move(self._store, job, "abort", now, reason=reason)

    def _attempt(self, step: str, job: QueueJob, work: Callable[[], None], now: datetime) -> None:
        """Work on one job. A fault of ours in it keeps no other; it is tried a few times, and then given up."""
        key = (job.id, step)
        with self._items.guard(key, str(job.id)):
            work()
        failures, error = self._items.failures(key), self._items.error(key)
        if not failures:
            return
        with self._store.transaction():
            known = self._store.queue_jobs.find(job.id)
            if known is None or known.state not in (QueueJobState.PENDING, QueueJobState.CONVERTING):
                return  # canceled meanwhile
            if failures >= MOST_FAULTS:
                queue_jobs.move(self._store, known, "abort", now, reason=f"{_FAULT} ({error})")
                self._items.forget(key)
            elif known.state is QueueJobState.CONVERTING:
                queue_jobs.move(self._store, known, "retry", now)

    def _open(self, job: QueueJob, ticket: JobTicket, pages: tuple[Page, ...], now: datetime) -> None:
        queue = self._store.print_queues.find(job.queue_id)
        if queue is None:
            with self._store.transaction():
                queue_jobs.move(self._store, job, "abort", now, reason="its print queue was removed")
            return
        is_photo = all(document.format in _PHOTOS for document in job.documents) and ticket.number_up == 1
        profile = profile_of(queue, self._profile(queue), ticket, is_photo)
        push = record_of(queue, job, ticket, pages)
        queue_jobs.open_ticket(self._store, job.id, queue, push, profile, now)


def record_of(queue: PrintQueue, job: QueueJob, ticket: JobTicket, pages: tuple[Page, ...]) -> RecordPush:
    """A job as a record: each page an image and an item."""
    copies = 1 if job.is_proof else ticket.copies
    images: dict[str, ImageRef] = {}
    items: list[Item] = []
    names: dict[int, str] = {}
    for number, page in enumerate(pages, 1):
        name = f"page-{number:04d}.jpg"
        images[name] = ImageRef(name=name, sha256=page.sha256)
        names[number] = name
    is_collated = ticket.is_collated and copies > 1 and len(pages) * copies <= MOST_ITEMS
    for copy in range(copies if is_collated else 1):
        for number, page in enumerate(pages, 1):
            wish = ticket.wish(page.document, page.page)
            items.append(
                Item(
                    id=f"{copy + 1}-{number}" if is_collated else str(number),
                    image=names[number],
                    size=wish.paper,
                    quantity=1 if is_collated else copies,
                    colorization=colorization(wish),
                )
            )
    return RecordPush(
        kind=RecordKind.PRINT_JOB,
        number=f"{queue.path}-{job.id}",
        revision=int(job.created_at.timestamp()),
        status="sent",
        client_name=readable(job.user),
        location=readable(job.host),
        images=tuple(images.values()),
        items=tuple(items),
    )
