"""Pixels: picture files and sheet plans in, sheet files out. Runs in worker processes.

The order of the steps is what makes it quick: a JPEG is decoded no larger than its largest placement needs, equal
placements are drawn once, and everything that touches every pixel (colour conversion, tones, sharpening) happens after
resizing, at the sheet's size.
"""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from render import lettering, tones
from render.areas import Area, chosen
from render.colour import Look, Photo, srgb_profile
from render.cutting import Decoded
from render.errors import PictureMissing
from render.pictures import TURNED, check_unchanged, opened, orientation_of, reading
from render.sheets import Placement, SheetPlan
from store.profiles import OutputFormat

THUMBNAIL_PX = 480

File = Path | bytes  # where it lies, or its content where the worker has no disk in common with us


@dataclass(frozen=True)
class Source:
    """A picture file."""

    name: str  # in the studio
    file: File
    sha256: str = ""  # what it must be; empty: whatever it is


@dataclass(frozen=True)
class DrawTask:
    """Sheets that share their pictures, so that each picture is decoded once."""

    sources: tuple[Source, ...]
    max_pixels: int
    sheets: tuple[tuple[SheetPlan, Path | None, Path | None], ...]  # plan, and where sheet and thumbnail go; None: back
    assets: tuple[tuple[str, File], ...] = ()  # by sha256

    def portable(self) -> DrawTask:
        """The same with the files' content in it, for a worker that has no disk in common with us.

        Raises:
            OSError: a file cannot be read.
        """
        return DrawTask(
            tuple(replace(source, file=_content(source.file)) for source in self.sources),
            self.max_pixels,
            tuple((plan, None, None) for plan, _, _ in self.sheets),
            tuple((sha256, _content(file)) for sha256, file in self.assets),
        )


@dataclass(frozen=True)
class Drawn:
    """What became of a plan."""

    size_px: tuple[int, int]
    sheet: bytes = b""  # the file, where it was not to be written
    thumbnail: bytes = b""


def draw(task: DrawTask) -> list[Drawn]:
    """Draw sheets, in the order of the plans; files appear whole or not at all.

    Raises:
        RenderError: a picture cannot be drawn.
    """
    placements = [placement for plan, _, _ in task.sheets for placement in plan.placements]
    untagged = task.sheets[0][0].colour.untagged
    pictures: dict[str, Decoded] = {}
    for source in task.sources:
        check_unchanged(source.file, source.name, source.sha256)
        smallest = min(one.source_px_per_px for one in placements if one.image == source.name)
        image, scale, whole = _decoded(source, task.max_pixels, smallest)
        pictures[source.name] = Decoded(Photo(image, source.name, untagged), scale, whole)
    assets = dict(task.assets)
    return [_drawn(_Artist(pictures, assets, plan), target, thumbnail) for plan, target, thumbnail in task.sheets]


def _decoded(source: Source, max_pixels: int, source_px_per_px: float) -> tuple[Image.Image, int, Area]:
    """A picture, upright, with at least as many pixels as its most demanding placement needs.

    With it, how many of the file's pixels became one, and where the whole picture lies in those that there are.
    """
    with opened(source.file, source.name, max_pixels) as image, reading(source.name):
        orientation, scale = orientation_of(image), 1
        stored_px = image.size
        if image.format == "JPEG":
            reduction = max(1, int(source_px_per_px))
            drafted = image.draft(None, (max(1, image.width // reduction), max(1, image.height // reduction)))
            scale = round(stored_px[0] / drafted[1][2]) if drafted else 1
        image.load()
        ImageOps.exif_transpose(image, in_place=True)  # which copies nothing where nothing is turned
        whole = chosen(None, *image.size) if scale == 1 else _scaled(*stored_px, scale, orientation)
        return image, scale, whole


def _scaled(width_px: int, height_px: int, scale: int, orientation: int) -> Area:
    """Where a JPEG lies in its pixels when it is decoded smaller: the last column and row may be partly beyond it.

    Args:
        width_px: of the picture as it is stored.
        height_px: of the picture as it is stored.
        scale: so many pixels, both ways, became one.
        orientation: EXIF's: what was last may have come to the left or the top.

    >>> _scaled(15, 16, 8, 1).box, _scaled(15, 16, 8, 3).box
    ((0.0, 0.0, 1.875, 2.0), (0.125, 0.0, 2.0, 2.0))
    """
    across, down = -width_px % scale, -height_px % scale
    left = {2: across, 3: across, 6: down, 7: down}.get(orientation, 0)
    top = {3: down, 4: down, 7: across, 8: across}.get(orientation, 0)
    upright = chosen(None, *((height_px, width_px) if orientation in TURNED else (width_px, height_px)))
    return upright.moved(left, top).seen_at(scale)


class _Artist:
    """Draws one sheet."""

    def __init__(self, pictures: dict[str, Decoded], assets: dict[str, File], plan: SheetPlan) -> None:
        self._pictures, self._assets, self.plan = pictures, assets, plan
        output = plan.colour.profile
        self.output_profile = self._asset(output.sha256, output.name) if output else b""

    def sheet(self) -> Image.Image:
        """The sheet as it is looked at, not yet turned for the paper."""
        plan = self.plan
        whole_px = (plan.width_px, plan.height_px)
        if len(plan.placements) == 1 and plan.placements[0].shown_px == whole_px and self._is_plain(plan.placements[0]):
            sheet = self._picture(plan.placements[0])
        else:
            sheet = Image.new("RGB", whole_px, self._ink(plan.background))
            self._overlay(sheet, is_behind=True)
            drawn: dict[Placement, Image.Image] = {}  # eight wallets are one picture, pasted eight times
            for placement in plan.placements:
                alike = placement.with_(at_px=(0, 0), turned=False, rotation_deg=0.0)
                if alike not in drawn:
                    drawn[alike] = self._picture(alike)
                self._paste(sheet, drawn[alike], placement)
        for line in plan.texts:
            lettering.write(sheet, line, self._ink(line.colour))
        self._overlay(sheet, is_behind=False)
        pen = ImageDraw.Draw(sheet)
        for mark in plan.marks_px:
            pen.line(mark, fill="black", width=1)
        for code in plan.codes:
            lettering.encode(sheet, code)
        return sheet

    @staticmethod
    def _is_plain(placement: Placement) -> bool:
        return not placement.turned and not placement.rotation_deg and placement.at_px == (0, 0)

    def _picture(self, placement: Placement) -> Image.Image:
        """One picture at its size on the sheet, upright, in the sheet's colours."""
        decoded = self._pictures[placement.image]
        shown = decoded.photo.looking(decoded.cut(placement), self._look(placement))
        shown = tones.sharpened(shown, self.plan.sharpening)
        if placement.border_px:
            edges = (0, 0, shown.width - 1, shown.height - 1)
            ImageDraw.Draw(shown).rectangle(
                edges, outline=self._ink(placement.border_colour), width=placement.border_px
            )
        return shown

    def _look(self, placement: Placement | None) -> Look:
        colour = self.plan.colour
        how = {
            "output": self.output_profile,
            "intent": colour.intent,
            "black_point_compensation": colour.black_point_compensation,
        }
        if placement is None:
            return Look.model_validate(how)
        how |= {
            "adjustments": placement.adjustments,
            "colorization": placement.colorization,
            "tint": placement.tint,
        }
        return Look.model_validate(how)

    def _paste(self, sheet: Image.Image, picture: Image.Image, placement: Placement) -> None:
        if placement.turned:
            picture = picture.transpose(Image.Transpose.ROTATE_90)
        left, top = placement.at_px
        if not placement.rotation_deg:
            sheet.paste(picture, (left, top))
            return
        centre = (left + picture.width / 2, top + picture.height / 2)
        mask = Image.new("L", (picture.width + 2, picture.height + 2))  # a soft edge of one pixel
        mask.paste(255, (1, 1, picture.width + 1, picture.height + 1))
        framed = ImageOps.expand(picture, 1)
        framed.paste(picture.resize(framed.size), (0, 0))
        framed.paste(picture, (1, 1))
        turned = framed.rotate(placement.rotation_deg, Image.Resampling.BICUBIC, expand=True)
        mask = mask.rotate(placement.rotation_deg, Image.Resampling.BICUBIC, expand=True)
        sheet.paste(turned, (round(centre[0] - turned.width / 2), round(centre[1] - turned.height / 2)), mask)

    def _overlay(self, sheet: Image.Image, is_behind: bool) -> None:
        for overlay in self.plan.overlays:
            if overlay.is_behind != is_behind:
                continue
            left, top, width, height = overlay.box_px
            data = self._asset(overlay.image.sha256, overlay.image.name)
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                layer = image.convert("RGBA")
            if (layer.width > layer.height) != (width > height) and (width, height) == sheet.size:
                layer = layer.transpose(Image.Transpose.ROTATE_90)
            fitted = layer.resize((width, height), Image.Resampling.LANCZOS)
            mask = fitted.getchannel("A")
            converted = Photo(fitted.convert("RGB"), overlay.image.name).looking(
                fitted.convert("RGB"), self._look(None)
            )
            sheet.paste(converted, (left, top), mask)

    def _ink(self, colour: str) -> tuple[int, ...]:
        """A colour, given in sRGB, in the sheet's colour space."""
        dot = Image.new("RGB", (1, 1), colour)
        pixel = Photo(dot, "colour").looking(dot, self._look(None)).getpixel((0, 0))
        assert isinstance(pixel, tuple)  # noqa: S101  (three channels)
        return pixel

    def _asset(self, sha256: str, name: str) -> bytes:
        file = self._assets.get(sha256)
        if file is None:
            raise PictureMissing(f"the file '{name}' that the render profile uses was removed: upload it again")
        return _content(file)


def _drawn(artist: _Artist, target: Path | None, thumbnail: Path | None) -> Drawn:
    plan, sheet = artist.plan, artist.sheet()
    small = sheet.reduce(max(1, min(sheet.size) // THUMBNAIL_PX))
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BICUBIC)
    small_file = _file(small, OutputFormat.JPEG, quality=85, subsampling=0, dpi=(72, 72))
    if plan.turn_for_paper and plan.width_px > plan.height_px:
        sheet = sheet.transpose(Image.Transpose.ROTATE_90)
    profile = artist.output_profile or srgb_profile() if plan.colour.embed else None
    how: dict[OutputFormat, dict[str, Any]] = {
        OutputFormat.JPEG: {"quality": plan.jpeg_quality, "subsampling": plan.chroma.value},
        OutputFormat.TIFF: {"compression": "tiff_lzw"},
        OutputFormat.PNG: {"compress_level": 6},
    }
    file = _file(sheet, plan.output_format, dpi=(plan.dpi, plan.dpi), icc_profile=profile, **how[plan.output_format])
    for data, path in ((small_file, thumbnail), (file, target)):
        if path is not None:
            save(data, path)
    return Drawn(sheet.size, b"" if target else file, b"" if thumbnail else small_file)


def _content(file: File) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def _file(image: Image.Image, output_format: OutputFormat, **how: Any) -> bytes:
    buffer = io.BytesIO()
    name = {OutputFormat.JPEG: "JPEG", OutputFormat.TIFF: "TIFF", OutputFormat.PNG: "PNG"}[output_format]
    image.save(buffer, name, **how)
    return buffer.getvalue()


def save(data: bytes, target: Path) -> None:
    """Write a file that appears whole or not at all. Its folder is made where somebody removed it.

    Raises:
        OSError: the disk does not take it; nothing of it is left.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            file = temporary.open("wb")
        except FileNotFoundError:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = temporary.open("wb")
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
