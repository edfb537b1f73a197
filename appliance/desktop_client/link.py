"""One call to a box: HTTP, or TLS with a certificate that is known by its fingerprint."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit


class SyncError(Exception):
    """The box refused; `status`, `code`, `field` and `hint` are its own."""

    def __init__(self, status: int, error: Mapping[str, str], headers: Mapping[str, str] | None = None) -> None:
        self.status, self.code, self.headers = status, error.get("code", ""), headers or {}
        self.field, self.hint = error.get("field", ""), error.get("hint", "")
        field = f"{self.field}: " if self.field else ""
        super().__init__(f"{field}{error.get('message', f'HTTP {status}')}{f' ({self.hint})' if self.hint else ''}")


class WrongBox(Exception):
    """Another machine answers where the box was; nothing was sent to it."""


@dataclass(frozen=True)
class Answer:
    """What the box answered."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


class _PinnedConnection(http.client.HTTPSConnection):
    """TLS to a box whose certificate nobody signed: it is known by its SHA-256."""

    def __init__(self, host: str, port: int, timeout: float, fingerprint: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # boxes change their addresses
        context.verify_mode = ssl.CERT_NONE  # compared below, before anything is sent
        super().__init__(host, port, timeout=timeout, context=context)
        self._fingerprint = fingerprint
        self.seen = ""

    def connect(self) -> None:
        """Connect, and look whom we reached."""
        super().connect()
        certificate = self.sock.getpeercert(binary_form=True) if isinstance(self.sock, ssl.SSLSocket) else None
        self.seen = hashlib.sha256(certificate or b"").hexdigest()
        if self._fingerprint and self.seen != self._fingerprint:
            self.close()
            raise WrongBox(f"the machine at {self.host}:{self.port} is not the box that this client was paired with")


def fingerprint_at(url: str, timeout_s: float = 10) -> str:
    """The SHA-256 of the certificate at an https address."""
    parts = urlsplit(url)
    connection = _PinnedConnection(parts.hostname or "", parts.port or 443, timeout_s, "")
    try:
        connection.connect()
        return connection.seen
    finally:
        connection.close()


def call(
    url: str,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    body: bytes | IO[bytes] | None = None,
    fingerprint: str = "",
    timeout_s: float = 30,
) -> Answer:
    """One request and its answer.

    Args:
        url: of the box, such as https://printroom.local:8080.
        method: of HTTP.
        path: on the box, with its query.
        headers: to send.
        body: bytes, or a file at the byte from which it is sent (then with a Content-Length).
        fingerprint: that the certificate must have; empty: any.
        timeout_s: of each step.

    Raises:
        SyncError: the box answered with an error.
        OSError, http.client.HTTPException: it could not be reached, or the connection broke.
        WrongBox: another machine answers there.
    """
    parts = urlsplit(url)
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = _PinnedConnection(
            parts.hostname or "", parts.port or 443, timeout_s, fingerprint
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)
    try:
        try:
            connection.request(method, path, body, dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            # A box that refuses a body says so and closes; what it said is still to be read.
            if not isinstance(connection.sock, socket.socket):
                raise
        answer = connection.getresponse()
        raw = answer.read()
        told = dict(answer.getheaders())
    finally:
        connection.close()
    try:
        content = json.loads(raw) if raw else {}
    except ValueError:
        content = {}
    if answer.status >= 400:
        error = content.get("error") if isinstance(content, dict) else None
        raise SyncError(answer.status, error if isinstance(error, dict) else {}, told)
    if not isinstance(content, dict):
        raise http.client.HTTPException("the answer is not from a box")
    return Answer(answer.status, told, content)
