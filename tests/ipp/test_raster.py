"""PWG and Apple raster, read back by another decoder: CUPS's own (libcupsimage)."""

from __future__ import annotations

import ctypes
import ctypes.util
import struct
import tempfile
from typing import Any

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ipp.pdf import page_of_jpeg
from ipp.raster import Page, RasterType, pwg, urf
from render.samples import sample_photo
from store.sizes import parse_size

SIZE = parse_size("4x6")
HEADER_BYTES = 1796


@pytest.fixture(scope="module")
def cups() -> Any:
    name = ctypes.util.find_library("cupsimage")
    assert name, "libcupsimage2 is missing: ./printroom test installs it"
    library = ctypes.CDLL(name)
    library.cupsRasterOpen.restype = ctypes.c_void_p
    library.cupsRasterReadHeader2.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.cupsRasterReadPixels.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint]
    library.cupsRasterClose.argtypes = [ctypes.c_void_p]
    return library


def read_back(cups: Any, document: bytes) -> tuple[bytes, bytes]:
    """(header in the machine's byte order, pixels) as CUPS reads them; there must be one page."""
    with tempfile.TemporaryFile() as file:
        file.write(document)
        file.seek(0)
        raster = cups.cupsRasterOpen(file.fileno(), 0)
        header = ctypes.create_string_buffer(HEADER_BYTES)
        assert cups.cupsRasterReadHeader2(raster, header) == 1
        stride, height = (struct.unpack_from("=I", header.raw, offset)[0] for offset in (392, 376))
        pixels = ctypes.create_string_buffer(stride * height)
        read = sum(
            cups.cupsRasterReadPixels(raster, ctypes.cast(ctypes.byref(pixels, row * stride), ctypes.c_char_p), stride)
            for row in range(height)
        )
        assert read == stride * height
        assert cups.cupsRasterReadHeader2(raster, ctypes.create_string_buffer(HEADER_BYTES)) == 0
        cups.cupsRasterClose(raster)
        return header.raw, pixels.raw


def number(header: bytes, offset: int) -> int:
    return int(struct.unpack_from("=I", header, offset)[0])


ROWS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=3).map(lambda one: one * 40),  # runs
        st.binary(min_size=1, max_size=60),  # grain
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(RasterType)), st.integers(1, 300), ROWS, st.integers(1, 4))
def test_what_is_packed_is_read_back_by_cups(
    cups: Any, kind: RasterType, width: int, rows: list[bytes], again: int
) -> None:
    stride = width * kind.bytes_per_pixel
    lines = [(row * stride)[:stride] for row in rows for _ in range(again)]
    page = Page(width, len(lines), 300, SIZE, kind)
    for encode in (pwg, urf):
        _, pixels = read_back(cups, encode(page, b"".join(lines)))
        assert pixels == b"".join(lines)


def test_more_equal_lines_than_one_repetition_holds(cups: Any) -> None:
    page = Page(5, 700, 300, SIZE, RasterType.SGRAY_8)
    document = pwg(page, b"\x07" * 3500)
    assert len(document) < HEADER_BYTES + 40 and read_back(cups, document)[1] == b"\x07" * 3500


def test_the_header_says_what_the_page_is(cups: Any) -> None:
    page = Page(1200, 1800, 300, SIZE, RasterType.SRGB_8, "photographic-glossy", 5, "na_index-4x6_4x6in")
    header, _ = read_back(cups, pwg(page, bytes(1200 * 1800 * 3)))
    told = {name: number(header, offset) for name, offset in FIELDS.items()}
    assert told == {
        "x dpi": 300, "y dpi": 300, "width pt": 288, "height pt": 432, "width": 1200, "height": 1800,
        "bits a pixel": 24, "colours": 3, "space": 19, "quality": 5,
    }  # fmt: skip
    assert (
        header[:9] == b"PwgRaster"
        and header[128:147] == b"photographic-glossy"
        and header[1732:1750] == b"na_index-4x6_4x6in"
    )


FIELDS = {
    "x dpi": 276, "y dpi": 280, "width pt": 352, "height pt": 356, "width": 372, "height": 376,
    "bits a pixel": 388, "colours": 420, "space": 400, "quality": 484,
}  # fmt: skip


def test_a_photo_is_packed_quickly_and_not_much_larger_than_its_pixels(cups: Any) -> None:
    import io

    with Image.open(io.BytesIO(sample_photo(1, 1200, 1800))) as image:
        pixels = image.convert("RGB").tobytes()
    document = pwg(Page(1200, 1800, 300, SIZE, RasterType.SRGB_8), pixels)
    assert len(document) < 1.02 * len(pixels) and read_back(cups, document)[1] == pixels


def test_pixels_that_do_not_fill_the_page_are_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes of pixels where 6 make the page"):
        pwg(Page(2, 1, 300, SIZE, RasterType.SRGB_8), bytes(5))


def test_a_jpeg_becomes_a_page_of_its_size_with_every_pixel() -> None:
    photo = sample_photo(2, 600, 400)
    with pypdfium2.PdfDocument(page_of_jpeg(photo, 600, 400, 100)) as document:
        assert len(document) == 1 and document[0].get_size() == pytest.approx((432, 288), abs=0.01)
        drawn = document[0].render(scale=100 / 72).to_pil().convert("RGB")
    import io

    with Image.open(io.BytesIO(photo)) as image:
        wanted = image.convert("RGB")
    assert drawn.size == wanted.size
    for place in ((10, 10), (300, 200), (590, 390)):
        assert drawn.getpixel(place) == pytest.approx(wanted.getpixel(place), abs=12)
