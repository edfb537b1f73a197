"""Which pixels of a picture go where on a sheet of one picture. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass

from render.errors import SheetImpossible
from render.units import UM_PER_INCH, sheet_px
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


@dataclass(frozen=True)
class Frame:
    """Where the pixels of a sheet come from and go to."""

    size: PrintSize
    name: str  # of the size, for file names
    sheet_px: tuple[int, int]
    source_box: tuple[float, float, float, float]
    shown_px: tuple[int, int]
    trim_px: tuple[int, int, int, int] = (0, 0, 0, 0)  # left, top, width, height on the sheet


def print_frame(profile: RenderProfile, item: Item | None, crop: Crop | None, picture: Picture) -> Frame:
    """For paper: the trim size in the way of the picture, filled or with borders, and bleed.

    Raises:
        SheetImpossible: there is no size, or the bleed is larger than the print.
    """
    ordered = profile.size or (item.size if item else None)
    if ordered is None:  # RenderProfile refuses this; a profile stored by an older version might not have
        raise SheetImpossible(f"the profile '{profile.name}' has no size for all images: give it one")
    if 2 * profile.bleed_um > min(ordered.width_um, ordered.height_um):
        raise SheetImpossible(
            f"a bleed of {profile.bleed_um / 1000:g} mm is more than half of a {ordered} print: "
            f"lower it in the profile '{profile.name}'"
        )
    size = oriented(ordered, crop, picture) if profile.auto_rotate else ordered
    if profile.fit is Fit.EXACT and crop is not None:
        _check_shape(size, crop, picture)
    whole_px = sheet_px(size.width_um, size.height_um, profile.bleed_um, profile.dpi)
    trim_px = sheet_px(size.width_um, size.height_um, 0, profile.dpi)
    trim_box = ((whole_px[0] - trim_px[0]) // 2, (whole_px[1] - trim_px[1]) // 2, *trim_px)
    if profile.fit is not Fit.FIT:
        box = with_bleed(crop_box(size, crop, picture), size, profile.bleed_um)
        return Frame(size, str(ordered), whole_px, box, whole_px, trim_box)
    # Borders: all that was chosen is shown inside the trim; the bleed has the border's colour.
    box = chosen(crop, picture)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(trim_px[0] / width, trim_px[1] / height)
    shown_px = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Frame(size, str(ordered), whole_px, box, shown_px, trim_box)


def _check_shape(size: PrintSize, crop: Crop, picture: Picture) -> None:
    """An exact crop is never cut further; one per cent is what studios' programs round by."""
    shape = crop.width * picture.width_px / (crop.height * picture.height_px)
    wanted = size.width_um / size.height_um
    if abs(shape / wanted - 1) > 0.01:
        raise SheetImpossible(
            f"the crop is {shape:.3f} times as wide as high, and {size} is {wanted:.3f}: correct the crop in the "
            "studio's software, or let the profile fill the print"
        )


def screen_frame(profile: RenderProfile, crop: Crop | None, picture: Picture) -> Frame:
    """For files that are looked at on a screen: never enlarged, no bleed."""
    box = chosen(crop, picture)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = 1.0
    if profile.sizing is Sizing.LONGEST_EDGE:
        scale = min(1.0, profile.longest_edge_px / max(width, height))
    pixels = (max(1, round(width * scale)), max(1, round(height * scale)))
    um = [max(1_000, min(3_000_000, round(side * UM_PER_INCH / profile.dpi))) for side in pixels]
    return Frame(PrintSize(width_um=um[0], height_um=um[1]), f"{max(pixels)}px", pixels, box, pixels)


def chosen(crop: Crop | None, picture: Picture) -> tuple[float, float, float, float]:
    """The upright pixels of a crop, of whatever shape; without a crop all of them."""
    crop = crop or Crop()
    left, top = crop.left * picture.width_px, crop.top * picture.height_px
    right = min(float(picture.width_px), left + crop.width * picture.width_px)
    bottom = min(float(picture.height_px), top + crop.height * picture.height_px)
    return left, top, right, bottom


def oriented(size: PrintSize, crop: Crop | None, picture: Picture) -> PrintSize:
    """The size turned to the way of what is shown: a wide picture on 8x10 becomes 10x8."""
    shown_width = picture.width_px * (crop.width if crop else 1)
    shown_height = picture.height_px * (crop.height if crop else 1)
    is_wide, is_wide_shown = size.width_um > size.height_um, shown_width > shown_height
    return size.turned() if is_wide != is_wide_shown and shown_width != shown_height else size


def crop_box(size: PrintSize, crop: Crop | None, picture: Picture) -> tuple[float, float, float, float]:
    """The upright pixels (left, top, right, bottom) that fill the trim box.

    A crop of another shape than the print keeps its centre and gives up what is too much on one axis, so that
    nothing is stretched. Without a crop: the largest centred area of the right shape.
    """
    crop = crop or Crop()
    left, top = crop.left * picture.width_px, crop.top * picture.height_px
    width, height = crop.width * picture.width_px, crop.height * picture.height_px
    shape = size.width_um / size.height_um
    new_width, new_height = min(width, height * shape), min(height, width / shape)
    left, top = left + (width - new_width) / 2, top + (height - new_height) / 2
    return left, top, left + new_width, top + new_height


def with_bleed(
    box: tuple[float, float, float, float], size: PrintSize, bleed_um: int
) -> tuple[float, float, float, float]:
    """A trim's source box, grown by the bleed on each side; it may reach outside of the picture."""
    left, top, right, bottom = box
    x = (right - left) * bleed_um / size.width_um
    y = (bottom - top) * bleed_um / size.height_um
    return left - x, top - y, right + x, bottom + y
