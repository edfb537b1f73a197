"""The processes that draw. One that crashes or is killed takes its task with it and nothing else.

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
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import structlog

log = structlog.get_logger("workers")

A = TypeVar("A")
R = TypeVar("R")
LIMIT_S = 600.0
RECONNECT_S = 30.0


class Ending(StrEnum):
    """Why a process ended in the middle of a task."""

    KILLED = "killed"  # by the system or a person: for want of memory, mostly. The task is hardly to blame
    TOO_LONG = "too long"  # by its own clock
    CRASHED = "crashed"  # by what it did


class WorkerEnded(Exception):
    """A process ended in the middle of a task."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
        super().__init__(f"the process was ended: {ending}")


class WorkerKilled(WorkerEnded, BrokenProcessPool):
    """The system ended it. To those who know of no more than executors, it is what an executor would raise."""

    def __init__(self) -> None:
        super().__init__(Ending.KILLED)


@dataclass
class _Task:
    function: Callable[[Any], Any]
    argument: Any
    future: Future[Any] = field(default_factory=Future)


class Workers:
    """Drawing processes. Each has one task at a time, so that it is known whose end it was; the next task has a new
    one."""

    def __init__(self, count: int, limit_s: float = LIMIT_S) -> None:
        """
        Args:
            count: processes.
            limit_s: a task that takes longer is ended, with its process.
        """
        self.count = count
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._waiting: deque[_Task] = deque()
        self._lanes: list[_Lane] = []
        self._idle: list[_Lane] = []  # the one that was busy last is warm, and asked first

    def submit(self, function: Callable[[A], R], argument: A) -> Future[R]:
        """Run a function in a worker. The future raises WorkerEnded when that died."""
        task = _Task(function, argument)
        with self._lock:
            if self._idle:
                self._idle.pop().give(task)
            elif len(self._lanes) < self.count:
                lane = _Lane(self._limit_s, self._next)
                self._lanes.append(lane)
                lane.give(task)
            else:
                self._waiting.append(task)
        return task.future

    def stop(self) -> None:
        """End the processes, whatever they do. Who submits afterwards begins anew."""
        with self._lock:
            lanes, self._lanes, self._idle = self._lanes, [], []
            waiting, self._waiting = self._waiting, deque()
        for task in waiting:
            task.future.cancel()
        for lane in lanes:
            lane.stop()
        for lane in lanes:
            lane.join()

    @property
    def pids(self) -> list[int]:
        """The processes that are there."""
        with self._lock:
            return [pid for lane in self._lanes if (pid := lane.pid) is not None]

    def _next(self, lane: _Lane) -> _Task | None:
        """What an idle lane does now; None: it is given something later."""
        with self._lock:
            if self._waiting and lane in self._lanes:
                return self._waiting.popleft()
            if lane in self._lanes:
                self._idle.append(lane)
            return None


class _Lane:
    """A thread that looks after one process."""

    def __init__(self, limit_s: float, next_task: Callable[[_Lane], _Task | None]) -> None:
        self._limit_s, self._next_task = limit_s, next_task
        self._inbox: SimpleQueue[_Task | None] = SimpleQueue()
        self._process: SpawnProcess | None = None
        self._pipe: connection.Connection | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drawing process", daemon=True)
        self._thread.start()

    def give(self, task: _Task) -> None:
        self._inbox.put(task)

    def stop(self) -> None:
        self._stopping.set()
        self._inbox.put(None)
        if (process := self._process) is not None:
            process.kill()

    def join(self) -> None:
        self._thread.join()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.is_alive() else None

    def _run(self) -> None:
        task = self._inbox.get()
        while task is not None and not self._stopping.is_set():
            if task.future.set_running_or_notify_cancel():
                self._do(task)
            task = None  # what came out is not kept while there is nothing to do
            task = self._next_task(self) or self._inbox.get()
        if task is not None:
            task.future.cancel()
        self._end()

    def _do(self, task: _Task) -> None:
        try:
            pipe, process = self._ready()
            answer = _asked(pipe, process, (task.function, task.argument))
        except Exception as error:  # what cannot be sent; or no process can be started
            task.future.set_exception(error)
            return
        if answer is None:
            ending = self._end()
            task.future.set_exception(WorkerKilled() if ending is Ending.KILLED else WorkerEnded(ending))
            return
        is_result, value = answer
        if is_result:
            task.future.set_result(value)
        else:
            task.future.set_exception(value)

    def _ready(self) -> tuple[connection.Connection, SpawnProcess]:
        """The process, a new one where the last has ended."""
        if self._process is not None and not self._process.is_alive():
            self._end()
        if self._process is None or self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(theirs, self._limit_s), daemon=True)
            self._process.start()
            theirs.close()
            if self._stopping.is_set():  # it was told to stop just before there was a process
                self._process.kill()
        return self._pipe, self._process

    def _end(self) -> Ending:
        """Let go of the process, and tell how it ended."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is None:
            return Ending.KILLED
        if process.is_alive():
            process.kill()  # it ends by itself, too, when nobody is at the other end: this is quicker
        process.join()
        code = process.exitcode
        process.close()
        log.info("workers.ended", exit_code=code)
        if code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP):
            return Ending.KILLED
        return Ending.TOO_LONG if code == -signal.SIGALRM else Ending.CRASHED


def _asked(pipe: connection.Connection, process: SpawnProcess, question: Any) -> tuple[bool, Any] | None:
    """A process's answer; None when it ended instead."""
    data = ForkingPickler.dumps(question)  # what cannot be pickled raises before a byte is on its way
    try:
        pipe.send_bytes(data)
        connection.wait([pipe, process.sentinel])
        if not pipe.poll():
            process.join()
            return None
        answer: tuple[bool, Any] = pipe.recv()
    except (EOFError, ConnectionError):
        process.join(5)  # so that its end can be told
        return None
    return answer


def _work(pipe: connection.Connection, limit_s: float) -> None:
    """What a process does: one thing after the other, until nobody is at the other end."""
    _begin_worker()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            function, argument = pipe.recv()
            try:
                answer = (True, _limited(function, argument, limit_s))
            except Exception as error:
                error.add_note(_place(error))
                answer = (False, error)
            _answer(pipe, answer)
            del function, argument, answer


def _answer(pipe: connection.Connection, answer: tuple[bool, Any]) -> None:
    is_result, _ = answer
    try:
        data = ForkingPickler.dumps(answer)
        if not is_result:
            ForkingPickler.loads(data)  # some errors can be written, and not be read again
    except Exception as error:
        data = ForkingPickler.dumps((False, RuntimeError(f"{answer[1]!r} cannot be handed back ({error})")))
    pipe.send_bytes(data)


def _place(error: BaseException) -> str:
    """Where in a process something was raised: its traceback stays there."""
    at = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(at))


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
