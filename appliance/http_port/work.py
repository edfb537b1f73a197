"""An answer in the making, as the event loop has it: turns are taken and given back here, whatever becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Executor
from typing import Any

from appliance.http_port.answer import After, Answer, Part
from appliance.http_port.connection import Connection
from appliance.http_port.turns import Turns
from ipp.open_connections import Stage


class Work:
    """The parts of one answer, in their order; used on one event loop."""

    def __init__(
        self, application: Any, environ: dict[str, Any], connection: Connection, threads: Executor, turns: Turns
    ) -> None:
        """
        Args:
            application: of WSGI.
            environ: with wsgi.input.
            connection: whose request it is.
            threads: in which the application runs.
            turns: of them.
        """
        self.answer = Answer(application, environ, self._deliver)
        self._connection, self._threads, self._turns = connection, threads, turns
        self._loop = asyncio.get_running_loop()
        self._parts: asyncio.Queue[Part] = asyncio.Queue()
        self._is_in_thread = self._is_over = False

    async def next(self) -> Part:
        """The next part; waits for a turn when no thread has the answer."""
        if not self._is_in_thread:
            self._connection.enter(Stage.QUEUED)
            await self._turns.enter(self._connection.address)
            self._connection.enter(Stage.WORKING)
            self._is_in_thread = True
            self._threads.submit(self.answer.advance)
        return await self._parts.get()

    def give_up(self) -> None:
        """Nobody takes it any more: the application is told at its next piece."""
        self.answer.is_given_up = True
        if not self._is_in_thread and not self._is_over:
            self._is_over = True
            with contextlib.suppress(RuntimeError):  # all is over
                self._threads.submit(self.answer.close)

    def _deliver(self, part: Part) -> None:
        """In the thread."""
        try:
            self._loop.call_soon_threadsafe(self._arrived, part)
        except RuntimeError:  # the loop is over: so is everything
            self.answer.is_given_up = True

    def _arrived(self, part: Part) -> None:
        self._parts.put_nowait(part)
        if part.after is After.MORE:
            return
        self._is_in_thread = False
        self._is_over = part.after is not After.PAUSED
        self._turns.leave(self._connection.address)
        if self._connection.stage is Stage.WORKING:
            self._connection.enter(Stage.MOVING)
        if self.answer.is_given_up:
            self.give_up()
