"""Reading PWG raster (PWG 5102.4) and Apple raster (URF) that other computers send. No I/O but the file's.

Runs in a drawing process: what a hostile file does there costs a job.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_SIDE_PX = 60_000
MAX_PAGE_BYTES = 1_500_000_000
MAX_PAGES = 2_000
_PWG_SYNC, _URF_SYNC = b"RaS2", b"UNIRAST\0"
# (colour space, bits a pixel) → how the bytes are read.
_PWG_KINDS = {
    (18, 8): "sgray_8",
    (19, 24): "srgb_8",
    (20, 24): "adobe-rgb_8",
    (19, 48): "srgb_16",
    (3, 1): "black_1",
    (3, 8): "black_8",
    (6, 32): "cmyk_8",
}
_URF_KINDS = {(0, 8): "sgray_8", (1, 24): "srgb_8", (3, 24): "adobe-rgb_8", (4, 8): "sgray_8", (6, 32): "cmyk_8"}


class RasterDamaged(ValueError):
    """A file that does not follow its format; the text says where."""


@dataclass(frozen=True)
class RasterPage:
    """A page's pixels, rows from the top without padding."""

    width_px: int
    height_px: int
    dpi: int
    kind: str  # pwg-raster-document-type
    pixels: bytes


def pages(file: BinaryIO) -> Iterator[RasterPage]:
    """The pages of a document, one at a time.

    Raises:
        RasterDamaged: it is not raster, or ends too early, or has pages that no printer could hold.
    """
    start = file.read(8)
    if start[:4] == _PWG_SYNC:
        file.seek(4)
        yield from _pwg_pages(file)
    elif start == _URF_SYNC:
        yield from _urf_pages(file)
    else:
        raise RasterDamaged("neither PWG raster nor URF")


def _pwg_pages(file: BinaryIO) -> Iterator[RasterPage]:
    count = 0
    while header := file.read(1796):
        count += 1
        if len(header) < 1796 or count > MAX_PAGES:
            raise RasterDamaged(f"page {count} has half a header" if count <= MAX_PAGES else "too many pages")
        (dpi_x, dpi_y) = struct.unpack_from(">II", header, 276)
        width, height = struct.unpack_from(">II", header, 372)
        bits, row_bytes = struct.unpack_from(">II", header, 388)
        (space,) = struct.unpack_from(">I", header, 400)
        kind = _PWG_KINDS.get((space, bits))
        if kind is None:
            raise RasterDamaged(f"page {count}: colour space {space} with {bits} bits a pixel cannot be printed here")
        yield _page(file, count, width, height, max(dpi_x, dpi_y), kind, bits, row_bytes)


def _urf_pages(file: BinaryIO) -> Iterator[RasterPage]:
    (count,) = struct.unpack(">I", _exactly(file, 4, "the number of pages"))
    if count > MAX_PAGES:
        raise RasterDamaged("too many pages")
    number = 0
    while header := file.read(32):
        number += 1
        if len(header) < 32 or number > MAX_PAGES:
            raise RasterDamaged(f"page {number} has half a header")
        bits, space = header[0], header[1]
        width, height, dpi = struct.unpack_from(">III", header, 12)
        kind = _URF_KINDS.get((space, bits))
        if kind is None:
            raise RasterDamaged(f"page {number}: colour space {space} with {bits} bits a pixel cannot be printed here")
        yield _page(file, number, width, height, dpi, kind, bits, (width * bits + 7) // 8)


def _page(
    file: BinaryIO, number: int, width: int, height: int, dpi: int, kind: str, bits: int, row_bytes: int
) -> RasterPage:
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX and 36 <= dpi <= 4800):
        raise RasterDamaged(f"page {number}: {width}x{height} pixels at {dpi} dpi is no page")
    if row_bytes != (width * bits + 7) // 8 or row_bytes * height > MAX_PAGE_BYTES:
        raise RasterDamaged(f"page {number}: {row_bytes} bytes in a row of {width} pixels with {bits} bits")
    unit = max(1, bits // 8)
    white = (b"\x00" if kind in ("black_1", "black_8", "cmyk_8") else b"\xff") * row_bytes
    rows: list[bytes] = []
    while len(rows) < height:
        times = _exactly(file, 1, f"page {number}")[0] + 1
        row = _row(file, row_bytes, unit, number, white)
        rows.extend([row] * min(times, height - len(rows)))
    return RasterPage(width, height, dpi, kind, b"".join(rows))


def _row(file: BinaryIO, row_bytes: int, unit: int, number: int, white: bytes) -> bytes:
    """One line of runs and stretches (PWG 5102.4 §4.3); 128 fills the rest with white (URF)."""
    row = bytearray()
    while len(row) < row_bytes:
        count = _exactly(file, 1, f"page {number}")[0]
        if count == 128:
            row += white[len(row) :]
        elif count > 128:
            row += _exactly(file, (257 - count) * unit, f"page {number}")
        else:
            row += _exactly(file, unit, f"page {number}") * (count + 1)
    if len(row) != row_bytes:
        raise RasterDamaged(f"page {number}: a line is longer than the page is wide")
    return bytes(row)


def _exactly(file: BinaryIO, count: int, what: str) -> bytes:
    piece = file.read(count)
    if len(piece) < count:
        raise RasterDamaged(f"{what}: the file ends early")
    return piece
