"""Opening picture files that come from anywhere: an allow-list of formats, budgets, and a reason for every refusal."""

from __future__ import annotations

import errno
import hashlib
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
from PIL import Image, ImageOps

from render import colour
from render.errors import PictureChanged, PictureMissing, PictureUnreadable, RenderError
from render.frames import Picture

pillow_heif.register_heif_opener()
# An allow-list: Pillow would sniff more than forty, some with a history of holes.
FORMATS = ("JPEG", "TIFF", "PNG", "WEBP", "HEIF", "AVIF", "PSD")
DEEP = "more than 8 bits a colour in the file: drawn with 8, as printers take it"
MAX_OVERLAY_PIXELS = 60_000_000
_ORIENTATION_TAG = 0x0112
TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_PSD_VERSION_INFO = 1057  # Photoshop File Formats: Version Info; its byte 4 says whether a merged picture is there
Image.MAX_IMAGE_PIXELS = None  # ours is checked between opening and decoding, and is a setting


@dataclass(frozen=True)
class MeasureTask:
    """Look at a picture without decoding it."""

    source: Path | bytes
    name: str  # the picture's name in the studio, for messages
    max_pixels: int
    digest: str = ""  # sha256 where it is known; otherwise it is computed


def measure(task: MeasureTask) -> Picture:
    """The upright size of a picture, and what a person may want to know of it.

    Raises:
        RenderError: the file is not a picture that can be printed; names it and says why.
    """
    with opened(task.source, task.name, task.max_pixels) as image:
        with reading(task.name):
            is_deep = _is_deep(image)  # asked first: reading a PNG's camera data decodes it, and the tile is gone
            width, height = upright_size(image)
            is_tagged = bool(image.info.get("icc_profile")) or image.mode == "LAB"
            says_adobe_rgb = not is_tagged and colour.says_adobe_rgb(image)
        if image.mode == "CMYK" and not is_tagged:
            raise PictureUnreadable(
                f"{task.name}: CMYK without a colour profile: save it as sRGB, or embed its profile"
            )
        return Picture(
            width_px=width,
            height_px=height,
            is_tagged=is_tagged,
            says_adobe_rgb=says_adobe_rgb,
            has_scaled_decoding=image.format == "JPEG",
            flags=(DEEP,) if is_deep else (),
            sha256=task.digest or digest_of(task.source),
        )


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) in pixels as people see the picture, before it is decoded."""
    turned = orientation_of(image) in TURNED
    # Pillow turns TIFFs by itself, and tells their upright size.
    return (image.height, image.width) if turned and image.format != "TIFF" else image.size


def orientation_of(image: Image.Image) -> int:
    """How EXIF says that it is turned, 1 to 8."""
    orientation: int = image.getexif().get(_ORIENTATION_TAG, 1)
    return orientation


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Around calls of the libraries that read a file's content, and of nothing else: what they raise is the file's.

    Not what the system raises: of a disk or share that fails, or of memory that is not there, no file is to blame.

    Raises:
        PictureUnreadable: names the picture.
        OSError, MemoryError: the system's.
    """
    try:
        yield
    except (RenderError, MemoryError):
        raise
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        if is_of_the_system(error):
            raise
        raise PictureUnreadable(f"{name}: the file is damaged or not complete ({error}): copy it again") from error
    except Exception as error:  # readers raise whatever they stumble over
        raise PictureUnreadable(
            f"{name}: the program that reads such files fails at it ({error!r}): save it again from the original"
        ) from error


def is_of_the_system(error: BaseException) -> bool:
    """Whether a disk or share failed. What readers raise has no number; a damaged file may send them to a place < 0."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def digest_of(source: Path | bytes) -> str:
    """SHA-256 of a file, in hex."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unchanged(source: Path | bytes, name: str, sha256: str) -> None:
    """Refuse a file that is not the one that was planned with.

    Raises:
        PictureChanged: names it.
    """
    if sha256 and digest_of(source) != sha256:
        raise PictureChanged(f"{name}: the file was changed after the ticket opened: set the status again")


def opened(source: Path | bytes, name: str, max_pixels: int) -> Image.Image:
    """Open and check a file without decoding it.

    Raises:
        RenderError: it is not there, not a picture, or not one that can be printed as it should be.
        OSError: the disk or share fails.
    """
    try:
        if (len(source) if isinstance(source, bytes) else source.stat().st_size) == 0:
            raise PictureUnreadable(f"{name}: the file is empty: copy it again")
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except FileNotFoundError as error:
        raise PictureMissing(
            f"{name}: the file is no longer where it was: put it back and set the status again"
        ) from error
    except PermissionError as error:
        raise PictureUnreadable(
            f"{name}: the box may not read the file: let everybody read it, and set the status again"
        ) from error
    except (RenderError, MemoryError):
        raise
    except Exception as error:
        if is_of_the_system(error):
            raise
        raise PictureUnreadable(
            f"{name}: not a picture (JPEG, TIFF, PNG, WebP, HEIC, AVIF or PSD): send the photo itself"
        ) from error
    pixels = image.width * image.height
    problem = ""
    if pixels > max_pixels:
        problem = f"{pixels / 1e6:.0f} megapixels are more than the {max_pixels / 1e6:.0f} that the settings allow"
    elif image.mode == "F" or _raw_bits(image) > 16:
        problem = "32 bits a colour have no fixed white: save it with 16 or 8 bits"
    elif not _has_merged_picture(image):
        problem = "the PSD has no merged picture: save it again with 'Maximize compatibility'"
    if problem:
        image.close()
        raise PictureUnreadable(f"{name}: {problem}")
    return image


def pixels_of(
    sheet: Path, space: str, largest_px: tuple[int, int] | None, decodes: bool = True
) -> tuple[int, int, bytes]:
    """(width, height, rows) of a sheet that we drew, cut to its middle where it is larger.

    Args:
        sheet: its file.
        space: "RGB", as they are; "sRGB"; or "L", one byte a pixel.
        largest_px: width and height; None for all of it.
        decodes: without it there are no rows.

    Raises:
        RenderError: the file is damaged.
    """
    with opened(sheet, sheet.name, max_pixels=2**31) as image:
        if not decodes:
            return image.width, image.height, b""
        try:
            pixels = image.convert("L" if space == "L" else "RGB")
            if space == "sRGB" and colour.is_adobe_rgb(image.info.get("icc_profile") or b""):
                pixels = colour.adobe_to_srgb(pixels)
        except (OSError, SyntaxError, ValueError) as error:
            raise PictureUnreadable(f"{sheet.name}: the sheet's file is damaged ({error})") from error
    if largest_px is not None:
        width, height = min(pixels.width, largest_px[0]), min(pixels.height, largest_px[1])
        left, top = (pixels.width - width) // 2, (pixels.height - height) // 2
        pixels = pixels.crop((left, top, left + width, top + height))
    return pixels.width, pixels.height, pixels.tobytes()


def is_adobe_rgb(sheet: Path) -> bool:
    """Whether a sheet that we drew is in Adobe RGB."""
    with opened(sheet, sheet.name, max_pixels=2**31) as image:
        return colour.is_adobe_rgb(image.info.get("icc_profile") or b"")


@dataclass(frozen=True)
class ThumbnailTask:
    """A small picture of a file, for people."""

    source: Path | bytes
    name: str
    max_pixels: int
    longest_px: int


def thumbnail(task: ThumbnailTask) -> bytes:
    """An upright sRGB JPEG, as small as was asked for.

    Raises:
        RenderError: the file is not a picture that can be printed; names it and says why.
    """
    with opened(task.source, task.name, task.max_pixels) as image:
        with reading(task.name):
            image.draft("RGB", (2 * task.longest_px, 2 * task.longest_px))  # JPEGs are decoded smaller
            small = ImageOps.exif_transpose(image)
        small.thumbnail((task.longest_px, task.longest_px), Image.Resampling.BICUBIC)
        small = small.convert("RGB")
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def check_overlay(data: bytes) -> str:
    """What an overlay is, in words.

    Raises:
        ValueError: it is not a PNG that can be laid over sheets; says why.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.width * image.height > MAX_OVERLAY_PIXELS:
                raise ValueError("larger than 60 megapixels, which no sheet needs: make it smaller")
            layer = image.convert("RGBA")
    except (OSError, SyntaxError) as error:
        raise ValueError("not a PNG: save the overlay as PNG, with transparency") from error
    if layer.getchannel("A").getextrema() == (255, 255):
        raise ValueError("nothing in it is transparent, so it would hide the picture: save it with transparency")
    return f"{layer.width} × {layer.height} pixels"


def _is_deep(image: Image.Image) -> bool:
    """Whether decoding to 8 bits loses something. Pillow opens 16-bit RGB as 8-bit RGB without a word."""
    return image.mode.startswith("I") or _raw_bits(image) > 8


def _raw_bits(image: Image.Image) -> int:
    """Bits of a channel in the file, as far as Pillow's name for its coding tells: 8, 16 or 32."""
    raw_modes = " ".join(str(tile[3]) for tile in getattr(image, "tile", []))
    return 32 if "32" in raw_modes else 16 if "16" in raw_modes else 8


def _has_merged_picture(image: Image.Image) -> bool:
    for number, _, data in getattr(image, "resources", ()):
        if number == _PSD_VERSION_INFO and len(data) >= 5:
            return bool(data[4])
    return True
