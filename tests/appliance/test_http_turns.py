"""Whose request is worked on next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from appliance.http_port.turns import Turns


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


class Askers:
    """Asks for turns and notes who got one, in their order."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.got = turns, list[str]()
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self._ask(name))
        await settle()

    async def _ask(self, name: str) -> None:
        await self.turns.enter(name[0])
        self.got.append(name)

    async def done(self, *addresses: str) -> None:
        for address in addresses:
            self.turns.leave(address)
            await settle()


def test_addresses_take_turns_however_many_requests_one_has() -> None:
    async def test() -> None:
        askers = Askers(Turns(2, 2))
        await askers.ask("a1", "a2", "a3", "a4", "a5", "b1", "c1", "b2")
        assert askers.got == ["a1", "a2"]
        await askers.done("a", "a", "a", "b", "c", "a")
        assert askers.got == ["a1", "a2", "a3", "b1", "c1", "a4", "b2", "a5"]

    run(test())


def test_no_address_has_all_turns() -> None:
    async def test() -> None:
        askers = Askers(Turns(4, 3))
        await askers.ask("a1", "a2", "a3", "a4", "a5", "b1")
        assert askers.got == ["a1", "a2", "a3", "b1"]
        await askers.done("b")
        assert askers.got == ["a1", "a2", "a3", "b1"]  # a has three already
        await askers.done("a")
        assert askers.got[4:] == ["a4"]

    run(test())


def test_who_does_not_wait_any_more_takes_no_turn() -> None:
    async def test() -> None:
        askers = Askers(Turns(1, 1))
        await askers.ask("a1", "b1", "b2", "c1")
        askers.tasks["b1"].cancel()
        await settle()
        await askers.done("a")
        assert askers.got == ["a1", "b2"]
        askers.turns.leave("b")  # and the next gives up in the very moment in which it would be its turn
        askers.tasks["c1"].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await askers.tasks["c1"]
        await askers.ask("d1")
        assert askers.got == ["a1", "b2", "d1"]

    run(test())
