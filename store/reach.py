"""Folders that may hang: a share whose server went away answers nothing, not even an error, for as long as it likes.

Whatever touches files below such a folder (a *root*) runs in that root's own thread, and whoever asked waits for a
limited time. A root that does not answer is *silent*: it costs one thread, never more, it is named, and calls to it
fail at once until the call that hangs comes back.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from store.clock import Clock

log = structlog.get_logger("reach")

R = TypeVar("R")
Steps = Generator[None, None, R]  # work that lets others in between, each time that it yields

LOOK_S = 5.0  # for one look-up, or one step of longer work
IDLE_S = 30.0  # then a root's thread ends; the next call starts another


class OutOfReach(TimeoutError):
    """A folder does not answer. Nothing is known of what lies in it."""

    def __init__(self, root: Path) -> None:
        """
        Args:
            root: the folder.
        """
        self.root = root
        super().__init__(errno.ETIMEDOUT, "the folder does not answer", str(root))

    def __str__(self) -> str:
        return f"the folder {self.root} does not answer: look whether the server or the disk that it lies on is there"


@dataclass(frozen=True)
class Silence:
    """A folder that does not answer."""

    root: Path
    since: datetime


class _Call(Generic[R]):
    """Something to be done in a root's thread."""

    def __init__(self, steps: Steps[R], undo: Callable[[R], object] | None = None) -> None:
        self._steps, self._undo = steps, undo
        self._lock = threading.Lock()
        self._is_given_up = False
        self.future: Future[R] = Future()

    def step(self) -> bool:
        """Do the next part; returns whether it was the last."""
        if not self.future.running() and not self.future.set_running_or_notify_cancel():
            return True
        try:
            next(self._steps)
        except StopIteration as end:
            with self._lock:
                self.future.set_result(end.value)
                is_unwanted = self._is_given_up
            if is_unwanted and self._undo is not None:
                with contextlib.suppress(Exception):  # nobody is there to hear of it
                    self._undo(end.value)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            return False
        return True

    def give_up(self) -> bool:
        """Nobody waits any more; returns whether it was not done by then."""
        with self._lock:
            self._is_given_up = not self.future.done()
            self.future.cancel()
            return self._is_given_up


class _Root:
    """One folder with its thread, which is there while there is something to do."""

    def __init__(self, path: Path, monotonic: Callable[[], float], limit_s: float) -> None:
        self.path, self._monotonic, self._limit_s = path, monotonic, limit_s
        self._looks: deque[_Call[Any]] = deque()  # somebody waits for each of them
        self._works: deque[_Call[Any]] = deque()  # longer ones, which take turns
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._step_began_s: float | None = None
        self._waited_in_vain = False  # somebody, for the step that is under way
        self.steps = 0  # that were done

    def add(self, call: _Call[Any], is_look: bool) -> None:
        with self._changed:
            (self._looks if is_look else self._works).append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"reach {self.path}", daemon=True)
                self._thread.start()
            self._changed.notify()

    @property
    def silent_for_s(self) -> float | None:
        """Since when it has not answered; None while it does."""
        with self._changed:
            if self._step_began_s is None:
                return None
            waits_s = self._monotonic() - self._step_began_s
            return waits_s if self._waited_in_vain or waits_s > self._limit_s else None

    def wait_in_vain(self) -> None:
        """Somebody has waited long enough for the step that is under way."""
        with self._changed:
            if self._step_began_s is not None and not self._waited_in_vain:
                self._waited_in_vain = True
                log.warning("reach.silent", root=str(self.path))

    def _run(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        call = self._next()
        if call is None:
            return False
        is_over = call.step()
        with self._changed:
            if self._waited_in_vain:
                log.info("reach.answers_again", root=str(self.path))
            self._step_began_s, self._waited_in_vain = None, False
            self.steps += 1
            if not is_over:
                self._works.append(call)
        return True

    def _next(self) -> _Call[Any] | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._looks or self._works, IDLE_S):
                self._thread = None
                return None
            self._step_began_s = self._monotonic()
            return self._looks.popleft() if self._looks else self._works.popleft()


class Reach:
    """The folders that may hang; any thread may use it."""

    def __init__(self, clock: Clock, limit_s: float = LOOK_S) -> None:
        """
        Args:
            clock: the store's.
            limit_s: how long one call, or one step of longer work, may take.
        """
        self._clock, self._limit_s = clock, limit_s
        self._roots: dict[Path, _Root] = {}
        self._lock = threading.Lock()

    def call(
        self,
        root: Path,
        function: Callable[[], R],
        limit_s: float | None = None,
        undo: Callable[[R], object] | None = None,
    ) -> R:
        """Do something below a root, and wait for it.

        Args:
            root: the folder; not looked at, only a name for what hangs together.
            function: what touches its files; goes on by itself when nobody waits any more.
            limit_s: None for the usual.
            undo: with what came out, when it comes after nobody waits any more: closes a file, say.

        Raises:
            OutOfReach: the root does not answer.
        """
        place = self._answering(root)
        call = _Call(_once(function), undo)
        place.add(call, is_look=True)
        wait([call.future], self._limit_s if limit_s is None else limit_s)
        if call.give_up():
            place.wait_in_vain()
            raise OutOfReach(root)
        return call.future.result()

    def begin(self, root: Path, steps: Steps[R]) -> Future[R]:
        """Begin longer work below a root; it is never ended, and waits as long as the root is silent.

        Args:
            root: see call().
            steps: yields after each part that should not take longer than a call.

        Raises:
            OutOfReach: the root does not answer now; nothing was begun.
        """
        call = _Call(steps)
        self._answering(root).add(call, is_look=False)
        return call.future

    def finish(self, root: Path, steps: Steps[R]) -> R:
        """Do longer work below a root, and wait for it as long as it gets on.

        Raises:
            OutOfReach: the root does not answer, or stopped answering; the work goes on when it does again.
        """
        place, call = self._answering(root), _Call(steps)
        place.add(call, is_look=False)
        seen = -1
        while not wait([call.future], self._limit_s).done:
            if place.steps == seen and call.give_up():
                place.wait_in_vain()
                raise OutOfReach(root)
            seen = place.steps
        return call.future.result()

    def open(self, root: Path, path: Path) -> ReachedFile:
        """Open a file below a root for reading; each read waits no longer than a call.

        Raises:
            OutOfReach: the root does not answer.
            OSError: as open() does.
        """
        file, size = self.call(root, lambda: _opened(path), undo=lambda opened: opened[0].close())
        return ReachedFile(self, root, file, size)

    def close(self, root: Path, file: io.FileIO) -> None:
        """Close a file below a root when that answers: closing may hang, too."""
        self._root(root).add(_Call(_once(file.close)), is_look=False)

    def is_silent(self, root: Path) -> bool:
        """Whether a root does not answer now."""
        with self._lock:
            known = self._roots.get(root)
        return known is not None and known.silent_for_s is not None

    def silent(self) -> list[Silence]:
        """The roots that do not answer."""
        with self._lock:
            roots = list(self._roots.values())
        lasting = [(root.path, root.silent_for_s) for root in roots]
        now = self._clock.now()
        return [Silence(path, now - timedelta(seconds=for_s)) for path, for_s in lasting if for_s is not None]

    def _root(self, path: Path) -> _Root:
        with self._lock:
            return self._roots.setdefault(path, _Root(path, self._clock.monotonic, self._limit_s))

    def _answering(self, path: Path) -> _Root:
        root = self._root(path)
        if root.silent_for_s is not None:
            raise OutOfReach(path)
        return root


class ReachedFile(io.RawIOBase):
    """A file below a root, open for reading."""

    def __init__(self, reach: Reach, root: Path, file: io.FileIO, size: int) -> None:
        self._reach, self._root, self._file, self._at = reach, root, file, 0
        self.size = size

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move without asking the root."""
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence])
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read at most as much as there is room for.

        Raises:
            OutOfReach: the root does not answer.
        """
        handle, at, length = self._file.fileno(), self._at, len(buffer)
        data = self._reach.call(self._root, lambda: os.pread(handle, length, at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Let the root's thread close it; nobody waits for that."""
        if not self.closed:
            self._reach.close(self._root, self._file)
        super().close()


def _once(function: Callable[[], R]) -> Steps[R]:
    """Work of one step."""
    yield from ()
    return function()


def _opened(path: Path) -> tuple[io.FileIO, int]:
    file = io.FileIO(path)
    return file, os.fstat(file.fileno()).st_size
