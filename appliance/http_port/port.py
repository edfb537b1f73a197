"""Listening, greeting and watching: every connection of the port, from accept to its end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import structlog
from aiohttp import web

from appliance.http_port.connection import Connection
from appliance.http_port.exchange import Exchanges
from appliance.http_port.limits import Limits
from ipp.listener import Listener, first_byte
from ipp.open_connections import FEWEST, OpenConnections, Stage, TooMany, descriptors_for

log = structlog.get_logger("http")

WATCH_EVERY_S = 1.0
_LOOK_AT_DESCRIPTORS_EVERY = 5  # times of these
_SAY_AGAIN_S = 60.0
KEEPING_S = 2.0
# Requests that are on their way already still find us; who is slow does not keep us.
PATIENCE_WHEN_STOPPING_S = {Stage.WAITING: 2.0, Stage.MOVING: 3.0}
_ROOM_FOR_ALL_ELSE = 32  # descriptors that are freed at once when there are none
_TLS_HANDSHAKE = b"\x16"  # begins a TLS record of that type (RFC 8446 §5.1), and no HTTP request
_HOW = {
    "logger": logging.getLogger("http"),
    "access_log": None,
    "auto_decompress": False,  # what a body is, is the application's business
    "keepalive_timeout": 24 * 3600,  # Connection has its own limits
    "lingering_time": 0,
    "read_bufsize": 64 * 1024,
}


class Port:
    """Listening sockets, and the connections that came by them."""

    def __init__(self, exchanges: Exchanges, tls: ssl.SSLContext | None, limits: Limits) -> None:
        """
        Args:
            exchanges: answer requests.
            tls: for connections that begin so; None: there is no TLS.
            limits: see there.
        """
        self._exchanges, self._tls, self._limits = exchanges, tls, limits
        self._loop = asyncio.get_running_loop()
        self._server = web.Server(exchanges, **_HOW)  # type: ignore[arg-type]
        self._open: OpenConnections[Connection] = OpenConnections(min(limits.connections, descriptors_for(0)))
        self._listeners: list[Listener] = []
        self._said_at, self._said = -_SAY_AGAIN_S, 0
        self._watching = asyncio.create_task(self._watch())

    def listen(self, sockets: Sequence[Any]) -> None:
        """Accept connections; http and https share each port."""
        for sock in sockets:
            self._listeners.append(Listener(sock, self._taken, self._make_room))

    async def stop(self, within_s: float) -> None:
        """Accept no more, let what is under way come to its end, and close all."""
        for listener in self._listeners:
            listener.close()
        self._exchanges.is_stopping = True
        began = self._loop.time()
        while (spent := self._loop.time() - began) < within_s and len(self._open):
            stage = max(one.stage for one in self._open)
            if spent > PATIENCE_WHEN_STOPPING_S.get(stage, within_s):
                break
            await asyncio.sleep(0.05)
        self._watching.cancel()
        for one in list(self._open):
            one.end()
        ended_at = self._loop.time()  # what came of uploads that broke off now is kept as well
        while self._loop.time() - ended_at < KEEPING_S and len(self._open):
            await asyncio.sleep(0.02)
        self._exchanges.close()

    # -- coming and going -----------------------------------------------------------------------------------------

    def _taken(self, sock: socket.socket, there: tuple[Any, ...]) -> None:
        connection = Connection(self._server, sock.getsockname(), there, self._limits.slow_client_s, **_HOW)
        try:
            self._open.add(connection)
        except TooMany:
            sock.close()
            return
        connection.on_over = self._open.remove
        connection.greeting = greeting = asyncio.create_task(self._greet(connection, sock))

        def greeted(task: asyncio.Task[None]) -> None:
            """Also of a task that was ended before it began."""
            connection.greeting = None
            if task.cancelled() or (error := task.exception()) is not None:
                sock.close()  # where the loop has it already, the loop closes it: then this does nothing
                self._open.remove(connection)
            if not task.cancelled() and error is not None:
                log.debug("http.greeting", address=connection.address, error=repr(error))

        greeting.add_done_callback(greeted)

    async def _greet(self, connection: Connection, sock: socket.socket) -> None:
        """See whether it is TLS, and give it to HTTP."""
        sock.setblocking(False)
        # Who takes nothing, dead or not, is gone after a while, whatever the kernel still has to send.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(3000 * self._limits.slow_client_s))
        connection.is_tls = self._tls is not None and await first_byte(sock) == _TLS_HANDSHAKE
        limit = self._limits.slow_client_s if connection.is_tls else None
        await self._loop.connect_accepted_socket(
            lambda: connection,
            sock,
            ssl=self._tls if connection.is_tls else None,
            ssl_handshake_timeout=limit,
            ssl_shutdown_timeout=limit,
        )

    # -- deadlines and room ---------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        times = 0
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            now = self._loop.time()
            for one in [one for one in self._open if one.ends_at < now]:
                one.end()
            times += 1
            if times % _LOOK_AT_DESCRIPTORS_EVERY == 0:
                self._fit_descriptors()
            if self._open.ended > self._said and now - self._said_at > _SAY_AGAIN_S:
                ended = self._open.ended - self._said
                log.warning("http.crowded", ended=ended, open=len(self._open), last_of=self._open.ended_last)
                self._said, self._said_at = self._open.ended, now

    def _fit_descriptors(self) -> None:
        try:
            fitting = descriptors_for(len(self._open))
        except OSError:
            fitting = len(self._open) - _ROOM_FOR_ALL_ELSE
        self._open.most = min(self._limits.connections, max(fitting, FEWEST))

    def _make_room(self) -> None:
        """The process is out of descriptors: what waits for clients goes, so that all else can go on."""
        self._fit_descriptors()
        self._open.shrink(min(self._open.most, len(self._open) - _ROOM_FOR_ALL_ELSE))
