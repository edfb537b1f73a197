"""From a ticket's frozen instructions to the sheets it needs. Pure: sizes of pictures in, geometry and names out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from render import names
from render.errors import RenderError, SheetImpossible
from render.units import UM_PER_INCH, sheet_px
from store.records import (
    Crop,
    ImageRef,
    Instructions,
    Item,
    ItemResult,
    Model,
    Outcome,
    RenderProfile,
    Selection,
)
from store.sizes import PrintSize

FEW_PIXELS_DPI = 150  # below this a print looks soft at arm's length


class Picture(Model):
    """What is known of a picture without decoding it."""

    width_px: int  # upright, after EXIF orientation
    height_px: int
    flags: tuple[str, ...] = ()


class SheetPlan(Model):
    """Everything needed to draw one sheet, and to draw it again."""

    profile_id: int
    item: str
    image: str
    quantity: int
    size: PrintSize  # trim, in the orientation in which the sheet is drawn
    width_px: int  # of the whole sheet, bleed included, before turning
    height_px: int
    dpi: int
    source_box: tuple[float, float, float, float]  # upright pixels that fill the sheet; reaches outside for bleed
    turn_for_paper: bool  # turn a wide sheet upright: paper is described that way to printers
    jpeg_quality: int
    file: str  # below the output folder
    flags: tuple[str, ...] = ()


def plan(
    instructions: Instructions,
    pictures: Mapping[str, Picture | RenderError],
    opened_at: datetime,
) -> tuple[list[SheetPlan], list[ItemResult]]:
    """The sheets of a ticket, and results for what cannot become one.

    Args:
        instructions: the ticket's; its id is the ticket's number.
        pictures: by image name: what is known of the picture, or why it cannot be used.
        opened_at: when the ticket opened, for file names.
    """
    sheets: list[SheetPlan] = []
    failures: list[ItemResult] = []
    if not instructions.profiles:
        reason = "the render job's profiles were deleted: choose others in the render job and set the status again"
        failures.append(ItemResult(item="", image="", profile="", outcome=Outcome.FAILED, reason=reason))
    for profile in instructions.profiles:
        wanted = list(_select(instructions, profile))
        if not wanted:
            what = "ordered items" if profile.selection is Selection.ITEMS else "images"
            reason = f"the record has no {what} for the profile '{profile.name}': add them and set the status again"
            failures.append(ItemResult(item="", image="", profile=profile.name, outcome=Outcome.FAILED, reason=reason))
        for image, item in wanted:
            try:
                picture = pictures[image.name]
                if isinstance(picture, RenderError):
                    raise picture
                sheets.append(_sheet(instructions, profile, image, item, picture, opened_at))
            except RenderError as error:
                failures.append(
                    ItemResult(
                        item=item.id if item else "",
                        image=image.name,
                        profile=profile.name,
                        outcome=Outcome.FAILED,
                        reason=str(error),
                    )
                )
    return sheets, failures


def images_used(instructions: Instructions) -> list[ImageRef]:
    """The record's pictures that any profile needs, each once, in the record's order."""
    names_used = {image.name for profile in instructions.profiles for image, _ in _select(instructions, profile)}
    return [image for image in instructions.record.images if image.name in names_used]


def _select(instructions: Instructions, profile: RenderProfile) -> Iterator[tuple[ImageRef, Item | None]]:
    record = instructions.record
    if profile.selection is Selection.ALL_IMAGES:
        for image in record.images:
            yield image, None
    else:
        for item in record.items:
            yield record.image(item.image), item


def _sheet(
    instructions: Instructions,
    profile: RenderProfile,
    image: ImageRef,
    item: Item | None,
    picture: Picture,
    opened_at: datetime,
) -> SheetPlan:
    ordered = profile.size or (item.size if item else None)
    if ordered is None:  # RenderProfile refuses this; a profile stored by an older version might not have
        raise SheetImpossible(f"the profile '{profile.name}' has no size for all images: give it one")
    if 2 * profile.bleed_um > min(ordered.width_um, ordered.height_um):
        raise SheetImpossible(
            f"a bleed of {profile.bleed_um / 1000:g} mm is more than half of a {ordered} print: "
            f"lower it in the profile '{profile.name}'"
        )
    crop = item.crop if item else None
    size = _oriented(ordered, crop, picture)
    box = crop_box(size, crop, picture)
    width_px, height_px = sheet_px(size.width_um, size.height_um, profile.bleed_um, profile.dpi)
    flags = list(picture.flags)
    effective_dpi = (box[2] - box[0]) * UM_PER_INCH / size.width_um
    if effective_dpi < FEW_PIXELS_DPI:
        flags.append(f"only {effective_dpi:.0f} pixels per inch at {size}: the print will look soft")
    values = {
        "kind": instructions.record.kind.value,
        "number": instructions.record.number,
        "client": instructions.record.client_name,
        "location": instructions.record.location,
        "image": image.stem,
        "item": item.id if item else "",
        "product": item.product if item else "",
        "size": str(ordered),
        "quantity": str(item.quantity if item else 1),
        "profile": profile.name,
        "ticket": str(instructions.id),
        "date": opened_at.date().isoformat(),
    }
    folder = names.fill(profile.folder, values)
    name = names.fill(profile.file_name, values).rstrip("_- ")
    return SheetPlan(
        profile_id=profile.id,
        item=item.id if item else "",
        image=image.name,
        quantity=item.quantity if item else 1,
        size=size,
        width_px=width_px,
        height_px=height_px,
        dpi=profile.dpi,
        source_box=with_bleed(box, size, profile.bleed_um),
        turn_for_paper=profile.prints,
        jpeg_quality=profile.jpeg_quality,
        file=f"{folder}/{name}.jpg" if folder else f"{name}.jpg",
        flags=tuple(flags),
    )


def _oriented(size: PrintSize, crop: Crop | None, picture: Picture) -> PrintSize:
    """The size turned to the way of what is shown: a wide picture on 8x10 becomes 10x8."""
    shown_width = picture.width_px * (crop.width if crop else 1)
    shown_height = picture.height_px * (crop.height if crop else 1)
    is_wide, is_wide_shown = size.width_um > size.height_um, shown_width > shown_height
    return size.turned() if is_wide != is_wide_shown and shown_width != shown_height else size


def crop_box(size: PrintSize, crop: Crop | None, picture: Picture) -> tuple[float, float, float, float]:
    """The upright pixels (left, top, right, bottom) that fill the trim box.

    A crop of another shape than the print keeps its centre and gives up what is too much on one axis, so that
    nothing is stretched. Without a crop: the largest centred area of the right shape.
    """
    crop = crop or Crop()
    left, top = crop.left * picture.width_px, crop.top * picture.height_px
    width, height = crop.width * picture.width_px, crop.height * picture.height_px
    shape = size.width_um / size.height_um
    new_width, new_height = min(width, height * shape), min(height, width / shape)
    left, top = left + (width - new_width) / 2, top + (height - new_height) / 2
    return left, top, left + new_width, top + new_height


def with_bleed(
    box: tuple[float, float, float, float], size: PrintSize, bleed_um: int
) -> tuple[float, float, float, float]:
    """A trim's source box, grown by the bleed on each side; it may reach outside of the picture."""
    left, top, right, bottom = box
    x = (right - left) * bleed_um / size.width_um
    y = (bottom - top) * bleed_um / size.height_um
    return left - x, top - y, right + x, bottom + y
