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
    raster_types: frozenset[RasterType]  # that its printer takes
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


_URF_WORDS = {"srgb24": RasterType.SRGB_8, "adobergb24": RasterType.ADOBE_RGB_8, "w8": RasterType.SGRAY_8}


def raster_types(supported: Sequence[str]) -> frozenset[RasterType]:
    """The colours in which a printer takes raster; sRGB when it does not say, grey when it names none of ours.

    Args:
        supported: its pwg-raster-document-type-supported, or urf-supported.
    """
    if not supported:
        return frozenset({RasterType.SRGB_8})
    words = [word.lower() for word in supported]
    known = {_URF_WORDS.get(word) or next((one for one in RasterType if one == word), None) for word in words}
    return frozenset(one for one in known if one is not None) or frozenset({RasterType.SGRAY_8})
