"""Jobs of print queues, one by one: a fault of ours in one is its own, and the others are printed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from appliance import incoming
from appliance.incoming import MOST_FAULTS, Incoming
from render.samples import sample_photo
from render.workers import Workers
from store import queue_jobs
from store.errors import StoreUnavailable
from store.queue_setup import offer
from store.queues import PrintQueue, QueueDocument, QueueJob
from store.records import PrinterPool
from store.states import QueueJobState
from store.tables import Store
from tests.lab import until
from tests.machine_time import SetTime
from tests.studio import NOW


@pytest.fixture
def store(timed_store: Store) -> Store:
    return timed_store


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(1)
    yield made
    made.stop()


class Queue:
    """A print queue, and the loop that takes its jobs."""

    def __init__(self, store: Store, machine: SetTime, workers: Workers) -> None:
        self.store, self.machine = store, machine
        pool = store.printer_pools.add(PrinterPool(name="Lab"))
        self.queue: PrintQueue = offer(store, "Lab", NOW, pool_id=pool.id)
        self.incoming = Incoming(store, workers, 10**8)

    def send(self, name: str) -> QueueJob:
        token = f"token-{name}"
        (self.store.folder.queued / token).write_bytes(sample_photo(1, 90, 60))
        document = QueueDocument(token=token, format="image/jpeg", size=1, at=NOW)
        return queue_jobs.begin_whole(self.store, self.queue, {"name": name, "user": name}, document, "", NOW)

    def step(self) -> bool:
        self.incoming.step(self.store.clock.now())
        self.machine.pass_s(1)
        return False

    def states(self) -> list[QueueJobState]:
        return [job.state for job in self.store.queue_jobs.all()]


@pytest.fixture
def queue(store: Store, machine: SetTime, workers: Workers) -> Queue:
    return Queue(store, machine, workers)


@pytest.mark.parametrize(("step", "at"), [("ticket_of", 0), ("record_of", 1)])
def test_a_fault_of_ours_in_one_job_keeps_no_other_and_is_given_up_by_name(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, step: str, at: int
) -> None:
    real, calls = getattr(incoming, step), []

    def faulty(*arguments: Any) -> Any:
        if arguments[at].name == "bad":
            calls.append(step)
            raise RuntimeError("a fault")
        return real(*arguments)

    queue.send("bad")
    queue.send("good")
    monkeypatch.setattr(incoming, step, faulty)
    until(lambda: queue.step() or queue.states() == [QueueJobState.ABORTED, QueueJobState.PRINTING], "both are settled")
    assert len(calls) == MOST_FAULTS
    assert queue.store.queue_jobs.get(1).reason.startswith("a fault in Printroom: send the support file")


def test_a_job_whose_pages_are_ready_while_the_disk_is_full_is_not_forgotten(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, full = queue_jobs.open_ticket, [True]

    def open_ticket(*arguments: Any) -> Any:
        if full:
            raise StoreUnavailable(f"the disk is full ({errno.ENOSPC})")
        return real(*arguments)

    monkeypatch.setattr(queue_jobs, "open_ticket", open_ticket)
    queue.send("a")

    def is_refused() -> bool:
        try:
            return queue.step()
        except StoreUnavailable:
            return True

    until(is_refused, "the disk refuses it")
    assert queue.states() == [QueueJobState.CONVERTING]
    full.clear()
    until(lambda: queue.step() or queue.states() == [QueueJobState.PRINTING], "it goes on")
