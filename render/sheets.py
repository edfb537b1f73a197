"""What a sheet is made of, in pixels: everything needed to draw it, and to draw it again."""

from __future__ import annotations

import math

from store.model import Model
from store.profiles import Align, AssetRef, Chroma, IfExists, OutputColour, OutputFormat, Sharpening
from store.pushed import Adjustments, Colorization
from store.sizes import PrintSize

Box = tuple[int, int, int, int]  # left, top, width, height
Line = tuple[int, int, int, int]  # from x, y to x, y
STRAIGHTEN_REACH_PX = 3  # what turning looks at around a pixel


class Placement(Model):
    """One picture on a sheet."""

    image: str
    source_box: tuple[float, float, float, float]  # upright pixels (areas.Area.box); for bleed it reaches outside
    straighten_deg: float = 0.0  # the picture is turned clockwise around the box's centre
    shown_px: tuple[int, int]  # what the box becomes, before turning
    at_px: tuple[int, int]  # where its upper left corner lies on the sheet, after turning
    turned: bool = False  # a quarter to the left
    rotation_deg: float = 0.0  # then, around its own centre, to the left
    border_px: int = 0
    border_colour: str = "#000000"
    adjustments: Adjustments = Adjustments()
    colorization: Colorization = Colorization.COLOUR
    tint: str = "#b09070"

    @property
    def source_px_per_px(self) -> float:
        """How many of the picture's pixels go into one of the sheet's, along an edge; the fewer of both."""
        left, top, right, bottom = self.source_box
        return min((right - left) / self.shown_px[0], (bottom - top) / self.shown_px[1])

    @property
    def reach_px(self) -> tuple[int, int]:
        """The upright rectangle on the sheet that holds what is shown before it is straightened, and a little more."""
        width, height = self.shown_px
        angle = math.radians(abs(self.straighten_deg))
        along, across = math.cos(angle), math.sin(angle)
        more = 2 * STRAIGHTEN_REACH_PX
        return math.ceil(width * along + height * across) + more, math.ceil(width * across + height * along) + more

    @property
    def lying_px(self) -> tuple[int, int]:
        """Its size on the sheet."""
        return self.shown_px[::-1] if self.turned else self.shown_px


class TextLine(Model):
    """A line of text, as large as its box allows."""

    text: str
    box_px: Box
    colour: str = "#000000"
    align: Align = Align.CENTRE
    bold: bool = False
    rotation_deg: float = 0.0  # to the left, around the box's centre
    opacity_percent: int = 100


class Overlay(Model):
    """One of the studio's PNGs."""

    image: AssetRef
    box_px: Box
    is_behind: bool = False  # the pictures


class ScannableCode(Model):
    """A QR code (ISO/IEC 18004), as large as fits its box."""

    text: str
    box_px: Box


class SheetPlan(Model):
    """Everything needed to draw one sheet."""

    profile_id: int
    item: str
    image: str
    is_cover: bool = False  # a header or separator sheet: nobody ordered it
    lines: tuple[tuple[str, str], ...] = ()  # (item id, image) of each picture, where there are several
    digests: tuple[tuple[str, str], ...] = ()  # (image, sha256) of each picture file
    quantity: int
    size: PrintSize  # of the paper asked for; trim, or what the trim lies on; in the orientation of the drawing
    width_px: int  # of the whole sheet, bleed included, before turning
    height_px: int
    dpi: int
    background: str = "#ffffff"
    placements: tuple[Placement, ...]  # later ones lie above earlier ones
    texts: tuple[TextLine, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    codes: tuple[ScannableCode, ...] = ()
    marks_px: tuple[Line, ...] = ()  # crop marks
    colour: OutputColour = OutputColour()
    sharpening: Sharpening = Sharpening()
    turn_for_paper: bool  # turn a wide sheet upright: paper is described that way to printers
    output_format: OutputFormat = OutputFormat.JPEG
    jpeg_quality: int
    chroma: Chroma = Chroma.FULL
    file: str  # below the output folder
    if_exists: IfExists = IfExists.NUMBER
    flags: tuple[str, ...] = ()
    pictures_bytes: int = 0  # memory for its decoded pictures,
    sheet_bytes: int = 0  # and for everything else
    hold: str = ""  # why a person must release it before it is printed

    @property
    def images(self) -> tuple[str, ...]:
        """The pictures that it needs, each once."""
        return tuple(dict.fromkeys(placement.image for placement in self.placements))

    @property
    def assets(self) -> tuple[AssetRef, ...]:
        """The studio's files that it needs."""
        profile = (self.colour.profile,) if self.colour.profile else ()
        return (*profile, *(overlay.image for overlay in self.overlays))
