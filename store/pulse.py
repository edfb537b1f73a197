"""How the parts of the box are that run for ever: whether each goes on, and what it stumbled over.

A *loop* that fails is begun again after a while, longer each time; an *item* that fails (a ticket, a hot folder, an
address) is left alone for a while, and the loop goes on with the others. Both are told to people.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from store.errors import StoreUnavailable

log = structlog.get_logger("loops")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
TOLD_FOR_S = 600.0  # a loop that failed is told of for so long, also when it runs again
STUCK_AFTER_S = 180.0  # no step of any loop takes so long


def pause_s(failures: int, first_s: float = FIRST_PAUSE_S, longest_s: float = LONGEST_PAUSE_S) -> float:
    """How long something is left alone that failed so often in a row.

    >>> [pause_s(count) for count in (1, 2, 3, 10)]
    [1.0, 2.0, 4.0, 60.0]
    """
    return float(min(first_s * 2 ** min(failures - 1, 20), longest_s))


@dataclass(frozen=True)
class LoopState:
    """How a loop is, for people and for the box's health check."""

    name: str
    is_running: bool  # it goes on by itself, perhaps after a pause
    is_failing: bool  # it does not do its work now
    trouble: str = ""  # what to tell a person, as a sentence; '' when all is well


class Pulse:
    """One loop's life signs; any thread may look."""

    def __init__(self, name: str, monotonic: Callable[[], float], stuck_after_s: float = STUCK_AFTER_S) -> None:
        """
        Args:
            name: for people: "Drawing", "Hot folders".
            monotonic: the clock's.
            stuck_after_s: how long a step may take; 0: there is no limit.
        """
        self.name, self._monotonic, self._stuck_after_s = name, monotonic, stuck_after_s
        self._step_began_s: float | None = None
        self._failures = 0  # in a row
        self._failed_s: float | None = None
        self._error = ""

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around each step."""
        self._step_began_s = self._monotonic()
        try:
            yield
        finally:
            self._step_began_s = None
        self.recovered()

    def recovered(self) -> None:
        """It does its work."""
        self._failures = 0

    def failed(self, error: BaseException) -> float:
        """A step raised; returns how many seconds to wait before the next one."""
        self._failures, self._failed_s, self._error = self._failures + 1, self._monotonic(), repr(error)[:300]
        return pause_s(self._failures)

    def state(self, is_running: bool) -> LoopState:
        """How the loop is.

        Args:
            is_running: whether its thread or task is there.
        """
        if not is_running:
            return LoopState(self.name, False, True, f"{self.name} has ended: restart the box under Settings, The box")
        return LoopState(self.name, True, self._failures > 0 or self._is_stuck, self._trouble())

    def _trouble(self) -> str:
        if self._is_stuck:
            minutes = round((self._monotonic() - (self._step_began_s or 0)) / 60)
            return f"{self.name} has not moved for {minutes} min: look into the log, or restart under Settings, The box"
        if self._failed_s is None or (not self._failures and self._monotonic() - self._failed_s > TOLD_FOR_S):
            return ""
        now = "is started again and again" if self._failures else "was started again and runs"
        return (
            f"{self.name} stopped because of a fault in Printroom and {now} ({self._error}): send the support file "
            "from Health and log to whoever looks after this box"
        )

    @property
    def _is_stuck(self) -> bool:
        began_s = self._step_began_s
        return bool(self._stuck_after_s) and began_s is not None and self._monotonic() - began_s > self._stuck_after_s


@dataclass
class _Stumble:
    failures: int
    not_before_s: float
    error: str


class Items:
    """The things that one loop takes care of, and those among them that it stumbles over."""

    def __init__(
        self,
        kind: str,
        monotonic: Callable[[], float],
        first_s: float = FIRST_PAUSE_S,
        longest_s: float = LONGEST_PAUSE_S,
    ) -> None:
        """
        Args:
            kind: for the log: "hot_folder", "webhook".
            monotonic: the clock's.
            first_s: how long an item is left alone that failed once.
            longest_s: that failed again and again.
        """
        self._kind, self._monotonic = kind, monotonic
        self._first_s, self._longest_s = first_s, longest_s
        self._stumbles: dict[Hashable, _Stumble] = {}
        self._lock = threading.Lock()

    def may(self, key: Hashable) -> bool:
        """Whether an item's turn has come: not while it is left alone."""
        known = self._stumbles.get(key)
        return known is None or self._monotonic() >= known.not_before_s

    @contextmanager
    def guard(self, key: Hashable, name: str) -> Iterator[None]:
        """Around the work on one item: what it raises is logged and stays with it. A disk that takes nothing is
        everybody's, and is raised.

        Args:
            key: of the item.
            name: for the log.
        """
        try:
            yield
        except StoreUnavailable:
            raise
        except Exception as error:
            with self._lock:
                failures = self._stumbles[key].failures + 1 if key in self._stumbles else 1
                not_before_s = self._monotonic() + pause_s(failures, self._first_s, self._longest_s)
                self._stumbles[key] = _Stumble(failures, not_before_s, repr(error)[:300])
            if failures.bit_count() == 1:  # what fails for a week fills no log
                log.exception("item.failed", kind=self._kind, name=name, failures=failures, error=repr(error))
        else:
            self.forget(key)

    def failures(self, key: Hashable) -> int:
        """How often in a row an item has failed."""
        known = self._stumbles.get(key)
        return known.failures if known else 0

    def error(self, key: Hashable) -> str:
        """What it failed with last; '' when it did not."""
        known = self._stumbles.get(key)
        return known.error if known else ""

    def forget(self, key: Hashable) -> None:
        """It works again, or is gone."""
        with self._lock:
            self._stumbles.pop(key, None)
