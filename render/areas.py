"""Parts of a picture, exactly: what a crop chooses, what fills a print, what bleed adds. Pure.

Paper is measured in whole micrometers and a picture in whole pixels, so everything between them is a fraction and is
kept as one. Only two things are rounded, each once: a crop's decimals, when they are read, and the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from render.errors import SheetImpossible
from render.units import rounded
from store.pushed import Crop

# A crop's edges are read to this part of a pixel of the picture. Desktops divide whole pixels by the picture's width
# and send as many digits as they like: 1000 of 6000 comes as 0.16666666666666666, and is 1000 pixels again.
CROP_STEPS = 256


@dataclass(frozen=True)
class Area:
    """A part of a picture, in pixels from its upper left corner. With bleed it may reach outside of the picture."""

    left: Fraction
    top: Fraction
    right: Fraction
    bottom: Fraction

    @property
    def width(self) -> Fraction:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> Fraction:
        """In pixels."""
        return self.bottom - self.top

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) as JSON keeps them; rounding moves nothing out of the picture."""
        return float(self.left), float(self.top), float(self.right), float(self.bottom)

    @staticmethod
    def of_box(box: tuple[float, float, float, float]) -> Area:
        """The area that a plan keeps as a box, to the last digit."""
        return Area(*map(Fraction, box))

    def grown(self, x: Fraction | int, y: Fraction | int) -> Area:
        """The area with so much more on the left and right, and above and below."""
        return Area(self.left - x, self.top - y, self.right + x, self.bottom + y)

    def moved(self, x: Fraction | int, y: Fraction | int) -> Area:
        """The area so much further right and down."""
        return Area(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def seen_at(self, scale: int) -> Area:
        """The area in pixels of which each is so many of these, both ways."""
        return Area(self.left / scale, self.top / scale, self.right / scale, self.bottom / scale)


def chosen(crop: Crop | None, width_px: int, height_px: int) -> Area:
    """What a crop shows of an upright picture, of whatever shape; without a crop all of it.

    Raises:
        SheetImpossible: that is less than a pixel.

    >>> area = chosen(Crop(left=1 / 6, top=0.1, width=0.5, height=0.9), 6000, 4000)
    >>> area.box
    (1000.0, 400.0, 4000.0, 4000.0)
    """
    if crop is None:
        return Area(Fraction(0), Fraction(0), Fraction(width_px), Fraction(height_px))
    left, right = _read(crop.left, crop.width, width_px)
    top, bottom = _read(crop.top, crop.height, height_px)
    if right - left < 1 or bottom - top < 1:
        raise SheetImpossible(
            f"the crop is {float(right - left):.2g} x {float(bottom - top):.2g} pixels of the picture, and less than "
            "one cannot be printed: correct the crop in the studio's software"
        )
    return Area(left, top, right, bottom)


def _read(begin: float, length: float, side_px: int) -> tuple[Fraction, Fraction]:
    """Both ends of a crop along one side; what its decimals reach over the picture's edge is not part of it."""
    steps = side_px * CROP_STEPS
    first, last = rounded(Fraction(begin) * steps), rounded((Fraction(begin) + Fraction(length)) * steps)
    return Fraction(first, CROP_STEPS), Fraction(min(last, steps), CROP_STEPS)


def filling(area: Area, width_um: int, height_um: int) -> Area:
    """The largest part of an area that has a print's shape, around the same center: nothing is stretched."""
    shape = Fraction(width_um, height_um)
    spare_x = area.width - min(area.width, area.height * shape)
    spare_y = area.height - min(area.height, area.width / shape)
    return area.grown(-spare_x / 2, -spare_y / 2)


def with_bleed(area: Area, width_um: int, height_um: int, bleed_um: int) -> Area:
    """A trim's area, grown by the bleed on each side."""
    return area.grown(area.width * bleed_um / width_um, area.height * bleed_um / height_um)


def fitted(area: Area, room_px: tuple[int, int]) -> tuple[int, int]:
    """How large an area is shown in a room, all of it and not stretched: in whole pixels, at least one.

    >>> fitted(chosen(None, 6000, 4000), (800, 800))
    (800, 533)
    """
    scale = min(room_px[0] / area.width, room_px[1] / area.height)
    return max(1, rounded(area.width * scale)), max(1, rounded(area.height * scale))
