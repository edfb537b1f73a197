"""Drawing processes: a clock for each task, and a Dask cluster whose workers may be killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from render.loop import RenderLoop
from render.sources import ImageFolders
from render.workers import Cluster, Ending, WorkerEnded, Workers
from store import intake
from store.states import ENDED_TICKETS, TicketState
from store.tables import Store
from tests.lab import free_port, until
from tests.studio import NOW, add_render_job, photo, push

ROOT = Path(__file__).parents[2]


def test_a_task_that_takes_too_long_is_ended_with_its_process() -> None:
    workers = Workers(1, limit_s=0.5)
    try:
        began = time.monotonic()
        with pytest.raises(WorkerEnded) as ended:
            workers.submit(time.sleep, 30).result(timeout=20)
        assert time.monotonic() - began < 10 and ended.value.ending is Ending.TOO_LONG
        assert workers.submit(abs, -1).result(timeout=20) == 1
    finally:
        workers.stop()


def test_the_clock_stops_with_the_task() -> None:
    workers = Workers(1, limit_s=0.5)
    try:
        assert workers.submit(abs, -1).result(timeout=20) == 1
        time.sleep(1)
        assert workers.submit(abs, -2).result(timeout=20) == 2
    finally:
        workers.stop()


class DaskCluster:
    """A real scheduler and two real worker processes, started as a studio starts them."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._folder = folder
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
        self._environment = environment
        dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        self._log = (folder / "dask.log").open("ab")
        self.scheduler = subprocess.Popen([*dask, *arguments], stdout=self._log, stderr=self._log, env=environment)
        self.workers = [self._worker(number) for number in range(2)]

    def _worker(self, number: int) -> subprocess.Popen[bytes]:
        dask = [sys.executable, "-m", "appliance", "worker", self.address]
        arguments = ["--host", "127.0.0.1", "--name", f"w{number}", "--processes", "1", "--dir", str(self._folder)]
        return subprocess.Popen(
            [*dask, *arguments], stdout=self._log, stderr=self._log, env=self._environment, cwd=self._folder
        )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.terminate()
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[DaskCluster]:
    cluster = DaskCluster(tmp_path)
    yield cluster
    cluster.stop()


# distributed's own threads and sockets end with its client, some a moment later than it says.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_sheets_are_drawn_in_the_cluster_and_a_killed_workers_again_elsewhere(store: Store, dask: DaskCluster) -> None:
    add_render_job(store, size="8x10")
    digests = [photo(store, seed, 2400, 1600) for seed in range(1, 13)]
    intake.accept(store, push(digests), NOW)
    cluster, local = Cluster(dask.address, reconnect_s=0.5), Workers(1)
    until(lambda: cluster.count == 2, "the cluster's two workers", within_s=60, every_s=0.3)
    loop = RenderLoop(store, local, ImageFolders(), 50_000_000, cluster=cluster)
    drawn_at_kill = -1
    deadline = time.monotonic() + 90
    while store.tickets.get(1).state not in ENDED_TICKETS:
        assert time.monotonic() < deadline
        if loop.step(NOW):
            time.sleep(0.01)
        drawn = len(store.sheets.by("ticket_state", (1, "drawn")))
        if drawn >= 3 and drawn_at_kill < 0:
            drawn_at_kill = drawn
            dask.workers[0].send_signal(signal.SIGKILL)
    cluster.stop()
    local.stop()
    ticket = store.tickets.get(1)
    assert ticket.state is TicketState.FINISHED and 3 <= drawn_at_kill < 12
    for result in ticket.results:
        with Image.open(store.folder.output / result.files[0]) as image:
            image.load()
            assert image.size == (3000, 2400)


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_what_was_given_to_a_cluster_that_goes_away_is_drawn_here(store: Store, dask: DaskCluster) -> None:
    add_render_job(store, size="8x10")
    intake.accept(store, push([photo(store, seed, 2400, 1600) for seed in range(1, 7)]), NOW)
    cluster, local = Cluster(dask.address, reconnect_s=0.5), Workers(1)
    until(lambda: cluster.count == 2, "the cluster's two workers", within_s=60, every_s=0.3)
    loop = RenderLoop(store, local, ImageFolders(), 50_000_000, cluster=cluster)
    deadline, is_gone = time.monotonic() + 90, False
    while store.tickets.get(1).state not in ENDED_TICKETS:
        assert time.monotonic() < deadline
        if loop.step(NOW):
            time.sleep(0.01)
        if not is_gone and any(work.is_remote for work in loop._processes.works):
            is_gone = True
            for process in (*dask.workers, dask.scheduler):
                process.kill()
    cluster.stop()
    local.stop()
    assert is_gone and store.tickets.get(1).state is TicketState.FINISHED


def end_with(signal_number: int) -> None:
    os.kill(os.getpid(), signal_number)


def refuse(path: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", path)


class Odd(Exception):
    def __init__(self, one: int, another: int) -> None:
        super().__init__(f"{one} {another}")


def raise_odd(_: int) -> None:
    raise Odd(1, 2)


@pytest.fixture
def pair() -> Iterator[Workers]:
    workers = Workers(2, limit_s=20)
    yield workers
    workers.stop()


@pytest.mark.parametrize(
    ("signal_number", "ending"),
    [
        (signal.SIGKILL, Ending.KILLED),
        (signal.SIGTERM, Ending.KILLED),
        (signal.SIGSEGV, Ending.CRASHED),
        (signal.SIGABRT, Ending.CRASHED),
        (signal.SIGALRM, Ending.TOO_LONG),
    ],
)
def test_a_process_that_ends_takes_its_own_task_with_it_and_says_how(
    pair: Workers, signal_number: int, ending: Ending
) -> None:
    poison = pair.submit(end_with, signal_number)
    others = [pair.submit(abs, -number) for number in range(6)]
    with pytest.raises(WorkerEnded) as ended:
        poison.result(timeout=20)
    assert ended.value.ending is ending
    assert [other.result(timeout=20) for other in others] == list(range(6))


def test_a_process_that_was_killed_while_it_was_idle_costs_nobody_anything(pair: Workers) -> None:
    assert pair.submit(abs, -1).result(timeout=20) == 1
    (pid,) = pair.pids
    os.kill(pid, signal.SIGKILL)
    until(lambda: not pair.pids, "its end")
    assert pair.submit(abs, -2).result(timeout=20) == 2


def test_what_the_system_refused_in_a_process_arrives_whole_and_with_its_place(pair: Workers) -> None:
    with pytest.raises(OSError, match="No space left") as refused:
        pair.submit(refuse, "/data/x").result(timeout=20)
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, "/data/x")
    assert "refuse" in refused.value.__notes__[0]


def test_what_cannot_be_handed_over_or_back_is_told(pair: Workers) -> None:
    with pytest.raises(RuntimeError, match="cannot be handed back"):
        pair.submit(raise_odd, 1).result(timeout=20)
    with pytest.raises(Exception, match="lambda"):
        pair.submit(lambda _: None, 1).result(timeout=20)
    assert pair.submit(abs, -3).result(timeout=20) == 3


def test_stopping_waits_for_nothing_and_begins_anew(pair: Workers) -> None:
    running, waiting = [pair.submit(time.sleep, 19) for _ in range(2)], pair.submit(abs, -1)
    until(lambda: len(pair.pids) == 2, "both processes")
    began = time.monotonic()
    pair.stop()
    assert time.monotonic() - began < 10 and waiting.cancelled()
    assert all(isinstance(one.exception(), WorkerEnded) for one in running)
    assert pair.submit(abs, -4).result(timeout=20) == 4


def test_without_an_answer_from_the_scheduler_the_box_draws_by_itself(store: Store) -> None:
    add_render_job(store)
    intake.accept(store, push(photo(store)), NOW)
    cluster, local = Cluster(f"tcp://127.0.0.1:{free_port()}"), Workers(1)
    loop = RenderLoop(store, local, ImageFolders(), 50_000_000, cluster=cluster)
    deadline = time.monotonic() + 60
    while store.tickets.get(1).state not in ENDED_TICKETS:
        assert time.monotonic() < deadline
        if loop.step(NOW):
            time.sleep(0.01)
    local.stop()
    assert store.tickets.get(1).state is TicketState.FINISHED
