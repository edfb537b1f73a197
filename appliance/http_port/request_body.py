"""A request's body: small ones in memory, large ones in a file that has no name, so that nothing stays of it."""

from __future__ import annotations

import asyncio
import io
import shutil
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from enum import Enum
from pathlib import Path
from typing import IO, Any, cast

from aiohttp import StreamReader, web

from appliance.http_port.limits import SMALL_BODY_BYTES, Limits

_LOOK_AT_DISK_EVERY = 16 * 1024 * 1024


class End(Enum):
    """How a body ended."""

    WHOLE = "whole"
    TOO_LARGE = "too large"  # or said to become so: the application refuses it
    BROKEN_OFF = "broken off"  # the client is gone
    TOO_SLOW = "too slow"
    MALFORMED = "malformed"  # chunks that are none
    NO_ROOM = "no room"  # on the disk: the application refuses it


class TooSlow(Exception):
    """A client that moves next to nothing."""


class Body:
    """What has come so far."""

    def __init__(self, folder: Path | None, min_free_bytes: int) -> None:
        self.size = 0
        self.end = End.WHOLE
        self._folder, self._min_free_bytes = folder, min_free_bytes
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._looked_at = -_LOOK_AT_DISK_EVERY

    def add(self, chunk: bytes) -> None:
        """Keep what came.

        Raises:
            OSError: it cannot be kept.
        """
        if self._file is None:
            self._memory += chunk
            self.size += len(chunk)
            if len(self._memory) <= SMALL_BODY_BYTES:
                return
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix="body-")  # noqa: SIM115  (closed by close())
            chunk, self._memory = bytes(self._memory), bytearray()
            self.size = 0
        if self.size - self._looked_at >= _LOOK_AT_DISK_EVERY:
            self._looked_at = self.size
            if shutil.disk_usage(self._file.fileno()).free < self._min_free_bytes + len(chunk):
                raise OSError("the disk is full")
        self._file.write(chunk)
        self._file.flush()  # here, where the disk may take its time and say no
        self.size += len(chunk)

    def as_input(self) -> IO[bytes]:
        """For wsgi.input: read from its beginning; reading past the end of what broke off raises an OSError."""
        if self._file is not None:
            self._file.seek(0)
        file = self._file or io.BytesIO(self._memory)
        return file if self.end is End.WHOLE else cast(IO[bytes], _CutOff(file))

    def close(self) -> None:
        """Forget it; closing a large file may take a while."""
        if self._file is not None:
            self._file.close()


class _CutOff(io.RawIOBase):
    """Not buffered: what was read ahead would be lost with the error."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(len(buffer))
        if not chunk:
            raise ConnectionResetError("the body ended early")
        buffer[: len(chunk)] = chunk
        return len(chunk)


async def receive(
    request: web.BaseRequest, body: Body, most_bytes: int, limits: Limits, disk: Executor, asks_first: bool
) -> None:
    """Take in what comes of a request's body, until it ends in one way or another; see `body.end`.

    Args:
        request: whose body it is.
        body: gets it; may have some already, when `most_bytes` was not known yet.
        most_bytes: larger ones are not taken.
        limits: see there.
        disk: where files are written: a disk may be slow, too.
        asks_first: the client waits for a 100 before it sends.
    """
    loop = asyncio.get_running_loop()
    body.end = End.WHOLE
    if asks_first:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # as aiohttp does it: the answer is still to come
    try:
        async for chunk in paced(request.content, limits):
            if body.size + len(chunk) <= SMALL_BODY_BYTES:
                body.add(chunk)
            else:
                try:
                    await loop.run_in_executor(disk, body.add, chunk)
                except OSError:
                    body.end = End.NO_ROOM
                    return
            if body.size > most_bytes:
                body.end = End.TOO_LARGE
                return
    except TooSlow:
        body.end = End.TOO_SLOW
    except web.RequestPayloadError:
        body.end = End.MALFORMED
    except (OSError, RuntimeError):  # aiohttp has a RuntimeError for a connection that was closed before
        body.end = End.BROKEN_OFF


async def paced(content: StreamReader, limits: Limits) -> AsyncIterator[bytes]:
    """What comes, as it comes.

    Raises:
        TooSlow: of a body, too little moved in a while.
        OSError, RuntimeError: the connection.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + limits.slow_client_s
    count = 0
    while not content.at_eof():
        try:
            async with asyncio.timeout_at(ends):
                chunk = await content.readany()
        except TimeoutError:
            raise TooSlow from None
        count += len(chunk)
        if count >= limits.least_in_time:
            ends, count = loop.time() + limits.slow_client_s, 0
        if chunk:
            asked_at = loop.time()
            yield chunk
            ends += loop.time() - asked_at  # what we took is not the client's


async def drain(content: StreamReader, limits: Limits, seconds: float) -> None:
    """Let a client that was refused send on, so that it comes to hear why: what is closed on it is a broken pipe."""
    try:
        async with asyncio.timeout(seconds):
            async for _ in paced(content, limits):
                pass
    except (TooSlow, TimeoutError, web.RequestPayloadError, OSError, RuntimeError):
        return
