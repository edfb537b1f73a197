"""Sheets as raster: PWG raster (PWG 5102.4) and Apple raster (URF), for printers that do not take JPEG. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from store.sizes import PrintSize

_SYNC, _URF_SYNC = b"RaS2", b"UNIRAST\0"
_MOST_PIXELS, _MOST_LINES = 128, 256  # of one run, and of one repetition
_LONG_RUN = 8  # shorter runs inside of a photo's grain are not worth a search


class RasterType(StrEnum):
    """PWG 5102.4 §4.2: a colour space and its depth."""

    SRGB_8 = "srgb_8"
    ADOBE_RGB_8 = "adobe-rgb_8"
    SGRAY_8 = "sgray_8"

    @property
    def bytes_per_pixel(self) -> int:
        """One for each colour."""
        return 1 if self is RasterType.SGRAY_8 else 3


# Colour spaces in the two headers.
_PWG_SPACES = {RasterType.SRGB_8: 19, RasterType.ADOBE_RGB_8: 20, RasterType.SGRAY_8: 18}
_URF_SPACES = {RasterType.SRGB_8: 1, RasterType.ADOBE_RGB_8: 3, RasterType.SGRAY_8: 0}


@dataclass(frozen=True)
class Page:
    """One side of a sheet."""

    width_px: int
    height_px: int
    dpi: int
    size: PrintSize  # of the paper, upright
    type: RasterType
    media_type: str = ""
    quality: int = 5  # RFC 8011 §5.2.13
    borderless_name: str = ""  # PWG media size name


def pwg(page: Page, pixels: bytes) -> bytes:
    """A PWG raster document of one page.

    Args:
        page: what the pixels are.
        pixels: rows from the top, without padding; page.type's bytes for each pixel.

    Raises:
        ValueError: there are more or fewer pixels than the page has.
    """
    _check(page, pixels)
    return _SYNC + _pwg_header(page) + b"".join(_lines(page, pixels))


def urf(page: Page, pixels: bytes) -> bytes:
    """An Apple raster document of one page; see pwg()."""
    _check(page, pixels)
    head = struct.pack(
        ">BBBBIIIIII",
        8 * page.type.bytes_per_pixel,
        _URF_SPACES[page.type],
        1,  # one-sided
        page.quality,
        0,
        0,
        page.width_px,
        page.height_px,
        page.dpi,
        0,
    )
    return _URF_SYNC + struct.pack(">I", 1) + head + bytes(4) + b"".join(_lines(page, pixels))


def _check(page: Page, pixels: bytes) -> None:
    wanted = page.width_px * page.height_px * page.type.bytes_per_pixel
    if len(pixels) != wanted:
        raise ValueError(f"{len(pixels)} bytes of pixels where {wanted} make the page: check its width and height")


def _pwg_header(page: Page) -> bytes:
    """PWG 5102.4 table 1: 1796 bytes, big-endian, what is not used is zero."""
    header = bytearray(1796)
    depth = page.type.bytes_per_pixel
    header[0:9] = b"PwgRaster"
    header[128 : 128 + len(page.media_type.encode()[:63])] = page.media_type.encode()[:63]
    points = [round(side_um * 72 / 25_400) for side_um in sorted((page.size.width_um, page.size.height_um))]
    integers = {
        276: page.dpi,  # HWResolution
        280: page.dpi,
        340: 0,  # NumCopies: the job's
        352: points[0],  # PageSize
        356: points[1],
        372: page.width_px,
        376: page.height_px,
        384: 8,  # BitsPerColor
        388: 8 * depth,
        392: page.width_px * depth,  # BytesPerLine
        400: _PWG_SPACES[page.type],  # ColorSpace
        420: depth,  # NumColors
        452: 1,  # TotalPageCount
        456: 1,  # CrossFeedTransform
        460: 1,  # FeedTransform
        472: page.width_px,  # ImageBoxRight
        476: page.height_px,  # ImageBoxBottom
        480: 0xFFFFFF,  # AlternatePrimary: white
        484: page.quality,
    }
    for offset, value in integers.items():
        struct.pack_into(">I", header, offset, value)
    name = page.borderless_name.encode()[:63]
    header[1732 : 1732 + len(name)] = name
    return bytes(header)


def _lines(page: Page, pixels: bytes) -> Iterator[bytes]:
    """Compressed lines (PWG 5102.4 §4.3): equal ones once, with how often they come again."""
    stride = page.width_px * page.type.bytes_per_pixel
    row = 0
    while row < page.height_px:
        line = pixels[row * stride : (row + 1) * stride]
        again = 1
        while (
            again < _MOST_LINES
            and row + again < page.height_px
            and pixels[(row + again) * stride : (row + again + 1) * stride] == line
        ):
            again += 1
        yield bytes([again - 1]) + _packed(line, page.type.bytes_per_pixel)
        row += again


def _packed(line: bytes, depth: int) -> bytes:
    """One line as runs of an equal pixel and stretches of different ones."""
    packed: list[bytes] = []
    width = len(line) // depth
    x = 0
    while x < width:
        pixel = line[x * depth : (x + 1) * depth]
        if line[x * depth : (x + _LONG_RUN) * depth] == pixel * _LONG_RUN:
            run = _LONG_RUN
            while run < _MOST_PIXELS and x + run < width and line[(x + run) * depth : (x + run + 1) * depth] == pixel:
                run += 1
            packed.append(bytes([run - 1]) + pixel)
            x += run
            continue
        stretch = min(_MOST_PIXELS, width - x)
        # A long run that begins inside of the stretch ends it; looked for where one can be told from grain cheaply.
        for at in range(x + _LONG_RUN, x + stretch - _LONG_RUN, _LONG_RUN):
            one = line[at * depth : (at + 1) * depth]
            if line[at * depth : (at + _LONG_RUN) * depth] == one * _LONG_RUN:
                stretch = at - x
                break
        if stretch == 1:
            packed.append(bytes([0]) + pixel)
        else:
            packed.append(bytes([257 - stretch]) + line[x * depth : (x + stretch) * depth])
        x += stretch
    return b"".join(packed)
