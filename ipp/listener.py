"""Accepting connections on an event loop, whatever the system answers: without descriptors it waits and goes on."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger("listener")

AT_ONCE = 64  # before the loop's other work has its turn
PAUSE_S = 0.25  # without descriptors
SAY_AGAIN_S = 60.0
# The connection is gone before it was here (accept(2), "Error handling"). All else is a lack of something.
_GONE = frozenset(
    (
        *(errno.ECONNABORTED, errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET),
        *(errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM),
    )
)


class Listener:
    """One listening socket."""

    def __init__(
        self,
        sock: socket.socket,
        taken: Callable[[socket.socket, Any], None],
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            sock: bound and listening.
            taken: is given each new connection and the other side's address.
            make_room: called when there are no descriptors: closes what can be closed.
        """
        self._sock, self._taken, self._make_room = sock, taken, make_room
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._said_at = -SAY_AGAIN_S
        sock.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more; the socket stays open."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _GONE:
                    continue
                self._wait(error)
                return
            self._taken(sock, address)

    def _wait(self, error: OSError) -> None:
        """The listener stays readable: looking again at once would only burn the processor."""
        now = self._loop.time()
        if now - self._said_at >= SAY_AGAIN_S:
            self._said_at = now
            log.error("listener.cannot_accept", error=str(error), effect="new connections wait; idle ones are closed")
        self._make_room()
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(PAUSE_S, self._listen)


async def first_byte(sock: socket.socket) -> bytes:
    """The first byte of a connection, left where it is.

    Raises:
        ConnectionError: closed before a byte was sent.
        OSError: broken.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            first = sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            readable = asyncio.Event()
            loop.add_reader(sock, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(sock)
            continue
        if not first:
            raise ConnectionResetError("closed before a byte was sent")
        return first
