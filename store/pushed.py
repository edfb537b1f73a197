"""What desktop clients send: a record with its images and ordered items. The descriptions are the API's."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, model_validator

from store.model import HexColour, Model, Name, Sha256
from store.sizes import Size


class RecordKind(StrEnum):
    """What a desktop keeps records of."""

    SESSION = "session"
    INVOICE = "invoice"
    ORDER = "order"
    PRINT_JOB = "print job"  # sent to a print queue of the box; desktops do not push these


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


class DesktopPush(RecordPush):
    """What desktops may send: the kinds of records that they keep."""

    kind: Literal["session", "invoice", "order"]  # type: ignore[assignment]  # words read better in messages
