"""Printers that take no JPEG: what they get is read back by other programs."""

from __future__ import annotations

import io
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageChops, ImageStat

from appliance.convert import convert
from ipp.documents import Conversion, DocumentFormat, raster_types
from ipp.raster import RasterType
from ipp.room import IppRoom
from render.colour import adobe_rgb_profile
from render.samples import sample_photo
from store import decisions
from store.records import PrinterPool
from store.sizes import parse_size
from store.states import TicketState
from store.tables import Store
from tests.ipp.test_raster import cups, number, read_back
from tests.ipp.test_sender import StartEve, add_printer, drawn_ticket, ends_as, pool
from tests.studio import NOW

__all__ = ["cups", "pool"]  # fixtures


def at_once(task: Conversion) -> Future[None]:
    future: Future[None] = Future()
    convert(task)
    future.set_result(None)
    return future


def wanted(width: int, height: int) -> tuple[bytes, Image.Image]:
    photo = sample_photo(1, width, height)
    with Image.open(io.BytesIO(photo)) as image:
        return photo, image.convert("RGB")


def mean_difference(first: Image.Image, second: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(first, second)).mean)


@pytest.mark.parametrize("kind", [DocumentFormat.PWG_RASTER, DocumentFormat.URF])
@pytest.mark.parametrize("colours", [RasterType.SRGB_8, RasterType.SGRAY_8])
def test_a_sheet_becomes_raster_without_its_bleed(
    tmp_path: Path, cups: object, kind: DocumentFormat, colours: RasterType
) -> None:
    photo, drawn = wanted(420, 620)  # 4x6 at 100 dpi with 10 px of bleed
    (tmp_path / "1.jpg").write_bytes(photo)
    target = tmp_path / "1.raster"
    only = frozenset({colours})
    convert(Conversion(tmp_path / "1.jpg", target, kind, only, parse_size("6x4"), 100, "photographic", 5))
    header, pixels = read_back(cups, target.read_bytes())
    assert (number(header, 372), number(header, 376)) == (400, 600)
    mode = "L" if colours is RasterType.SGRAY_8 else "RGB"
    read = Image.frombytes(mode, (400, 600), pixels)
    assert mean_difference(read, drawn.crop((10, 10, 410, 610)).convert(mode)) == 0


@pytest.mark.parametrize("kind", [DocumentFormat.PWG_RASTER, DocumentFormat.URF])
@pytest.mark.parametrize("takes_adobe", [True, False])
def test_adobe_rgb_stays_what_it_is_or_becomes_srgb_but_is_never_mistaken(
    tmp_path: Path, cups: object, kind: DocumentFormat, takes_adobe: bool
) -> None:
    green = Image.new("RGB", (400, 600), (90, 200, 90))
    green.save(tmp_path / "1.jpg", icc_profile=adobe_rgb_profile(), quality=98)
    types = raster_types(["srgb_8", "adobe-rgb_8"] if takes_adobe else ["SRGB24"])
    target = tmp_path / "1.raster"
    convert(Conversion(tmp_path / "1.jpg", target, kind, types, parse_size("4x6"), 100, "", 5))
    header, pixels = read_back(cups, target.read_bytes())
    assert number(header, 400) == (20 if takes_adobe else 19)
    wanted_green = (90, 200, 90) if takes_adobe else (0, 201, 81)  # the formulas of Adobe RGB and sRGB
    assert max(abs(a - b) for a, b in zip(pixels[:3], wanted_green, strict=True)) <= 3


@pytest.mark.parametrize(
    ("formats", "got"),
    [
        ("image/pwg-raster,image/urf", "image/pwg-raster"),
        ("image/urf", "image/urf"),
        ("application/pdf", "application/pdf"),
    ],
)
def test_a_real_printer_without_jpeg_gets_what_it_takes(
    store: Store, pool: PrinterPool, eve_printer: StartEve, cups: object, formats: str, got: str
) -> None:
    eve = eve_printer("Eve", formats=formats)
    add_printer(store, pool, eve.uri)
    drawn_ticket(store, pool, [2])
    photo, drawn = wanted(1200, 1800)
    store.folder.sheet(1).write_bytes(photo)
    room = IppRoom(store, discovers=False, unreachable_limit=timedelta(hours=1), convert=at_once)
    room.start()
    try:
        ends_as(store, TicketState.FINISHED)
    finally:
        room.stop()
    received = eve.printed()  # it makes copies of documents that it understands, and single ones of raster
    assert {one.content_type for one in received} == {got} and sum(one.copies for one in received) == 2
    document = received[0].document.read_bytes()
    if got == "application/pdf":
        with pypdfium2.PdfDocument(document) as pages:
            read = pages[0].render(scale=300 / 72).to_pil().convert("RGB").crop((0, 0, 1200, 1800))
    else:
        _, pixels = read_back(cups, document)
        read = Image.frombytes("RGB", (1200, 1800), pixels)
    assert read.size == (1200, 1800)
    assert mean_difference(read.reduce(4), drawn.reduce(4)) < 2  # a PDF reader resamples the film grain
    assert sorted(path.name for path in store.folder.sheets.iterdir()) == ["1.jpg"]  # nothing is left behind


def test_a_sheet_that_cannot_be_converted_is_held_with_the_reason_and_leaves_no_job_behind(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve", formats="image/urf")
    add_printer(store, pool, eve.uri, "Eve")
    drawn_ticket(store, pool, [1])
    tries = 0

    def breaks_once(task: Conversion) -> Future[None]:
        nonlocal tries
        tries += 1
        if tries > 1:
            return at_once(task)
        future: Future[None] = Future()
        future.set_exception(ValueError("odd pixels"))
        return future

    room = IppRoom(store, discovers=False, unreachable_limit=timedelta(hours=1), convert=breaks_once)
    room.start()
    try:
        ends_as(store, TicketState.HELD)
        assert "the sheet could not be turned into image/urf (odd pixels)" in store.sheets.get(1).hold
        assert store.print_jobs.get(1).job_id is None and tries == 1
        decisions.answer_held(store, 1, True, NOW)
        ends_as(store, TicketState.FINISHED)
    finally:
        room.stop()
    assert len(eve.printed()) == 1


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), MemoryError(), BrokenProcessPool()])
def test_a_sheet_that_cannot_be_converted_just_now_waits_and_goes_on_by_itself(
    store: Store, pool: PrinterPool, eve_printer: StartEve, trouble: Exception
) -> None:
    """A full disk, or the system ended the process: nothing is wrong with the sheet, and nobody is asked."""
    eve = eve_printer("Eve", formats="image/urf")
    add_printer(store, pool, eve.uri, "Eve")
    drawn_ticket(store, pool, [1])
    tries = 0

    def later(task: Conversion) -> Future[None]:
        nonlocal tries
        tries += 1
        if tries > 2:
            return at_once(task)
        future: Future[None] = Future()
        future.set_exception(trouble)
        return future

    room = IppRoom(store, discovers=False, unreachable_limit=timedelta(hours=1), convert=later)
    room.start()
    try:
        ends_as(store, TicketState.FINISHED)
    finally:
        room.stop()
    assert len(eve.printed()) == 1 and not store.sheets.get(1).hold
