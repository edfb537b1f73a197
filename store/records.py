"""The things that are kept, as frozen models. Lengths are whole micrometres, times are UTC.

Record, Item, ImageRef and Crop are also what desktop clients send: their descriptions are the API's.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from store.sizes import Size
from store.states import PrintJobState, SheetState, TicketState

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Model(BaseModel):
    """Frozen, and strict about fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked like a new one."""
        return type(self).model_validate({**dict(self), **changes})


class Stored(Model):
    """A model that lives in a table; `id` is 0 until it was added."""

    id: int = 0


# -- what desktops push -----------------------------------------------------------------------------------------


class RecordKind(StrEnum):
    """What a desktop keeps records of."""

    SESSION = "session"
    INVOICE = "invoice"
    ORDER = "order"


class Crop(Model):
    """The part of the upright picture that fills the trim box, as fractions of its full frame."""

    left: float = Field(0.0, ge=0, lt=1, description="left edge, 0 to 1")
    top: float = Field(0.0, ge=0, lt=1, description="top edge, 0 to 1")
    width: float = Field(1.0, gt=0, le=1, description="width, above 0 to 1")
    height: float = Field(1.0, gt=0, le=1, description="height, above 0 to 1")

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if self.left + self.width > 1.000001 or self.top + self.height > 1.000001:
            raise ValueError("the crop reaches outside the picture: left + width and top + height must be at most 1")
        return self


class Adjustments(Model):
    """What the studio changed on a picture's tones; all zero (gamma one) leaves it alone."""

    exposure_ev: float = Field(0.0, ge=-4, le=4, description="stops, in linear light")
    brightness: float = Field(0.0, ge=-1, le=1, description="added to every tone, -1 to 1")
    contrast: float = Field(0.0, ge=-1, le=1, description="around middle grey, -1 flat to 1 double")
    gamma: float = Field(1.0, ge=0.2, le=5, description="above 1 lightens the middle tones")
    saturation: float = Field(0.0, ge=-1, le=1, description="-1 grey to 1 double")


class Colorization(StrEnum):
    """As what a picture is printed."""

    COLOUR = "colour"
    BLACK_AND_WHITE = "black & white"
    SEPIA = "sepia"
    TINT = "custom tint"


HexColour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class ImageRef(Model):
    """One picture of a record: uploaded (sha256) or lying under a folder that the box was shown (path)."""

    name: Name = Field(description="file name in the studio, unique within the record, such as 0042.jpg")
    sha256: Sha256 | None = Field(None, description="digest of an uploaded picture, 64 lower-case hex digits")
    path: str | None = Field(None, max_length=1000, description="path below one of the box's image folders")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.sha256 is None) == (self.path is None):
            raise ValueError("give either sha256 (an uploaded picture) or path (below an image folder), not both")
        return self

    @property
    def stem(self) -> str:
        """The name without its ending, as used in file-name templates."""
        return PurePosixPath(self.name).stem


class Item(Model):
    """One ordered line: a picture in a size, so many times."""

    id: Name = Field(description="the line's id in the studio's software, unique within the record")
    image: Name = Field(description="name of one of the record's images")
    size: Size = Field(description="trim size: 8x10 (inches), 20x30cm, or {width_um, height_um}")
    quantity: int = Field(1, ge=1, le=9999, description="how many prints, 1 to 9999")
    crop: Crop | None = Field(None, description="what to show; without it the largest centred area that fits")
    product: str = Field("", max_length=200, description="product name, for people")
    adjustments: Adjustments = Field(Adjustments(), description="tones, as the studio set them")
    colorization: Colorization = Field(Colorization.COLOUR, description="colour, black & white, sepia, custom tint")
    tint: HexColour = Field("#b09070", description="the colour of middle grey under a custom tint")


class RecordPush(Model):
    """A record as a desktop client sends it: always the whole of it."""

    kind: RecordKind
    number: Name = Field(description="the studio's number, unique within the kind")
    revision: int = Field(ge=0, description="grows whenever the desktop changes the record")
    status: Name = Field(description="the studio's own status text")
    client_name: str = Field("", max_length=200)
    location: str = Field("", max_length=200)
    images: tuple[ImageRef, ...] = Field((), max_length=10_000)
    items: tuple[Item, ...] = Field((), max_length=10_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = Counter(image.name for image in self.images)
        for name, count in names.items():
            if count > 1:
                raise ValueError(f"two images are named '{name}': image names must be unique within the record")
        ids = Counter(item.id for item in self.items)
        for position, item in enumerate(self.items):
            if item.image not in names:
                raise ValueError(f"items[{position}].image '{item.image}' is not the name of an image of this record")
            if ids[item.id] > 1:
                raise ValueError(f"two items have the id '{item.id}': item ids must be unique within the record")
        return self

    def image(self, name: str) -> ImageRef:
        """The image of that name."""
        return next(image for image in self.images if image.name == name)


class Record(RecordPush, Stored):
    """A session, invoice or production order as it stands now."""

    pushed_status: str  # what the desktop is known to show: its last push, or the change it acknowledged
    changed_at: datetime

    def pushed(self) -> RecordPush:
        """The part that desktops send."""
        return RecordPush.model_validate({name: getattr(self, name) for name in RecordPush.model_fields})


# -- what the studio configures ---------------------------------------------------------------------------------


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


class Timing(StrEnum):
    """When a ticket of a render job may start."""

    AT_ONCE = "at once"
    HOURS = "within hours"  # between start_time and end_time, the box's local time; may pass midnight
    BY_HAND = "by hand"  # when a person releases it


class RenderJob(Stored):
    """When to produce: a standing rule on the status of a kind of record."""

    name: Name
    kind: RecordKind
    select_status: Name
    profile_ids: tuple[int, ...] = Field(min_length=1)
    timing: Timing = Timing.AT_ONCE
    start_time: time = time(20, 0)
    end_time: time = time(6, 0)
    finish_status: Name
    error_status: Name
    inactive: bool = False

    @model_validator(mode="after")
    def _no_loop(self) -> Self:
        for field in ("finish_status", "error_status"):
            if getattr(self, field) == self.select_status:
                raise ValueError(f"{field} must differ from select_status, or the render job would start itself again")
        return self


class Printer(Stored):
    """A printer that the studio knows, by its UUID where it has one."""

    name: Name
    uuid: str = ""  # as in printer-uuid, without urn:uuid:, lower case; empty until it has answered
    uri: str = ""  # where it was last found; empty until discovery sees it
    pool_id: int | None = None
    priority_code: int = Field(0, ge=0, le=999)
    allowable_print_sizes: tuple[Size, ...] = ()  # empty: any
    inactive: bool = False
    added_by_hand: bool = False  # given by its URI: discovery does not move it


class AllocationMethod(StrEnum):
    """How a pool chooses among printers that can take a sheet."""

    ROUND_ROBIN = "round robin"
    PRIORITY_CODE = "priority code"


class PrinterPool(Stored):
    """Printers that share work."""

    name: Name
    allocation_method: AllocationMethod = AllocationMethod.ROUND_ROBIN
    job_split: bool = True  # one ticket's sheets may go to several printers
    inactive: bool = False


# -- what happens -----------------------------------------------------------------------------------------------


class Moment(Model):
    """One line of a ticket's trace."""

    at: datetime
    event: str
    state: TicketState
    note: str = ""


class Outcome(StrEnum):
    """How an item, or a ticket as a whole, ended."""

    DONE = "done"
    PARTLY = "partly"
    FAILED = "failed"


class ItemResult(Model):
    """What became of one item (or, for a profile of all images, of one image) under one profile."""

    item: str  # the item's id; empty for a profile of all images
    image: str
    profile: str
    outcome: Outcome
    reason: str = ""  # why it failed, and what would help
    files: tuple[str, ...] = ()  # below the output folder
    printers: tuple[str, ...] = ()
    copies: int = 0  # that a printer said it completed


class Ticket(Stored):
    """One record passing through one render job."""

    record_id: int
    render_job_id: int
    kind: RecordKind
    number: str
    client_name: str
    render_job_name: str
    state: TicketState
    reason: str = ""  # why it waits, is held or failed, in a sentence that says what to do
    opened_at: datetime
    changed_at: datetime
    trace: tuple[Moment, ...] = ()
    results: tuple[ItemResult, ...] = ()


class Instructions(Stored):
    """What a ticket froze when it opened; has the ticket's id and never changes."""

    record: RecordPush
    render_job: RenderJob
    profiles: tuple[RenderProfile, ...]


class Sheet(Stored):
    """One piece of media, one rendered file, with a quantity."""

    ticket_id: int
    profile_id: int
    item: str  # item id, empty for a profile of all images
    image: str
    lines: tuple[tuple[str, str], ...] = ()  # (item id, image) of every picture on it; empty: the one above
    size: Size  # trim
    quantity: int
    state: SheetState
    plan: dict[str, Any] = {}  # render's plan for it, enough to draw it again
    file: str = ""  # path below the output folder
    width_px: int = 0
    height_px: int = 0
    reason: str = ""
    flags: tuple[str, ...] = ()  # what a person may want to know: an untagged picture, few pixels
    print_job_id: int | None = None  # the print job that has it in hand, or had it last


class PrintJob(Stored):
    """A row of the print ledger: one IPP job on one printer."""

    sheet_id: int
    ticket_id: int
    printer_id: int
    job_name: str  # unique for this attempt: the only thing by which it is found again
    copies: int
    state: PrintJobState
    job_id: int | None = None  # the printer's; reused by printers after a restart, so never trusted alone
    reason: str = ""
    intended_at: datetime
    changed_at: datetime
    impressions_completed: int | None = None


class PrinterState(StrEnum):
    """RFC 8011 §5.4.11, and what we know when there is no answer."""

    IDLE = "idle"
    PROCESSING = "processing"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"  # not asked yet


class PrinterStatus(Stored):
    """What a printer last said of itself; has the printer's id. Written by its poller only."""

    state: PrinterState = PrinterState.UNKNOWN
    state_reasons: tuple[str, ...] = ()
    message: str = ""
    make_and_model: str = ""
    accepting: bool = True
    queued_jobs: int = 0
    media_ready: tuple[Size, ...] | None = None  # None: the printer does not say
    document_formats: tuple[str, ...] = ()
    max_copies: int = 1  # in one print job
    since: datetime


class Change(Stored):
    """A status that a ticket gave to its record, kept for the desktops; its id is the cursor of the sync API."""

    record_id: int
    ticket_id: int
    kind: RecordKind
    number: str
    status: str
    previous_status: str
    outcome: Outcome
    results: tuple[ItemResult, ...] = ()
    at: datetime


class DesktopClient(Stored):
    """A program that may use the sync API."""

    name: Name
    token_sha256: Sha256
    acknowledged: int = 0  # the last Change it has taken
    created_at: datetime


class Person(Stored):
    """Somebody who may log in to the panel."""

    name: Name
    password_hash: str  # argon2id
