"""Tickets that wait for what is not theirs: room on a disk, a share that is away, a process that the system ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from store.pulse import pause_s
from store.reach import OutOfReach, Reach


@dataclass
class _Wait:
    failures: int
    not_before_s: float
    root: Path | None = None  # which it waits for; not for a time


class Patience:
    """When each of them is tried again: after a pause, longer each time, or when its folder answers."""

    def __init__(self, monotonic: Callable[[], float], reach: Reach) -> None:
        """
        Args:
            monotonic: the clock's.
            reach: the folders that may hang.
        """
        self._monotonic, self._reach = monotonic, reach
        self._waits: dict[int, _Wait] = {}

    def may(self, ticket_id: int) -> bool:
        """Whether a ticket's turn has come."""
        wait = self._waits.get(ticket_id)
        if wait is None:
            return True
        if wait.root is not None:
            return not self._reach.is_silent(wait.root)
        return self._monotonic() >= wait.not_before_s

    def put_off(self, ticket_id: int, error: BaseException) -> None:
        """Let a ticket wait. What fails while it waits anyway is the same trouble, and no other one."""
        if not self.may(ticket_id):
            return
        failures = self._waits[ticket_id].failures + 1 if ticket_id in self._waits else 1
        root = error.root if isinstance(error, OutOfReach) and self._reach.is_silent(error.root) else None
        self._waits[ticket_id] = _Wait(failures, self._monotonic() + pause_s(failures), root)

    def forget(self, ticket_id: int) -> None:
        """It gets on again, or has ended."""
        self._waits.pop(ticket_id, None)

    def keep(self, ticket_ids: set[int]) -> None:
        """Forget all others."""
        for ticket_id in self._waits.keys() - ticket_ids:
            del self._waits[ticket_id]
