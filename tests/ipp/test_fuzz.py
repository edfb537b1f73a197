"""Requests of real clients (corpus/), bent in every way: always an answer or an error of ours, never a crash.

`make fuzz-ipp` goes on for as long as it is told; what it finds is kept in corpus/ and replayed here.
"""

from __future__ import annotations

import asyncio
import os
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipp import codec
from ipp.attributes import attribute
from ipp.codec import Group, GroupTag, Message, Tag
from ipp.errors import MessageError
from ipp.queue import PoolQueue, new_token
from ipp.request_body import Body
from ipp.served import Asker, Received
from ipp.server import respond
from ipp.subscriptions import Subscriptions
from store.queue_setup import offer
from store.records import PrinterPool
from store.tables import Store
from tests.studio import NOW

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.ipp"))
REQUESTS = [path.read_bytes() for path in CORPUS]
EXAMPLES = int(os.environ.get("PRINTROOM_FUZZ", "400"))
KIM = Asker("kim", is_authenticated=True, is_operator=True)


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, PoolQueue]]:
    store = Store(tmp_path_factory.mktemp("fuzz") / "data")
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    yield store, PoolQueue(store, offer(store, "Lab", NOW, pool_id=pool.id).id, store.clock.monotonic())
    store.close()


def answered(raw: bytes, store: Store, queue: PoolQueue, subscriptions: Subscriptions) -> Message | None:
    """What the box says to these bytes; None when they are not a message."""
    try:
        request, end = codec.decode(raw)
    except MessageError:
        return None
    assert codec.encode(request) == raw[:end]  # whatever was read is written again bit for bit
    path = store.folder.queued / new_token()
    path.write_bytes(b"\xff\xd8\xff")
    answer = respond(request, queue, "ipp://x/ipp/print/lab", Received(path, 3, "image/jpeg"), KIM, subscriptions)
    codec.decode(codec.encode(answer))
    return answer


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_every_request_of_a_real_client_is_answered(path: Path, queue: tuple[Store, PoolQueue]) -> None:
    assert answered(path.read_bytes(), *queue, Subscriptions()) is not None


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A request with a few things wrong: bits, lengths, pieces left out, doubled, or of another request."""
    raw = bytearray(draw(st.sampled_from(REQUESTS)))
    for _ in range(draw(st.integers(1, 5))):
        if len(raw) < 12:
            break
        at = draw(st.integers(0, len(raw) - 1))
        kind = draw(st.sampled_from(["bit", "byte", "length", "cut", "drop", "double", "graft", "tag"]))
        if kind == "bit":
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte":
            raw[at] = draw(st.sampled_from([0, 1, 3, 0x13, 0x34, 0x37, 0x4A, 0x7F, 0x80, 0xFF]))
        elif kind == "length":
            raw[at : at + 2] = struct.pack(">H", draw(st.sampled_from([0, 1, 4, 255, 0x7FFF, 0x8000, 0xFFFF])))
        elif kind == "cut":
            del raw[at:]
        elif kind == "drop":
            del raw[at : at + draw(st.integers(1, 40))]
        elif kind == "double":
            piece = raw[at : at + draw(st.integers(1, 60))]
            raw[at:at] = piece * draw(st.integers(1, 4))
        elif kind == "graft":
            other = draw(st.sampled_from(REQUESTS))
            start = draw(st.integers(8, len(other) - 1))
            raw[at:at] = other[start : start + draw(st.integers(1, 80))]
        else:
            raw[at] = draw(st.sampled_from([int(tag) for tag in (*Tag, *GroupTag)]))
    return bytes(raw)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(bent())
def test_bent_requests_are_answered_or_refused(queue: tuple[Store, PoolQueue], raw: bytes) -> None:
    subscriptions = Subscriptions()
    answered(raw, *queue, subscriptions)
    store, served = queue
    assert all(served.job(job.id) for job in store.queue_jobs.newest(3))  # what was taken is still told


def body_of(*chunks: bytes) -> Body:
    reader = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**30)
    for chunk in chunks:
        reader.feed_data(chunk)
    reader.feed_eof()
    return Body(reader)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(REQUESTS), st.lists(st.integers(1, 400), min_size=1, max_size=50))
def test_any_chunking_reads_the_same_message_and_document(raw: bytes, sizes: list[int]) -> None:
    document = b"\xff\xd8\xff" + bytes(range(256)) * 3

    async def read(target: Path) -> tuple[Message, bytes]:
        whole, chunks, at = raw + document, [], 0
        while at < len(whole):
            size = sizes[len(chunks) % len(sizes)]
            chunks.append(whole[at : at + size])
            at += size
        body = body_of(*chunks)
        message = await body.head()
        received = await body.document(target, "none", 10_000, "", "")
        return message, received.path.read_bytes() if received else b""

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        message, kept = asyncio.run(read(Path(folder) / "document"))
    assert codec.encode(message) == raw and kept == document


def nested(depth: int) -> bytes:
    """Collections in collections."""
    group = Group(GroupTag.OPERATION, [attribute("attributes-charset", "utf-8")])
    head = codec.encode(Message(0x0004, 1, [group]))[:-1]
    opening = b"\x34\x00\x00\x00\x00" + b"\x4a\x00\x00\x00\x01a"
    name = b"\x34\x00\x01x\x00\x00" + b"\x4a\x00\x00\x00\x01a"
    return head + name + opening * depth + (b"\x37\x00\x00\x00\x00" * (depth + 1)) + b"\x03"


def many(count: int) -> bytes:
    """One group with so many attributes."""
    head = codec.encode(Message(0x0004, 1, [Group(GroupTag.OPERATION, [])]))[:-1]
    return head + b"".join(b"\x44" + struct.pack(">H", 6) + b"%06d" % n + b"\x00\x01v" for n in range(count)) + b"\x03"


@pytest.mark.parametrize("raw", [nested(10_000), many(10_000), many(25_000)], ids=["deep", "many", "too many"])
def test_depth_and_number_cost_neither_stack_nor_memory(queue: tuple[Store, PoolQueue], raw: bytes) -> None:
    tracemalloc.start()
    try:
        answered(raw, *queue, Subscriptions())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000


def test_an_endless_head_is_given_up_on() -> None:
    async def read() -> None:
        await body_of(*[many(100)[:-1] for _ in range(400)]).head()

    with pytest.raises(MessageError):
        asyncio.run(read())
