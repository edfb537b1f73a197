"""The processes that draw. One that crashes or is killed takes its picture with it and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import connection
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Workers:
    """A pool of drawing processes that is rebuilt when it breaks."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: Executor | None = None

    def submit(self, function: Callable[[A], R], argument: A) -> Future[R]:
        """Run a function in a worker. The future raises BrokenProcessPool when the worker died; then call rebuild()."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
            )
        return self._pool.submit(function, argument)

    def rebuild(self) -> None:
        """Throw a broken pool away; the next submit starts a new one."""
        self.stop()

    def stop(self) -> None:
        """End the processes, without waiting for what they draw."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _begin_worker() -> None:
    # Ctrl-C goes to the whole terminal group; stopping is the parent's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(5)  # the panel answers first
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
