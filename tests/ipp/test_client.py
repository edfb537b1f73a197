"""The client against CUPS's ippeveprinter, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TypeVar

import pytest

from ipp import client as client_module
from ipp import codec
from ipp.attributes import JobState, Status, attribute
from ipp.client import Connection, JobRequest, PrinterClient
from ipp.codec import Group, GroupTag, Message
from ipp.errors import PrinterBusy, PrinterError, PrinterRefused, PrinterUnreachable, PrintUncertain
from render.samples import sample_photo
from store.records import PrinterState
from store.sizes import parse_size
from tests.lab import EvePrinter, free_port, until

R = TypeVar("R")
StartEve = Callable[..., EvePrinter]


def ask(uri: str, question: Callable[[PrinterClient], Awaitable[R]]) -> R:
    async def run() -> R:
        async with Connection(uri) as printer:
            return await question(printer)

    return asyncio.run(run())


def test_a_real_printer_is_described(eve_printer: StartEve) -> None:
    found = ask(eve_printer("Eve").uri, lambda printer: printer.describe())
    assert found.status.state is PrinterState.IDLE and found.status.accepting
    assert "image/jpeg" in found.status.document_formats and found.status.max_copies == 999
    assert found.status.media_ready and any(parse_size("4x6").is_same_paper(size) for size in found.status.media_ready)
    assert len(found.uuid) == 36


def test_a_real_printer_prints_what_it_is_sent_byte_for_byte(eve_printer: StartEve, tmp_path: Path) -> None:
    eve = eve_printer("Eve")
    document = tmp_path / "a.jpg"
    document.write_bytes(sample_photo(1, 1200, 1800))
    request = JobRequest("printroom-7-8-cafe", 3, parse_size("4x6"), 300, has_bleed=False)

    async def print_it(printer: PrinterClient) -> int:
        description = await printer.describe()
        job_id = (await printer.create_job(request, description.attributes)).job_id
        waiting = await printer.job(job_id)
        assert waiting and waiting.name == request.name
        await printer.send_document(job_id, document, "image/jpeg")
        while (job := await printer.job(job_id)) and job.state is not JobState.COMPLETED:
            await asyncio.sleep(0.1)
        listed = await printer.jobs()
        assert [job.state for job in listed if job.name == request.name] == [JobState.COMPLETED]
        return job_id

    ask(eve.uri, print_it)
    (printed,) = until(eve.printed, "the print is out")
    assert (printed.job_name, printed.copies, printed.content_type) == (request.name, 3, "image/jpeg")
    assert printed.document.read_bytes() == document.read_bytes()
    assert "x-dimension=10160" in printed.media_col and "media-top-margin=0" in printed.media_col


def test_a_refusal_keeps_the_printers_words_and_the_attribute_it_minds(eve_printer: StartEve) -> None:
    async def too_large(printer: PrinterClient) -> None:
        description = await printer.describe()
        request = JobRequest("x", 1, parse_size("30x40"), 300, has_bleed=False)
        await printer.create_job(request, description.attributes)

    with pytest.raises(PrinterRefused) as caught:
        ask(eve_printer("Eve").uri, too_large)
    assert caught.value.status == Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED
    assert caught.value.unsupported == ("media-col",)


def test_a_busy_printer_is_busy_not_broken(eve_printer: StartEve) -> None:
    """ippeveprinter takes one job at a time; an announced job without its document keeps all others out."""

    async def two(printer: PrinterClient) -> None:
        description = await printer.describe()
        request = JobRequest("x", 1, parse_size("4x6"), 300, has_bleed=False)
        job_id = (await printer.create_job(request, description.attributes)).job_id
        with pytest.raises(PrinterBusy):
            await printer.create_job(request, description.attributes)
        await printer.cancel_job(job_id)
        await printer.create_job(request, description.attributes)

    ask(eve_printer("Eve").uri, two)


def test_an_unknown_job_is_none(eve_printer: StartEve) -> None:
    assert ask(eve_printer("Eve").uri, lambda printer: printer.job(4711)) is None


def test_nobody_there_means_nothing_was_sent() -> None:
    with pytest.raises(PrinterUnreachable, match="switched on"):
        ask(f"ipp://127.0.0.1:{free_port()}/ipp/print", lambda printer: printer.describe())


def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> tuple[str, Callable[[], None]]:
    """A server that answers every request as told; returns its URI and how to end it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return f"ipp://127.0.0.1:{server.server_port}/ipp/print", end


def body(handler: BaseHTTPRequestHandler, content: bytes, status: int = 200) -> None:
    handler.rfile.read(int(handler.headers["Content-Length"]))
    handler.send_response(status)
    handler.send_header("Content-Type", "application/ipp")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def answer_other_request(handler: BaseHTTPRequestHandler) -> None:
    group = Group(GroupTag.OPERATION, [attribute("attributes-charset", "utf-8")])
    body(handler, codec.encode(Message(Status.OK, 999_999, [group])))


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read(int(handler.headers["Content-Length"]))
    handler.close_connection = True
    handler.connection.close()


def say_nothing(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read(int(handler.headers["Content-Length"]))
    threading.Event().wait(1.0)
    hang_up_quietly(handler)


def hang_up_quietly(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda h: body(h, b""), PrintUncertain),
        (lambda h: body(h, b"<html>hello</html>"), PrintUncertain),
        (lambda h: body(h, b"\xff" * 50), PrintUncertain),
        (lambda h: body(h, b"\xff\xfe", 500), PrinterError),
        (lambda h: body(h, b"no such page", 404), PrinterRefused),
        (answer_other_request, PrintUncertain),
        (hang_up, PrintUncertain),
    ],
)
def test_after_something_was_sent_a_strange_answer_is_never_nothing_happened(
    answer: Callable[[BaseHTTPRequestHandler], None], error: type[PrinterError]
) -> None:
    uri, end = served(answer)
    try:
        with pytest.raises(error) as caught:
            ask(uri, lambda printer: printer.describe())
        assert not isinstance(caught.value, PrinterUnreachable)
    finally:
        end()


def test_silence_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_LIMIT_S", 0.3)
    uri, end = served(say_nothing)
    try:
        with pytest.raises(PrintUncertain, match="did not answer within"):
            ask(uri, lambda printer: printer.describe())
    finally:
        end()


def test_a_document_is_streamed_with_its_length(tmp_path: Path) -> None:
    """A Content-Length lets the printer see a short body; and no chunk is larger than what memory can bear."""
    seen: dict[str, object] = {}

    def look(handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["Content-Length"])
        content = handler.rfile.read(length)
        request, at = codec.decode(content)
        seen.update(length=length, rest=len(content) - at, job=request.group(GroupTag.OPERATION).number("job-id"))
        group = Group(GroupTag.OPERATION, [attribute("attributes-charset", "utf-8")])
        answer = codec.encode(Message(Status.OK, request.request_id, [group]))
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    document = tmp_path / "big.jpg"
    document.write_bytes(b"\xff\xd8\xff\xe0" + bytes(5_000_000))
    uri, end = served(look)
    try:
        ask(uri, lambda printer: printer.send_document(5, document, "image/jpeg"))
    finally:
        end()
    assert (seen["rest"], seen["job"]) == (5_000_004, 5)
