"""The picture of a printer's test page: what a person checks by eye, and whose it is."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageDraw

from render.colour import srgb_profile
from render.lettering import write
from render.sheets import TextLine
from render.units import length_px

DPI = 150
_PATCHES = ("red", "lime", "blue", "cyan", "magenta", "yellow", "black", "#808080", "#e0b090", "#805030")


@dataclass(frozen=True)
class CheckPage:
    """What stands on it."""

    width_um: int
    height_um: int
    lines: tuple[str, ...]  # the printer's name, the studio's, the time


def check_page(page: CheckPage) -> bytes:
    """A JPEG: a line at the trim's edge and one 5 mm inside it, steps of grey, patches of colour, and the words."""
    width, height = (length_px(side, DPI) for side in (page.width_um, page.height_um))
    sheet = Image.new("RGB", (width, height), "#ffffff")
    pen = ImageDraw.Draw(sheet)
    inset = min(length_px(5_000, DPI), min(width, height) // 8)  # less on labels and tape
    pen.rectangle((0, 0, width - 1, height - 1), outline="#000000")
    pen.rectangle((inset, inset, width - 1 - inset, height - 1 - inset), outline="#808080")
    left, right, top = 2 * inset, width - 2 * inset, 2 * inset
    line_px = max(12, height // 16)
    for number, text in enumerate(page.lines):
        write(sheet, TextLine(text=text, box_px=(left, top, right - left, line_px), bold=not number), (0, 0, 0))
        top += line_px
    rest = max(0, height - 2 * inset - top) // 3
    steps = 21
    for step in range(steps):  # whoever cannot tell the darkest from the next has lost shadows
        value = round(255 * step / (steps - 1))
        edges = [left + (right - left) * (step + one) // steps for one in (0, 1)]
        _patch(pen, (edges[0], top + rest // 4, edges[1], top + rest + 1), (value,) * 3)
    for number, colour in enumerate(_PATCHES):
        edges = [left + (right - left) * (number + one) // len(_PATCHES) for one in (0, 1)]
        _patch(pen, (edges[0], top + rest + rest // 4, edges[1], top + 2 * rest + 1), colour)
    ramp = Image.linear_gradient("L").rotate(90).resize((right - left, max(1, rest * 3 // 4)))
    sheet.paste(ramp.convert("RGB"), (left, top + 2 * rest + rest // 4))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=95, subsampling=0, icc_profile=srgb_profile(), dpi=(DPI, DPI))
    return buffer.getvalue()


def _patch(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], fill: tuple[int, int, int] | str) -> None:
    """A filled box, where it has a pixel."""
    left, top, right, bottom = box
    if left < right and top < bottom:
        pen.rectangle((left, top, right - 1, bottom - 1), fill=fill)
