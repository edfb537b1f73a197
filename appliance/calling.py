"""Calling addresses that may answer anything, or nothing: with limits on time and on bytes.

A slow or silent address costs its limit, never more; what answers is read no further than needed.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from appliance.names import readable
from store.clock import MachineTime

CONNECT_LIMIT_S = 5.0  # for each of the addresses that a name has
ANSWER_LIMIT_S = 15.0  # from the connection to the end of what we read
MOST_ANSWER_BYTES = 64_000
MOST_SHOWN = 150

_monotonic = MachineTime().monotonic  # what a network takes passes by no other clock


class Unanswered(Exception):
    """Nobody understandable answered; says why, after "it"."""


class TooMuch(OSError):
    """The other end says more than anybody who means it."""


class Limited(io.RawIOBase):
    """What comes in over a connection: until a moment, and no more than so many bytes."""

    def __init__(self, connection: socket.socket, ends_s: float, most: int = MOST_ANSWER_BYTES) -> None:
        """
        Args:
            connection: an open socket.
            ends_s: when to stop, as `deadline` has it.
            most: bytes.
        """
        self._connection, self._ends_s, self._left = connection, ends_s, most
        self.has_ended = False  # the other end closed

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is.

        Raises:
            TimeoutError: the time is over.
            TooMuch: more came than is read.
        """
        if self._left <= 0:
            raise TooMuch(f"more than {MOST_ANSWER_BYTES // 1000} KB")
        self._connection.settimeout(remaining_s(self._ends_s))
        got = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= got
        self.has_ended = got == 0
        return got


class _Wire:
    """A socket as http.client uses one, with limits."""

    def __init__(self, connection: socket.socket, ends_s: float) -> None:
        self._connection, self._ends_s = connection, ends_s
        self.answer = Limited(connection, ends_s)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # over TLS, sendall() gives each part the whole time
            self._connection.settimeout(remaining_s(self._ends_s))
            view = view[self._connection.send(view) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.answer)

    def close(self) -> None:
        self._connection.close()


def deadline(limit_s: float) -> float:
    """The moment in so many seconds."""
    return _monotonic() + limit_s


def remaining_s(ends_s: float) -> float:
    """Seconds until a moment.

    Raises:
        TimeoutError: it has passed.
    """
    left_s = ends_s - _monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """Send something, and return the status of the answer. Redirects are not followed: they would carry what is sent to
    where nobody configured it to go.

    Args:
        url: http or https.
        headers: of the request.
        body: of it.

    Raises:
        Unanswered: says why.
    """
    try:
        return _post(urlsplit(url), headers, body)
    except (OSError, http.client.HTTPException, ValueError) as error:  # UnicodeError is a ValueError
        raise Unanswered(why(error)) from error


def _post(parts: SplitResult, headers: Mapping[str, str], body: bytes) -> int:
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError("no host")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=CONNECT_LIMIT_S)
    target = quote(parts.path or "/", safe="/%:=&?~#+!$,;'@()*[]")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:=&?~#+!$,;'@()*[]")
    try:
        connection.connect()
        wire = _Wire(connection.sock, deadline(ANSWER_LIMIT_S))
        connection.sock = wire
        connection.request("POST", target, body, dict(headers))
        with connection.getresponse() as answer:
            if wire.answer.has_ended:  # before the end of the head: what stands in it counts only when it is whole
                raise http.client.IncompleteRead(b"")
            return answer.status
    finally:
        connection.close()


def why(error: Exception) -> str:
    """Why a call failed, for people, after "it"."""
    match error:
        case socket.gaierror():
            return f"has a name that cannot be found ({_said(error)})"
        case ssl.SSLCertVerificationError():
            return f"shows a certificate that is not good ({readable(error.verify_message, MOST_SHOWN)})"
        case ssl.SSLError():
            return f"does not speak TLS as this box does ({_said(error)})"
        case TooMuch():
            return f"answers without an end ({error})"
        case http.client.IncompleteRead():
            return "closed the connection in the middle of its answer"
        case http.client.RemoteDisconnected():
            return "closed the connection without an answer"
        case http.client.InvalidURL():
            return f"has an address that cannot be used ({_said(error)})"
        case http.client.HTTPException():
            return f"does not answer as a web server does ({type(error).__name__}: {_said(error)})"
        case TimeoutError():
            return "did not answer in time"
        case OSError():
            return f"cannot be reached ({_said(error)})"
        case _:
            return f"has an address that cannot be used ({_said(error)})"


def _said(error: Exception) -> str:
    return readable(getattr(error, "strerror", None) or str(error) or type(error).__name__, MOST_SHOWN)
