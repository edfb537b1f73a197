"""One connection of a client, from its first byte to its end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from ipp.open_connections import Stage

SERVER = "Printroom"


class Connection(web.RequestHandler):
    """A connection with its stage, and the time at which it ends unless it has moved on by then.

    aiohttp reads and writes HTTP; this adds what it does not have: deadlines, and being counted.
    """

    def __init__(
        self, server: web.Server, here: tuple[Any, ...], there: tuple[Any, ...], slow_client_s: float, **how: Any
    ) -> None:
        """
        Args:
            server: of aiohttp.
            here: address and port that were reached.
            there: address and port of the client.
            slow_client_s: how long a client may take for a head, and between two requests.
            how: see aiohttp's RequestHandler.
        """
        super().__init__(server, loop=asyncio.get_running_loop(), **how)
        self.here, self.there, self.address = here, there, str(there[0])
        self.is_tls = False
        self.is_gone = False
        self.on_gone: Callable[[], None] | None = None  # called when the client goes in the middle of a request
        self.on_over: Callable[[Connection], None] | None = None  # it is closed, and its request answered
        self.greeting: asyncio.Task[None] | None = None
        self.body: StreamReader | None = None  # of the request that is being answered
        self.is_asked = False  # a request has come whose answer has not gone
        self.is_half_closed = False
        self._slow_client_s = slow_client_s
        self._wire: asyncio.Transport | None = None
        self.stage, self.since = Stage.WAITING, self._loop.time()
        self.ends_at = self.since + slow_client_s

    def enter(self, stage: Stage) -> None:
        """Go on to another stage; waiting has its limit, the others have theirs where they happen."""
        self.stage, self.since = stage, self._loop.time()
        self.ends_at = self.since + self._slow_client_s if stage is Stage.WAITING else math.inf

    def begin(self, body: StreamReader) -> None:
        """A request is being answered."""
        self.body = body
        self.enter(Stage.MOVING)

    def finish(self) -> None:
        """It was answered, or will never be."""
        self.body = self.on_gone = None
        self.is_asked = self.has_more
        if self.is_half_closed and not self.is_asked:
            self.close()  # when the answer has gone
        self.enter(Stage.WAITING)
        self._tell_when_over()

    def _tell_when_over(self) -> None:
        """A client that went away counts until its request is answered: it cannot queue more than it may."""
        if self.is_gone and self.body is None and self.on_over is not None:
            self.on_over(self)

    @property
    def has_more(self) -> bool:
        """Whether another request has come already (pipelining)."""
        return bool(self._messages)

    def end(self) -> None:
        """Close it now, whatever is under way."""
        if self._wire is not None:
            self._wire.abort()
        elif self.greeting is not None:
            self.greeting.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._wire = cast(asyncio.Transport, transport)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        if not self.has_more:
            return
        self.is_asked = True
        if not isinstance(self._messages[-1][0], RawRequestMessage):  # what came is no HTTP: nor will the rest be
            body = self._unfinished_body()
            if body is not None:
                body.set_exception(web.RequestPayloadError("no chunk where one should be"))

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client that has sent all it wanted may still wait for the answer (RFC 9112 §9.6)."""
        is_whole = self._unfinished_body() is None
        self.is_half_closed = self.is_asked and is_whole and not self.is_tls  # TLS ends both ways at once
        return self.is_half_closed

    def _unfinished_body(self) -> StreamReader | None:
        bodies = [self.body, *(body for _, body in self._messages)]
        return next((body for body in bodies if body is not None and not body.is_eof()), None)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See asyncio.Protocol."""
        self.is_gone = True
        super().connection_lost(exc)
        if self.on_gone is not None:
            self.on_gone()
        self._tell_when_over()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP, or too much of it; faults of ours are logged where they happen."""
        if isinstance(exc, ConnectionError) or request.writer.output_size > 0:
            raise ConnectionResetError("it ends here") from exc
        if isinstance(exc, LineTooLong):
            is_target = bytes(exc.args[0]).startswith((b"/", b"http"))
            status, text = (414, "the address is too long") if is_target else (431, "a header is too long")
        elif isinstance(exc, BadHttpMessage) and "Too many headers" in exc.message:
            status, text = 431, "too many headers"
        elif status == 400:
            text = "this is not a request that can be understood"
        else:
            self.log_exception("Error handling request", exc_info=exc)
            text = "something went wrong inside the box; it is in the log"
        del message
        return refusal(status, text)


def refusal(status: int, text: str) -> web.Response:
    """An answer of ours, before the application has anything to say; the connection ends with it."""
    headers = {"Server": SERVER, "X-Content-Type-Options": "nosniff"}
    response = web.Response(status=status, text=f"{text}\n", headers=headers)
    if status in (429, 503):
        response.headers["Retry-After"] = "10"
    response.force_close()
    return response
