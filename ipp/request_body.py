"""What follows an HTTP head: an IPP message, and a document that is put on the disk as it comes.

A body that ends early is an abort, never half a document; what is larger than allowed, or comes too slowly, as well.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import StreamReader

from ipp import codec
from ipp.attributes import Status, attribute
from ipp.errors import MessageError, MessageIncomplete
from ipp.served import Received, Refusal

MAX_HEAD_BYTES = 256 * 1024
STALL_LIMIT_S = 20.0  # without a single byte
SLOWEST_BYTES_PER_S = 2_000  # on average, after the first half minute
_GRACE_S = 30.0
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"%PDF-", "application/pdf"),
    (b"RaS2", "image/pwg-raster"),
    (b"UNIRAST\0", "image/urf"),
)


class TooSlow(Exception):
    """A client that holds a connection without using it."""


class Body:
    """A request's body, read once, from its beginning to its end."""

    def __init__(self, content: StreamReader, stall_limit_s: float = STALL_LIMIT_S) -> None:
        self._content, self._stall_limit_s = content, stall_limit_s
        self._began = time.monotonic()
        self._count = 0
        self._rest = b""

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._stall_limit_s):
                    chunk = await self._content.readany()
            except TimeoutError as error:
                raise TooSlow from error
            if not chunk and self._content.at_eof():
                return
            self._count += len(chunk)
            spent_s = time.monotonic() - self._began
            if spent_s > _GRACE_S and self._count < (spent_s - _GRACE_S) * SLOWEST_BYTES_PER_S:
                raise TooSlow
            yield chunk

    async def head(self) -> codec.Message:
        """The IPP message.

        Raises:
            MessageError: it is none, or too long.
            TooSlow, OSError: the link.
        """
        buffer = bytearray()
        look_at = 8  # not after each byte of a dripping client
        async for chunk in self._chunks():
            buffer += chunk
            if len(buffer) < look_at:
                continue
            try:
                message, end = codec.decode(buffer)
            except MessageIncomplete:
                if len(buffer) > MAX_HEAD_BYTES:
                    raise MessageError(f"the attributes take more than {MAX_HEAD_BYTES} bytes") from None
                look_at = len(buffer) * 5 // 4
                continue
            self._rest = bytes(buffer[end:])
            return message
        message, end = codec.decode(buffer)
        self._rest = bytes(buffer[end:])
        return message

    async def document(
        self, target: Path, compression: str, most_bytes: int, stated: str, name: str
    ) -> Received | None:
        """Put the document that follows on the disk; None when there is none. Nothing stays after an error.

        Args:
            target: the new file.
            compression: none, gzip or deflate.
            most_bytes: after decompressing.
            stated: the format, as the client says; its first bytes tell where it leaves that open.
            name: the document's.

        Raises:
            Refusal: too large, not what it says, or not decompressible.
            TooSlow, OSError: the link.
        """
        expander = _Expander(compression)
        size, first = 0, b""
        try:
            with target.open("wb") as file:
                async for chunk in self._document_chunks():
                    for piece in expander.feed(chunk):
                        size += len(piece)
                        if size > most_bytes:
                            raise Refusal(
                                Status.REQUEST_ENTITY_TOO_LARGE, f"documents have {most_bytes // 1_000_000} MB at most"
                            )
                        if len(first) < 16:
                            first += piece[:16]
                        file.write(piece)
            expander.finish()
            document_format = _settled_format(stated, first) if size else ""
        except BaseException as error:
            target.unlink(missing_ok=True)
            if isinstance(error, OSError) and not isinstance(error, ConnectionError):
                raise Refusal(
                    Status.TEMPORARY_ERROR, f"the box cannot keep the document ({error.strerror}): try again later"
                ) from error
            raise
        if not size:
            target.unlink()
            return None
        return Received(target, size, document_format, name)

    async def _document_chunks(self) -> AsyncIterator[bytes]:
        if self._rest:
            yield self._rest
            self._rest = b""
        async for chunk in self._chunks():
            yield chunk


def make_durable(document: Received) -> None:
    """See to it that a document survives a power cut, its place in the folder included."""
    for path in (document.path, document.path.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _settled_format(stated: str, first: bytes) -> str:
    found = next((name for magic, name in _MAGIC if first.startswith(magic)), "")
    if stated in ("", "application/octet-stream"):
        if not found:
            raise Refusal(
                Status.DOCUMENT_FORMAT_NOT_SUPPORTED, "neither JPEG, PNG, PDF, PWG raster nor URF: send one of them"
            )
        return found
    if found != stated:
        what = f"it begins as {found}" if found else "it does not begin like one"
        raise Refusal(
            Status.DOCUMENT_FORMAT_ERROR, f"the document is said to be {stated}, but {what}: send what it is",
            [attribute("document-format", stated)],
        )  # fmt: skip
    return stated


class _Expander:
    """gzip, deflate or nothing, in pieces of limited size: a small bomb cannot fill the memory."""

    _PIECE = 256 * 1024

    def __init__(self, compression: str) -> None:
        self._kind = compression
        self._inflate: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> list[bytes] | _Pieces:
        """What a chunk becomes."""
        if self._kind in ("", "none") or not chunk:
            return [chunk] if chunk else []
        if self._inflate is None:
            self._inflate = zlib.decompressobj(31 if self._kind == "gzip" else _deflate_bits(chunk))
        return _Pieces(self._inflate, chunk, self._PIECE)

    def finish(self) -> None:
        """Check that the end has come."""
        if self._inflate is not None and not self._inflate.eof:
            raise Refusal(Status.COMPRESSION_ERROR, f"the {self._kind} data ends early: send it again")


class _Pieces:
    def __init__(self, inflate: zlib._Decompress, chunk: bytes, most: int) -> None:
        self._inflate, self._chunk, self._most = inflate, chunk, most

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        if not self._chunk or self._inflate.eof:
            raise StopIteration
        try:
            piece = self._inflate.decompress(self._chunk, self._most)
        except zlib.error as error:
            raise Refusal(Status.COMPRESSION_ERROR, f"the document cannot be decompressed ({error})") from error
        self._chunk = self._inflate.unconsumed_tail
        return piece


def _deflate_bits(first: bytes) -> int:
    """`deflate` is RFC 1951 bare (CUPS sends it so), or in zlib's wrapping (RFC 1950)."""
    is_wrapped = len(first) > 1 and first[0] & 0x0F == 8 and int.from_bytes(first[:2], "big") % 31 == 0
    return 15 if is_wrapped else -15
