"""The sheets of one render profile: frames, layouts, gangs and covers with their texts, flags and names. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from render import covers, gang, memory, names
from render.errors import RenderError, SheetImpossible
from render.frames import Frame, Laid, print_frame, screen_frame
from render.layout import MARK_UM, around, crop_marks, impose
from render.sheets import Box, Line, Overlay, Placement, SheetPlan, TextLine
from render.units import box_px, length_px, sheet_px
from render.wanted import Wanted, failure
from store.profiles import LayoutTemplate, LowResolution, OutputFormat, RenderProfile, Sizing
from store.pushed import Adjustments, Colorization
from store.records import Instructions, ItemResult
from store.sizes import PrintSize

SLUG_UM = 3_000  # the least and, where there is more room, the usual height of a slug
SLUG_GAP_UM = 1_000  # to the bleed
MAX_JPEG_PX = 65_500  # libjpeg's JPEG_MAX_DIMENSION; the format itself ends at 65,535 (ITU-T T.81, B.2.2)


@dataclass
class Draft:
    """A sheet while it is put together."""

    size: PrintSize
    name: str  # of the size, for file names
    whole_px: tuple[int, int]
    placements: list[Placement]
    trims: list[Box]  # where prints end: marks stand around them, a slug outside
    marks: tuple[Line, ...] = ()
    texts: tuple[TextLine, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    background: str = ""


class Composer:
    """Makes the sheets of one profile."""

    def __init__(self, instructions: Instructions, profile: RenderProfile, opened_at: datetime) -> None:
        self._instructions, self._profile, self._opened_at = instructions, profile, opened_at
        self._count = 0

    def sheets(self, usable: list[Wanted]) -> tuple[list[SheetPlan], list[ItemResult]]:
        """All sheets for what was ordered, header and separators among them, and what failed."""
        made: list[SheetPlan] = []
        failures: list[ItemResult] = []
        if self._profile.gang_paper is not None:
            groups, failures = self._ganged(usable)
            drafts = [(group, quantity, draft) for group, quantity, draft in groups]
        else:
            drafts = []
            for group in self._groups(usable):
                try:
                    quantity = group[0].copies if len(group) == 1 and not self._is_shared else 1
                    drafts.append((group, quantity, self._draft(group)))
                except RenderError as error:
                    failures += [failure(self._profile, one.image, one.item, error) for one in group]
        try:
            if drafts and self._profile.header_sheet:
                made.append(self._cover(drafts, is_header=True))
            previous = ""
            for group, quantity, draft in drafts:
                if self._profile.separator_sheets and group[0].image.name != previous:
                    of_image = [one for one in drafts if one[0][0].image.name == group[0].image.name]
                    made.append(self._cover(of_image, is_header=False))
                previous = group[0].image.name
                made.append(self._finished(group, quantity, draft))
        except RenderError as error:  # a name that cannot be made, or a slug without room: the profile's fault
            wanted = dict.fromkeys(one for group, _, _ in drafts for one in group)
            return [], failures + [failure(self._profile, one.image, one.item, error) for one in wanted]
        return made, failures

    @property
    def _is_shared(self) -> bool:
        layout = self._profile.layout
        return self._profile.gang_paper is not None or (layout is not None and layout.images_per_sheet > 1)

    def _groups(self, usable: list[Wanted]) -> list[list[Wanted]]:
        """What goes onto each sheet. On a layout of several pictures, each copy of an item takes a cell."""
        count = self._profile.layout.images_per_sheet if self._profile.layout else 1
        if count == 1:
            return [[one] for one in usable]
        copies = [one for one in usable for _ in range(one.copies)]
        return [copies[first : first + count] for first in range(0, len(copies), count)]

    # -- one sheet ------------------------------------------------------------------------------------------------

    def _draft(self, group: list[Wanted]) -> Draft:
        draft = self._drafted(group)
        self._check_sides(draft.whole_px)
        return draft

    def _drafted(self, group: list[Wanted]) -> Draft:
        profile, first = self._profile, group[0]
        if profile.layout is not None:
            return self._imposed(group, profile.layout)
        crop = first.item.crop if first.item else None
        if profile.sizing is not Sizing.PRINT:
            size, name, laid = screen_frame(profile, crop, first.picture)
            return Draft(size, name, laid.shown_px, [self._placement(first, laid)], [laid.trim_px])
        frame = print_frame(profile, first.item, crop, first.picture)
        if profile.paper is not None:
            return self._on_paper(first, frame, profile.paper)
        laid = frame.at(0, 0, profile.dpi)
        whole_px = sheet_px(frame.size.width_um, frame.size.height_um, frame.bleed_um, profile.dpi)
        return Draft(frame.size, frame.name, whole_px, [self._placement(first, laid)], [laid.trim_px])

    def _check_sides(self, whole_px: tuple[int, int]) -> None:
        """Refuse what the file's format cannot hold.

        Raises:
            SheetImpossible: names the profile.
        """
        if self._profile.output_format is OutputFormat.JPEG and max(whole_px) > MAX_JPEG_PX:
            raise SheetImpossible(
                f"a sheet of {whole_px[0]} x {whole_px[1]} pixels is larger than a JPEG may be ({MAX_JPEG_PX}): choose "
                f"fewer dpi, a smaller size, or for files TIFF, in the profile '{self._profile.name}'"
            )

    def _imposed(self, group: list[Wanted], layout: LayoutTemplate) -> Draft:
        dpi = self._profile.dpi
        placements: list[Placement] = []
        trims: list[Box] = []
        texts: list[TextLine] = []
        for slot in impose(layout, dpi, [(one.picture, one.item) for one in group]):
            one, cell = group[slot.wanted], slot.cell
            placements.append(
                self._placement(one, slot.laid).with_(
                    rotation_deg=cell.rotation_deg,
                    border_px=length_px(cell.border_um, dpi),
                    border_colour=cell.border_colour,
                )
            )
            trims.append(slot.laid.trim_px)
            if cell.caption:
                left, top, width, height = slot.laid.trim_px
                box = (left, top + height, width, length_px(layout.caption_um, dpi))
                texts.append(TextLine(text=self._text(cell.caption, one), box_px=box))
        for field in layout.texts:
            texts.append(
                TextLine(
                    text=self._text(field.text, group[0]),
                    box_px=box_px(field.left_um, field.top_um, field.width_um, field.height_um, dpi),
                    colour=field.colour,
                    align=field.align,
                    bold=field.bold,
                    rotation_deg=field.rotation_deg,
                    opacity_percent=field.opacity_percent,
                )
            )
        overlays: list[Overlay] = []
        for png in layout.decorations:
            place = box_px(png.left_um, png.top_um, png.width_um, png.height_um, dpi)
            if place[2] and place[3]:  # what has no pixel at this resolution is not to be seen
                overlays.append(Overlay(image=png.image, box_px=place, is_behind=png.is_behind))
        whole_px = sheet_px(layout.size.width_um, layout.size.height_um, 0, dpi)
        marks = crop_marks(layout, dpi)
        return Draft(
            layout.size, str(layout.size), whole_px, placements, trims, marks, tuple(texts), tuple(overlays),
            layout.background or "",
        )  # fmt: skip

    def _on_paper(self, wanted: Wanted, frame: Frame, paper: PrintSize) -> Draft:
        """A print in the middle of larger paper."""
        dpi = self._profile.dpi
        if (paper.width_um > paper.height_um) != (frame.size.width_um > frame.size.height_um):
            paper = paper.turned()
        spare_um = (paper.width_um - frame.whole_um[0], paper.height_um - frame.whole_um[1])
        if min(spare_um) < 0:
            raise SheetImpossible(
                f"a print of {frame.name} with its bleed is larger than the {paper} paper of the profile "
                f"'{self._profile.name}': choose larger paper"
            )
        laid = frame.at(Fraction(spare_um[0], 2), Fraction(spare_um[1], 2), dpi)
        marks: tuple[Line, ...] = ()
        if self._profile.crop_marks:
            marks = around(laid.trim_px, length_px(frame.bleed_um, dpi), length_px(MARK_UM, dpi))
        whole_px = sheet_px(paper.width_um, paper.height_um, 0, dpi)
        return Draft(paper, frame.name, whole_px, [self._placement(wanted, laid)], [laid.trim_px], marks)

    def _ganged(self, usable: list[Wanted]) -> tuple[list[tuple[list[Wanted], int, Draft]], list[ItemResult]]:
        """Sheets with several small prints; equal ones are one sheet with a quantity."""
        profile, paper = self._profile, self._profile.gang_paper
        assert paper is not None  # noqa: S101  (for the type checker)
        failures: list[ItemResult] = []
        prints: list[tuple[Wanted, Frame]] = []
        whole_px = sheet_px(paper.width_um, paper.height_um, 0, profile.dpi)
        slug_um = SLUG_UM + SLUG_GAP_UM + profile.bleed_um if profile.slug else 0  # below everything
        # The least that a size may be: where the slug leaves less, no print fits, and says so.
        free = paper.model_copy(update={"height_um": max(1_000, paper.height_um - slug_um)})
        for one in usable:
            try:
                self._check_sides(whole_px)
                frame = print_frame(profile, one.item, one.item.crop if one.item else None, one.picture)
                self._check_alone(frame, paper, free)
            except RenderError as error:
                failures.append(failure(profile, one.image, one.item, error))
            else:
                prints += [(one, frame)] * one.copies
        quantities: dict[tuple[object, ...], int] = {}
        drafts: dict[tuple[object, ...], tuple[list[Wanted], Draft]] = {}
        packed = gang.pack([frame.whole_um for _, frame in prints], free, profile.gang_gap_um) if prints else []
        for sheet in packed:
            group: list[Wanted] = []
            draft = Draft(paper, str(paper), whole_px, [], [])
            for spot in sheet:
                one, frame = prints[spot.print]
                group.append(one)
                self._gang_print(draft, one, frame.at(spot.left_um, spot.top_um, profile.dpi, spot.turned))
            key = (tuple(one.line for one in group), tuple(draft.placements))
            quantities[key] = quantities.get(key, 0) + 1
            drafts.setdefault(key, (group, draft))
        return [(group, quantities[key], draft) for key, (group, draft) in drafts.items()], failures

    @staticmethod
    def _check_alone(frame: Frame, paper: PrintSize, free: PrintSize) -> None:
        try:
            gang.pack([frame.whole_um], free, 0)
        except SheetImpossible as error:
            if free == paper:
                raise
            raise SheetImpossible(
                f"a print of {frame.name} with its bleed and the slug below it is larger than the {paper} paper to "
                "gang on: choose larger paper in the profile, or no slug"
            ) from error

    def _gang_print(self, draft: Draft, one: Wanted, laid: Laid) -> None:
        dpi = self._profile.dpi
        bleed_px, gap_px = length_px(self._profile.bleed_um, dpi), length_px(self._profile.gang_gap_um, dpi)
        draft.placements.append(self._placement(one, laid))
        draft.trims.append(laid.trim_px)
        draft.marks += around(laid.trim_px, bleed_px, min(gap_px // 2, length_px(MARK_UM, dpi)))

    def _finished(self, group: list[Wanted], quantity: int, draft: Draft) -> SheetPlan:
        """A sheet with what every sheet of the profile has: texts, overlay, flags, file name."""
        self._count += 1
        profile, first = self._profile, group[0]
        texts = draft.texts
        if profile.watermark.text:
            texts += tuple(self._watermark(first, placement) for placement in draft.placements)
        if profile.slug:
            texts += (self._slug(first, draft),)
        overlays = draft.overlays
        if profile.overlay is not None:
            overlays += (Overlay(image=profile.overlay, box_px=(0, 0, *draft.whole_px)),)
        flags = list(dict.fromkeys(flag for one in group for flag in one.picture.flags))
        hold = ""
        worst_dpi = profile.dpi * min(placement.source_px_per_px for placement in draft.placements)
        if profile.sizing is Sizing.PRINT and worst_dpi < profile.min_dpi:
            soft = f"only {worst_dpi:.0f} pixels per inch at {draft.name}: the print will look soft"
            flags.append(soft)
            hold = soft if profile.low_resolution is LowResolution.HOLD and profile.prints else ""
        return SheetPlan(
            profile_id=profile.id,
            item=first.line[0],
            image=first.image.name,
            lines=tuple(one.line for one in group) if self._is_shared else (),
            digests=tuple(dict.fromkeys((one.image.name, one.picture.sha256) for one in group)),
            quantity=quantity,
            size=draft.size,
            width_px=draft.whole_px[0],
            height_px=draft.whole_px[1],
            dpi=profile.dpi,
            background=draft.background or profile.border_colour,
            placements=tuple(draft.placements),
            texts=texts,
            overlays=overlays,
            marks_px=draft.marks,
            colour=profile.colour,
            sharpening=profile.sharpening,
            turn_for_paper=profile.prints,
            output_format=profile.output_format,
            jpeg_quality=profile.jpeg_quality,
            chroma=profile.chroma,
            file=self._file(first, draft.name),
            if_exists=profile.if_exists,
            flags=tuple(flags),
            hold=hold,
            pictures_bytes=memory.of_plan({one.image.name: one.picture for one in group}, draft.placements),
            sheet_bytes=memory.sheet_bytes(*draft.whole_px, draft.placements),
        )

    def _cover(self, drafts: list[tuple[list[Wanted], int, Draft]], is_header: bool) -> SheetPlan:
        self._count += 1
        wanted = list({one.image.name: one for group, _, _ in drafts for one in group}.values())
        prints = sum(quantity * len(group) for group, quantity, _ in drafts)
        file = self._file(wanted[0], "header" if is_header else "separator")
        like = drafts[0][2]
        on_paper = self._profile.layout or self._profile.gang_paper or self._profile.paper
        bleed_um = 0 if on_paper else self._profile.bleed_um
        record, day = self._instructions.record, self._opened_at.date().isoformat()
        pictures = f"{len(wanted)} pictures" if is_header and len(wanted) > 1 else wanted[0].image.name
        words = (
            (record.client_name or record.number, True),
            (f"{record.kind.value.capitalize()} {record.number}", True),
            (" · ".join(filter(None, (record.location, day, self._profile.name))), False),
            (f"{pictures}: {prints} print{'s' * (prints > 1)}", False),
        )
        shown = wanted if is_header else wanted[:1]
        return covers.cover(self._profile, words, record.number, shown, like.size, bleed_um, file)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _placement(self, wanted: Wanted, laid: Laid) -> Placement:
        profile, item = self._profile, wanted.item
        return Placement(
            image=wanted.image.name,
            source_box=laid.area.box,
            straighten_deg=item.crop.rotation_deg if item and item.crop else 0.0,
            shown_px=laid.shown_px,
            at_px=laid.at_px,
            turned=laid.turned,
            adjustments=item.adjustments if item else Adjustments(),
            colorization=profile.colorization or (item.colorization if item else Colorization.COLOUR),
            tint=profile.tint if profile.colorization or item is None else item.tint,
        )

    def _watermark(self, wanted: Wanted, placement: Placement) -> TextLine:
        """Along the diagonal, two thirds of its length."""
        watermark = self._profile.watermark
        width, height = placement.lying_px
        long = 2 * math.hypot(width, height) / 3
        high = min(long / 5, min(width, height) / 3)
        centre = (placement.at_px[0] + width / 2, placement.at_px[1] + height / 2)
        box = (round(centre[0] - long / 2), round(centre[1] - high / 2), max(1, round(long)), max(1, round(high)))
        return TextLine(
            text=self._text(watermark.text, wanted),
            box_px=box,
            colour="#ffffff",
            bold=True,
            rotation_deg=math.degrees(math.atan2(height, width)),
            opacity_percent=watermark.opacity_percent,
        )

    def _slug(self, wanted: Wanted, draft: Draft) -> TextLine:
        """A line below all prints, or above them where there is more room.

        Raises:
            SheetImpossible: there is no room outside the trim.
        """
        gap = length_px(SLUG_GAP_UM, self._profile.dpi) + length_px(self._profile.bleed_um, self._profile.dpi)
        least = length_px(SLUG_UM, self._profile.dpi)
        above = min(top for _, top, _, _ in draft.trims) - gap
        below = draft.whole_px[1] - max(top + height for _, top, _, height in draft.trims) - gap
        if max(above, below) < least:
            raise SheetImpossible(
                f"the profile '{self._profile.name}' prints a slug, and no {SLUG_UM // 1000} mm are left outside the "
                "trim for it: choose larger paper, or no slug"
            )
        top = draft.whole_px[1] - below if below >= least else above - least
        left = min(left for left, _, _, _ in draft.trims)
        right = max(left + width for left, _, width, _ in draft.trims)
        return TextLine(text=self._text(self._profile.slug, wanted), box_px=(left, top, right - left, least))

    def _text(self, template: str, wanted: Wanted) -> str:
        return names.text(template, self._values(wanted, ""))

    def _values(self, wanted: Wanted, size_name: str) -> dict[str, str]:
        profile, record, item = self._profile, self._instructions.record, wanted.item
        return {
            "kind": record.kind.value,
            "number": record.number,
            "client": record.client_name,
            "location": record.location,
            "image": wanted.image.stem,
            "item": item.id if item else "",
            "product": item.product if item else "",
            "size": size_name or str(profile.size or (item.size if item else "")),
            "quantity": str(item.quantity if item else 1),
            "profile": profile.name,
            "ticket": str(self._instructions.id),
            "date": self._opened_at.date().isoformat(),
            "sheet": f"{self._count:03d}",
        }

    def _file(self, first: Wanted, size_name: str) -> str:
        profile, values = self._profile, self._values(first, size_name)
        folder = names.fill(profile.folder, values)
        name = f"{names.fill(profile.file_name, values).rstrip('_- ')}.{profile.output_format.value}"
        return f"{folder}/{name}" if folder else name
