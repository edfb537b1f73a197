"""From a request's head to the end of its answer: everything that a client can make slow is waited for here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from aiohttp import web

from appliance.http_port.answer import After, Answer, Part
from appliance.http_port.connection import SERVER, Connection, refusal
from appliance.http_port.environ import BadHead, environ_of
from appliance.http_port.limits import DRAIN_S, SMALL_BODY_BYTES, Limits
from appliance.http_port.request_body import Body, End, drain, receive
from appliance.http_port.turns import Turns
from appliance.http_port.work import Work
from ipp.open_connections import Stage
from web.bodies import BodyRule

_STEP = 64 * 1024  # of an answer that is being sent: the time limit is for each


class Exchanges:
    """Answers requests with a WSGI application."""

    def __init__(self, application: Any, rule_of: Callable[[dict[str, Any]], BodyRule], limits: Limits) -> None:
        """
        Args:
            application: of WSGI.
            rule_of: tells from an environ how large a body may be; called in a thread.
            limits: see there.
        """
        self._application, self._rule_of, self._limits = application, rule_of, limits
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="http")
        self._disk = ThreadPoolExecutor(2, thread_name_prefix="http-bodies")
        self._turns = Turns(limits.threads, limits.threads_of_one)
        self.is_stopping = False

    def close(self) -> None:
        """Begin nothing more; what is in a thread comes to its end there."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._disk.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request whose head has come."""
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101  (no others are made)
        connection.begin(request.content)
        try:
            return await self._answered(request, connection)
        finally:
            connection.finish()

    async def _answered(self, request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        if request.method == "CONNECT":
            return refusal(405, "this is no proxy")
        try:
            environ = environ_of(request, connection.is_tls, connection.here, connection.there)
        except BadHead as error:
            return refusal(400, str(error))
        expects = request.headers.get("Expect", "").lower() if request.version >= (1, 1) else ""
        if expects not in ("", "100-continue"):
            return refusal(417, "no such expectation is met here")
        body = Body(self._limits.spool, self._limits.min_free_bytes)
        if not request.content.at_eof():
            refused: web.Response | None = None
            is_for_application = False
            try:
                refused = await self._receive(request, connection, environ, body, bool(expects))
                is_for_application = refused is None
            finally:
                if not is_for_application:
                    with contextlib.suppress(RuntimeError):  # all is over
                        self._disk.submit(body.close)
            if refused is not None:
                return await self._refuse(request, refused, body.end)
        if "HTTP_TRANSFER_ENCODING" in environ and body.end in (End.WHOLE, End.TOO_LARGE):
            # Its length is known now, and the application can see whether it is too large.
            del environ["HTTP_TRANSFER_ENCODING"]
            environ["CONTENT_LENGTH"] = str(body.size)
        environ["wsgi.input"] = body.as_input()
        return await self._run(request, connection, environ, body.end)

    # -- the body -------------------------------------------------------------------------------------------------

    async def _receive(
        self, request: web.BaseRequest, connection: Connection, environ: dict[str, Any], body: Body, asks_first: bool
    ) -> web.Response | None:
        """Take the body in; a refusal when the application need not be asked."""
        asks_first = asks_first and not request.content.total_bytes
        said = request.content_length
        rule: BodyRule | None = None
        most = SMALL_BODY_BYTES
        if said is not None and said > most:
            rule = await self._rule(connection, environ)
            most = rule.most_bytes
            if said > most:
                body.end = End.TOO_LARGE
                return None
        await receive(request, body, most, self._limits, self._disk, asks_first)
        if body.end is End.TOO_LARGE and rule is None:
            rule = await self._rule(connection, environ)
            if body.size <= rule.most_bytes:
                await receive(request, body, rule.most_bytes, self._limits, self._disk, False)
        if body.end in (End.BROKEN_OFF, End.TOO_SLOW) and body.size:
            rule = rule or await self._rule(connection, environ)
            if rule.keeps_parts:
                return None
        match body.end:
            case End.BROKEN_OFF:
                raise ConnectionResetError("the body ended early")
            case End.TOO_SLOW:
                return refusal(408, "the body came too slowly")
            case End.MALFORMED:
                return refusal(400, "the body is not in chunks as it says")
            case End.WHOLE | End.TOO_LARGE | End.NO_ROOM:
                return None

    async def _rule(self, connection: Connection, environ: dict[str, Any]) -> BodyRule:
        stage = connection.stage
        connection.enter(Stage.QUEUED)
        await self._turns.enter(connection.address)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._rule_of, dict(environ))
        finally:
            self._turns.leave(connection.address)
            connection.enter(stage)

    async def _refuse(self, request: web.BaseRequest, response: web.Response, end: End) -> web.Response:
        await self._in_time(request, self._whole(request, response))
        await self._see_off(request, end)
        return response

    async def _see_off(self, request: web.BaseRequest, end: End) -> None:
        """The answer has gone before the body has come: let the client come to hear it, instead of a broken pipe."""
        if request.content.at_eof() or end in (End.TOO_SLOW, End.BROKEN_OFF):
            return
        if request.transport is not None and request.transport.can_write_eof():
            request.transport.write_eof()
        await drain(request.content, self._limits, DRAIN_S)

    # -- the answer -----------------------------------------------------------------------------------------------

    async def _run(
        self, request: web.BaseRequest, connection: Connection, environ: dict[str, Any], end: End
    ) -> web.StreamResponse:
        work = Work(self._application, environ, connection, self._threads, self._turns)
        connection.on_gone = work.give_up
        try:
            part = await work.next()
            if part.after is After.FAILED:
                return refusal(500, "something went wrong inside the box; it is in the log")
            response = _response(request, work.answer, part)
            if end is not End.WHOLE or self.is_stopping or (connection.is_half_closed and not connection.has_more):
                response.force_close()
            if isinstance(response, web.Response) and request.content.at_eof():
                return response  # the usual: aiohttp sends it in one go
            await self._send(request, response, work, part)
            await self._see_off(request, end)
            return response
        finally:
            work.give_up()

    async def _send(self, request: web.BaseRequest, response: web.StreamResponse, work: Work, part: Part) -> None:
        """Send an answer as the client takes it."""
        if isinstance(response, web.Response):
            await self._in_time(request, self._whole(request, response))
            return
        await response.prepare(request)
        sent = 0
        while True:
            for start in range(0, len(part.data), _STEP):
                await self._in_time(request, response.write(memoryview(part.data)[start : start + _STEP]))
            sent += len(part.data)
            if part.after is After.ENDED:
                break
            part = await work.next()
            if part.after is After.FAILED:
                raise ConnectionResetError("the application failed in the middle")
        if sent < (work.answer.length or 0):
            raise ConnectionResetError("the application said less than it had announced")
        await self._in_time(request, response.write_eof())

    async def _whole(self, request: web.BaseRequest, response: web.Response) -> None:
        await response.prepare(request)
        await response.write_eof()

    async def _in_time(self, request: web.BaseRequest, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._limits.slow_client_s):
                await sending
        except TimeoutError:
            cast(Connection, request.protocol).end()
            raise ConnectionResetError("the answer was not taken") from None


def _response(request: web.BaseRequest, answer: Answer, part: Part) -> web.StreamResponse:
    """The head of an answer; with the answer itself when that is short, or there is none to send."""
    code, _, reason = answer.status.partition(" ")
    headers = [*((name, _as_sent(value)) for name, value in answer.headers), ("Server", SERVER)]
    status = int(code)
    if request.method == "HEAD" or status in (204, 304):
        return web.Response(status=status, reason=reason, headers=headers)
    if part.after is After.ENDED and len(part.data) <= _STEP and len(part.data) >= (answer.length or 0):
        return web.Response(status=status, reason=reason, headers=headers, body=part.data)
    return web.StreamResponse(status=status, reason=reason, headers=headers)


def _as_sent(value: str) -> str:
    """WSGI's strings are bytes in latin-1; aiohttp sends text as UTF-8."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8", "replace")
