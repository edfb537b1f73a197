"""Text and scannable codes on sheets. The letters come with a package, so that every machine draws the same ones.

Roboto has Latin, Greek and Cyrillic letters; others come out as boxes.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files

import segno
from PIL import Image, ImageColor, ImageDraw, ImageFont

from render.sheets import ScannableCode, TextLine
from store.profiles import Align

_SMALLEST_PX = 5
_QUIET_MODULES = 4  # ISO/IEC 18004 §5.3.8: white around the code


def write(sheet: Image.Image, line: TextLine, colour: tuple[int, ...]) -> None:
    """Put a line of text onto a sheet, smaller where it is too long for its box, cut with … where that is not enough.

    Args:
        sheet: changed in place.
        line: what and where.
        colour: of the sheet's mode; already in its colour space.
    """
    left, top, width, height = line.box_px
    if not line.text or width < 1 or height < 1:
        return
    text, font = _fitting(line.text, line.bold, width, height)
    mask = Image.new("L", (width, height))
    x = {Align.LEFT: 0, Align.CENTRE: width // 2, Align.RIGHT: width - 1}[line.align]
    anchor = {Align.LEFT: "lm", Align.CENTRE: "mm", Align.RIGHT: "rm"}[line.align]
    ImageDraw.Draw(mask).text((x, height // 2), text, fill=255, font=font, anchor=anchor)
    if line.opacity_percent < 100:
        mask = mask.point([value * line.opacity_percent // 100 for value in range(256)])
    if line.rotation_deg:
        mask = mask.rotate(line.rotation_deg, Image.Resampling.BICUBIC, expand=True)
    at = (left + (width - mask.width) // 2, top + (height - mask.height) // 2)
    sheet.paste(Image.new(sheet.mode, mask.size, colour), at, mask)


def encode(sheet: Image.Image, code: ScannableCode) -> None:
    """Put a QR code onto a sheet, with the white that readers need around it."""
    left, top, width, height = code.box_px
    matrix = segno.make(code.text, error="m", micro=False).matrix
    modules = len(matrix) + 2 * _QUIET_MODULES
    scale = max(1, min(width, height) // modules)
    rows = b"".join(bytes(0 if dark else 255 for dark in row) for row in matrix)
    small = Image.frombytes("L", (len(matrix), len(matrix)), rows)
    white = Image.new("L", (modules, modules), 255)
    white.paste(small, (_QUIET_MODULES, _QUIET_MODULES))
    side = modules * scale
    sheet.paste(white.resize((side, side), Image.Resampling.NEAREST).convert("RGB"), (left + width - side, top))


def rgb(colour: str) -> tuple[int, int, int]:
    """(red, green, blue) of '#rrggbb'."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue


def _fitting(text: str, bold: bool, width: int, height: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The text and a font in which it fits."""
    size = max(_SMALLEST_PX, int(height * 0.78))  # ascenders and descenders stay inside
    font = _font(bold, size)
    length = font.getlength(text)
    if length > width:
        size = max(_SMALLEST_PX, size // 2, int(size * width / length))
        font = _font(bold, size)
    while font.getlength(text) > width and len(text) > 1:
        text = f"{text.rstrip('…')[:-1]}…"
    return text, font


@lru_cache(maxsize=64)
def _font(bold: bool, size_px: int) -> ImageFont.FreeTypeFont:
    name = "Roboto-Bold.ttf" if bold else "Roboto-Regular.ttf"
    with as_file(files("font_roboto") / "files" / name) as path:
        return ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)
