"""The processes that draw. One that crashes or is killed takes its picture with it and nothing else.

They are this machine's own, or, where the studio has outgrown the box, those of a Dask cluster: pictures travel to
its workers and sheets come back.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path
from typing import Any, TypeVar

import structlog

log = structlog.get_logger("workers")

A = TypeVar("A")
R = TypeVar("R")
LIMIT_S = 600.0
RECONNECT_S = 30.0


class Workers:
    """A pool of drawing processes that is rebuilt when it breaks."""

    def __init__(self, count: int, limit_s: float = LIMIT_S) -> None:
        """
        Args:
            count: processes.
            limit_s: a task that takes longer is ended, with its process.
        """
        self.count = count
        self._limit_s = limit_s
        self._pool: Executor | None = None

    def submit(self, function: Callable[[A], R], argument: A) -> Future[R]:
        """Run a function in a worker. The future raises BrokenProcessPool when the worker died; then call rebuild()."""
        try:
            return self._open().submit(_limited, function, argument, self._limit_s)
        except BrokenProcessPool:  # it broke after the last task: what comes now is not to blame
            self.rebuild()
            return self._open().submit(_limited, function, argument, self._limit_s)

    def _open(self) -> Executor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
            )
        return self._pool

    def rebuild(self) -> None:
        """Throw a broken pool away; the next submit starts a new one."""
        self.stop()

    def stop(self) -> None:
        """End the processes, without waiting for what they draw."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


class Cluster:
    """A Dask cluster's workers. Without an answer from its scheduler the box draws by itself."""

    def __init__(self, scheduler: str, reconnect_s: float = RECONNECT_S) -> None:
        """
        Args:
            scheduler: address, such as tcp://drawing.local:8786; empty for none.
            reconnect_s: how long it is left alone when it did not answer.
        """
        self._scheduler, self._reconnect_s = scheduler, reconnect_s
        self._client: Any = None
        self._tried_s = -reconnect_s

    @property
    def count(self) -> int:
        """How many tasks it takes at the same time; 0 when it is not there."""
        if not self._connected():
            return 0
        try:
            return int(sum(self._client.nthreads().values()))
        except (OSError, TimeoutError) as error:
            log.warning("cluster.lost", scheduler=self._scheduler, error=str(error))
            self.stop()
            return 0

    def submit(self, function: Callable[[A], R], argument: A) -> Future[R]:
        """Run a function in a worker; when that is lost, Dask runs it in another."""
        future: Future[R] = self._client.get_executor(pure=False, retries=0).submit(function, argument)
        return future

    def stop(self) -> None:
        """Let go of the cluster, which goes on."""
        if self._client is not None:
            self._client.close(timeout=2)
            self._client = None

    def _connected(self) -> bool:
        if self._client is not None:
            if self._client.status == "running":
                return True
            log.warning("cluster.lost", scheduler=self._scheduler)
            self.stop()
        if not self._scheduler or time.monotonic() - self._tried_s < self._reconnect_s:
            return False
        self._tried_s = time.monotonic()
        try:
            from distributed import Client  # an optional requirement: requirements-cluster.txt

            self._client = Client(self._scheduler, timeout=3, set_as_default=False)
        except ImportError:
            log.error("cluster.not_installed", remedy="pip install -r requirements-cluster.txt")
            return False
        except (OSError, TimeoutError) as error:
            log.warning("cluster.unreachable", scheduler=self._scheduler, error=str(error))
            return False
        log.info("cluster.connected", scheduler=self._scheduler)
        return True


def _limited(function: Callable[[A], R], argument: A, limit_s: float) -> R:
    """Run a function against the clock. SIGALRM's own effect is to end the process, whatever it is stuck in."""
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        return function(argument)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _offer_to_the_oom_killer() -> None:
    """When memory ends, the kernel takes a drawing process and not the panel: what it drew is drawn again."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("700")


def _begin_worker() -> None:
    # Ctrl-C goes to the whole terminal group; stopping is the parent's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.nice(5)  # the panel answers first
    _offer_to_the_oom_killer()
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # whoever started us may keep to one core; drawing takes all
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
