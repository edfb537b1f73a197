"""One request on its way through the WSGI application: in a thread, a piece at a time.

A thread makes what the client can take and is free again; another goes on when the client has taken it. Only live pages
(server-sent events) keep theirs, because they wait for something to say; the application counts them.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import structlog

from appliance.http_port.limits import PIECE_BYTES

log = structlog.get_logger("http")

Headers = list[tuple[str, str]]
# Said by us: these belong to a connection, not to an answer (RFC 9110 §7.6.1).
_NOT_THE_APPLICATIONS = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "server", "date")
)


class After(Enum):
    """What comes after a part of an answer."""

    MORE = "more"  # at once: the thread goes on
    PAUSED = "paused"  # nothing, until a thread is given again
    ENDED = "ended"
    FAILED = "failed"  # the application did not come to its end


@dataclass(frozen=True)
class Part:
    """What a thread has made."""

    data: bytes
    after: After


class Answer:
    """What the application answers. advance() and close() run in threads, never two at once."""

    def __init__(self, application: Any, environ: dict[str, Any], deliver: Callable[[Part], None]) -> None:
        """
        Args:
            application: of WSGI.
            environ: with wsgi.input.
            deliver: is given each part, in the thread that made it.
        """
        self.status, self.headers = "", Headers()
        self.length: int | None = None  # as the application says
        self.is_live = False  # each word at once: the application waits until there is something to say
        self.is_given_up = False  # nobody takes it any more
        self._application, self._environ, self._deliver = application, environ, deliver
        self._written: list[bytes] = []  # by the function that start_response returns
        self._iterable: Iterable[bytes] | None = None
        self._iterator: Iterator[bytes] | None = None
        self._context = contextvars.copy_context()  # its own, though threads change

    def advance(self) -> None:
        """Make a piece and deliver it."""
        try:
            part = self._context.run(self._advance)
        except BaseException as error:
            log.exception("http.failed", path=self._environ.get("PATH_INFO"), error=repr(error))
            part = Part(b"", After.FAILED)
        if part.after is not After.PAUSED:
            self.close()
        self._deliver(part)

    def close(self) -> None:
        """Let the application, and what it reads, go."""
        iterable, self._iterable = self._iterable, None
        try:
            self._context.run(getattr(iterable, "close", lambda: None))
        except Exception as error:
            log.exception("http.failed_at_its_end", path=self._environ.get("PATH_INFO"), error=repr(error))
        self._environ["wsgi.input"].close()

    def _advance(self) -> Part:
        if self._iterator is None:
            self._iterable = self._application(self._environ, self._start)
            self._iterator = iter(self._iterable)
        made, pieces = 0, self._written
        self._written = []
        for piece in self._iterator:
            if self.is_given_up:
                return Part(b"", After.ENDED)
            pieces.append(piece)
            made += len(piece)
            if made >= PIECE_BYTES:
                return Part(b"".join(pieces), After.PAUSED)
            if self.is_live and piece:
                self._deliver(Part(b"".join(pieces), After.MORE))
                pieces = []
        return Part(b"".join(pieces), After.ENDED)

    def _start(self, status: str, headers: Headers, _exception: Any = None) -> Callable[[bytes], None]:
        self.status = status
        self.headers = [(name, value) for name, value in headers if name.lower() not in _NOT_THE_APPLICATIONS]
        said = {name.lower(): value for name, value in headers}
        self.length = int(said["content-length"]) if "content-length" in said else None
        self.is_live = said.get("content-type", "").startswith("text/event-stream")
        return self._written.append
