"""Requests over kept connections: one event loop, raw bytes, so that the load itself costs little."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import uvloop


@dataclass(frozen=True)
class Load:
    """What a server took."""

    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Client(asyncio.Protocol):
    """One connection; `answered` is set with each whole answer."""

    def __init__(self) -> None:
        self.received = b""
        self.answered: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if len(body) >= int(lengths[0].split(b":")[1]):
            whole, self.received = self.received, b""
            if self.answered is not None and not self.answered.done():
                self.answered.set_result(whole)

    def connection_lost(self, error: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(ConnectionError(f"closed: {error}"))

    async def ask(self, whole: bytes) -> bytes:
        assert self.transport is not None
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(whole)
        return await self.answered


async def _run(port: int, clients: int, seconds: float, make: Callable[[int], bytes], expect: bytes) -> Load:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    ends = time.perf_counter() + seconds

    async def one(number: int) -> None:
        _, client = await loop.create_connection(_Client, "127.0.0.1", port)
        while (began := time.perf_counter()) < ends:
            answer = await client.ask(make(number))
            took.append(time.perf_counter() - began)
            assert answer.startswith(b"HTTP/1.1 200") and expect in answer, answer
        assert client.transport is not None
        client.transport.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(clients)))
    elapsed = time.perf_counter() - began
    took.sort()
    at = [round(took[min(len(took) - 1, int(len(took) * part))] * 1000, 2) for part in (0.5, 0.95, 0.99)]
    return Load(round(len(took) / elapsed, 1), *at)


def load(port: int, clients: int, seconds: float, make: Callable[[int], bytes], expect: bytes = b"") -> Load:
    """Let so many clients ask for so long.

    Args:
        port: on 127.0.0.1.
        clients: connections, each asking again as soon as it is answered.
        seconds: how long.
        make: the next request of a client, by its number.
        expect: must be in each answer.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(port, clients, seconds, make, expect))
