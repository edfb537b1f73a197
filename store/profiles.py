"""Render profiles: everything that can be said about how prints are produced. Lengths are whole micrometres."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from store.model import HexColour, Model, Name, Stored
from store.pushed import Colorization
from store.sizes import Size


class Selection(StrEnum):
    """Which pictures of a record a profile renders."""

    ITEMS = "items"  # each ordered item, at its own size
    ALL_IMAGES = "all images"  # every picture of the record, at the profile's size


class Sizing(StrEnum):
    """What decides how large a sheet is."""

    PRINT = "print size"  # the item's trim size, or the profile's
    LONGEST_EDGE = "longest edge"  # so many pixels, for screens; never enlarged
    ORIGINAL = "original"  # as many pixels as the picture (or its crop) has


class Fit(StrEnum):
    """What happens to a picture of another shape than its print."""

    FILL = "fill"  # what is too much on one axis is cut away
    FIT = "fit"  # all of it is shown, with borders


class OutputFormat(StrEnum):
    """Of the sheet files; the value is the file's ending."""

    JPEG = "jpg"
    TIFF = "tif"
    PNG = "png"


class Cell(Model):
    """A place on a layout's sheet, from its upper left corner."""

    left_um: int = Field(ge=0)
    top_um: int = Field(ge=0)
    width_um: int = Field(gt=0)
    height_um: int = Field(gt=0)
    next_image: bool = False  # takes the next picture; without it, the same as the cell before


class LayoutTemplate(Model):
    """Pictures on one sheet. Lengths in micrometres; cells stay inside the sheet."""

    name: Name
    size: Size
    cells: tuple[Cell, ...] = Field(min_length=1, max_length=500)
    fit: Fit = Fit.FILL
    turns: bool = True  # a picture may be turned to the way of its cell
    crop_marks: bool = False

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for position, cell in enumerate(self.cells):
            if cell.left_um + cell.width_um > self.size.width_um or cell.top_um + cell.height_um > self.size.height_um:
                raise ValueError(f"cells[{position}] reaches over the edge of the {self.size} sheet")
        return self

    @property
    def images_per_sheet(self) -> int:
        """How many different pictures a sheet takes."""
        return max(1, sum(cell.next_image for cell in self.cells) + (not self.cells[0].next_image))


class Sharpening(Model):
    """An unsharp mask at output size; amount 0 is none."""

    amount_percent: int = Field(0, ge=0, le=500)
    radius_px: float = Field(1.0, ge=0.1, le=20)
    threshold: int = Field(2, ge=0, le=255)


class RenderProfile(Stored):
    """How to produce."""

    name: Name
    selection: Selection = Selection.ITEMS
    sizing: Sizing = Sizing.PRINT
    size: Size | None = None  # the size for ALL_IMAGES; with ITEMS, overrides the items' own
    longest_edge_px: int = Field(1200, ge=16, le=20_000)
    layout: LayoutTemplate | None = None  # several on one sheet; its size and fit are then the sheet's
    fit: Fit = Fit.FILL
    border_colour: HexColour = "#ffffff"
    colorization: Colorization | None = None  # overrides the items'
    tint: HexColour = "#b09070"
    sharpening: Sharpening = Sharpening()
    output_format: OutputFormat = OutputFormat.JPEG
    dpi: int = Field(300, ge=36, le=1200)
    bleed_um: int = Field(0, ge=0, le=25_400)
    jpeg_quality: int = Field(95, ge=60, le=100)
    folder: str = Field("{kind}s/{number}", max_length=300)
    file_name: str = Field("{number}_{image}_{size}_{item}", min_length=1, max_length=300)
    pool_id: int | None = None  # prints on this pool,
    printer_id: int | None = None  # or on this printer, or (neither) only writes files
    media_type: str = Field("", max_length=100)  # IPP media-type keyword; empty leaves the choice to the printer

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if (
            self.selection is Selection.ALL_IMAGES
            and self.sizing is Sizing.PRINT
            and self.size is None
            and not self.layout
        ):
            raise ValueError("a profile for all images needs a size: items have their own, images do not")
        if self.prints and self.sizing is not Sizing.PRINT:
            raise ValueError("what is printed needs a print size: a longest edge or the original is for files only")
        if self.layout is not None and self.sizing is not Sizing.PRINT:
            raise ValueError("a layout has a print size of its own: choose a print size, or no layout")
        if self.prints and self.output_format is not OutputFormat.JPEG:
            raise ValueError("what is printed is written as JPEG: choose JPEG, or no printer")
        if self.pool_id is not None and self.printer_id is not None:
            raise ValueError("choose a printer pool or a printer, not both")
        return self

    @property
    def prints(self) -> bool:
        """Whether its sheets go to paper."""
        return self.pool_id is not None or self.printer_id is not None
