"""Jobs of print queues, in their order: documents become pictures, pictures a record and a ticket.

What goes wrong with one job stays with it (render/blame). Only a document that cannot be read aborts its job.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from appliance.take_apart import TakeApart, take_apart
from ipp.job_ticket import JobTicket, colorization, profile_of, read
from ipp.queue import PoolQueue, order_of, ticket_of
from ipp.queue_attributes import DPI, default_paper
from render.blame import Blame, blame, why_it_waits
from render.patience import Patience
from render.processes import MOST_CRASHES, MOST_KILLS
from render.workers import Workers
from store import queue_jobs
from store.errors import StoreUnavailable
from store.profiles import RenderProfile
from store.pushed import ImageRef, Item, RecordKind, RecordPush
from store.queues import Page, PrintQueue, QueueJob
from store.states import QueueJobState, TicketState
from store.tables import Store

log = structlog.get_logger("queues")

BUSY_S, IDLE_S = 0.05, 0.5
MOST_RENDERING = 8  # tickets of print queues that are not drawn yet; more would not let anybody be promoted
MOST_ITEMS = 10_000  # of a record
_PHOTOS = ("image/jpeg", "image/png")
_ENDED = "the program that opens documents was ended by this one: it is damaged"
_KILLED = (
    "the system ended the program that opens documents, most likely for want of memory; it is tried again by itself"
)
_KILLED_OFTEN = (
    "held: the system ended the program that opens documents {} times, most likely for want of memory: end what else "
    "runs on the machine, then release it"
)
_FAULT = "held: a fault in Printroom: send support the file from Health and log; a release tries it again"


@dataclass
class _Ends:
    """How often the process that had a job was ended."""

    kills: int = 0
    crashes: int = 0


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
        self._has_resumed = False
        self._ends: dict[int, _Ends] = {}  # by job
        self._patience = Patience(store.clock.monotonic, store.reach)

    def step(self, now: datetime) -> float:
        """Do what can be done without waiting; returns the seconds until there may be more."""
        if not self._has_resumed:
            self._resume(now)
        self._begin_some(now)
        return BUSY_S if self._running else IDLE_S

    def _resume(self, now: datetime) -> None:
        """What was being converted when the box went down, or could not be written down, is begun again."""
        with self._store.transaction():
            for job in self._store.queue_jobs.by("state", QueueJobState.CONVERTING.value):
                if job.id not in self._running:
                    queue_jobs.move(self._store, job, "retry", now)
        self._has_resumed = True

    # -- one job's troubles ---------------------------------------------------------------------------------------

    @contextmanager
    def _care_for(self, job_id: int, now: datetime) -> Iterator[None]:
        """Around all work on one job: what it raises stays with it. A store that takes nothing is everybody's."""
        try:
            yield
        except StoreUnavailable:
            self._has_resumed = False  # what was taken up and not put down is begun again
            raise
        except Exception as error:
            self._stumbled(job_id, error, now)

    def _stumbled(self, job_id: int, error: Exception, now: datetime) -> None:
        log.warning("queue_job.stumbled", id=job_id, error=repr(error))
        ends = self._ends.setdefault(job_id, _Ends())
        match blame(error):
            case Blame.ORDER:
                self._put_back(job_id, now, str(error), "abort")
            case Blame.PLACE if isinstance(error, OSError):
                self._try_again(job_id, now, error, why_it_waits(error))
            case Blame.MEMORY:
                ends.kills += 1
                if ends.kills < MOST_KILLS:
                    self._try_again(job_id, now, error, _KILLED)
                else:
                    self._put_back(job_id, now, _KILLED_OFTEN.format(ends.kills), "hold")
            case Blame.CRASH:
                ends.crashes += 1
                if ends.crashes < MOST_CRASHES:
                    self._put_back(job_id, now, "", "")
                else:
                    self._put_back(job_id, now, _ENDED, "abort")
            case _:
                log.exception("queue_job.fault", id=job_id, error=repr(error), exc_info=error)
                self._put_back(job_id, now, _FAULT, "hold")

    def _try_again(self, job_id: int, now: datetime, error: Exception, reason: str) -> None:
        self._patience.put_off(job_id, error)
        self._store.folder.make()  # where somebody removed one of its folders
        self._put_back(job_id, now, reason, "")

    def _put_back(self, job_id: int, now: datetime, reason: str, event: str) -> None:
        """Let a job wait for its turn again or, by a further event, come to rest."""
        with self._store.transaction():
            job = self._store.queue_jobs.find(job_id)
            if job is None or job.state not in (QueueJobState.CONVERTING, QueueJobState.PENDING):
                return  # canceled meanwhile
            if job.state is QueueJobState.CONVERTING:
                job = queue_jobs.move(self._store, job, "retry", now, reason=reason)
            elif job.reason != reason:
                job = job.with_(reason=reason)
                self._store.queue_jobs.put(job)
            if event:
                queue_jobs.move(self._store, job, event, now, reason=reason)
                self._forget(job_id)

    def _forget(self, job_id: int) -> None:
        self._ends.pop(job_id, None)
        self._patience.forget(job_id)

    # -- taking them up -------------------------------------------------------------------------------------------

    def _begin_some(self, now: datetime) -> None:
        self._collect(now)
        for queue in self._store.print_queues.all():
            if queue.is_paused or queue.is_shut_down:
                continue
            pending = self._store.queue_jobs.by("queue_state", (queue.id, QueueJobState.PENDING.value))
            for job in sorted(pending, key=order_of):
                if len(self._running) >= self._workers.count or not self._has_room():
                    break
                if self._patience.may(job.id):
                    with self._care_for(job.id, now):
                        self._begin(queue, job.id, now)

    def _has_room(self) -> bool:
        rendering = sum(
            one.queue_job_id is not None
            for state in (TicketState.WAITING, TicketState.RENDERING)
            for one in self._store.tickets.by("state", state.value)
        )
        return rendering + len(self._running) < MOST_RENDERING

    def _begin(self, queue: PrintQueue, job_id: int, now: datetime) -> None:
        queued = self._store.folder.queued
        with self._store.transaction():
            job = self._store.queue_jobs.get(job_id)
            if job.state is not QueueJobState.PENDING:
                return  # canceled or held meanwhile
            job = queue_jobs.move(self._store, job, "convert", now, processing_at=job.processing_at or now)
        documents = [one for one in job.documents if not one.is_canceled]
        ticket = read(
            ticket_of(job), default_paper(PoolQueue(self._store, queue.id, self._store.clock.monotonic()).view())
        )
        places = tuple((queued / one.token, one.format) for one in documents)
        if not documents or not all(path.is_file() for path, _ in places):
            if not queued.is_dir():
                raise FileNotFoundError(errno.ENOENT, "the folder is not there", str(queued))
            self._put_back(job_id, now, "its document is gone: send it again", "abort")
            return
        task = TakeApart(places, self._store.folder.images, ticket, DPI, self._max_pixels)
        self._running[job.id] = (self._workers.submit(take_apart, task), ticket)

    def _profile(self, queue: PrintQueue) -> RenderProfile | None:
        return self._store.render_profiles.find(queue.profile_id) if queue.profile_id else None

    # -- taking what came of them ---------------------------------------------------------------------------------

    def _collect(self, now: datetime) -> None:
        for job_id in [job_id for job_id, (future, _) in self._running.items() if future.done()]:
            future, ticket = self._running.pop(job_id)
            with self._care_for(job_id, now):
                job = self._store.queue_jobs.find(job_id)
                if job is None or job.state is not QueueJobState.CONVERTING:
                    self._forget(job_id)
                    continue  # canceled meanwhile
                self._open(job, ticket, future.result(), now)
                self._forget(job_id)

    def _open(self, job: QueueJob, ticket: JobTicket, pages: tuple[Page, ...], now: datetime) -> None:
        queue = self._store.print_queues.find(job.queue_id)
        if queue is None:
            self._put_back(job.id, now, "its print queue was removed", "abort")
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
        client_name=job.user[:200],
        location=job.host[:200],
        images=tuple(images.values()),
        items=tuple(items),
    )
