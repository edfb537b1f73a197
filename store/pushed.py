"""What desktop clients send: a record with its images and ordered items. The descriptions are the API's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from store.model import HexColour, Model, Name, Sha256
from store.sizes import Size


class RecordKind(StrEnum):
    """What there are records of: three kinds that desktops keep, and those that begin at the box."""

    SESSION = "session"
    INVOICE = "invoice"
    ORDER = "order"
    PRINT_JOB = "print job"  # sent to a print queue of the box
    HOT_FOLDER = "hot folder"  # dropped into a watched folder
    TEST_PAGE = "test page"  # of a printer


AT_THE_BOX = frozenset({RecordKind.PRINT_JOB, RecordKind.HOT_FOLDER, RecordKind.TEST_PAGE})  # no desktop knows of these
MAX_REVISION = 2**53 - 1  # whole numbers that every JSON reader keeps
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = _EPOCH + timedelta(microseconds=MAX_REVISION)


class Crop(Model):
    """The part of the upright picture that fills the trim box, as fractions of its full frame."""

    left: float = Field(0.0, ge=0, lt=1, description="left edge, 0 to 1")
    top: float = Field(0.0, ge=0, lt=1, description="top edge, 0 to 1")
    width: float = Field(1.0, gt=0, le=1, description="width, above 0 to 1")
    height: float = Field(1.0, gt=0, le=1, description="height, above 0 to 1")
    rotation_deg: float = Field(
        0.0, ge=-45, le=45, description="to straighten: the picture is turned clockwise around the crop's centre"
    )

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
    render_profile: str = Field(
        "", max_length=200, description="name of the only render profile that renders the line; empty: all may"
    )
    adjustments: Adjustments = Field(Adjustments(), description="tones, as the studio set them")
    colorization: Colorization = Field(Colorization.COLOUR, description="colour, black & white, sepia, custom tint")
    tint: HexColour = Field("#b09070", description="the colour of middle grey under a custom tint")


class RecordContent(Model):
    """What is known of a record, always the whole of it."""

    number: Name = Field(description="the studio's number, unique within the kind")
    status: Name = Field(description="the studio's own status text")
    client_name: str = Field("", max_length=200)
    location: str = Field("", max_length=200)
    images: tuple[ImageRef, ...] = Field((), max_length=10_000)
    items: tuple[Item, ...] = Field((), max_length=10_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names: set[str] = set()
        for image in self.images:
            if image.name in names:
                raise ValueError(f"two images are named '{image.name}': image names must be unique within the record")
            names.add(image.name)
        ids: set[str] = set()
        for position, item in enumerate(self.items):
            if item.image not in names:
                raise ValueError(f"items[{position}].image '{item.image}' is not the name of an image of this record")
            if item.id in ids:
                raise ValueError(f"two items have the id '{item.id}': item ids must be unique within the record")
            ids.add(item.id)
        return self

    def image(self, name: str) -> ImageRef:
        """The image of that name."""
        return next(image for image in self.images if image.name == name)


class RecordPush(RecordContent):
    """A record in one revision."""

    kind: RecordKind
    revision: int = Field(ge=0, le=MAX_REVISION)


class DesktopPush(RecordContent):
    """A record as a desktop client sends it: a full snapshot, with a revision or the time of its last change."""

    kind: Literal["session", "invoice", "order"] = Field(description="of which kind the record is")
    revision: int | None = Field(
        None, ge=0, le=MAX_REVISION, description="grows whenever the desktop changes the record; or send changed_at"
    )
    changed_at: AwareDatetime | None = Field(
        None, description="when the desktop last changed the record, with its time zone; instead of a revision"
    )

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if (self.revision is None) == (self.changed_at is None):
            raise ValueError("give either revision (a number that grows) or changed_at (the time of the last change)")
        if self.changed_at is not None and not _EPOCH <= self.changed_at <= _LATEST:
            raise ValueError("changed_at must lie between 1970 and 2255: check the clock of the desktop")
        return self

    def record(self) -> RecordPush:
        """The same with a revision; a time counts in microseconds since 1970."""
        fields = dict(self)
        changed_at = fields.pop("changed_at")
        if changed_at is not None:
            fields["revision"] = (changed_at - _EPOCH) // timedelta(microseconds=1)
        # Everything in it was checked a moment ago.
        return RecordPush.model_construct(**{**fields, "kind": RecordKind(self.kind)})
