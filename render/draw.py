"""Pixels: a picture file and sheet plans in, sheet files out. Runs in worker processes.

The order of the steps is what makes it quick: a JPEG is decoded no larger than its largest sheet needs, and everything
that touches every pixel (colour conversion, tones, sharpening) happens after resizing, at the sheet's size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from render import colour, tones
from render.errors import PictureUnreadable
from render.pictures import opened
from render.plan import SheetPlan
from store.records import Colorization, OutputFormat

THUMBNAIL_PX = 480
_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class DrawTask:
    """All sheets of one picture, so that it is decoded once."""

    source: Path
    name: str  # the picture's name in the studio, for messages
    max_pixels: int
    sheets: tuple[tuple[SheetPlan, Path, Path], ...]  # plan, where the sheet goes, where its thumbnail goes


def draw(task: DrawTask) -> list[tuple[int, int]]:
    """Draw every sheet of a picture; files appear whole or not at all.

    Returns:
        (width, height) in pixels of each sheet file, in the order of the plans.

    Raises:
        RenderError: the picture cannot be drawn.
    """
    with opened(task.source, task.name, task.max_pixels) as image:
        full_width = image.height if image.getexif().get(_ORIENTATION_TAG, 1) in _TURNED else image.width
        try:
            if image.format == "JPEG":
                reduction = max(1, int(min(plan.source_px_per_px for plan, _, _ in task.sheets)))
                image.draft(None, (image.width // reduction, image.height // reduction))
            image.load()
            upright = ImageOps.exif_transpose(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise PictureUnreadable(
                f"{task.name}: the file is damaged or not complete ({error}): copy it again"
            ) from error
    scale = upright.width / full_width
    photo = colour.Photo(upright, task.name)
    return [_draw_sheet(photo, scale, plan, target, thumbnail) for plan, target, thumbnail in task.sheets]


def _draw_sheet(photo: colour.Photo, scale: float, plan: SheetPlan, target: Path, thumbnail: Path) -> tuple[int, int]:
    left, top, right, bottom = (edge * scale for edge in plan.source_box)
    region, box = _region(photo.pixels, (left, top, right, bottom))
    shown = region.resize(plan.shown_px, Image.Resampling.LANCZOS, box=box)
    sheet = photo.to_srgb(shown)
    sheet = tones.adjusted(sheet, plan.adjustments)
    sheet = tones.colorized(sheet, plan.colorization or Colorization.COLOUR, plan.tint)
    sheet = tones.sharpened(sheet, plan.sharpening)
    if plan.shown_px != (plan.width_px, plan.height_px):
        framed = Image.new("RGB", (plan.width_px, plan.height_px), plan.border_colour)
        framed.paste(sheet, ((plan.width_px - sheet.width) // 2, (plan.height_px - sheet.height) // 2))
        sheet = framed
    small = sheet.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS, reducing_gap=3.0)
    _save(small, thumbnail, OutputFormat.JPEG, quality=85, dpi=72)
    if plan.turn_for_paper and plan.width_px > plan.height_px:
        sheet = sheet.transpose(Image.Transpose.ROTATE_90)
    _save(sheet, target, plan.output_format, quality=plan.jpeg_quality, dpi=plan.dpi)
    return sheet.size


def _region(
    photo: Image.Image, box: tuple[float, float, float, float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """A picture that contains the box, and the box in it; what lies outside of the photo is its mirror image."""
    left, top, right, bottom = box
    width, height = photo.size
    margins = (_outside(-left), _outside(-top), _outside(right - width), _outside(bottom - height))
    if not any(margins):
        # Rounding may put an edge a hair outside, which resize() would refuse.
        return photo, (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    west, north, east, south = margins
    grown = Image.new(photo.mode, (width + west + east, height + north + south))
    grown.paste(photo, (west, north))
    if west:
        grown.paste(ImageOps.mirror(photo.crop((0, 0, west, height))), (0, north))
    if east:
        grown.paste(ImageOps.mirror(photo.crop((width - east, 0, width, height))), (west + width, north))
    if north:  # from the grown picture, so that the corners are mirrored both ways
        grown.paste(ImageOps.flip(grown.crop((0, north, grown.width, 2 * north))), (0, 0))
    if south:
        edge = north + height
        grown.paste(ImageOps.flip(grown.crop((0, edge - south, grown.width, edge))), (0, edge))
    return grown, (left + west, top + north, right + west, bottom + north)


def _outside(distance: float) -> int:
    """Whole pixels that a box reaches outside by; a rounding error of a thousandth is none."""
    return max(0, int(-(-(distance - 1e-3) // 1)))


def _save(image: Image.Image, target: Path, output_format: OutputFormat, quality: int, dpi: int) -> None:
    how: dict[OutputFormat, dict[str, Any]] = {
        # 4:4:4: thin red lines on a wedding dress stay thin
        OutputFormat.JPEG: {"format": "JPEG", "quality": quality, "subsampling": 0},
        OutputFormat.TIFF: {"format": "TIFF", "compression": "tiff_lzw"},
        OutputFormat.PNG: {"format": "PNG", "compress_level": 6},
    }
    temporary = target.with_name(f".{target.name}.part")
    with temporary.open("wb") as file:
        image.save(file, dpi=(dpi, dpi), icc_profile=colour.srgb_profile(), **how[output_format])
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(target)
