"""Opening picture files that come from anywhere: an allow-list of formats, budgets, and a reason for every refusal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from render import colour
from render.errors import PictureMissing, PictureUnreadable, RenderError
from render.frames import Picture

FORMATS = ("JPEG", "TIFF", "PNG", "WEBP")  # an allow-list: Pillow would sniff more than forty
_ORIENTATION_TAG = 0x0112
Image.MAX_IMAGE_PIXELS = None  # ours is checked between opening and decoding, and is a setting


@dataclass(frozen=True)
class MeasureTask:
    """Look at a picture without decoding it."""

    source: Path
    name: str  # the picture's name in the studio, for messages
    max_pixels: int


def measure(task: MeasureTask) -> Picture:
    """The upright size of a picture, and what a person may want to know of it.

    Raises:
        RenderError: the file is not a picture that can be printed; names it and says why.
    """
    with opened(task.source, task.name, task.max_pixels) as image:
        turned = image.getexif().get(_ORIENTATION_TAG, 1) in (5, 6, 7, 8)
        width, height = image.size[::-1] if turned else image.size
        flags = () if image.info.get("icc_profile") else (colour.UNTAGGED,)
        return Picture(width_px=width, height_px=height, flags=flags)


def opened(source: Path, name: str, max_pixels: int) -> Image.Image:
    """Open and check a file without decoding it.

    Raises:
        RenderError: it is not there, not a picture, or not one that can be printed as it should be.
    """
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
        raise PictureUnreadable(f"{name}: not a picture (JPEG, TIFF, PNG or WebP): send the photo itself") from error
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
