"""From a ticket's frozen instructions to the sheets it needs. Pure: sizes of pictures in, geometry and names out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from render import names
from render.errors import RenderError, SheetImpossible
from render.units import UM_PER_INCH, sheet_px
from store.records import (
    Adjustments,
    Colorization,
    Crop,
    Fit,
    ImageRef,
    Instructions,
    Item,
    ItemResult,
    Model,
    Outcome,
    OutputFormat,
    RenderProfile,
    Selection,
    Sharpening,
    Sizing,
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
    shown_px: tuple[int, int]  # what the source box becomes; smaller than the sheet where there are borders
    turn_for_paper: bool  # turn a wide sheet upright: paper is described that way to printers
    jpeg_quality: int
    output_format: OutputFormat = OutputFormat.JPEG
    border_colour: str = "#ffffff"
    adjustments: Adjustments = Adjustments()
    colorization: Colorization = Colorization.COLOUR
    tint: str = "#b09070"
    sharpening: Sharpening = Sharpening()
    file: str  # below the output folder
    flags: tuple[str, ...] = ()

    @property
    def source_px_per_px(self) -> float:
        """How many of the picture's pixels go into one of the sheet's, along an edge."""
        left, _, right, _ = self.source_box
        return (right - left) / self.shown_px[0]


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
    crop = item.crop if item else None
    if profile.sizing is Sizing.PRINT:
        frame = _print_frame(profile, item, crop, picture)
    else:
        frame = _screen_frame(profile, crop, picture)
    flags = list(picture.flags)
    if profile.sizing is Sizing.PRINT and profile.dpi / frame.enlargement < FEW_PIXELS_DPI:
        # as many source pixels as the print has, at its resolution, divided by how much they are enlarged
        effective_dpi = profile.dpi / frame.enlargement
        flags.append(f"only {effective_dpi:.0f} pixels per inch at {frame.size}: the print will look soft")
    values = {
        "kind": instructions.record.kind.value,
        "number": instructions.record.number,
        "client": instructions.record.client_name,
        "location": instructions.record.location,
        "image": image.stem,
        "item": item.id if item else "",
        "product": item.product if item else "",
        "size": frame.name,
        "quantity": str(item.quantity if item else 1),
        "profile": profile.name,
        "ticket": str(instructions.id),
        "date": opened_at.date().isoformat(),
    }
    folder = names.fill(profile.folder, values)
    file_name = f"{names.fill(profile.file_name, values).rstrip('_- ')}.{profile.output_format.value}"
    return SheetPlan(
        profile_id=profile.id,
        item=item.id if item else "",
        image=image.name,
        quantity=item.quantity if item else 1,
        size=frame.size,
        width_px=frame.sheet_px[0],
        height_px=frame.sheet_px[1],
        dpi=profile.dpi,
        source_box=frame.source_box,
        shown_px=frame.shown_px,
        turn_for_paper=profile.prints,
        jpeg_quality=profile.jpeg_quality,
        output_format=profile.output_format,
        border_colour=profile.border_colour,
        adjustments=item.adjustments if item else Adjustments(),
        colorization=profile.colorization or (item.colorization if item else Colorization.COLOUR),
        tint=profile.tint if profile.colorization else item.tint if item else profile.tint,
        sharpening=profile.sharpening,
        file=f"{folder}/{file_name}" if folder else file_name,
        flags=tuple(flags),
    )


@dataclass(frozen=True)
class Frame:
    """Where the pixels of a sheet come from and go to."""

    size: PrintSize
    name: str  # of the size, for file names
    sheet_px: tuple[int, int]
    source_box: tuple[float, float, float, float]
    shown_px: tuple[int, int]

    @property
    def enlargement(self) -> float:
        """How many pixels of the sheet one of the picture's becomes, along an edge."""
        left, _, right, _ = self.source_box
        return self.shown_px[0] / (right - left)


def _print_frame(profile: RenderProfile, item: Item | None, crop: Crop | None, picture: Picture) -> Frame:
    ordered = profile.size or (item.size if item else None)
    if ordered is None:  # RenderProfile refuses this; a profile stored by an older version might not have
        raise SheetImpossible(f"the profile '{profile.name}' has no size for all images: give it one")
    if 2 * profile.bleed_um > min(ordered.width_um, ordered.height_um):
        raise SheetImpossible(
            f"a bleed of {profile.bleed_um / 1000:g} mm is more than half of a {ordered} print: "
            f"lower it in the profile '{profile.name}'"
        )
    size = _oriented(ordered, crop, picture)
    whole_px = sheet_px(size.width_um, size.height_um, profile.bleed_um, profile.dpi)
    if profile.fit is Fit.FILL:
        box = with_bleed(crop_box(size, crop, picture), size, profile.bleed_um)
        return Frame(size, str(ordered), whole_px, box, whole_px)
    # Borders: all that was chosen is shown inside the trim; the bleed has the border's colour.
    box = _chosen(crop, picture)
    width, height = box[2] - box[0], box[3] - box[1]
    trim_px = sheet_px(size.width_um, size.height_um, 0, profile.dpi)
    scale = min(trim_px[0] / width, trim_px[1] / height)
    shown_px = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Frame(size, str(ordered), whole_px, box, shown_px)


def _screen_frame(profile: RenderProfile, crop: Crop | None, picture: Picture) -> Frame:
    """For files that are looked at on a screen: never enlarged, no bleed."""
    box = _chosen(crop, picture)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = 1.0
    if profile.sizing is Sizing.LONGEST_EDGE:
        scale = min(1.0, profile.longest_edge_px / max(width, height))
    pixels = (max(1, round(width * scale)), max(1, round(height * scale)))
    um = [max(1_000, min(3_000_000, round(side * UM_PER_INCH / profile.dpi))) for side in pixels]
    return Frame(PrintSize(width_um=um[0], height_um=um[1]), f"{max(pixels)}px", pixels, box, pixels)


def _chosen(crop: Crop | None, picture: Picture) -> tuple[float, float, float, float]:
    """The upright pixels of a crop, of whatever shape; without a crop all of them."""
    crop = crop or Crop()
    left, top = crop.left * picture.width_px, crop.top * picture.height_px
    right = min(float(picture.width_px), left + crop.width * picture.width_px)
    bottom = min(float(picture.height_px), top + crop.height * picture.height_px)
    return left, top, right, bottom


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
