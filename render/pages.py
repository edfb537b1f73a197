"""Pages of documents as pictures: PDF pages and raw pixels in, upright JPEG files out. Runs in a drawing process."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
from PIL import Image, ImageCms, ImageOps

from render.colour import adobe_rgb_profile, srgb_profile
from render.draw import save
from render.errors import PictureUnreadable
from render.pictures import is_of_the_system, opened, reading

MAX_PDF_PAGES = 2_000
_QUALITY = 96
_TURNS = {4: Image.Transpose.ROTATE_90, 5: Image.Transpose.ROTATE_270, 6: Image.Transpose.ROTATE_180}
_MODES = {"sgray_8": "L", "srgb_8": "RGB", "adobe-rgb_8": "RGB", "cmyk_8": "CMYK"}


@dataclass(frozen=True)
class Arrangement:
    """What is done to a page before it is a picture like any other."""

    paper_px: tuple[int, int]  # upright
    orientation: int = 0  # RFC 8011 §5.2.10; 0: as it comes, turned to the paper later
    is_unscaled: bool = False  # print-scaling none: at its own size, in the middle of the paper
    dpi: int = 300


def pdf_pages(
    path: Path, numbers: Sequence[int] | None, paper_px: tuple[int, int], dpi: int
) -> Iterator[tuple[int, Image.Image]]:
    """(number, picture) of a PDF's pages, each no larger than its paper can show.

    Args:
        path: the file.
        numbers: of the pages that are wanted, from 1; None for all.
        paper_px: width and height of the paper, upright.
        dpi: of the paper.

    Raises:
        PictureUnreadable: not a PDF, or locked, or with more pages than anybody prints.
    """
    try:
        document = pypdfium2.PdfDocument(path)
    except (pypdfium2.PdfiumError, OSError) as error:
        if is_of_the_system(error):
            raise
        raise PictureUnreadable(f"the PDF cannot be opened ({error}): save it again, without a password") from error
    with document:
        count = len(document)
        if count > MAX_PDF_PAGES:
            raise PictureUnreadable(f"the PDF has {count} pages, and {MAX_PDF_PAGES} are the most: send it in parts")
        for number in numbers if numbers is not None else range(1, count + 1):
            if not 1 <= number <= count:
                continue
            try:
                page = document[number - 1]
                width, height = page.get_size()
                longest_px = max(width, height) * dpi / 72
                scale = dpi / 72 * min(1.0, 2 * max(paper_px) / max(1.0, longest_px))
                image = page.render(scale=scale, draw_annots=True).to_pil().convert("RGB")
            except (pypdfium2.PdfiumError, ValueError) as error:
                raise PictureUnreadable(f"page {number} of the PDF cannot be drawn ({error})") from error
            yield number, image


def raw_page(width: int, height: int, kind: str, pixels: bytes, finer: int = 1) -> Image.Image:
    """Raster pixels as a picture.

    Args:
        width: in pixels.
        height: in pixels.
        kind: pwg-raster-document-type.
        pixels: rows from the top.
        finer: so many pixels along an edge are averaged to one.
    """
    image = _raw(width, height, kind, pixels)
    if finer > 1:
        image = image.reduce(finer)
    if kind == "adobe-rgb_8":
        image.info["icc_profile"] = adobe_rgb_profile()
    return image


def _raw(width: int, height: int, kind: str, pixels: bytes) -> Image.Image:
    if kind == "black_1":
        return ImageOps.invert(Image.frombytes("1", (width, height), pixels).convert("L"))
    if kind == "black_8":
        return ImageOps.invert(Image.frombytes("L", (width, height), pixels))
    if kind == "srgb_16":  # the upper byte of each colour
        return Image.frombytes("RGB", (width, height), pixels[::2])
    image = Image.frombytes(_MODES[kind], (width, height), pixels)
    return image.convert("RGB") if kind == "cmyk_8" else image


def photo_page(path: Path, max_pixels: int) -> Image.Image:
    """A photo that must be arranged, upright.

    Raises:
        RenderError: it is damaged or too large.
    """
    with opened(path, path.name, max_pixels) as image, reading("the picture"):
        upright = ImageOps.exif_transpose(image)
        kept = image.info.get("icc_profile")
        upright = upright if upright.mode in ("RGB", "L", "CMYK") else upright.convert("RGB")
        upright.load()
    if upright.mode == "CMYK":
        with reading("the picture"):
            return _from_cmyk(upright, kept)
    if kept:
        upright.info["icc_profile"] = kept
    return upright


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return image.convert("RGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    return converted if converted is not None else image.convert("RGB")


def arranged(image: Image.Image, how: Arrangement, own_dpi: int) -> Image.Image:
    """A page turned as it was asked for, and laid unscaled on its paper where that was asked for."""
    profile = image.info.get("icc_profile")
    if how.orientation in _TURNS:
        image = image.transpose(_TURNS[how.orientation])
    if how.is_unscaled:
        if own_dpi != how.dpi:
            size = tuple(max(1, round(side * how.dpi / own_dpi)) for side in image.size)
            image = image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
        width, height = how.paper_px
        if (image.width > image.height) != (width > height) and not how.orientation:
            image = image.transpose(Image.Transpose.ROTATE_90)
        paper = Image.new(image.mode, (width, height), "white")
        paper.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        image = paper
    if profile:
        image.info["icc_profile"] = profile
    return image


def imposed(images: Sequence[Image.Image], columns: int, rows: int, paper_px: tuple[int, int]) -> Image.Image:
    """Several pages on one (number-up): row by row, each as large as its place lets it be."""
    width, height = paper_px
    pages_are_wide = sum(image.width > image.height for image in images) * 2 > len(images)
    # The paper lies so that the places have the way of the pages.
    if ((width / columns) > (height / rows)) != pages_are_wide:
        width, height = height, width
        if ((width / columns) > (height / rows)) != pages_are_wide:
            columns, rows = rows, columns
    paper = Image.new("RGB", (width, height), "white")
    across, down = width // columns, height // rows
    for position, image in enumerate(images):
        free = (across * 96 // 100, down * 96 // 100)
        shown = ImageOps.contain(image.convert("RGB"), free, Image.Resampling.LANCZOS)
        left = position % columns * across + (across - shown.width) // 2
        top = position // columns * down + (down - shown.height) // 2
        paper.paste(shown, (left, top))
    return paper


def keep(image: Image.Image, images: Path) -> str:
    """Put a page among the pictures; returns its digest."""
    out = io.BytesIO()
    profile = image.info.get("icc_profile")
    image = image if image.mode in ("RGB", "L") else image.convert("RGB")
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0, **({"icc_profile": profile} if profile else {}))
    content = out.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    _put(images / digest[:2] / digest, content)
    return digest


def keep_file(path: Path, images: Path) -> str:
    """Put a picture file as it is among the pictures; returns its digest."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    name = digest.hexdigest()
    target = images / name[:2] / name
    if not target.exists():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except FileExistsError:
            pass  # somebody was quicker
        except OSError:  # another file system, or one without links
            save(path.read_bytes(), target)
    os.utime(target)  # it is needed from now on
    return name


def _put(target: Path, content: bytes) -> None:
    if target.exists():
        os.utime(target)
        return
    save(content, target)
