"""Whose request is worked on next: addresses take turns, and none has all threads."""

from __future__ import annotations

import asyncio
from collections import Counter, deque


class Turns:
    """Hands out threads; used on one event loop."""

    def __init__(self, most: int, most_of_one: int) -> None:
        """
        Args:
            most: requests that are worked on at the same time.
            most_of_one: of them, those of one address.
        """
        self._most, self._most_of_one = most, most_of_one
        self._running: Counter[str] = Counter()
        self._count = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # the first address is the next

    async def enter(self, address: str) -> None:
        """Wait for a turn; each needs its leave()."""
        if self._count < self._most and self._running[address] < self._most_of_one and address not in self._waiting:
            self._begin(address)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(address)
            raise

    def leave(self, address: str) -> None:
        """A turn is over."""
        self._count -= 1
        self._running[address] -= 1
        if not self._running[address]:
            del self._running[address]
        if self._waiting:
            self._next()

    def _begin(self, address: str) -> None:
        self._count += 1
        self._running[address] += 1

    def _next(self) -> None:
        for address in list(self._waiting):
            if self._count >= self._most:
                return
            turns = self._waiting[address]
            while turns and turns[0].done():  # given up meanwhile
                turns.popleft()
            if turns and self._running[address] < self._most_of_one:
                self._begin(address)
                turns.popleft().set_result(None)
                self._waiting[address] = self._waiting.pop(address)  # to the end
            if not turns:
                del self._waiting[address]
