"""A placement's pixels, cut out of a decoded picture: exact up to the one step that resamples them.

Boxes stay fractions here too. What lies outside of the picture, for bleed or beside a straightened crop, is its mirror
image. Pillow refuses a box that reaches outside of its picture by whatever little; an exact one never does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from PIL import Image, ImageOps

from render.areas import Area
from render.colour import Photo
from render.sheets import Placement
from render.units import rounded

# Pixels are averaged down by whole numbers as long as this much is left for the good filter to do. The difference to
# using it alone is half a unit of L* in film grain (make bench-render), for a third of the time.
GAP = 1.3
LANCZOS_PX = 3  # how far the filter looks, in pixels of the result or, where that has more, of the picture
# Pillow takes boxes in single precision, where one that is narrow and far from the corner would be empty. A part of
# fewer pixels than this share of the picture's is cut out first, which costs next to nothing.
SMALL = 16

Margins = tuple[int, int, int, int]  # west, north, east, south, in pixels


class Decoded:
    """A picture's pixels, and smaller ones averaged from them, made once for all placements that need them."""

    def __init__(self, photo: Photo, scale: int = 1, whole: Area | None = None) -> None:
        """
        Args:
            photo: as it was decoded, upright.
            scale: so many of the picture's pixels, both ways, were decoded as one.
            whole: where the whole picture lies in the decoded pixels; None: they are all of it.
        """
        self.photo, self._scale, self._whole = photo, scale, whole or _all_of(photo.pixels)
        self._reduced: dict[int, Image.Image] = {1: photo.pixels}

    def cut(self, placement: Placement) -> Image.Image:
        """The placement's part of the picture, straightened, at its size on the sheet."""
        factor = max(1, int(placement.source_px_per_px / (self._scale * GAP)))
        if factor not in self._reduced:
            self._reduced[factor] = self.photo.pixels.reduce(factor)
        pixels, whole = self._reduced[factor], self._whole.seen_at(factor)
        area = Area.of_box(placement.source_box).seen_at(self._scale * factor).moved(whole.left, whole.top)
        if placement.straighten_deg:
            return _straightened(pixels, whole, area, placement)
        part = taken(area, whole, pixels.size, placement.shown_px)
        enclosed = _extended(pixels, part.box, part.margins)
        return enclosed.resize(placement.shown_px, Image.Resampling.LANCZOS, box=part.area.box)


def _all_of(image: Image.Image) -> Area:
    return Area(Fraction(0), Fraction(0), Fraction(image.width), Fraction(image.height))


@dataclass(frozen=True)
class Part:
    """What is taken of the pixels, and what mirror images add, so that an area lies inside."""

    box: tuple[int, int, int, int]  # left, top, right, bottom
    margins: Margins
    area: Area  # as it lies in both together


def taken(area: Area, whole: Area, size_px: tuple[int, int], shown_px: tuple[int, int]) -> Part:
    """What is resampled: the pixels as they are, without copying them, where that will do, else what encloses the area.

    The arguments are those of enclosing().
    """
    part = enclosing(area, whole, size_px, shown_px)
    left, top, right, bottom = part.box
    if not any(part.margins) and (right - left) * (bottom - top) * SMALL >= size_px[0] * size_px[1]:
        return Part((0, 0, *size_px), part.margins, area)
    return part


def enclosing(area: Area, whole: Area, size_px: tuple[int, int], shown_px: tuple[int, int]) -> Part:
    """What an area needs of some pixels, and no more.

    Args:
        area: in these pixels.
        whole: the whole picture in them. Where they are averages, its edge may lie within the last one; then it is
            mirrored at the nearest whole one.
        size_px: how many there are.
        shown_px: what the area becomes, which tells how far around it the filter looks.
    """
    x = _along(area.left, area.right, whole.left, whole.right, size_px[0], shown_px[0])
    y = _along(area.top, area.bottom, whole.top, whole.bottom, size_px[1], shown_px[1])
    box = (x.first, y.first, x.last, y.last)
    moved = area.moved(x.before - x.first, y.before - y.first)
    return Part(box, (x.before, y.before, x.behind, y.behind), moved)


@dataclass(frozen=True)
class _Along:
    """One axis of a part: which pixels, and how many mirrored ones on both sides."""

    first: int
    last: int
    before: int
    behind: int


def _along(
    begin: Fraction, end: Fraction, picture_begin: Fraction, picture_end: Fraction, side_px: int, shown_px: int
) -> _Along:
    first, last = math.floor(begin), math.ceil(end)
    low, high, before, behind = 0, side_px, 0, 0
    if begin < picture_begin:
        edge = min(rounded(picture_begin), side_px - 1)
        before = max(0, edge - first)
        low = edge if before else 0
    if end > picture_end:
        edge = max(rounded(picture_end), low + 1)
        behind = max(0, last - edge)
        high = edge if behind else side_px
    reach = math.ceil(LANCZOS_PX * max(Fraction(1), (end - begin) / shown_px)) + 1
    # A mirror image needs as much of the picture as it is wide.
    first = min(max(low, first - reach), max(low, high - behind))
    last = max(min(high, last + reach), min(high, low + before))
    return _Along(first, last, before, behind)


def _extended(picture: Image.Image, box: tuple[int, int, int, int], margins: Margins) -> Image.Image:
    """A part of a picture with mirror images around it, corners mirrored both ways; itself where it is all."""
    left, top, right, bottom = box
    across, down = right - left, bottom - top
    while any(margins):
        # A sliver is mirrored again and again: each time what there is at most, and whole slivers as long as more are
        # to come, for only at their edges it can be mirrored.
        width, height = right - left, bottom - top
        wide, high = width // across * across, height // down * down
        west, north, east, south = (min(margin, most) for margin, most in zip(margins, (wide, high) * 2, strict=True))
        picture = picture.crop((left - west, top - north, right + east, bottom + south))  # black beyond its edge
        if west:
            picture.paste(ImageOps.mirror(picture.crop((west, north, 2 * west, north + height))), (0, north))
        if east:
            edge = west + width
            picture.paste(ImageOps.mirror(picture.crop((edge - east, north, edge, north + height))), (edge, north))
        if north:  # the whole width, for the corners
            picture.paste(ImageOps.flip(picture.crop((0, north, picture.width, 2 * north))), (0, 0))
        if south:
            edge = north + height
            picture.paste(ImageOps.flip(picture.crop((0, edge - south, picture.width, edge))), (0, edge))
        left, top, right, bottom = 0, 0, *picture.size
        margins = (margins[0] - west, margins[1] - north, margins[2] - east, margins[3] - south)
    return picture if (left, top, right, bottom) == (0, 0, *picture.size) else picture.crop((left, top, right, bottom))


def _straightened(pixels: Image.Image, whole: Area, area: Area, placement: Placement) -> Image.Image:
    """The area's pixels, turned around its center.

    What the turned rectangle reaches is brought to the sheet's size, its edges on whole pixels so that it can be
    mirrored there, and turned straight into the result: no step is larger than the rectangle around the result.
    """
    shown, reach = placement.shown_px, placement.reach_px
    per_px = (area.width / shown[0], area.height / shown[1])
    around = area.grown((reach[0] - shown[0]) * per_px[0] / 2, (reach[1] - shown[1]) * per_px[1] / 2)
    part = enclosing(around, whole, pixels.size, reach)
    box = part.box
    sides = (box[2] - box[0], box[3] - box[1])
    small_px = (math.ceil(sides[0] / per_px[0]), math.ceil(sides[1] / per_px[1]))
    small = pixels.resize(small_px, Image.Resampling.LANCZOS, box=box)
    # From here on in the small picture's pixels, of which each is a little less than one of the sheet's.
    finer = (Fraction(small_px[0], sides[0]), Fraction(small_px[1], sides[1]))
    west, north, east, south = (math.ceil(margin * finer[axis % 2]) for axis, margin in enumerate(part.margins))
    turned = _extended(small, (0, 0, *small_px), (west, north, east, south))
    center = (
        float(west + ((area.left + area.right) / 2 - box[0]) * finer[0]),
        float(north + ((area.top + area.bottom) / 2 - box[1]) * finer[1]),
    )
    across, down = (float(per_px[axis] * finer[axis]) for axis in (0, 1))
    angle = math.radians(placement.straighten_deg)
    matrix = (across * math.cos(angle), across * math.sin(angle), -down * math.sin(angle), down * math.cos(angle))
    half = (shown[0] / 2, shown[1] / 2)
    data = (
        *matrix[:2], center[0] - matrix[0] * half[0] - matrix[1] * half[1],
        *matrix[2:], center[1] - matrix[2] * half[0] - matrix[3] * half[1],
    )  # fmt: skip
    return turned.transform(shown, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC)
