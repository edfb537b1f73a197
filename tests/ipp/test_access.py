"""TLS, and printers that want a name and a password."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from ipp import access
from ipp.access import Access, Digest, fingerprint_of
from ipp.client import Connection, JobRequest
from ipp.errors import PrinterUnreachable
from ipp.virtual import PATH, Levers, VirtualPrinter, application
from render.samples import sample_photo
from store.records import PrinterPool
from store.sizes import parse_size
from store.states import TicketState
from store.tables import Store
from tests.ipp.test_sender import StartEve, add_printer, drawn_ticket, ends_as, pool, room
from tests.lab import until

__all__ = ["pool"]  # the fixture

USER, PASSWORD = "studio", "lustre paper"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def basic(request: web.Request) -> bool:
    return request.headers.get("Authorization") == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def digest(request: web.Request) -> bool:
    """RFC 7616 §3.4.1, with MD5 as printers have it."""
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', request.headers.get("Authorization", "").removeprefix("Digest ")))
    if fields.get("username") != USER:
        return False

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()  # noqa: S324

    first, second = md5(f"{USER}:printer:{PASSWORD}"), md5(f"POST:{fields['uri']}")
    return fields["response"] == md5(
        f"{first}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{second}"
    )


CHALLENGES = {
    "basic": (basic, 'Basic realm="printer"'),
    "digest": (digest, 'Digest realm="printer", nonce="abc123", qop="auth", algorithm=MD5'),
}


@pytest.mark.parametrize("scheme", list(CHALLENGES))
def test_a_printer_that_wants_a_password_gets_it_and_prints(tmp_path: Path, scheme: str) -> None:
    is_right, challenge = CHALLENGES[scheme]
    access.Digest._wants_basic.clear()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(sample_photo(1, 1200, 1800))

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_right(request):
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return await handler(request)

    async def run() -> None:
        printer = VirtualPrinter("Guarded", tmp_path / "tray", Levers({"4x6": 9}, 0.01))
        app = application(printer)
        app.middlewares.append(guard)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        uri = f"ipp://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        engine = asyncio.create_task(printer.run())
        try:
            async with Connection(uri) as stranger:
                with pytest.raises(PrinterUnreachable, match="wants a user and password"):
                    await stranger.describe()
            async with Connection(uri, Access(USER, "wrong")) as stranger:
                with pytest.raises(PrinterUnreachable, match="does not take this user and password"):
                    await stranger.describe()
            async with Connection(uri, Access(USER, PASSWORD)) as client:
                description = await client.describe()
                request = JobRequest("printroom-1", 1, parse_size("4x6"), 300, has_bleed=False)
                created = await client.create_job(request, description.attributes)
                await client.send_document(created.job_id, photo, "image/jpeg")
            for _ in range(200):
                if (tmp_path / "tray" / "printed.jsonl").exists():
                    break
                await asyncio.sleep(0.02)
        finally:
            engine.cancel()
            await runner.cleanup()

    asyncio.run(run())
    (page,) = (tmp_path / "tray").glob("*.jpg")
    assert page.read_bytes() == photo.read_bytes()
    assert isinstance(Digest._wants_basic, set)


def test_a_real_printer_prints_over_tls_and_its_certificate_is_remembered(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve")
    uri = eve.uri.replace("ipp://", "ipps://")
    printer = add_printer(store, pool, uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert len(eve.printed()) == 1
    assert store.printers.get(printer.id).fingerprint == asyncio.run(fingerprint_of(uri))


def test_a_printer_with_another_certificate_gets_nothing_until_a_person_trusts_it(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve")
    printer = add_printer(store, pool, eve.uri.replace("ipp://", "ipps://"), fingerprint="ab" * 32)
    drawn_ticket(store, pool, [1])
    with room(store):
        until(
            lambda: (
                "another certificate" in store.tickets.get(1).reason
                or "another certificate" in getattr(store.printer_status.find(printer.id), "message", "")
            ),
            "it is told",
        )
        assert eve.printed() == []
        store.printers.put(store.printers.get(printer.id).with_(fingerprint=""))
        ends_as(store, TicketState.FINISHED)
    assert len(eve.printed()) == 1


class PlainRefuser:
    """A printer's port that answers 426 to whoever does not speak TLS, as printers do that insist on it."""

    def __init__(self, behind: int) -> None:
        self._behind = behind

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(1)
        if first == b"\x16":  # a TLS handshake
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._behind)
            far_writer.write(first)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        elif first:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    @contextmanager
    def running(self) -> Iterator[int]:
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            asyncio.run_coroutine_threadsafe(self._end(server), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    @staticmethod
    async def _end(server: asyncio.Server) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.1)  # transports close in the loop's next turns


def test_a_printer_that_insists_on_tls_gets_it(store: Store, pool: PrinterPool, eve_printer: StartEve) -> None:
    eve = eve_printer("Eve")
    with PlainRefuser(eve.port).running() as port, room(store):
        printer = add_printer(store, pool, f"ipp://127.0.0.1:{port}/ipp/print")
        drawn_ticket(store, pool, [1])
        ends_as(store, TicketState.FINISHED)
    assert len(eve.printed()) == 1
    known = store.printers.get(printer.id)
    assert known.uri == f"ipps://127.0.0.1:{port}/ipp/print" and known.fingerprint
