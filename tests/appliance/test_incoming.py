"""Jobs of print queues when the disk is full, processes are killed, documents are damaged and we fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from appliance import incoming as incoming_module
from appliance.incoming import Incoming
from render.processes import MOST_KILLS
from render.samples import sample_photo
from render.workers import Workers
from store import queue_jobs
from store.errors import StoreUnavailable
from store.queue_setup import offer
from store.queues import QueueDocument, QueueJob
from store.records import PrinterPool
from store.states import QueueJobState
from store.tables import Store
from tests.lab import until
from tests.machine_time import SetTime
from tests.studio import NOW

HELD, PENDING, PRINTING, ABORTED = (
    QueueJobState.HELD,
    QueueJobState.PENDING,
    QueueJobState.PRINTING,
    QueueJobState.ABORTED,
)


class Queue:
    """A print queue whose clock goes on with each look."""

    def __init__(self, store: Store, machine: SetTime) -> None:
        self.store, self.machine = store, machine
        self.workers = Workers(1)
        self.incoming = Incoming(store, self.workers, 50_000_000)
        self.queue = offer(store, "Lab", NOW, pool_id=store.printer_pools.add(PrinterPool(name="Lab")).id)

    def send(self, content: bytes = b"", document_format: str = "image/jpeg") -> int:
        content = content or sample_photo(1, 900, 600)
        token = f"document-{len(self.store.queue_jobs)}"
        (self.store.folder.queued / token).write_bytes(content)
        document = QueueDocument(token=token, format=document_format, size=len(content), at=NOW)
        fields = {"name": "photo", "user": "kim"}
        return queue_jobs.begin_whole(self.store, self.queue, fields, document, "", NOW).id

    def job(self, job_id: int = 1) -> QueueJob:
        return self.store.queue_jobs.get(job_id)

    def until(self, question: Callable[[], Any], what: str, passes_s: float = 0.05) -> None:
        def ask() -> Any:
            self.incoming.step(NOW)
            self.machine.pass_s(passes_s)
            return question()

        until(ask, what, within_s=60, every_s=0.01)

    def until_state(self, state: QueueJobState, job_id: int = 1, passes_s: float = 0.05) -> None:
        self.until(lambda: self.job(job_id).state is state, f"a job that is {state}", passes_s)


@pytest.fixture
def queue(timed_store: Store, machine: SetTime) -> Iterator[Queue]:
    made = Queue(timed_store, machine)
    yield made
    made.workers.stop()


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[object], None], int], None]:
    """Lets so many tasks do something else."""
    submit = Workers.submit

    def patch(function: Callable[[object], None], times: int) -> None:
        left = [times]

        def submit_instead(self: Workers, wanted: Callable[..., Any], task: Any) -> Any:
            left[0] -= 1
            return submit(self, function if left[0] >= 0 else wanted, task)

        monkeypatch.setattr(Workers, "submit", submit_instead)

    return patch


Instead = Callable[[Callable[[object], None], int], None]


def kill_itself(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash(_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted")
def test_a_full_disk_keeps_a_job_waiting_and_it_goes_on_by_itself(queue: Queue) -> None:
    images = queue.store.folder.images
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", images], check=True)
    try:
        queue.send(sample_photo(1, 2400, 1600))
        queue.until(lambda: "no space left on device" in queue.job().reason, "a job that waits")
        assert queue.job().state is PENDING and "goes on by itself" in queue.job().reason
        subprocess.run(["mount", "-o", "remount,size=64m", images], check=True)
        queue.until_state(PRINTING)
    finally:
        subprocess.run(["umount", "-l", images], check=True)


@pytest.mark.parametrize("name", ["images", "queued"])
def test_a_folder_that_somebody_removed_aborts_nothing(queue: Queue, name: str) -> None:
    queue.send()
    folder = queue.store.folder.root / name
    kept = folder.with_name("kept")
    folder.rename(kept)
    queue.until(lambda: queue.job().reason or queue.job().state is PRINTING, "something")
    assert queue.job().state in (PENDING, PRINTING), queue.job()
    if not folder.is_dir():
        kept.rename(folder)
    elif name == "queued":  # it was made again, and its documents are brought back
        for path in kept.iterdir():
            shutil.move(path, folder)
    queue.until_state(PRINTING)


def test_a_process_that_the_system_ends_costs_time_only(queue: Queue, instead: Instead) -> None:
    instead(kill_itself, MOST_KILLS - 1)
    queue.send()
    queue.until(lambda: "the system ended the program" in queue.job().reason, "a job that waits")
    queue.until_state(PRINTING, passes_s=1)


def test_one_that_is_ended_again_and_again_holds_the_job_for_a_person(queue: Queue, instead: Instead) -> None:
    instead(kill_itself, MOST_KILLS)
    queue.send()
    queue.until_state(HELD, passes_s=1)
    assert "want of memory" in queue.job().reason and "damaged" not in queue.job().reason
    queue_jobs.move(queue.store, queue.job(), "release", NOW)
    queue.until_state(PRINTING)


def test_a_document_that_crashes_its_reader_twice_is_aborted(queue: Queue, instead: Instead) -> None:
    instead(crash, 2)
    queue.send()
    queue.until_state(ABORTED)
    assert "it is damaged" in queue.job().reason


def test_a_damaged_document_is_aborted_with_its_reason(queue: Queue) -> None:
    queue.send(b"%PDF-1.4 and nothing more", "application/pdf")
    queue.until_state(ABORTED)
    assert "the PDF cannot be opened" in queue.job().reason


@pytest.mark.parametrize("place", ["read", "profile_of", "record_of"])
def test_a_fault_of_ours_holds_its_job_and_no_other(queue: Queue, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    original, faults = getattr(incoming_module, place), [True]

    def fail(*arguments: Any) -> Any:
        if faults:
            faults.pop()
            raise ZeroDivisionError
        return original(*arguments)

    monkeypatch.setattr(incoming_module, place, fail)
    queue.send()
    queue.until_state(HELD)
    assert queue.job().reason.startswith("held: a fault in Printroom")
    queue.send()
    queue.until_state(PRINTING, 2)
    queue_jobs.move(queue.store, queue.job(), "release", NOW)
    queue.until_state(PRINTING)


def test_a_job_whose_document_is_gone_is_aborted(queue: Queue) -> None:
    queue.send()
    (queue.store.folder.queued / "document-0").unlink()
    queue.until_state(ABORTED)
    assert "send it again" in queue.job().reason


def test_a_job_whose_pages_are_ready_while_the_disk_is_full_goes_on_later(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, is_full = queue_jobs.open_ticket, [True]

    def open_ticket(*arguments: Any) -> Any:
        if is_full:
            raise StoreUnavailable("the disk is full")
        return real(*arguments)

    def is_refused() -> bool:
        try:
            queue.incoming.step(NOW)
        except StoreUnavailable:
            return True
        return False

    monkeypatch.setattr(queue_jobs, "open_ticket", open_ticket)
    queue.send()
    until(is_refused, "the disk refuses it")
    is_full.clear()
    queue.until_state(PRINTING)
