"""In which format a sheet goes to a printer, and what turning it into another one needs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ipp.raster import RasterType
from store.sizes import PrintSize


class DocumentFormat(StrEnum):
    """What we can send; the value is IPP's mimeMediaType."""

    JPEG = "image/jpeg"  # as drawn
    PWG_RASTER = "image/pwg-raster"
    URF = "image/urf"
    PDF = "application/pdf"


@dataclass(frozen=True)
class Conversion:
    """A drawn sheet that becomes another format."""

    source: Path  # JPEG
    target: Path
    format: DocumentFormat
    raster_type: RasterType
    size: PrintSize  # of the paper
    dpi: int
    media_type: str
    quality: int


def choose(supported: Sequence[str]) -> DocumentFormat | None:
    """The first of ours that a printer takes; JPEG when it does not say what it takes.

    >>> choose(["application/pdf", "image/urf"])
    <DocumentFormat.URF: 'image/urf'>
    """
    if not supported:
        return DocumentFormat.JPEG
    return next((one for one in DocumentFormat if one.value in supported), None)


def raster_type(supported: Sequence[str]) -> RasterType:
    """The colours in which a printer takes raster (pwg-raster-document-type-supported, or urf-supported)."""
    words = {word.lower() for word in supported}
    has_colour = not words or bool(words & {"srgb_8", "srgb24"})
    return RasterType.SRGB_8 if has_colour else RasterType.SGRAY_8
