"""The documents that ipptool's suites want: photos, PDF and PostScript pages, and PWG raster of every kind.

The raster files are written here with a writer of their own, so that the box's reader is not tried with its own words.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

DPIS = (150, 180, 300, 360, 600, 720)
# pwg-raster-document-type in file names → (colour space, bits a colour, colours)
KINDS = {
    "black-1": (3, 1, 1),
    "cmyk-8": (6, 8, 4),
    "sgray-8": (18, 8, 1),
    "srgb-8": (19, 8, 3),
    "srgb-16": (19, 16, 3),
}
PAPERS = {"4x6": (4, 6), "a4": (8.27, 11.69), "letter": (8.5, 11)}
RASTERS = ("color.jpg-4x6", "gray.jpg-4x6", "document-a4", "document-letter", "onepage-a4", "onepage-letter")


def write_all(folder: Path, has_raster: bool = True) -> None:
    """Every document, into a folder.

    Args:
        folder: where to.
        has_raster: the PWG raster files too; ipp-everywhere.test wants them.
    """
    photo = _photo()
    photo.save(folder / "color.jpg", quality=90, dpi=(300, 300))
    photo.convert("L").save(folder / "gray.jpg", quality=90, dpi=(300, 300))
    for paper in ("a4", "letter"):
        for name, count in (("document", 4), ("onepage", 1)):
            pages = [_page(paper, 72, number) for number in range(1, count + 1)]
            rest = {"save_all": True, "append_images": pages[1:]} if count > 1 else {}
            pages[0].save(folder / f"{name}-{paper}.pdf", resolution=72, **rest)
            pages[0].save(folder / f"{name}-{paper}.ps", "EPS")
    (folder / "testfile.txt").write_text("a line\n")
    (folder / "testfile.ps").write_bytes((folder / "onepage-letter.ps").read_bytes())
    (folder / "testfile.pdf").write_bytes((folder / "onepage-letter.pdf").read_bytes())
    (folder / "testfile.jpg").write_bytes((folder / "color.jpg").read_bytes())
    if not has_raster:
        return
    for dpi in DPIS:
        for kind in KINDS:
            target = folder / f"pwg-raster-samples-{dpi}dpi" / kind
            target.mkdir(parents=True)
            for name in RASTERS:
                (target / f"{name}-{kind}-{dpi}dpi.pwg").write_bytes(b"".join(_raster(name, kind, dpi)))


def _photo() -> Image.Image:
    width, height = 1200, 1800
    bands = (Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L").rotate(90))
    return Image.merge("RGB", [band.resize((width, height)) for band in bands])


def _page(paper: str, dpi: int, number: int) -> Image.Image:
    width, height = (round(side * dpi) for side in PAPERS[paper])
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for line in range(20):
        top = height // 8 + line * height // 28
        right = width * (4 + (line * 7 + number) % 4) // 8
        draw.rectangle((width // 8, top, right, top + height // 60), fill="#203040")
    draw.rectangle((width // 8, height // 20, width // 8 + number * width // 12, height // 12), fill="#a03020")
    return page


def _raster(name: str, kind: str, dpi: int) -> Iterator[bytes]:
    stem, _, paper = name.rpartition("-")
    yield b"RaS2"
    for number in range(1, 5 if stem == "document" else 2):
        if paper == "4x6":
            # Coarse, so that six hundred dots an inch do not take a hundred megabytes.
            small = _photo().resize((24, 36)).resize((4 * dpi, 6 * dpi), Image.Resampling.NEAREST)
            page = small.convert("L").convert("RGB") if stem.startswith("gray") else small
        else:
            page = _page(paper, dpi, number)
        yield from _raster_page(page, kind, dpi, name)


def _raster_page(page: Image.Image, kind: str, dpi: int, name: str) -> Iterator[bytes]:
    _, bits, colours = KINDS[kind]
    width, height = page.size
    if kind == "black-1":
        pixels = Image.eval(page.convert("L"), lambda tone: 255 - tone).convert("1", dither=Image.Dither.NONE).tobytes()
    elif kind == "srgb-16":
        pixels = b""  # made row by row: whole, it would take gigabytes
    else:
        pixels = page.convert({"cmyk-8": "CMYK", "sgray-8": "L", "srgb-8": "RGB"}[kind]).tobytes()
    row_bytes = (width * bits * colours + 7) // 8
    unit = max(1, bits * colours // 8)
    yield _header(width, height, dpi, kind, row_bytes, name)
    row = 0
    eight = page.tobytes() if kind == "srgb-16" else b""
    stride = width * 3
    while row < height:
        if kind == "srgb-16":
            narrow = eight[row * stride : (row + 1) * stride]
            again = _again(eight, row, stride, height)
            line = bytearray(2 * len(narrow))
            line[0::2] = line[1::2] = narrow
            content = bytes(line)
        else:
            content = pixels[row * row_bytes : (row + 1) * row_bytes]
            again = _again(pixels, row, row_bytes, height)
        yield bytes([again - 1]) + _packed(content, unit)
        row += again


def _again(pixels: bytes, row: int, stride: int, height: int) -> int:
    line = pixels[row * stride : (row + 1) * stride]
    count = 1
    while count < 256 and row + count < height and pixels[(row + count) * stride : (row + count + 1) * stride] == line:
        count += 1
    return count


def _packed(line: bytes, unit: int) -> bytes:
    packed = bytearray()
    at = 0
    while at < len(line):
        piece = line[at : at + unit]
        run = 1
        while run < 128 and line[at + run * unit : at + (run + 1) * unit] == piece:
            run += 1
        packed += bytes([run - 1]) + piece
        at += run * unit
    return bytes(packed)


def _header(width: int, height: int, dpi: int, kind: str, row_bytes: int, name: str) -> bytes:
    """PWG 5102.4 table 1."""
    space, bits, colours = KINDS[kind]
    header = bytearray(1796)
    header[0:9] = b"PwgRaster"
    fields = {
        276: dpi, 280: dpi, 340: 1, 352: round(width * 72 / dpi), 356: round(height * 72 / dpi),
        372: width, 376: height,
        384: bits, 388: bits * colours, 392: row_bytes, 400: space, 420: colours, 452: 1, 456: 1, 460: 1,
        472: width, 476: height, 480: 0xFFFFFF, 484: 4,
    }  # fmt: skip
    for offset, value in fields.items():
        struct.pack_into(">I", header, offset, value)
    media = {"4x6": b"na_index-4x6_4x6in", "a4": b"iso_a4_210x297mm", "letter": b"na_letter_8.5x11in"}
    text = media[name.rpartition("-")[2]]
    header[1732 : 1732 + len(text)] = text
    return bytes(header)
