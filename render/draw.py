"""Pixels: a picture file and sheet plans in, sheet files out. Runs in worker processes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from render import colour
from render.errors import PictureMissing, PictureUnreadable, RenderError
from render.plan import Picture, SheetPlan

FORMATS = ("JPEG", "TIFF", "PNG")  # an allow-list: Pillow would sniff more than forty
THUMBNAIL_PX = 480
_ORIENTATION_TAG = 0x0112
Image.MAX_IMAGE_PIXELS = None  # ours is checked between opening and decoding, and is a setting


@dataclass(frozen=True)
class DrawTask:
    """All sheets of one picture, so that it is decoded once."""

    source: Path
    name: str  # the picture's name in the studio, for messages
    max_pixels: int
    sheets: tuple[tuple[SheetPlan, Path, Path], ...]  # plan, where the sheet goes, where its thumbnail goes


@dataclass(frozen=True)
class MeasureTask:
    """Look at a picture without decoding it."""

    source: Path
    name: str
    max_pixels: int


def measure(task: MeasureTask) -> Picture:
    """The upright size of a picture, and what a person may want to know of it.

    Raises:
        RenderError: the file is not a picture that can be printed; names it and says why.
    """
    with _opened(task.source, task.name, task.max_pixels) as image:
        turned = image.getexif().get(_ORIENTATION_TAG, 1) in (5, 6, 7, 8)
        width, height = image.size[::-1] if turned else image.size
        flags = () if image.info.get("icc_profile") else (colour.UNTAGGED,)
        return Picture(width_px=width, height_px=height, flags=flags)


def draw(task: DrawTask) -> list[tuple[int, int]]:
    """Draw every sheet of a picture; files appear whole or not at all.

    Returns:
        (width, height) in pixels of each sheet file, in the order of the plans.

    Raises:
        RenderError: the picture cannot be drawn.
    """
    with _opened(task.source, task.name, task.max_pixels) as image:
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise PictureUnreadable(
                f"{task.name}: the file is damaged or not complete ({error}): copy it again"
            ) from error
        photo = colour.to_srgb(upright, task.name)
    return [_draw_sheet(photo, plan, target, thumbnail) for plan, target, thumbnail in task.sheets]


def _draw_sheet(photo: Image.Image, plan: SheetPlan, target: Path, thumbnail: Path) -> tuple[int, int]:
    region, box = _region(photo, plan.source_box)
    sheet = region.resize((plan.width_px, plan.height_px), Image.Resampling.LANCZOS, box=box)
    small = sheet.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS, reducing_gap=3.0)
    _save(small, thumbnail, quality=85, dpi=72)
    if plan.turn_for_paper and plan.width_px > plan.height_px:
        sheet = sheet.transpose(Image.Transpose.ROTATE_90)
    _save(sheet, target, quality=plan.jpeg_quality, dpi=plan.dpi)
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


def _save(image: Image.Image, target: Path, quality: int, dpi: int) -> None:
    temporary = target.with_name(f".{target.name}.part")
    with temporary.open("wb") as file:
        image.save(
            file,
            "JPEG",
            quality=quality,
            subsampling=0,  # 4:4:4: thin red lines on a wedding dress stay thin
            dpi=(dpi, dpi),
            icc_profile=colour.srgb_profile(),
        )
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(target)


def _opened(source: Path, name: str, max_pixels: int) -> Image.Image:
    """Open and check a file without decoding it."""
    try:
        if source.stat().st_size == 0:
            raise PictureUnreadable(f"{name}: the file is empty: copy it again")
        image = Image.open(source, formats=FORMATS)
    except FileNotFoundError as error:
        raise PictureMissing(
            f"{name}: the file is no longer where it was: put it back and set the status again"
        ) from error
    except RenderError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureUnreadable(f"{name}: not a picture (JPEG, TIFF or PNG): send the photo itself") from error
    pixels = image.width * image.height
    problem = ""
    if pixels > max_pixels:
        problem = f"{pixels / 1e6:.0f} megapixels are more than the {max_pixels / 1e6:.0f} that the settings allow"
    elif _is_deep(image):
        problem = "more than 8 bits a colour: save it with 8 bits, so that nothing is cut down unseen"
    if problem:
        image.close()
        raise PictureUnreadable(f"{name}: {problem}")
    return image


def _is_deep(image: Image.Image) -> bool:
    """Whether decoding to 8 bits would lose something. Pillow opens 16-bit RGB as 8-bit RGB without a word."""
    raw_modes = [str(tile[3]) for tile in getattr(image, "tile", [])]
    return image.mode.startswith(("I", "F")) or any("16" in mode or "32" in mode for mode in raw_modes)
