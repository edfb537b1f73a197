"""Who is connected, by address, and who has to go when there are too many.

A newcomer is let in at the cost of whoever needs a place least: of the address that has the most connections, the one
that has waited longest. So what half-open or slow connections take, they take from each other.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Generic, Protocol, TypeVar

SPARE_DESCRIPTORS = 128  # for the store, pictures, printers, drawing processes
FEWEST = 16


class Stage(IntEnum):
    """What a connection is about; the lower, the sooner it goes."""

    WAITING = 0  # no whole head of a request came yet, or not again
    MOVING = 1  # a body comes, or an answer goes
    QUEUED = 2  # a whole request waits for its turn
    WORKING = 3  # a request is worked on: this one stays


class Connection(Protocol):
    """What is asked of a connection."""

    address: str  # of the other side
    stage: Stage
    since: float  # it has been in this stage, in seconds on any clock

    def end(self) -> None:
        """Close it now."""


class TooMany(Exception):
    """There is no place, and none can be made."""


C = TypeVar("C", bound=Connection)


class OpenConnections(Generic[C]):
    """Counts connections and makes room for new ones; used on one event loop."""

    def __init__(self, most: int) -> None:
        """
        Args:
            most: connections at the same time; one address has a quarter of them at most.
        """
        self.most = most
        self.ended, self.ended_last = 0, ""  # how many had to go for others, and the address of the last
        self._of: dict[str, dict[C, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[C]:
        return (one for there in self._of.values() for one in there)

    @property
    def most_of_one(self) -> int:
        """Connections of one address at the same time."""
        return max(FEWEST // 2, self.most // 4)

    def add(self, new: C) -> None:
        """Let a connection in.

        Raises:
            TooMany: all those that could make room are being worked for.
        """
        if len(self._of.get(new.address, ())) >= self.most_of_one:
            self._end_one([new.address])
        if self._count >= self.most:
            self._end_one(self._crowded())
        self._of.setdefault(new.address, {})[new] = None
        self._count += 1

    def remove(self, one: C) -> None:
        """It is closed; may be said twice."""
        there = self._of.get(one.address, {})
        if one in there:
            del there[one]
            self._count -= 1
            if not there:
                del self._of[one.address]

    def shrink(self, to: int) -> None:
        """End connections until only so many are left, or those that are worked for."""
        try:
            while self._count > to:
                self._end_one(self._crowded())
        except TooMany:
            return

    def _crowded(self) -> list[str]:
        return sorted(self._of, key=lambda address: len(self._of[address]), reverse=True)

    def _end_one(self, addresses: list[str]) -> None:
        for address in addresses:
            loser = min(self._of[address], key=lambda one: (one.stage, one.since))
            if loser.stage < Stage.WORKING:
                self.remove(loser)
                self.ended, self.ended_last = self.ended + 1, address
                loser.end()
                return
        raise TooMany


def descriptors_for(connections: int) -> int:
    """How many connections this process may have, so that all else finds descriptors too.

    Args:
        connections: that it has now.

    Raises:
        OSError: there is not even a descriptor for looking.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = len(os.listdir(Path("/proc/self/fd"))) - connections  # noqa: PTH208  (the quickest that there is)
    return max(FEWEST, limit - others - min(SPARE_DESCRIPTORS, limit // 4))
