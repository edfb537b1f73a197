"""Raster that other computers send is read pixel for pixel, and damage is told and never more than that.

The writer is the one that libcupsimage reads back in test_raster; tests/conformance has a writer of its own.
"""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipp.raster import Page, RasterType, pwg, urf
from ipp.raster_reader import RasterDamaged, pages
from store.sizes import parse_size

SIZE = parse_size("4x6")
ROWS = st.lists(
    st.one_of(st.binary(min_size=1, max_size=3), st.binary(min_size=1, max_size=40)), min_size=1, max_size=8
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(RasterType)), st.sampled_from([pwg, urf]), st.integers(1, 300), ROWS, st.integers(1, 300))
def test_every_pixel_is_read(kind: RasterType, encode: object, width: int, rows: list[bytes], again: int) -> None:
    stride = width * kind.bytes_per_pixel
    lines = [(row * stride)[:stride] for row in rows for _ in range(again)]
    document = encode(Page(width, len(lines), 300, SIZE, kind), b"".join(lines))  # type: ignore[operator]
    (page,) = pages(io.BytesIO(document))
    assert (page.width_px, page.height_px, page.dpi, page.kind) == (width, len(lines), 300, kind.value)
    assert page.pixels == b"".join(lines)


def sample(encode: object = pwg) -> bytes:
    pixels = os.urandom(3 * 40 * 30) + bytes(3 * 40 * 30)
    return bytes(encode(Page(40, 60, 300, SIZE, RasterType.SRGB_8), pixels))  # type: ignore[operator]


@pytest.mark.parametrize("encode", [pwg, urf])
def test_several_pages_come_one_after_the_other(encode: object) -> None:
    whole = sample(encode)
    start = 4 if encode is pwg else 12
    assert [page.height_px for page in pages(io.BytesIO(whole + whole[start:]))] == [60, 60]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([pwg, urf]), st.integers(0, 4000), st.binary(max_size=6), st.booleans())
def test_damage_is_told_and_nothing_else_happens(encode: object, at: int, junk: bytes, cuts: bool) -> None:
    whole = sample(encode)
    at %= len(whole)
    bent = whole[:at] + junk + (b"" if cuts else whole[at + len(junk) :])
    try:
        for page in pages(io.BytesIO(bent)):
            assert len(page.pixels) <= 1_500_000_000
    except RasterDamaged as error:
        assert str(error)


def test_pages_that_no_printer_could_hold_are_refused_before_they_are_read() -> None:
    header = bytearray(sample()[:1800])
    header[4 + 372 : 4 + 380] = b"\x00\x0f\x00\x00" * 2  # a million pixels each way
    with pytest.raises(RasterDamaged, match="is no page"):
        list(pages(io.BytesIO(bytes(header))))
    with pytest.raises(RasterDamaged, match="neither PWG raster nor URF"):
        list(pages(io.BytesIO(b"GIF89a")))
