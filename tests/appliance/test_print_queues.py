"""Print queues as other computers use them: real clients, real documents, and clients that break off."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import socket
import ssl
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from pyipp import IPP

from ipp import codec
from ipp.access import Access
from ipp.attributes import Operation, Status, attribute
from ipp.client import Connection, JobRequest
from ipp.codec import Group, GroupTag, Message, Range
from ipp.front_connections import FIRST_BYTE_LIMIT_S
from render.samples import sample_photo
from store.profiles import RenderProfile
from store.queue_setup import offer
from store.queues import PrintQueue, QueueAccess
from store.sizes import parse_size
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.conformance.documents import _raster
from tests.lab import CupsServer, Network, VirtualPrinterProcess, find_program, until
from tests.studio import NOW
from tests.web.conftest import PASSWORD, PASSWORD_HASH

PAGES = int(os.environ.get("PRINTROOM_PAGES", "60"))  # of the long PDF; 200 takes a minute and a half
StartAppliance = Callable[..., Appliance]
StartVirtual = Callable[..., VirtualPrinterProcess]


class PrintRoom:
    """A running box with one printer, and queues on its pool."""

    def __init__(self, folder: Path, printer: VirtualPrinterProcess, start: StartAppliance, **environment: str) -> None:
        self.printer = printer
        printer.pull(paper={"4x6": 1000, "8.5x11": 1000}, seconds_per_sheet=0.01)
        self.data = Studio(folder / "data", {"Lab One": printer.uri}).data
        store = Store(self.data)
        (pool,) = store.printer_pools.all()
        self.queue = offer(store, "Lab", NOW, pool_id=pool.id)
        profile = store.render_profiles.add(
            RenderProfile(name="Black and white", pool_id=pool.id, size="4x6", colorization="black & white")
        )
        self.grey = offer(store, "Black and white", NOW, profile_id=profile.id)
        locked = offer(store, "Locked", NOW, pool_id=pool.id)
        self.locked = locked.with_(access=QueueAccess.PASSWORD, username="studio", password_hash=PASSWORD_HASH)
        store.print_queues.put(self.locked)
        store.close()
        self._start, self._environment = start, environment
        self.box = start(self.data, **environment)

    def uri(self, queue: PrintQueue | None = None, scheme: str = "ipp") -> str:
        return f"{scheme}://127.0.0.1:{self.box.ipp_port}/ipp/print/{(queue or self.queue).path}"

    def restart(self) -> None:
        """Pull the plug, and start again."""
        self.box.kill()
        self.box = self._start(self.data, **self._environment)

    def pages(self) -> list[Image.Image]:
        found = []
        for line in self.printer.printed():
            with Image.open(self.printer.tray / str(line["file"])) as page:
                found.append(page.convert("RGB"))
        return found

    def wait_for_pages(self, count: int, within_s: float = 40) -> list[Image.Image]:
        until(lambda: len(self.printer.printed()) >= count, f"{count} pages", within_s)
        time.sleep(0.3)  # one too many would come now
        assert len(self.printer.printed()) == count
        return self.pages()

    def request(
        self,
        operation: int,
        *attributes: codec.Attribute,
        job: list[codec.Attribute] | None = None,
        target: str = "",
    ) -> bytes:
        head = [attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en")]
        head += [attribute("printer-uri", target or self.uri()), attribute("requesting-user-name", "kim"), *attributes]
        groups = [Group(GroupTag.OPERATION, head), *([Group(GroupTag.JOB, job)] if job else [])]
        return codec.encode(Message(operation, 7, groups))

    def ask(self, body: bytes, **how: str) -> Message:
        with self.connection() as link:
            link.sendall(self.http(body, **how))
            return answer_of(link)

    def http(self, body: bytes, path: str = "", length: int | None = None) -> bytes:
        size = len(body) if length is None else length
        path = path or f"/ipp/print/{self.queue.path}"
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.box.ipp_port}\r\n"
            f"Content-Type: application/ipp\r\nContent-Length: {size}\r\n\r\n"
        ).encode() + body

    def connection(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.box.ipp_port), 30, (source, 0))

    def jobs(self) -> list[tuple[str, str]]:
        """(name, state) of every job, as any client is told."""

        async def ask() -> list[tuple[str, str]]:
            async with Connection(self.uri()) as client:
                return [(job.name, job.state.name if job.state else "?") for job in await client.jobs()]

        return asyncio.run(ask())


def answer_of(link: socket.socket) -> Message:
    raw = b""
    while b"\r\n\r\n" not in raw:
        chunk = link.recv(65536)
        assert chunk, f"the connection was closed after {raw!r}"
        raw += chunk
    head, _, body = raw.partition(b"\r\n\r\n")
    if b" 100 Continue" in head.splitlines()[0]:
        raise AssertionError("nobody asked for that")
    assert b"200 OK" in head, head
    length = int(next(line.split(b":")[1] for line in head.splitlines() if line.lower().startswith(b"content-length")))
    while len(body) < length:
        body += link.recv(65536)
    return codec.decode(body)[0]


@pytest.fixture
def room(tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance) -> Iterator[PrintRoom]:
    yield PrintRoom(tmp_path, virtual_printer("Lab One"), appliance)


def photo(width: int = 600, height: int = 900) -> bytes:
    return sample_photo(1, width, height)


def pdf(pages: int, size: tuple[int, int] = (288, 432)) -> bytes:
    """A PDF whose page N has a bar N twelfths of the page wide."""
    made = []
    for number in range(1, pages + 1):
        page = Image.new("RGB", size, "white")
        ImageDraw.Draw(page).rectangle((0, 100, size[0] * (number % 12 + 1) // 13, 200), fill="black")
        made.append(page)
    out = io.BytesIO()
    made[0].save(out, "PDF", resolution=72, save_all=True, append_images=made[1:])
    return out.getvalue()


def bar_of(page: Image.Image) -> int:
    """Which page of pdf() this is, from 1 to 12."""
    row = (
        page.convert("L")
        .resize((260, page.height))
        .crop((0, page.height * 150 // 432, 260, page.height * 150 // 432 + 1))
    )
    dark = sum(tone < 128 for tone in row.tobytes())
    return round(dark / 20) - 1 or 12


# -- real clients ---------------------------------------------------------------------------------------------------


def test_cups_finds_out_what_the_queue_is_and_prints_with_options(
    room: PrintRoom, cups_server: CupsServer, tmp_path: Path
) -> None:
    cups_server.add_queue("lab", room.uri())
    file = tmp_path / "wedding.jpg"
    file.write_bytes(photo())
    host = ("-h", cups_server.host)
    sent = ("-d", "lab", "-t", "wedding", "-n", "3", "-o", "media=4x6", "-o", "print-color-mode=monochrome")
    subprocess.run([find_program("lp"), *host, *sent, str(file)], check=True, capture_output=True)
    pages = room.wait_for_pages(3)
    assert pages[0].size == (1200, 1800)
    until(lambda: room.jobs() == [("wedding", "COMPLETED")], "it is done")


@pytest.mark.timeout(300)
def test_a_long_pdf_through_cups_is_printed_page_by_page_in_order(
    room: PrintRoom, cups_server: CupsServer, tmp_path: Path
) -> None:
    cups_server.add_queue("lab", room.uri())
    file = tmp_path / "book.pdf"
    file.write_bytes(pdf(PAGES))
    command = [find_program("lp"), "-h", cups_server.host, "-d", "lab", "-o", "media=4x6", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    pages = room.wait_for_pages(PAGES, within_s=240)
    assert [bar_of(page) for page in pages] == [number % 12 or 12 for number in range(1, PAGES + 1)]


def test_a_job_is_canceled_from_its_computer(room: PrintRoom, cups_server: CupsServer, tmp_path: Path) -> None:
    room.printer.pull(seconds_per_sheet=3)
    file = tmp_path / "photo.jpg"
    file.write_bytes(photo())

    async def send_and_cancel() -> str:
        async with Connection(room.uri()) as client:
            description = await client.describe()
            request = JobRequest("mistake", 50, parse_size("4x6"), 300, has_bleed=False)
            created = await client.create_job(request, description.attributes)
            await client.send_document(created.job_id, file, "image/jpeg")
            while (job := await client.job(created.job_id)) is None or job.state != 5:
                await asyncio.sleep(0.1)
            await client.cancel_job(created.job_id)
            job = await client.job(created.job_id)
            return job.state.name if job and job.state else "gone"

    assert asyncio.run(send_and_cancel()) == "CANCELED"
    time.sleep(4)
    assert len(room.printer.printed()) <= 1


def test_our_own_pool_prints_to_the_queue_of_another_box(
    room: PrintRoom, tmp_path: Path, appliance: StartAppliance
) -> None:
    studio = Studio(tmp_path / "other", {"The first box": room.uri()})
    store = Store(studio.data)
    pool = store.printer_pools.get(1)
    queue = offer(store, "Onward", NOW, pool_id=pool.id)
    store.close()
    other = appliance(studio.data)
    there = f"ipp://127.0.0.1:{other.ipp_port}/ipp/print/{queue.path}"
    body = room.request(Operation.PRINT_JOB, job=[attribute("copies", 2)], target=there) + photo()
    with socket.create_connection(("127.0.0.1", other.ipp_port), timeout=30) as link:
        link.sendall(room.http(body, path=f"/ipp/print/{queue.path}"))
        answer_of(link)
    assert len(room.wait_for_pages(2)) == 2


def test_pyipp_reads_it(room: PrintRoom) -> None:
    async def read() -> tuple[str, str]:
        async with IPP(room.uri()) as printer:
            found = await printer.printer()
            return found.info.name, found.state.printer_state

    assert asyncio.run(read()) == ("Printroom Print Queue", "idle")


def test_computers_find_the_queues_by_themselves(
    tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance, network: Network
) -> None:
    room = PrintRoom(tmp_path, virtual_printer("Lab One"), appliance, PRINTROOM_DISCOVERY="true")
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={network.bus}"}

    def found(service: str) -> list[str]:
        """What ippfind sees: a line for each queue, with its name, UUID, path, formats and port."""
        told = ("{service_name}", "{txt_uuid}", "{txt_rp}", "{txt_pdl}", "{service_port}")
        command = [find_program("ippfind"), "-T", "3", service, "--exec", "echo", *told, ";"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.splitlines()

    until(lambda: len(found("_ipp._tcp")) >= 2, "the queues are announced", 40)
    (lab,) = [line for line in found("_ipp._tcp") if line.startswith(f"Lab {room.queue.uuid} ")]
    assert f"ipp/print/{room.queue.path}" in lab and str(room.box.ipp_port) in lab
    assert "image/jpeg,image/png,application/pdf" in lab
    # The one with a password is not asked for it in the clear.
    assert not any(line.startswith("Locked") for line in found("_ipp._tcp"))
    until(lambda: any(line.startswith("Locked") for line in found("_ipps._tcp")), "it is there over TLS", 30)
    for subtype in ("_print", "_universal"):
        service = f"_ipp._tcp,{subtype}"
        until(lambda service=service: any(room.queue.uuid in line for line in found(service)), service, 30)  # type: ignore[misc]
    room.box.stop()
    store = Store(room.data)
    assert [printer.name for printer in store.printers.all()] == ["Lab One"]  # the box does not find itself
    store.close()


# -- documents --------------------------------------------------------------------------------------------------


def test_a_photo_becomes_a_ticket_like_any_other_and_is_accounted_for(room: PrintRoom) -> None:
    room.ask(room.request(Operation.PRINT_JOB, attribute("job-name", "bride"), job=[attribute("copies", 2)]) + photo())
    room.wait_for_pages(2)
    until(lambda: room.jobs() == [("bride", "COMPLETED")], "it is done")
    room.box.stop()
    store = Store(room.data)
    (ticket,) = store.tickets.all()
    assert (ticket.kind, ticket.number, ticket.client_name, ticket.state) == ("print job", "lab-1", "kim", "finished")
    assert [result.copies for result in ticket.results] == [2] and store.changes.all() == []
    store.close()


@pytest.mark.parametrize("compression", ["gzip", "deflate", "zlib"])
def test_compressed_documents(room: PrintRoom, compression: str) -> None:
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(photo()),
        "deflate": raw.compress(photo()) + raw.flush(),
        "zlib": zlib.compress(photo()),
    }[compression]
    kind = attribute("compression", "gzip" if compression == "gzip" else "deflate")
    answer = room.ask(room.request(Operation.PRINT_JOB, kind) + packed)
    assert answer.code == Status.OK
    room.wait_for_pages(1)


def test_pages_ranges_copies_and_number_up_of_a_pdf(room: PrintRoom) -> None:
    job = [attribute("page-ranges", Range(2, 3), Range(5, 5)), attribute("copies", 2)]
    job.append(attribute("multiple-document-handling", "separate-documents-collated-copies"))
    assert room.ask(room.request(Operation.PRINT_JOB, job=job) + pdf(6)).code == Status.OK
    assert [bar_of(page) for page in room.wait_for_pages(6)] == [2, 3, 5, 2, 3, 5]
    assert room.ask(room.request(Operation.PRINT_JOB, job=[attribute("number-up", 4)]) + pdf(6)).code == Status.OK
    four = room.wait_for_pages(8)[6]
    quarters = [four.crop((x, y, x + 600, y + 900)) for y in (0, 900) for x in (0, 600)]
    assert all(min(quarter.convert("L").getextrema()) < 60 for quarter in quarters)  # something in each
    assert room.ask(room.request(Operation.PRINT_JOB, job=[attribute("page-ranges", Range(9, 9))]) + pdf(2)).code == 0
    until(lambda: room.jobs()[-1][1] == "ABORTED" or ("Untitled", "ABORTED") in room.jobs(), "no such page")


def test_colours_turns_and_scaling_are_honoured(room: PrintRoom) -> None:
    wide = Image.new("RGB", (900, 600), (200, 30, 30))
    ImageDraw.Draw(wide).rectangle((0, 0, 90, 600), fill=(30, 30, 200))  # blue on its left
    out = io.BytesIO()
    wide.save(out, "JPEG", quality=95)

    def printed(*job: codec.Attribute) -> Image.Image:
        before = len(room.printer.printed())
        room.ask(room.request(Operation.PRINT_JOB, job=list(job)) + out.getvalue())
        return room.wait_for_pages(before + 1)[-1]

    grey = printed(attribute("print-color-mode", "monochrome"))
    red, green, blue = grey.getpixel((600, 900))  # type: ignore[misc]
    assert max(red, green, blue) - min(red, green, blue) < 6
    turned = printed()  # to the way of the paper
    assert turned.size == (1200, 1800) and turned.getpixel((600, 1700))[2] > 150  # type: ignore[index]
    other = printed(attribute("orientation-requested", 5))  # the other way round
    assert other.getpixel((600, 100))[2] > 150  # type: ignore[index]
    upright = printed(attribute("orientation-requested", 3), attribute("print-scaling", "fit"))
    assert upright.getpixel((600, 100)) == (255, 255, 255) and upright.getpixel((20, 900))[2] > 150  # type: ignore[index]
    own_size = printed(attribute("print-scaling", "none"))  # 900 x 600 dots in the middle of 1200 x 1800
    assert own_size.getpixel((100, 100)) == (255, 255, 255) and own_size.getpixel((600, 900))[0] > 150  # type: ignore[index]


@pytest.mark.parametrize("kind", ["black-1", "cmyk-8", "sgray-8", "srgb-8", "srgb-16"])
def test_pwg_raster_of_every_kind(room: PrintRoom, kind: str) -> None:
    document = b"".join(_raster("color.jpg-4x6", kind, 150))
    assert room.ask(room.request(Operation.PRINT_JOB) + document).code == Status.OK
    page = room.wait_for_pages(1)[0]
    tones = [band.getextrema() for band in page.split()]
    assert page.size == (1200, 1800) and all(high - low > 100 for low, high in tones)  # type: ignore[operator]


def test_a_queue_with_a_render_profile_prints_by_it(room: PrintRoom) -> None:
    body = room.request(Operation.PRINT_JOB) + photo()
    with room.connection() as link:
        link.sendall(room.http(body, path=f"/ipp/print/{room.grey.path}"))
        answer = answer_of(link)
    assert answer.code == Status.NOT_FOUND  # the address and the target must be the same queue
    head = [attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en")]
    head.append(attribute("printer-uri", room.uri(room.grey)))
    message = codec.encode(Message(Operation.PRINT_JOB, 1, [Group(GroupTag.OPERATION, head)]))
    with room.connection() as link:
        link.sendall(room.http(message + photo(), path=f"/ipp/print/{room.grey.path}"))
        assert answer_of(link).code == Status.OK
    red, green, blue = room.wait_for_pages(1)[0].getpixel((600, 900))  # type: ignore[misc]
    assert max(red, green, blue) - min(red, green, blue) < 6


def test_a_document_that_is_not_what_it_says_is_refused_and_a_damaged_one_ends_as_aborted(room: PrintRoom) -> None:
    said = attribute("document-format", "image/jpeg")
    assert room.ask(room.request(Operation.PRINT_JOB, said) + b"%PDF-1.4 x").code == Status.DOCUMENT_FORMAT_ERROR
    unknown = room.ask(room.request(Operation.PRINT_JOB) + b"MZ a program")
    assert unknown.code == Status.DOCUMENT_FORMAT_NOT_SUPPORTED
    for document in (b"%PDF-1.4 and nothing else", b"RaS2" + bytes(1796), photo()[:200]):
        assert room.ask(room.request(Operation.PRINT_JOB) + document).code == Status.OK
    until(lambda: [state for _, state in room.jobs()] == ["ABORTED"] * 3, "each is aborted", 60)
    assert room.ask(room.request(Operation.PRINT_JOB) + photo()).code == Status.OK  # and nobody else is harmed
    room.wait_for_pages(1)


def test_a_pdf_that_unpacks_to_gigabytes_harms_nobody(room: PrintRoom) -> None:
    side = 60_000  # a picture of 3.6 gigabytes in six kilobytes
    packer = zlib.compressobj(9)
    packed = zlib.compress(b"".join([*(packer.compress(bytes(side)) for _ in range(side)), packer.flush()]), 9)
    head = f"/Subtype/Image/Width {side}/Height {side}/ColorSpace/DeviceGray/BitsPerComponent 8".encode()
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 432]/Contents 4 0 R/Resources<</XObject<</I 5 0 R>>>>>>",
        b"<</Length 30>>stream\nq 288 0 0 432 0 0 cm /I Do Q  \nendstream",
        b"<</Type/XObject%s/Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream"
        % (head, len(packed), packed),
    ]
    document = b"%PDF-1.5\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, part) for n, part in enumerate(parts, 1))
    document += b"trailer<</Size 6/Root 1 0 R>>\n%%EOF"
    assert room.ask(room.request(Operation.PRINT_JOB, attribute("job-name", "bomb")) + document).code == Status.OK
    assert room.ask(room.request(Operation.PRINT_JOB, attribute("job-name", "photo")) + photo()).code == Status.OK
    until(lambda: ("photo", "COMPLETED") in room.jobs(), "the next one is printed", 60)
    until(lambda: dict(room.jobs())["bomb"] in ("COMPLETED", "ABORTED"), "the first one ends in some way", 60)
    status = Path(f"/proc/{room.box.worker_pid()}/status").read_text()
    assert int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) < 400_000


# -- nothing half, nothing lost -----------------------------------------------------------------------------------


def chunked(*parts: bytes, is_whole: bool = True) -> bytes:
    body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)
    return body + (b"0\r\n\r\n" if is_whole else b"")


def test_a_short_body_or_a_missing_last_chunk_is_an_abort_and_never_half_a_print(room: PrintRoom) -> None:
    body = room.request(Operation.PRINT_JOB) + photo()
    head = b"POST /ipp/print/lab HTTP/1.1\r\nHost: x\r\nContent-Type: application/ipp\r\n"
    breaks = [
        room.http(body[: len(body) // 2], length=len(body)),
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body[:500], body[500:9000], is_whole=False),
    ]
    for bad in breaks:
        for resets in (False, True):
            with room.connection() as link:
                if resets:
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                link.sendall(bad)
                time.sleep(0.2)
    with room.connection() as link:  # whole, in tiny chunks
        link.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        link.sendall(chunked(*(body[at : at + 997] for at in range(0, len(body), 997))))
        assert answer_of(link).code == Status.OK
    room.wait_for_pages(1)
    until(lambda: room.jobs() == [("Untitled", "COMPLETED")], "it is done")
    assert len(list((room.data / "queued").iterdir())) == 1  # what broke off left nothing


def test_what_was_acknowledged_survives_the_plug_being_pulled_and_is_printed_once(room: PrintRoom) -> None:
    room.printer.pull(seconds_per_sheet=0.3)
    for number in range(6):
        name = attribute("job-name", f"job {number}")
        assert room.ask(room.request(Operation.PRINT_JOB, name) + photo(60 + number, 90)).code == Status.OK
    until(lambda: room.printer.printed(), "the first one comes out")
    room.restart()
    until(lambda: [state for _, state in room.jobs()] == ["COMPLETED"] * 6, "all of them are done", 60)
    room.wait_for_pages(6)


def test_a_client_that_says_nothing_holds_nobody_up(
    tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance
) -> None:
    room = PrintRoom(tmp_path, virtual_printer("Lab One"), appliance)
    idle = [room.connection() for _ in range(40)]
    for link in idle[:20]:
        link.sendall(b"POST /ipp/print/lab HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nContent-Type: app")
    for link in idle[20:30]:
        link.sendall(room.http(room.request(Operation.PRINT_JOB) + b"\xff\xd8\xff", length=10_000_000))
    began = time.monotonic()
    assert room.ask(room.request(Operation.PRINT_JOB) + photo()).code == Status.OK
    assert time.monotonic() - began < FIRST_BYTE_LIMIT_S  # the soonest that any of them is shut out
    room.wait_for_pages(1)
    for link in idle:
        link.close()


def test_connections_that_say_nothing_take_their_places_from_each_other(room: PrintRoom) -> None:
    idle = [room.connection(f"127.0.0.{10 + number % 6}") for number in range(300)]
    assert room.ask(room.request(Operation.PRINT_JOB) + photo()).code == Status.OK
    room.wait_for_pages(1)
    for link in idle:
        link.close()
    crowd = [room.connection() for _ in range(64)]
    assert room.ask(room.request(Operation.GET_PRINTER_ATTRIBUTES)).code == Status.OK  # the 65th of one computer
    crowd[0].settimeout(20)
    assert crowd[0].recv(1) == b""  # the one that had waited longest went for it
    for link in crowd:
        link.close()


def test_documents_larger_than_allowed_are_refused_packed_or_not(
    tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance
) -> None:
    room = PrintRoom(tmp_path, virtual_printer("Lab One"), appliance, PRINTROOM_MAX_DOCUMENT_MB="1")
    large = b"\xff\xd8\xff" + bytes(2_000_000)
    assert room.ask(room.request(Operation.PRINT_JOB) + large).code == Status.REQUEST_ENTITY_TOO_LARGE
    bomb = gzip.compress(b"\xff\xd8\xff" + bytes(200_000_000))
    assert len(bomb) < 250_000
    kind = attribute("compression", "gzip")
    assert room.ask(room.request(Operation.PRINT_JOB, kind) + bomb).code == Status.REQUEST_ENTITY_TOO_LARGE
    half = room.ask(room.request(Operation.PRINT_JOB, kind) + gzip.compress(photo())[:-9])
    assert half.code == Status.COMPRESSION_ERROR
    assert list((room.data / "queued").iterdir()) == [] and room.jobs() == []


# -- who may ------------------------------------------------------------------------------------------------------


def test_tls_on_the_same_port_from_the_first_byte_or_by_upgrade(room: PrintRoom) -> None:
    async def describe() -> str:
        async with Connection(room.uri(scheme="ipps"), Access()) as client:
            return (await client.everything()).group(GroupTag.PRINTER).text("uri-security-supported")

    assert asyncio.run(describe()) == "tls"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with room.connection() as plain:
        plain.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2,HTTP/1.1\r\n\r\n")
        assert plain.recv(200).startswith(b"HTTP/1.1 101")
        with context.wrap_socket(plain) as secret:
            secret.sendall(room.http(room.request(Operation.GET_PRINTER_ATTRIBUTES)))
            assert answer_of(secret).code == Status.OK


def test_a_queue_with_a_password_takes_nothing_without_it_and_none_in_the_clear(room: PrintRoom) -> None:
    async def describe(scheme: str, *login: str) -> str:
        async with Connection(room.uri(room.locked, scheme), Access(*login)) as client:
            return (await client.everything()).group(GroupTag.PRINTER).text("printer-info")

    from ipp.errors import PrinterUnreachable, PrinterWantsTls

    with pytest.raises(PrinterWantsTls):
        asyncio.run(describe("ipp", "studio", PASSWORD))
    for login in ((), ("studio", "wrong")):
        with pytest.raises(PrinterUnreachable):
            asyncio.run(describe("ipps", *login))
    assert asyncio.run(describe("ipps", "studio", PASSWORD)) == "Locked"


def test_only_allowed_networks_are_answered(
    tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance
) -> None:
    room = PrintRoom(tmp_path, virtual_printer("Lab One"), appliance, PRINTROOM_IPP_NETWORKS="192.168.77.0/24")
    with room.connection() as link:
        link.settimeout(5)
        try:
            link.sendall(room.http(room.request(Operation.GET_PRINTER_ATTRIBUTES)))
            assert link.recv(1) == b""
        except ConnectionError:
            pass


def test_a_computer_that_asks_too_often_is_told_to_wait(
    tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance
) -> None:
    room = PrintRoom(tmp_path, virtual_printer("Lab One"), appliance, PRINTROOM_IPP_REQUESTS_PER_S="2")
    seen = b""
    with room.connection() as link:
        for _ in range(12):
            link.sendall(room.http(room.request(Operation.GET_PRINTER_ATTRIBUTES)))
            seen = link.recv(200)
            if b" 429 " in seen:
                break
            while len(link.recv(65536)) == 65536:
                pass
    assert b" 429 " in seen and b"Retry-After" in seen


def test_a_held_job_is_released_in_the_panel(room: PrintRoom) -> None:
    import http.cookiejar
    import urllib.parse
    import urllib.request

    room.ask(room.request(Operation.PRINT_JOB, job=[attribute("job-hold-until", "indefinite")]) + photo())
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def post(path: str, **form: str) -> str:
        with opener.open(room.box.url + path, urllib.parse.urlencode(form).encode(), timeout=10) as answer:
            return str(answer.read().decode())

    post("/login", name="kim", password=PASSWORD)
    assert "held as its sender wished" in opener.open(f"{room.box.url}/queues/1", timeout=10).read().decode()
    post("/queues/jobs/1/release")
    room.wait_for_pages(1)


def test_a_subscriber_hears_of_a_job_from_its_beginning_to_its_end(room: PrintRoom) -> None:
    wanted = [attribute("notify-pull-method", "ippget"), attribute("notify-events", "job-created", "job-completed")]
    head, _ = codec.decode(room.request(Operation.CREATE_PRINTER_SUBSCRIPTIONS))
    head.groups.append(Group(GroupTag.SUBSCRIPTION, wanted))
    number = room.ask(codec.encode(head)).group(GroupTag.SUBSCRIPTION).number("notify-subscription-id") or 0
    # At once, so that nothing between the two is missed.
    room.ask(room.request(Operation.PRINT_JOB, attribute("job-name", "bride")) + photo())

    def heard() -> list[tuple[str, str]]:
        asked = room.request(Operation.GET_NOTIFICATIONS, attribute("notify-subscription-ids", number))
        events = room.ask(asked).all_groups(GroupTag.EVENT_NOTIFICATION)
        return [(event.text("notify-subscribed-event"), event.text("job-name")) for event in events]

    until(lambda: heard() == [("job-created", "bride"), ("job-completed", "bride")], "both are told", 20)


def test_a_full_disk_is_told_as_one(room: PrintRoom) -> None:
    (room.data / "queued").rename(room.data / "elsewhere")  # as a disk that has gone away
    answer = room.ask(room.request(Operation.PRINT_JOB) + photo())
    assert answer.code == Status.TEMPORARY_ERROR
    assert "cannot keep the document" in answer.group(GroupTag.OPERATION).text("status-message")
    (room.data / "elsewhere").rename(room.data / "queued")
    assert room.ask(room.request(Operation.PRINT_JOB) + photo()).code == Status.OK


def test_icons_and_a_page_for_browsers(room: PrintRoom) -> None:
    import urllib.request

    base = f"http://127.0.0.1:{room.box.ipp_port}"
    with urllib.request.urlopen(f"{base}/icons/128.png", timeout=10) as answer:
        assert Image.open(io.BytesIO(answer.read())).size == (128, 128)
    with urllib.request.urlopen(f"{base}/ipp/print/lab", timeout=10) as answer:
        assert b"The panel is at http://127.0.0.1" in answer.read()
