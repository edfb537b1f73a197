"""Rehearsal: what profiles would make of a record, with previews of the sheets. Nothing is written or printed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

import structlog

from render.check_page import CheckPage, check_page
from render.draw import DrawTask, File, Source, draw
from render.errors import PictureUnreadable, RenderError
from render.fetching import Fetcher
from render.frames import Picture
from render.looking import Looked
from render.pictures import MeasureTask, ThumbnailTask, is_of_the_system, measure, thumbnail
from render.plan import images_used, plan
from render.samples import sample_photo
from render.sheets import Box, Placement, SheetPlan
from render.sources import ImageFolders
from render.workers import WorkerEnded, Workers
from store.folder import DataFolder
from store.model import Model
from store.profiles import OutputFormat, RenderProfile, Selection
from store.pushed import ImageRef, Item, RecordKind, RecordPush
from store.reach import Reach
from store.records import Instructions, ItemResult, Outcome, RenderJob
from store.sizes import parse_size

log = structlog.get_logger("rehearse")

A = TypeVar("A")
R = TypeVar("R")
HEAD_BYTES = 256 * 1024
JPEG = b"\xff\xd8\xff"
PREVIEW_PX = 560
PREVIEWS = 6
LIMIT_S = 60.0  # of one step; nobody looks at a page for longer
SAMPLES = ((1, 2400, 1600), (2, 1600, 2400), (3, 2400, 1600), (4, 1800, 1800))  # seed, width, height


class RehearsedSheet(Model):
    """A sheet that would be made."""

    file: str
    size: str
    pixels: tuple[int, int]
    quantity: int
    prints: bool
    flags: tuple[str, ...]
    hold: str
    preview: bytes = b""  # JPEG; the first few have one
    problem: str = ""  # why it cannot be drawn; of the first few it is known


class Rehearsal(Model):
    """What would happen."""

    sheets: tuple[RehearsedSheet, ...]
    failures: tuple[ItemResult, ...]

    @property
    def paper(self) -> dict[str, int]:
        """Sheets of each size that would be printed, copies counted."""
        counts: Counter[str] = Counter()
        for sheet in self.sheets:
            if sheet.prints and not sheet.problem:
                counts[sheet.size] += sheet.quantity
        return dict(counts)


class Rehearser:
    """What people want to see at once, drawn in a process of its own: nobody waits behind a Saturday's prints."""

    def __init__(
        self,
        folder: DataFolder,
        image_folders: ImageFolders,
        max_pixels: int,
        reach: Reach,
        limit_s: float = LIMIT_S,
    ) -> None:
        """
        Args:
            folder: the data folder, for uploaded pictures and the profiles' files.
            image_folders: as for the render loop.
            max_pixels: pictures with more are refused.
            reach: the folders that may hang.
            limit_s: what takes longer is given up.
        """
        self._folder, self._max_pixels, self._limit_s = folder, max_pixels, limit_s
        self._fetcher = Fetcher(folder, image_folders, reach, "rehearsing")
        self._workers = Workers(1, limit_s)

    def rehearse(
        self, record: RecordPush | None, profiles: Sequence[RenderProfile], now: datetime, previews: int = PREVIEWS
    ) -> Rehearsal:
        """What profiles would make of a record. What cannot be made or drawn is told beside what can.

        Args:
            record: a real one; None for a sample order of generated photos.
            profiles: stored or not.
            now: the studio's time.
            previews: how many sheets are drawn.
        """
        samples = _samples() if record is None else {}
        record = record or sample_record()
        instructions = _instructions(record, [p.with_(id=number) for number, p in enumerate(profiles, 1)])
        used = images_used(instructions)
        looked = self._look([image for image in used if image.name not in samples])
        pictures = {image.name: self._measured(image, looked, samples) for image in used}
        sheets, failures = _planned(instructions, pictures, now)
        prints = {profile.id: profile.prints for profile in instructions.profiles}
        killers: dict[str, str] = {}  # pictures at which drawing was ended: it is not waited for again
        rehearsed: list[RehearsedSheet] = []
        for number, sheet in enumerate(sheets):
            preview, problem = (
                self._preview(sheet, record, looked, samples, killers) if number < previews else (b"", "")
            )
            rehearsed.append(
                RehearsedSheet(
                    file=sheet.file,
                    size=str(sheet.size if sheet.size.width_um <= sheet.size.height_um else sheet.size.turned()),
                    pixels=(sheet.width_px, sheet.height_px),
                    quantity=sheet.quantity,
                    prints=prints[sheet.profile_id],
                    flags=sheet.flags,
                    hold=sheet.hold,
                    preview=preview,
                    problem=problem,
                )
            )
        return Rehearsal(sheets=tuple(rehearsed), failures=tuple(failures))

    def thumbnail(self, image: ImageRef, longest_px: int = 320) -> bytes:
        """A small JPEG of a record's picture.

        Raises:
            RenderError: it is not there, or not a picture.
        """
        with self._fetcher.here([image], self._look([image])) as files:
            task = ThumbnailTask(files[image.name], image.name, self._max_pixels, longest_px)
            return self._do(thumbnail, task, image.name)

    def check_page(self, page: CheckPage) -> bytes:
        """The picture of a printer's test page."""
        return self._do(check_page, page, "the test page")

    def sample_photo(self, number: int) -> bytes:
        """One of the sample photos, from 0."""
        return self._do(_sample, number % len(SAMPLES), "the sample photo")

    def stop(self) -> None:
        """End the drawing process."""
        self._workers.stop()

    def _look(self, images: Sequence[ImageRef]) -> Looked:
        try:
            return self._fetcher.look(images).wait()
        except OSError as error:
            raise RenderError(_why(error, "")) from error

    def _measured(self, image: ImageRef, looked: Looked, samples: Mapping[str, bytes]) -> Picture | RenderError:
        try:
            if image.name in samples:
                return self._measure(samples[image.name], image)
            if image.name in looked.found:
                with suppress(PictureUnreadable), self._fetcher.here([image], looked, HEAD_BYTES) as files:
                    return self._measure_head(files[image.name], image)
            with self._fetcher.here([image], looked) as files:
                return self._measure(files[image.name], image)
        except RenderError as error:
            return error

    def _measure_head(self, file: Path, image: ImageRef) -> Picture:
        """A JPEG tells its size and its colours at its beginning; in others, what matters may stand anywhere."""
        with file.open("rb") as head:
            if head.read(len(JPEG)) != JPEG:
                raise PictureUnreadable(f"{image.name}: its beginning is not enough")
        return self._measure(file, image)

    def _measure(self, file: File, image: ImageRef) -> Picture:
        # The digest is of no use here: reading every byte of every picture would only cost time.
        return self._do(measure, MeasureTask(file, image.name, self._max_pixels, "-"), image.name)

    def _preview(
        self,
        sheet: SheetPlan,
        record: RecordPush,
        looked: Looked,
        samples: Mapping[str, bytes],
        killers: dict[str, str],
    ) -> tuple[bytes, str]:
        """(JPEG, '') or (b'', why there is none)."""
        known = next((killers[name] for name in sheet.images if name in killers), "")
        if known:
            return b"", known
        try:
            images = [record.image(name) for name in sheet.images if name not in samples]
            assets = tuple((asset.sha256, self._folder.asset(asset.sha256)) for asset in sheet.assets)
            present = tuple((sha256, path) for sha256, path in assets if path.is_file())
            with self._fetcher.here(images, looked) as files:
                sources = tuple(Source(name, samples.get(name) or files[name]) for name in sheet.images)
                task = DrawTask(sources, self._max_pixels, ((shrunk(sheet, PREVIEW_PX), None, None),), present)
                (drawn,) = self._do(draw, task, sheet.image)
        except _Ended as error:
            killers.update(dict.fromkeys(sheet.images, str(error)))
            return b"", str(error)
        except Exception as error:
            return b"", _why(error, sheet.image)
        return drawn.sheet, ""

    def _do(self, function: Callable[[A], R], argument: A, name: str) -> R:
        """Raises RenderError, whatever happened."""
        try:
            return self._workers.submit(function, argument).result()
        except WorkerEnded as error:
            raise _Ended(
                f"{name}: the program that draws was ended at it: it took longer than {self._limit_s:g} s or more "
                "memory than the box has, or the file kills its reader; make it smaller, or save it again"
            ) from error
        except Exception as error:
            raise RenderError(_why(error, name)) from error


class _Ended(RenderError):
    """The drawing process died."""


def _why(error: Exception, name: str) -> str:
    """In words, why there is no preview or no sheet."""
    if isinstance(error, RenderError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{name}: the box has not enough free memory to draw it: try again later, or make it smaller"
    if isinstance(error, OSError) and is_of_the_system(error):
        return f"{name}: the disk or share fails ({error.strerror}): look whether it is there, and try again"
    log.error("rehearsal.fault", image=name, error=repr(error), exc_info=error)
    return (
        f"a fault in Printroom ({type(error).__name__}), not in {name or 'what you chose'}: the log has it; "
        "send support the file from Health"
    )


def _planned(
    instructions: Instructions, pictures: Mapping[str, Picture | RenderError], now: datetime
) -> tuple[list[SheetPlan], list[ItemResult]]:
    """The plan. Where we fail at it, that of the parts at which we do not: of each profile, of each line."""
    try:
        return plan(instructions, pictures, now)
    except Exception as error:
        parts = _parts(instructions)
        if not parts:
            (item, image, profile) = _only(instructions)
            reason = _why(error, image)
            return [], [ItemResult(item=item, image=image, profile=profile, outcome=Outcome.FAILED, reason=reason)]
    sheets: list[SheetPlan] = []
    failures: list[ItemResult] = []
    for part in parts:
        made, failed = _planned(part, pictures, now)
        sheets += made
        failures += [one for one in failed if one.profile]  # that no profile takes a line is not known of parts
    return sheets, failures


def _parts(instructions: Instructions) -> list[Instructions]:
    """The same for each profile alone, or for each line or picture of it; none where there is only one."""
    record, profiles = instructions.record, instructions.profiles
    if len(profiles) > 1:
        return [instructions.with_(profiles=(profile,)) for profile in profiles]
    if profiles and profiles[0].selection is Selection.ALL_IMAGES:
        records = [record.with_(images=(image,), items=()) for image in record.images]
    else:
        records = [record.with_(items=(item,)) for item in record.items]
    return [instructions.with_(record=one) for one in records] if len(records) > 1 else []


def _only(instructions: Instructions) -> tuple[str, str, str]:
    """(item, image, profile) of instructions that cannot be divided."""
    record, names = instructions.record, [profile.name for profile in instructions.profiles]
    item = record.items[0].id if record.items else ""
    image = record.items[0].image if record.items else record.images[0].name if record.images else ""
    return item, image, names[0] if names else "-"


def shrunk(plan: SheetPlan, longest_px: int) -> SheetPlan:
    """A plan of the same sheet with fewer pixels, as an sRGB JPEG that is not turned; small ones stay as they are."""
    factor = min(1.0, longest_px / max(plan.width_px, plan.height_px))

    def scaled(*lengths: int) -> tuple[int, ...]:
        return tuple(round(length * factor) for length in lengths)

    def box(left: int, top: int, width: int, height: int) -> Box:
        """Edges are scaled, not widths: what touches goes on touching."""
        right, bottom = scaled(left + width, top + height)
        left, top = scaled(left, top)
        return left, top, max(1, right - left), max(1, bottom - top)

    def placement(one: Placement) -> Placement:
        left, top, width, height = box(*one.at_px, *one.lying_px)
        return one.with_(
            shown_px=(height, width) if one.turned else (width, height),
            at_px=(left, top),
            border_px=math.ceil(one.border_px * factor),
        )

    return plan.with_(
        width_px=max(1, *scaled(plan.width_px)),
        height_px=max(1, *scaled(plan.height_px)),
        dpi=max(1, round(plan.dpi * factor)),
        placements=tuple(map(placement, plan.placements)),
        texts=tuple(one.with_(box_px=box(*one.box_px)) for one in plan.texts),
        overlays=tuple(one.with_(box_px=box(*one.box_px)) for one in plan.overlays),
        codes=tuple(one.with_(box_px=box(*one.box_px)) for one in plan.codes),
        marks_px=tuple(scaled(*mark) for mark in plan.marks_px),
        colour=plan.colour.with_(profile=None),
        sharpening=plan.sharpening.with_(radius_px=max(0.1, plan.sharpening.radius_px * factor)),
        digests=(),
        turn_for_paper=False,
        output_format=OutputFormat.JPEG,
        jpeg_quality=80,
    )


def sample_record() -> RecordPush:
    """An order of generated photos, of the sizes that studios sell."""
    sizes = ("8x10", "5x7", "4x6", "5x7")
    images = tuple(ImageRef(name=f"{n:04d}.jpg", path=f"{n:04d}.jpg") for n, _ in enumerate(SAMPLES, 1))
    items = tuple(
        Item(id=str(n), image=image.name, size=parse_size(size), quantity=n, product=f"{size} print")
        for n, (image, size) in enumerate(zip(images, sizes, strict=True), 1)
    )
    return RecordPush(
        kind=RecordKind.SESSION,
        number="S-1001",
        revision=1,
        status="-",
        client_name="Avery Lindqvist",
        location="Sample",
        images=images,
        items=items,
    )


def _sample(number: int) -> bytes:
    return sample_photo(*SAMPLES[number])


@cache
def _samples() -> dict[str, bytes]:
    return {f"{n:04d}.jpg": sample_photo(*how) for n, how in enumerate(SAMPLES, 1)}


def _instructions(record: RecordPush, profiles: Sequence[RenderProfile]) -> Instructions:
    render_job = RenderJob(
        name="Rehearsal",
        kind=record.kind,
        select_status="-",
        profile_ids=tuple(profile.id for profile in profiles) or (0,),
        finish_status="finished",
        error_status="failed",
    )
    return Instructions(id=0, record=record, render_job=render_job, profiles=tuple(profiles))
