"""Accepting, whatever the system answers; out of descriptors is tried on an appliance (tests/appliance)."""

from __future__ import annotations

import asyncio
import errno
import socket

from ipp import listener
from ipp.listener import Listener, first_byte


class Troubled:
    """A listening socket that first answers with errors; the kernel does not give these when one wants them."""

    def __init__(self, *errors: int) -> None:
        self.real = socket.create_server(("127.0.0.1", 0))
        self._errors = list(errors)

    def fileno(self) -> int:
        return self.real.fileno()

    def setblocking(self, blocks: bool) -> None:
        self.real.setblocking(blocks)

    def accept(self) -> tuple[socket.socket, object]:
        if self._errors:
            raise OSError(self._errors.pop(0), "as told")
        return self.real.accept()


def accepted_in_spite_of(*errors: int) -> tuple[int, int]:
    """How many of three connections were taken, and how often room was asked for."""

    async def run() -> tuple[int, int]:
        troubled = Troubled(*errors)
        taken: list[socket.socket] = []
        asked: list[None] = []
        listening = Listener(
            troubled,  # type: ignore[arg-type]
            lambda sock, _: taken.append(sock),
            lambda: asked.append(None),
        )
        there = [socket.create_connection(troubled.real.getsockname()) for _ in range(3)]
        async with asyncio.timeout(20):
            while len(taken) < 3:
                await asyncio.sleep(0.01)
        listening.close()
        for sock in (*taken, *there, troubled.real):
            sock.close()
        return len(taken), len(asked)

    return asyncio.run(run())


def test_one_that_is_gone_before_it_was_here_costs_nothing() -> None:
    assert accepted_in_spite_of(errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN) == (3, 0)


def test_without_descriptors_or_memory_room_is_made_and_it_goes_on() -> None:
    listener.PAUSE_S, before = 0.01, listener.PAUSE_S
    try:
        assert accepted_in_spite_of(errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM) == (3, 4)
        assert accepted_in_spite_of(errno.EIO) == (3, 1)  # whatever it may be
    finally:
        listener.PAUSE_S = before


def test_the_first_byte_is_seen_and_stays() -> None:
    async def run() -> None:
        here, there = socket.socketpair()
        here.setblocking(False)
        looking = asyncio.create_task(first_byte(here))
        await asyncio.sleep(0)
        there.send(b"GET")
        assert await looking == b"G" and here.recv(10) == b"GET"
        there.close()
        try:
            await first_byte(here)
        except ConnectionError:
            return
        finally:
            here.close()
        raise AssertionError("it was closed")

    asyncio.run(run())
