"""The front end's connections: accepted, TLS or not as they begin, counted, ended when nothing comes of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

import structlog

from ipp.listener import Listener
from ipp.open_connections import OpenConnections, Stage, TooMany

log = structlog.get_logger("front_end")

FIRST_BYTE_LIMIT_S = 15.0
IDLE_LIMIT_S = 60.0  # between requests, and for the head of one
MOST_CONNECTIONS = 256
_LOOK_EVERY_S = 0.5
_MAKE_ROOM = 16  # when the process is out of descriptors


class FrontConnection:
    """One connection of a computer that prints."""

    def __init__(self, address: str, now: float) -> None:
        self.address, self.stage, self.since = address, Stage.WAITING, now
        self.transport: Any = None
        self.greeting: asyncio.Task[None] | None = None

    def enter(self, stage: Stage) -> None:
        """Go on to another stage."""
        self.stage, self.since = stage, asyncio.get_running_loop().time()

    def end(self) -> None:
        """Close it now."""
        if self.transport is not None:
            self.transport.abort()
        elif self.greeting is not None:
            self.greeting.cancel()


class FrontConnections:
    """All of them; used on one event loop."""

    def __init__(self, protocol: Any, may_connect: Callable[[str], bool], tls: ssl.SSLContext | None) -> None:
        """
        Args:
            protocol: makes an aiohttp handler for each connection.
            may_connect: whether an address is let in at all.
            tls: for connections that ask for it.
        """
        self._protocol, self._may_connect, self._tls = protocol, may_connect, tls
        self._open: OpenConnections[FrontConnection] = OpenConnections(MOST_CONNECTIONS)
        self._of: dict[Any, FrontConnection] = {}  # by handler
        self._listener: Listener | None = None

    def of(self, handler: Any) -> FrontConnection:
        """The connection that a handler speaks for."""
        return self._of[handler]

    async def run(self, sock: socket.socket) -> None:
        """Accept on a socket for ever; ends by cancellation, and with it all connections."""
        listener = Listener(sock, self._taken, lambda: self._open.shrink(len(self._open) - _MAKE_ROOM))
        try:
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                self._look()
        finally:
            listener.close()
            sock.close()
            greeting = [one.greeting for one in self._open if one.greeting is not None]
            for one in list(self._open):
                one.end()
            await asyncio.gather(*greeting, return_exceptions=True)

    def _look(self) -> None:
        """Forget those that are closed; end those on which nothing is asked. A half-sent head counts as nothing."""
        now = asyncio.get_running_loop().time()
        for handler, one in list(self._of.items()):
            if one.transport is None:  # in its TLS handshake, which has a limit of its own
                continue
            if one.transport.is_closing() and not one.transport.get_write_buffer_size():
                del self._of[handler]
                self._open.remove(one)
                one.transport.abort()
            elif one.stage is Stage.WAITING and now - one.since > IDLE_LIMIT_S:
                one.end()

    def _taken(self, sock: socket.socket, there: Any) -> None:
        one = FrontConnection(there[0], asyncio.get_running_loop().time())
        try:
            if not self._may_connect(one.address):
                raise TooMany
            self._open.add(one)
        except TooMany:
            log.info("front_end.refused", host=one.address)
            sock.close()
            return
        one.greeting = asyncio.create_task(self._greet(one, sock))

        def greeted(task: asyncio.Task[None]) -> None:
            """Also of a task that was ended before it began."""
            one.greeting = None
            if task.cancelled() or task.exception() is not None:
                sock.close()  # where the loop has it already, the loop closes it: then this does nothing
                self._open.remove(one)
                self._of = {handler: other for handler, other in self._of.items() if other is not one}

        one.greeting.add_done_callback(greeted)

    async def _greet(self, one: FrontConnection, sock: socket.socket) -> None:
        """TLS and plain HTTP share the port (RFC 8010 §8, and HTTP Upgrade of RFC 2817)."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(FIRST_BYTE_LIMIT_S):
            is_tls = await self._wants_tls(sock)

        def make_handler() -> Any:
            handler = self._protocol()
            self._of[handler] = one
            return handler

        one.transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
            make_handler,
            sock,
            ssl=self._tls if is_tls else None,
            ssl_handshake_timeout=FIRST_BYTE_LIMIT_S if is_tls else None,
        )

    async def _wants_tls(self, sock: socket.socket) -> bool:
        first = await _peek(sock, 16)
        if first[:1] == b"\x16":
            return self._tls is not None
        if not first.startswith(b"OPTIONS ") or self._tls is None:
            return False
        head = first
        while b"\r\n\r\n" not in head and len(head) < 4096:
            head = await _peek(sock, 4096, longer_than=len(head))
        if b"upgrade: tls/" not in head.lower() or b"\r\n\r\n" not in head:
            return False
        loop = asyncio.get_running_loop()
        await loop.sock_recv(sock, head.index(b"\r\n\r\n") + 4)
        answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2,HTTP/1.1\r\n\r\n"
        await loop.sock_sendall(sock, answer)
        return True


async def _peek(sock: socket.socket, most: int, longer_than: int = 0) -> bytes:
    """The first bytes of a connection, left where they are."""
    loop = asyncio.get_running_loop()
    while True:
        readable = asyncio.Event()
        loop.add_reader(sock, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(sock)
        with contextlib.suppress(BlockingIOError):
            first = sock.recv(most, socket.MSG_PEEK)
            if not first:
                raise ConnectionResetError("closed before a byte was sent")
            if len(first) > longer_than:
                return first
        await asyncio.sleep(0.05)
