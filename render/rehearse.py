"""Rehearsal: what profiles would make of a record, with previews of the sheets. Nothing is written or printed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

from render.check_page import CheckPage, check_page
from render.draw import DrawTask, File, Source, draw
from render.errors import PictureUnreadable, RenderError
from render.frames import Picture
from render.loop import CRASHED
from render.pictures import MeasureTask, ThumbnailTask, measure, thumbnail
from render.plan import images_used, plan
from render.samples import sample_photo
from render.sheets import Placement, SheetPlan, TextLine
from render.sources import ImageFolders, locate
from render.workers import Workers
from store.folder import DataFolder
from store.model import Model
from store.profiles import OutputFormat, RenderProfile
from store.pushed import ImageRef, Item, RecordKind, RecordPush
from store.records import Instructions, ItemResult, Outcome, RenderJob
from store.sizes import parse_size

A = TypeVar("A")
R = TypeVar("R")
PREVIEW_PX = 560
PREVIEWS = 6
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


class Rehearsal(Model):
    """What would happen."""

    sheets: tuple[RehearsedSheet, ...]
    failures: tuple[ItemResult, ...]

    @property
    def paper(self) -> dict[str, int]:
        """Sheets of each size that would be printed, copies counted."""
        counts: Counter[str] = Counter()
        for sheet in self.sheets:
            if sheet.prints:
                counts[sheet.size] += sheet.quantity
        return dict(counts)


class Rehearser:
    """What people want to see at once, drawn in a process of its own: nobody waits behind a Saturday's prints."""

    def __init__(self, folder: DataFolder, image_folders: ImageFolders, max_pixels: int) -> None:
        """
        Args:
            folder: the data folder, for uploaded pictures and the profiles' files.
            image_folders: as for the render loop.
            max_pixels: pictures with more are refused.
        """
        self._folder, self._image_folders, self._max_pixels = folder, image_folders, max_pixels
        self._workers = Workers(1, limit_s=60)
        self._turn = threading.Lock()

    def rehearse(
        self, record: RecordPush | None, profiles: Sequence[RenderProfile], previews: int = PREVIEWS
    ) -> Rehearsal:
        """What profiles would make of a record.

        Args:
            record: a real one; None for a sample order of generated photos.
            profiles: stored or not.
            previews: how many sheets are drawn.
        """
        samples = _samples() if record is None else {}
        record = record or sample_record()
        instructions = _instructions(record, [p.with_(id=number) for number, p in enumerate(profiles, 1)])
        with self._turn:
            files: dict[str, File | RenderError] = {}
            pictures: dict[str, Picture | RenderError] = {}
            for image in images_used(instructions):
                files[image.name] = found = samples.get(image.name) or self._located(image)
                pictures[image.name] = found if isinstance(found, RenderError) else self._measured(found, image)
            sheets, failures = plan(instructions, pictures, datetime.now(UTC))
            prints = {profile.id: profile.prints for profile in instructions.profiles}
            rehearsed: list[RehearsedSheet] = []
            for number, sheet in enumerate(sheets):
                picture = b""
                if number < previews:
                    try:
                        picture = self._preview(sheet, files)
                    except RenderError as error:
                        failures.append(_failed(sheet, instructions, error))
                        continue
                rehearsed.append(
                    RehearsedSheet(
                        file=sheet.file,
                        size=str(sheet.size if sheet.size.width_um <= sheet.size.height_um else sheet.size.turned()),
                        pixels=(sheet.width_px, sheet.height_px),
                        quantity=sheet.quantity,
                        prints=prints[sheet.profile_id],
                        flags=sheet.flags,
                        hold=sheet.hold,
                        preview=picture,
                    )
                )
        return Rehearsal(sheets=tuple(rehearsed), failures=tuple(failures))

    def thumbnail(self, image: ImageRef, longest_px: int = 320) -> bytes:
        """A small JPEG of a record's picture.

        Raises:
            RenderError: it is not there, or not a picture.
        """
        file = locate(image, self._folder, self._image_folders)
        with self._turn:
            return self._do(thumbnail, ThumbnailTask(file, image.name, self._max_pixels, longest_px), image.name)

    def check_page(self, page: CheckPage) -> bytes:
        """The picture of a printer's test page."""
        with self._turn:
            return self._do(check_page, page, "the test page")

    def sample_photo(self, number: int) -> bytes:
        """One of the sample photos, from 0."""
        with self._turn:
            return self._do(_sample, number % len(SAMPLES), "the sample photo")

    def stop(self) -> None:
        """End the drawing process."""
        self._workers.stop()

    def _located(self, image: ImageRef) -> Path | RenderError:
        try:
            return locate(image, self._folder, self._image_folders)
        except RenderError as error:
            return error

    def _measured(self, file: File, image: ImageRef) -> Picture | RenderError:
        try:
            # The digest is of no use here: reading every byte of every picture would only cost time.
            return self._do(measure, MeasureTask(file, image.name, self._max_pixels, "-"), image.name)
        except RenderError as error:
            return error

    def _preview(self, sheet: SheetPlan, files: dict[str, File | RenderError]) -> bytes:
        sources = tuple(Source(name, file) for name in sheet.images if not isinstance(file := files[name], RenderError))
        assets = tuple((asset.sha256, self._folder.asset(asset.sha256)) for asset in sheet.assets)
        present = tuple((sha256, path) for sha256, path in assets if path.is_file())
        task = DrawTask(sources, self._max_pixels, ((shrunk(sheet, PREVIEW_PX), None, None),), present)
        (drawn,) = self._do(draw, task, sheet.image)
        return drawn.sheet

    def _do(self, function: Callable[[A], R], argument: A, name: str) -> R:
        try:
            return self._workers.submit(function, argument).result()
        except BrokenProcessPool as error:
            self._workers.rebuild()
            raise PictureUnreadable(f"{name}: {CRASHED}") from error


def shrunk(plan: SheetPlan, longest_px: int) -> SheetPlan:
    """A plan of the same sheet with fewer pixels, as an sRGB JPEG that is not turned; small ones stay as they are."""
    factor = min(1.0, longest_px / max(plan.width_px, plan.height_px))

    def scaled(*lengths: int) -> tuple[int, ...]:
        return tuple(round(length * factor) for length in lengths)

    def size(*lengths: int) -> tuple[int, ...]:
        return tuple(max(1, length) for length in scaled(*lengths))

    def line(text: TextLine) -> TextLine:
        return text.with_(box_px=(*scaled(*text.box_px[:2]), *size(*text.box_px[2:])))

    def placement(one: Placement) -> Placement:
        return one.with_(
            shown_px=size(*one.shown_px), at_px=scaled(*one.at_px), border_px=-(-one.border_px * factor // 1)
        )

    return plan.with_(
        width_px=size(plan.width_px)[0],
        height_px=size(plan.height_px)[0],
        dpi=max(1, round(plan.dpi * factor)),
        placements=tuple(map(placement, plan.placements)),
        texts=tuple(map(line, plan.texts)),
        overlays=tuple(one.with_(box_px=scaled(*one.box_px)) for one in plan.overlays),
        codes=tuple(one.with_(box_px=scaled(*one.box_px)) for one in plan.codes),
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


def _failed(sheet: SheetPlan, instructions: Instructions, error: RenderError) -> ItemResult:
    names = {profile.id: profile.name for profile in instructions.profiles}
    return ItemResult(
        item=sheet.item, image=sheet.image, profile=names[sheet.profile_id], outcome=Outcome.FAILED, reason=str(error)
    )
