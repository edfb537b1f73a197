"""Render profiles: everything that can be said about how prints are produced. Lengths are whole micrometres."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from store.model import HexColour, Model, Name, Sha256, Stored
from store.pushed import Colorization
from store.sizes import Size

TextTemplate = Annotated[str, StringConstraints(max_length=300)]  # with fields such as {number}


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
    EXACT = "exact crop"  # the studio's crop as it is; one of another shape fails


class OutputFormat(StrEnum):
    """Of the sheet files; the value is the file's ending."""

    JPEG = "jpg"
    TIFF = "tif"
    PNG = "png"


class Chroma(StrEnum):
    """How finely a JPEG keeps colour."""

    FULL = "4:4:4"
    HALF = "4:2:2"
    QUARTER = "4:2:0"


class IfExists(StrEnum):
    """What happens when the output folder has another file of that name."""

    NUMBER = "number"  # the new one gets " (2)"
    REPLACE = "replace"
    FAIL = "fail"  # the item fails and says so


class PrintQuality(StrEnum):
    """RFC 8011 §5.2.13."""

    DRAFT = "draft"
    NORMAL = "normal"
    HIGH = "high"


class LowResolution(StrEnum):
    """What happens to a sheet whose picture has too few pixels."""

    WARN = "warn"
    HOLD = "hold"  # a person must release it before paper is spent


# -- colour -----------------------------------------------------------------------------------------------------


class AssetRef(Model):
    """A file that the studio gave the box: an ICC profile or an overlay. Its content never changes."""

    name: Name
    sha256: Sha256


class Intent(StrEnum):
    """How colours that the output cannot show are brought into it (ICC.1:2022 §6.2)."""

    PERCEPTUAL = "perceptual"
    RELATIVE = "relative colorimetric"
    SATURATION = "saturation"
    ABSOLUTE = "absolute colorimetric"


class Untagged(StrEnum):
    """For what a picture is taken that says nothing of its colours."""

    SRGB = "sRGB"
    ADOBE_RGB = "Adobe RGB"
    REFUSE = "refuse"


class OutputColour(Model):
    """From the picture's colours to the sheet's."""

    profile: AssetRef | None = None  # an RGB output profile; None: sRGB
    intent: Intent = Intent.RELATIVE
    black_point_compensation: bool = True
    embed: bool = True
    untagged: Untagged = Untagged.SRGB


class Sharpening(Model):
    """An unsharp mask at output size; amount 0 is none."""

    amount_percent: int = Field(0, ge=0, le=500)
    radius_px: float = Field(1.0, ge=0.1, le=20)
    threshold: int = Field(2, ge=0, le=255)


# -- layout -----------------------------------------------------------------------------------------------------


class Align(StrEnum):
    """Where a line of text stands in its box."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


class Box(Model):
    """A place on a layout's sheet, from its upper left corner."""

    left_um: int = Field(ge=0)
    top_um: int = Field(ge=0)
    width_um: int = Field(gt=0)
    height_um: int = Field(gt=0)


class Cell(Box):
    """A place for a picture."""

    next_image: bool = False  # takes the next picture; without it, the same as the cell before
    rotation_deg: float = Field(0, ge=0, lt=360)  # to the left, around the cell's centre
    border_um: int = Field(0, ge=0, le=50_000)  # a frame inside the cell's edge, over the picture
    border_colour: HexColour = "#000000"
    caption: TextTemplate = ""  # below the cell


class TextField(Box):
    """A line of text on the sheet, such as the client's name."""

    text: TextTemplate
    colour: HexColour = "#000000"
    align: Align = Align.CENTRE
    bold: bool = False
    rotation_deg: float = Field(0, ge=0, lt=360)  # to the left, around the box's centre
    opacity_percent: int = Field(100, ge=1, le=100)


class Decoration(Box):
    """A PNG, its transparency honoured."""

    image: AssetRef
    is_behind: bool = False  # the pictures, instead of before them


class LayoutTemplate(Model):
    """Pictures on one sheet. Lengths in micrometres; everything stays inside the sheet."""

    name: Name
    size: Size
    cells: tuple[Cell, ...] = Field(min_length=1, max_length=500)
    fit: Fit = Fit.FILL
    turns: bool = True  # a picture may be turned to the way of its cell
    crop_marks: bool = False
    background: HexColour | None = None  # None: the profile's border colour
    caption_um: int = Field(3_000, ge=1_000, le=50_000)  # height of the strip for captions
    texts: tuple[TextField, ...] = Field((), max_length=100)
    decorations: tuple[Decoration, ...] = Field((), max_length=50)

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for field in ("cells", "texts", "decorations"):
            for position, box in enumerate(getattr(self, field)):
                if box.left_um + box.width_um > self.size.width_um or box.top_um + box.height_um > self.size.height_um:
                    raise ValueError(f"{field}[{position}] reaches over the edge of the {self.size} sheet")
        return self

    @property
    def images_per_sheet(self) -> int:
        """How many different pictures a sheet takes."""
        return max(1, sum(cell.next_image for cell in self.cells) + (not self.cells[0].next_image))


class StudioLayout(Stored):
    """A layout template that the studio made itself."""

    template: LayoutTemplate


class Watermark(Model):
    """A text across the picture; empty for none."""

    text: TextTemplate = ""
    opacity_percent: int = Field(35, ge=1, le=100)


# -- the profile ------------------------------------------------------------------------------------------------


class RenderProfile(Stored):
    """How to produce."""

    name: Name
    # what
    selection: Selection = Selection.ITEMS
    only_sizes: tuple[Size, ...] = ()  # of the ordered items only those; empty: all
    only_products: tuple[Name, ...] = ()
    # size
    sizing: Sizing = Sizing.PRINT
    size: Size | None = None  # the size for ALL_IMAGES; with ITEMS, overrides the items' own
    longest_edge_px: int = Field(1200, ge=16, le=20_000)
    dpi: int = Field(300, ge=36, le=1200)
    bleed_um: int = Field(0, ge=0, le=25_400)
    fit: Fit = Fit.FILL
    border_colour: HexColour = "#ffffff"
    auto_rotate: bool = True  # the print turns to the way of the picture
    min_dpi: int = Field(150, ge=0, le=1200)  # a print of fewer pixels per inch looks soft at arm's length
    low_resolution: LowResolution = LowResolution.WARN
    # layout
    layout: LayoutTemplate | None = None  # several on one sheet; its size and fit are then the sheet's
    gang_paper: Size | None = None  # small prints share sheets of this size, to be cut
    gang_gap_um: int = Field(3_000, ge=0, le=50_000)
    paper: Size | None = None  # larger than the print, which lies in its middle
    crop_marks: bool = False  # on that paper
    slug: TextTemplate = ""  # a line outside the trim, for whoever sorts the prints
    watermark: Watermark = Watermark()
    overlay: AssetRef | None = None  # a PNG over the whole sheet
    header_sheet: bool = False  # before a ticket's sheets
    separator_sheets: bool = False  # before each picture's
    # colour
    colour: OutputColour = OutputColour()
    colorization: Colorization | None = None  # overrides the items'
    tint: HexColour = "#b09070"
    sharpening: Sharpening = Sharpening()
    # output
    output_format: OutputFormat = OutputFormat.JPEG
    jpeg_quality: int = Field(95, ge=60, le=100)
    chroma: Chroma = Chroma.FULL
    folder: str = Field("{kind}s/{number}", max_length=300)
    file_name: str = Field("{number}_{image}_{size}_{item}", min_length=1, max_length=300)
    if_exists: IfExists = IfExists.NUMBER
    download_days: int = Field(0, ge=0, le=3650)  # a link to the files is good for so long; 0: no link
    pool_id: int | None = None  # prints on this pool,
    printer_id: int | None = None  # or on this printer, or (neither) only writes files
    media_type: str = Field("", max_length=100)  # IPP media-type keyword; empty leaves the choice to the printer
    media_source: str = Field("", max_length=100)  # IPP media-source keyword, a tray
    output_bin: str = Field("", max_length=100)  # IPP output-bin keyword
    print_quality: PrintQuality = PrintQuality.HIGH

    @model_validator(mode="after")
    def _possible(self) -> Self:
        is_print = self.sizing is Sizing.PRINT
        has_cells = self.layout is not None
        problems = {
            "a profile for all images needs a size: items have their own, images do not": (
                self.selection is Selection.ALL_IMAGES and is_print and self.size is None and not has_cells
            ),
            "what is printed needs a print size: a longest edge or the original is for files only": (
                self.prints and not is_print
            ),
            "a layout has a print size of its own: choose a print size, or no layout": has_cells and not is_print,
            "what is printed is written as JPEG: choose JPEG, or no printer": (
                self.prints and self.output_format is not OutputFormat.JPEG
            ),
            "choose a printer pool or a printer, not both": (self.pool_id is not None and self.printer_id is not None),
            "choose a layout, or paper to gang prints on, or larger paper: only one of them": (
                (self.layout is not None) + (self.gang_paper is not None) + (self.paper is not None) > 1
            ),
            "prints share or lie on paper only at a print size: choose a print size, or no paper": (
                not is_print and (self.gang_paper is not None or self.paper is not None)
            ),
            "a slug stands outside the trim: choose a layout, paper to gang on, or larger paper for it": (
                bool(self.slug) and not (self.layout or self.gang_paper or self.paper)
            ),
            "header and separator sheets are prints: choose a print size": (
                not is_print and (self.header_sheet or self.separator_sheets)
            ),
        }
        for problem, is_there in problems.items():
            if is_there:
                raise ValueError(problem)
        return self

    @property
    def prints(self) -> bool:
        """Whether its sheets go to paper."""
        return self.pool_id is not None or self.printer_id is not None

    @property
    def assets(self) -> tuple[AssetRef, ...]:
        """The studio's files that it uses."""
        layout = self.layout.decorations if self.layout else ()
        wanted = (self.colour.profile, self.overlay, *(decoration.image for decoration in layout))
        return tuple(asset for asset in wanted if asset is not None)
