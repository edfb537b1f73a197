"""Pixels: a picture file and sheet plans in, sheet files out. Runs in worker processes.

The order of the steps is what makes it quick: a JPEG is decoded no larger than its largest sheet needs, and everything
that touches every pixel (colour conversion, tones, sharpening) happens after resizing, at the sheet's size.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from render import colour, tones
from render.errors import PictureUnreadable
from render.pictures import opened
from render.plan import Placement, SheetPlan
from store.profiles import OutputFormat, Sharpening

THUMBNAIL_PX = 480
# Pixels are averaged down by whole numbers as long as this much is left for the good filter to do. The difference to
# using it alone is half a unit of L* in film grain (make bench-render), for a third of the time.
GAP = 1.3
_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class DrawTask:
    """Sheets that share their pictures, so that each picture is decoded once."""

    sources: tuple[tuple[str, Path], ...]  # by name in the studio
    max_pixels: int
    sheets: tuple[tuple[SheetPlan, Path, Path], ...]  # plan, where the sheet goes, where its thumbnail goes


class _Decoded:
    """A picture's pixels, and smaller ones averaged from them, made once for all placements that need them."""

    def __init__(self, photo: colour.Photo, scale: float) -> None:
        """
        Args:
            photo: as it was decoded, upright.
            scale: how many of its pixels one of the whole picture's is, 1 or less.
        """
        self.photo = photo
        self._scale = scale
        self._reduced: dict[int, Image.Image] = {1: photo.pixels}

    def for_placement(self, placement: Placement) -> tuple[Image.Image, tuple[float, float, float, float]]:
        """Pixels to resize from, and the placement's source box in them."""
        factor = max(1, int(placement.source_px_per_px * self._scale / GAP))
        if factor not in self._reduced:
            self._reduced[factor] = self.photo.pixels.reduce(factor)
        left, top, right, bottom = (edge * self._scale / factor for edge in placement.source_box)
        return self._reduced[factor], (left, top, right, bottom)


def draw(task: DrawTask) -> list[tuple[int, int]]:
    """Draw sheets; files appear whole or not at all.

    Returns:
        (width, height) in pixels of each sheet file, in the order of the plans.

    Raises:
        RenderError: a picture cannot be drawn.
    """
    placements = [placement for plan, _, _ in task.sheets for placement in plan.placements]
    pictures = {
        name: _decode(
            source, name, task.max_pixels, min(one.source_px_per_px for one in placements if one.image == name)
        )
        for name, source in task.sources
    }
    return [_draw_sheet(pictures, plan, target, thumbnail) for plan, target, thumbnail in task.sheets]


def _decode(source: Path, name: str, max_pixels: int, source_px_per_px: float) -> _Decoded:
    """A picture, upright, with at least as many pixels as its most demanding placement needs."""
    with opened(source, name, max_pixels) as image:
        full_width = image.height if image.getexif().get(_ORIENTATION_TAG, 1) in _TURNED else image.width
        try:
            if image.format == "JPEG":
                reduction = max(1, int(source_px_per_px))
                image.draft(None, (image.width // reduction, image.height // reduction))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # which copies nothing where nothing is turned
        except (OSError, SyntaxError, ValueError) as error:
            raise PictureUnreadable(f"{name}: the file is damaged or not complete ({error}): copy it again") from error
        return _Decoded(colour.Photo(image, name), image.width / full_width)


def _draw_sheet(pictures: dict[str, _Decoded], plan: SheetPlan, target: Path, thumbnail: Path) -> tuple[int, int]:
    whole_px = (plan.width_px, plan.height_px)
    if len(plan.placements) == 1 and plan.placements[0].shown_px == whole_px and not plan.placements[0].turned:
        sheet = _place(pictures[plan.placements[0].image], plan.placements[0], plan.sharpening)
    else:
        sheet = Image.new("RGB", whole_px, plan.border_colour)
        drawn: dict[Placement, Image.Image] = {}  # eight wallets are one picture, pasted eight times
        for placement in plan.placements:
            alike = placement.with_(at_px=(0, 0), turned=False)
            if alike not in drawn:
                drawn[alike] = _place(pictures[placement.image], alike, plan.sharpening)
            picture = drawn[alike]
            sheet.paste(picture.transpose(Image.Transpose.ROTATE_90) if placement.turned else picture, placement.at_px)
        pen = ImageDraw.Draw(sheet)
        for mark in plan.marks_px:
            pen.line(mark, fill="black", width=1)
    small = sheet.reduce(max(1, min(sheet.size) // THUMBNAIL_PX))
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BICUBIC)
    _save(small, thumbnail, OutputFormat.JPEG, quality=85, dpi=72)
    if plan.turn_for_paper and plan.width_px > plan.height_px:
        sheet = sheet.transpose(Image.Transpose.ROTATE_90)
    _save(sheet, target, plan.output_format, quality=plan.jpeg_quality, dpi=plan.dpi)
    return sheet.size


def _place(picture: _Decoded, placement: Placement, sharpening: Sharpening) -> Image.Image:
    """One picture at its size on the sheet, upright."""
    region, box = _region(*picture.for_placement(placement))
    shown = region.resize(placement.shown_px, Image.Resampling.LANCZOS, box=box)
    shown = picture.photo.to_srgb(shown)
    shown = tones.adjusted(shown, placement.adjustments)
    shown = tones.colorized(shown, placement.colorization, placement.tint)
    return tones.sharpened(shown, sharpening)


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
