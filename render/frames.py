"""Which part of a picture goes where on a sheet: for a print, and for a file that is looked at. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from render.areas import Area, chosen, filling, fitted, with_bleed
from render.errors import SheetImpossible
from render.sheets import Box
from render.units import UM_PER_INCH, box_px, rounded
from store.model import Model
from store.profiles import Fit, RenderProfile, Sizing
from store.pushed import Crop, Item
from store.sizes import PrintSize


class Picture(Model):
    """What is known of a picture without decoding it."""

    width_px: int  # upright, after EXIF orientation
    height_px: int
    is_tagged: bool = True  # it says what its colours mean
    says_adobe_rgb: bool = False  # in its camera data only
    has_scaled_decoding: bool = False  # a JPEG: smaller sizes cost less memory
    flags: tuple[str, ...] = ()
    sha256: str = ""

    def shows(self, crop: Crop | None) -> Area:
        """What a crop chooses of it.

        Raises:
            SheetImpossible: that is less than a pixel.
        """
        return chosen(crop, self.width_px, self.height_px)


@dataclass(frozen=True)
class Laid:
    """A part of a picture on a sheet, in the sheet's pixels."""

    area: Area  # of the picture
    shown_px: tuple[int, int]  # what it becomes, before it is turned
    at_px: tuple[int, int]  # upper left corner, after it is turned
    trim_px: Box  # where the print is cut, or the file ends
    turned: bool = False  # a quarter to the left


@dataclass(frozen=True)
class Frame:
    """A print before it lies on a sheet."""

    size: PrintSize  # trim, in the way of the picture
    name: str  # of the size as it was ordered, for file names
    bleed_um: int
    area: Area  # what fills the print and its bleed; with borders all that is shown
    has_borders: bool  # around what is shown, inside the trim

    @property
    def whole_um(self) -> tuple[int, int]:
        """Width and height with bleed."""
        return self.size.width_um + 2 * self.bleed_um, self.size.height_um + 2 * self.bleed_um

    def at(self, left_um: Fraction | int, top_um: Fraction | int, dpi: int, turned: bool = False) -> Laid:
        """The print on a sheet, its upper left corner (of the bleed) at a place."""
        size = self.size.turned() if turned else self.size
        width_um, height_um = self.whole_um[::-1] if turned else self.whole_um
        trim_px = box_px(left_um + self.bleed_um, top_um + self.bleed_um, size.width_um, size.height_um, dpi)
        if self.has_borders:
            return framed(self.area, trim_px, turned)
        left, top, width, height = box_px(left_um, top_um, width_um, height_um, dpi)
        return Laid(self.area, (height, width) if turned else (width, height), (left, top), trim_px, turned)


def framed(area: Area, room_px: Box, turned: bool) -> Laid:
    """All of an area in the middle of a room, as large as the room lets it be."""
    left, top, width, height = room_px
    shown = fitted(area, (height, width) if turned else (width, height))
    lying = shown[::-1] if turned else shown
    return Laid(area, shown, (left + (width - lying[0]) // 2, top + (height - lying[1]) // 2), room_px, turned)


def print_frame(profile: RenderProfile, item: Item | None, crop: Crop | None, picture: Picture) -> Frame:
    """For paper: the trim size in the way of the picture, filled or with borders, and bleed.

    Raises:
        SheetImpossible: there is no size, the bleed is larger than the print, or the crop does not suit it.
    """
    ordered = profile.size or (item.size if item else None)
    if ordered is None:  # RenderProfile refuses this; a profile stored by an older version might not have
        raise SheetImpossible(f"the profile '{profile.name}' has no size for all images: give it one")
    if 2 * profile.bleed_um > min(ordered.width_um, ordered.height_um):
        raise SheetImpossible(
            f"a bleed of {profile.bleed_um / 1000:g} mm is more than half of a {ordered} print: "
            f"lower it in the profile '{profile.name}'"
        )
    area = picture.shows(crop)
    size = ordered
    if profile.auto_rotate and is_across(ordered.width_um, ordered.height_um, area):
        size = ordered.turned()
    if profile.fit is Fit.FIT:  # all that was chosen is shown inside the trim; the bleed has the border's colour
        return Frame(size, str(ordered), profile.bleed_um, area, has_borders=True)
    if profile.fit is Fit.EXACT and crop is not None:
        _check_shape(size, area)
    filled = filling(area, size.width_um, size.height_um)
    filled = with_bleed(filled, size.width_um, size.height_um, profile.bleed_um)
    return Frame(size, str(ordered), profile.bleed_um, filled, has_borders=False)


def _check_shape(size: PrintSize, crop: Area) -> None:
    """An exact crop is never cut further; one per cent is what studios' programs round by."""
    shape, wanted = crop.width / crop.height, Fraction(size.width_um, size.height_um)
    if abs(shape / wanted - 1) > Fraction(1, 100):
        raise SheetImpossible(
            f"the crop is {float(shape):.3f} times as wide as high, and {size} is {float(wanted):.3f}: correct the "
            "crop in the studio's software, or let the profile fill the print"
        )


def screen_frame(profile: RenderProfile, crop: Crop | None, picture: Picture) -> tuple[PrintSize, str, Laid]:
    """For files that are looked at on a screen: (size, its name, the picture on the sheet); never enlarged, no bleed.

    Raises:
        SheetImpossible: the crop shows less than a pixel.
    """
    area = picture.shows(crop)
    scale = Fraction(1)
    if profile.sizing is Sizing.LONGEST_EDGE:
        scale = min(scale, profile.longest_edge_px / max(area.width, area.height))
    width, height = (max(1, rounded(side * scale)) for side in (area.width, area.height))
    um = [max(1_000, min(3_000_000, rounded(Fraction(side * UM_PER_INCH, profile.dpi)))) for side in (width, height)]
    laid = Laid(area, (width, height), (0, 0), (0, 0, width, height))
    return PrintSize(width_um=um[0], height_um=um[1]), f"{max(width, height)}px", laid


def is_across(width_um: int, height_um: int, area: Area) -> bool:
    """Whether a print is wide and what it shows tall, or the other way round: 8x10 for a wide picture becomes 10x8."""
    if width_um == height_um or area.width == area.height:
        return False
    return (width_um > height_um) != (area.width > area.height)
