"""How a printer lets us in: its certificate, trusted on first use, and a name and password where it wants them."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from ipp.errors import PrinterUnreachable
from store.records import Printer

TLS_LIMIT_S = 8.0
_IPP_PORT = 631


@dataclass(frozen=True)
class Access:
    """What one printer wants and shows."""

    username: str = ""
    password: str = ""
    fingerprint: str = ""  # SHA-256 of its certificate (DER) in hex; empty: none is known yet

    @classmethod
    def of(cls, printer: Printer) -> Access:
        """As the studio entered it, and as it was seen first."""
        return cls(printer.username, printer.password, printer.fingerprint)

    @property
    def verify(self) -> Any:
        """For aiohttp's `ssl`: only the certificate that is known; any, while none is."""
        return aiohttp.Fingerprint(bytes.fromhex(self.fingerprint)) if self.fingerprint else False


class Digest:
    """A session that answers HTTP Digest challenges (RFC 7616), and Basic ones (RFC 7617) where that is all there is.

    Which of them a printer wants is learned from its first answer, before any document is sent.
    """

    _wants_basic: set[str] = set()  # noqa: RUF012  (by origin; learned once for all requests)

    def __init__(self, session: aiohttp.ClientSession, access: Access) -> None:
        self._session, self._access = session, access

    async def request(self, method: str, url: Any, **options: Any) -> aiohttp.ClientResponse:
        """As aiohttp.ClientSession.request."""
        options.pop("auth", None)
        origin, login = str(url.origin()), (self._access.username, self._access.password)
        if origin not in self._wants_basic:
            middleware = aiohttp.DigestAuthMiddleware(*login)
            answer = await self._session.request(method, url, middlewares=(middleware,), **options)
            challenge = answer.headers.get("WWW-Authenticate", "").lower()
            if answer.status != 401 or "basic" not in challenge or not isinstance(options.get("data"), bytes):
                return answer
            answer.close()
            self._wants_basic.add(origin)
        headers = {**options.pop("headers", {}), "Authorization": aiohttp.encode_basic_auth(*login)}
        return await self._session.request(method, url, headers=headers, **options)


async def fingerprint_of(uri: str) -> str:
    """The SHA-256 of the certificate that a printer shows, in hex.

    Raises:
        PrinterUnreachable: it does not answer, or not with TLS.
    """
    address = urlsplit(uri)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is compared with what it was, not with a CA
    try:
        async with asyncio.timeout(TLS_LIMIT_S):
            _, writer = await asyncio.open_connection(address.hostname, address.port or _IPP_PORT, ssl=context)
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise PrinterUnreachable(f"{uri} does not answer with TLS: is it switched on and on the network?") from error
    with _closing(writer):
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest()


@contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.transport.abort()  # nothing is owed: no byte was sent
