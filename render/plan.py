"""From a ticket's frozen instructions to the sheets it needs. Pure: sizes of pictures in, geometry and names out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from render import names
from render.errors import RenderError
from render.frames import Picture, print_frame, screen_frame
from render.layout import crop_marks, impose
from render.units import sheet_px
from store.model import Model
from store.profiles import OutputFormat, RenderProfile, Selection, Sharpening, Sizing
from store.pushed import Adjustments, Colorization, ImageRef, Item
from store.records import Instructions, ItemResult, Outcome
from store.sizes import PrintSize

FEW_PIXELS_DPI = 150  # below this a print looks soft at arm's length


class Placement(Model):
    """One picture on a sheet."""

    image: str
    source_box: tuple[float, float, float, float]  # upright pixels; reaches outside of the picture for bleed
    shown_px: tuple[int, int]  # what the box becomes, before turning
    at_px: tuple[int, int]  # where its upper left corner lies on the sheet, after turning
    turned: bool = False  # a quarter to the left
    adjustments: Adjustments = Adjustments()
    colorization: Colorization = Colorization.COLOUR
    tint: str = "#b09070"

    @property
    def source_px_per_px(self) -> float:
        """How many of the picture's pixels go into one of the sheet's, along an edge."""
        left, _, right, _ = self.source_box
        return (right - left) / self.shown_px[0]


class SheetPlan(Model):
    """Everything needed to draw one sheet, and to draw it again."""

    profile_id: int
    item: str
    image: str
    lines: tuple[tuple[str, str], ...] = ()  # (item id, image) of each picture, where there are several
    quantity: int
    size: PrintSize  # trim, in the orientation in which the sheet is drawn
    width_px: int  # of the whole sheet, bleed included, before turning
    height_px: int
    dpi: int
    placements: tuple[Placement, ...]  # later ones lie above earlier ones
    marks_px: tuple[tuple[int, int, int, int], ...] = ()  # crop marks: lines from x, y to x, y
    turn_for_paper: bool  # turn a wide sheet upright: paper is described that way to printers
    jpeg_quality: int
    output_format: OutputFormat = OutputFormat.JPEG
    border_colour: str = "#ffffff"
    sharpening: Sharpening = Sharpening()
    file: str  # below the output folder
    flags: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[str, ...]:
        """The pictures that it needs, each once."""
        return tuple(dict.fromkeys(placement.image for placement in self.placements))


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
        usable: list[Wanted] = []
        for image, item in wanted:
            picture = pictures[image.name]
            if isinstance(picture, RenderError):
                failures.append(_failure(profile, image, item, picture))
            else:
                usable.append(Wanted(image, item, picture))
        maker = _Maker(instructions, profile, opened_at)
        for group in _groups(profile, usable):
            try:
                sheets.append(maker.sheet(group))
            except RenderError as error:
                failures += [_failure(profile, one.image, one.item, error) for one in group]
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


@dataclass(frozen=True)
class Wanted:
    """A picture that a profile is to render, with the line that ordered it."""

    image: ImageRef
    item: Item | None
    picture: Picture


def _groups(profile: RenderProfile, usable: list[Wanted]) -> list[list[Wanted]]:
    """What goes onto each sheet. On a layout of several pictures, each copy of an item takes a cell."""
    count = profile.layout.images_per_sheet if profile.layout else 1
    if count == 1:
        return [[one] for one in usable]
    copies = [one for one in usable for _ in range(one.item.quantity if one.item else 1)]
    return [copies[first : first + count] for first in range(0, len(copies), count)]


def _failure(profile: RenderProfile, image: ImageRef, item: Item | None, error: RenderError) -> ItemResult:
    return ItemResult(
        item=item.id if item else "",
        image=image.name,
        profile=profile.name,
        outcome=Outcome.FAILED,
        reason=str(error),
    )


class _Maker:
    """Makes the sheets of one profile."""

    def __init__(self, instructions: Instructions, profile: RenderProfile, opened_at: datetime) -> None:
        self._instructions, self._profile, self._opened_at = instructions, profile, opened_at
        self._count = 0

    def sheet(self, group: list[Wanted]) -> SheetPlan:
        """One sheet with the pictures of a group."""
        self._count += 1
        profile, first = self._profile, group[0]
        flags = list(dict.fromkeys(flag for one in group for flag in one.picture.flags))
        marks: tuple[tuple[int, int, int, int], ...] = ()
        if profile.layout is not None:
            size, size_name = profile.layout.size, str(profile.layout.size)
            whole_px = sheet_px(size.width_um, size.height_um, 0, profile.dpi)
            slots = impose(profile.layout, profile.dpi, [(one.picture, one.item) for one in group])
            placements = [
                self._placement(group[slot.wanted], slot.source_box, slot.shown_px, slot.at_px, slot.turned)
                for slot in slots
            ]
            marks = crop_marks(profile.layout, profile.dpi)
        else:
            crop = first.item.crop if first.item else None
            is_print = profile.sizing is Sizing.PRINT
            frame = (
                print_frame(profile, first.item, crop, first.picture)
                if is_print
                else screen_frame(profile, crop, first.picture)
            )
            size, size_name, whole_px = frame.size, frame.name, frame.sheet_px
            at_px = ((whole_px[0] - frame.shown_px[0]) // 2, (whole_px[1] - frame.shown_px[1]) // 2)
            placements = [self._placement(first, frame.source_box, frame.shown_px, at_px, False)]
        worst_dpi = profile.dpi * min(placement.source_px_per_px for placement in placements)
        if profile.sizing is Sizing.PRINT and worst_dpi < FEW_PIXELS_DPI:
            flags.append(f"only {worst_dpi:.0f} pixels per inch at {size}: the print will look soft")
        is_shared = profile.layout is not None and profile.layout.images_per_sheet > 1
        return SheetPlan(
            profile_id=profile.id,
            item=first.item.id if first.item else "",
            image=first.image.name,
            lines=tuple((one.item.id if one.item else "", one.image.name) for one in group) if is_shared else (),
            quantity=first.item.quantity if first.item and not is_shared else 1,
            size=size,
            width_px=whole_px[0],
            height_px=whole_px[1],
            dpi=profile.dpi,
            placements=tuple(placements),
            marks_px=marks,
            turn_for_paper=profile.prints,
            jpeg_quality=profile.jpeg_quality,
            output_format=profile.output_format,
            border_colour=profile.border_colour,
            sharpening=profile.sharpening,
            file=self._file(first, size_name),
            flags=tuple(flags),
        )

    def _placement(
        self,
        wanted: Wanted,
        source_box: tuple[float, float, float, float],
        shown_px: tuple[int, int],
        at_px: tuple[int, int],
        turned: bool,
    ) -> Placement:
        profile, item = self._profile, wanted.item
        return Placement(
            image=wanted.image.name,
            source_box=source_box,
            shown_px=shown_px,
            at_px=at_px,
            turned=turned,
            adjustments=item.adjustments if item else Adjustments(),
            colorization=profile.colorization or (item.colorization if item else Colorization.COLOUR),
            tint=profile.tint if profile.colorization or item is None else item.tint,
        )

    def _file(self, first: Wanted, size_name: str) -> str:
        profile, record, item = self._profile, self._instructions.record, first.item
        values = {
            "kind": record.kind.value,
            "number": record.number,
            "client": record.client_name,
            "location": record.location,
            "image": first.image.stem,
            "item": item.id if item else "",
            "product": item.product if item else "",
            "size": size_name,
            "quantity": str(item.quantity if item else 1),
            "profile": profile.name,
            "ticket": str(self._instructions.id),
            "date": self._opened_at.date().isoformat(),
            "sheet": f"{self._count:03d}",
        }
        folder = names.fill(profile.folder, values)
        name = f"{names.fill(profile.file_name, values).rstrip('_- ')}.{profile.output_format.value}"
        return f"{folder}/{name}" if folder else name
