"""Sheets in other formats than they were drawn in, made in a drawing process."""

from __future__ import annotations

from ipp import pdf, raster
from ipp.attributes import media_name
from ipp.documents import Conversion, DocumentFormat
from ipp.raster import RasterType
from ipp.slips import SLIP_DPI, Slip
from render.covers import slip
from render.draw import DrawTask, draw, save
from render.pictures import is_adobe_rgb, pixels_of


def convert(task: Conversion | Slip) -> None:
    """Turn a drawn sheet into the format that its printer takes, or draw a separator slip; the target appears whole or
    not at all.

    Raises:
        RenderError: the sheet's file is damaged.
    """
    if isinstance(task, Slip):
        draw(DrawTask((), 0, ((slip(task.words, task.size, SLIP_DPI), task.target, None),)))
        return
    # What reaches over the paper's edge stays away: raster is the paper's size.
    width_px, height_px = (
        round(side_um * task.dpi / 25_400) for side_um in sorted((task.size.width_um, task.size.height_um))
    )
    if task.format is DocumentFormat.PDF:
        width, height, _ = pixels_of(task.source, "RGB", None, decodes=False)
        save(pdf.page_of_jpeg(task.source.read_bytes(), width, height, task.dpi), task.target)
        return
    kind = _raster_type(task.raster_types, is_adobe_rgb(task.source))
    # Adobe RGB in a raster that says sRGB would come out dull.
    space = {RasterType.SGRAY_8: "L", RasterType.ADOBE_RGB_8: "RGB"}.get(kind, "sRGB")
    width, height, pixels = pixels_of(task.source, space, (width_px, height_px))
    page = raster.Page(width, height, task.dpi, task.size, kind, task.media_type, task.quality, media_name(task.size))
    encode = raster.pwg if task.format is DocumentFormat.PWG_RASTER else raster.urf
    save(encode(page, pixels), task.target)


def _raster_type(offered: frozenset[RasterType], is_adobe: bool) -> RasterType:
    """The widest colours that a printer takes and the sheet has."""
    if is_adobe and RasterType.ADOBE_RGB_8 in offered:
        return RasterType.ADOBE_RGB_8
    return RasterType.SGRAY_8 if offered == {RasterType.SGRAY_8} else RasterType.SRGB_8
