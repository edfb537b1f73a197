"""The sample studio: printers that print into a folder, a pool, a profile, a render job and records, to try the box
with; and all of it taken away again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from store import decisions, intake
from store.errors import Conflict
from store.profiles import LowResolution, RenderProfile
from store.pushed import ImageRef, Item, RecordKind, RecordPush
from store.records import Printer, PrinterPool, RenderJob
from store.settings import SampleStudio
from store.sizes import parse_size
from store.states import ENDED_TICKETS, OPEN_PRINT_JOBS
from store.tables import Store

PRINTERS = ("Sample printer 1", "Sample printer 2")
SELECT, FINISH, ERROR = "Sample: ready to print", "Sample: printed", "Sample: problem"
PHOTOS = 4


def load(store: Store, photo: Callable[[int], bytes], now: datetime) -> SampleStudio:
    """Make it, once. Its first session prints at once; the second can be run by hand; of the third a sheet is held.

    Args:
        store: the open store.
        photo: makes the sample photo of a number, as JPEG.
        now: the time.
    """
    if store.settings.sample is not None:
        return store.settings.sample
    images = tuple(
        ImageRef(name=f"{number + 1:04d}.jpg", sha256=store.folder.add_image(photo(number))) for number in range(PHOTOS)
    )
    with store.transaction():
        pool = store.printer_pools.add(PrinterPool(name="Sample pool", separator_slips=False))
        # Where they are, the box finds out when it has started them.
        printers = [store.printers.add(Printer(name=name, uuid=identity(name), pool_id=pool.id)) for name in PRINTERS]
        profile = store.render_profiles.add(
            RenderProfile(
                name="Sample prints", pool_id=pool.id, low_resolution=LowResolution.HOLD, folder="sample/{number}"
            )
        )
        render_job = store.render_jobs.add(
            RenderJob(
                name="Sample: print sessions",
                kind=RecordKind.SESSION,
                select_status=SELECT,
                profile_ids=(profile.id,),
                finish_status=FINISH,
                error_status=ERROR,
            )
        )
        records = [
            _record(store, "SAMPLE-1", "Avery Lindqvist", images, ("8x10", "5x7", "4x6", "5x7"), now),
            _record(store, "SAMPLE-2", "Noor and Jonas", images[:2], ("4x6", "4x6"), now),
            _record(store, "SAMPLE-3", "Imani Okafor", images[2:3], ("16x20",), now),
        ]
        sample = SampleStudio(
            printers=tuple(one.id for one in printers),
            pools=(pool.id,),
            profiles=(profile.id,),
            render_jobs=(render_job.id,),
            records=tuple(records),
        )
        store.set(sample=sample)
        for record_id, note in ((records[0], "the sample studio"), (records[2], "the sample studio")):
            intake.open_ticket(store, store.records.get(record_id), render_job, (profile,), now, note)
    return sample


def remove(store: Store, now: datetime) -> None:
    """Take it away, with its tickets and prints.

    Raises:
        Conflict: something of the studio's own uses a part of it, or its printers still print; says what to do.
    """
    sample = store.settings.sample
    if sample is None:
        return
    users = _users(store, sample)
    if users:
        raise Conflict(f"{', '.join(users)} use parts of the sample studio: change them to your own first")
    tickets = [ticket for record_id in sample.records for ticket in store.tickets.by("record", record_id)]
    tickets += [one for one in store.tickets.all() if one.render_job_id in sample.render_jobs and one not in tickets]
    for ticket in tickets:
        if ticket.state not in ENDED_TICKETS:
            decisions.cancel_ticket(store, ticket.id, now)
    for printer_id in sample.printers:
        if any(store.print_jobs.by("printer_state", (printer_id, state.value)) for state in OPEN_PRINT_JOBS):
            raise Conflict("a sample printer is still printing: try again in a few seconds")
    sheets = [sheet for ticket in tickets for sheet in store.sheets.by("ticket", ticket.id)]
    with store.transaction():
        for sheet in sheets:
            for job in store.print_jobs.by("sheet", sheet.id):
                store.print_jobs.remove(job.id)
            store.sheets.remove(sheet.id)
        for ticket in tickets:
            store.instructions.remove(ticket.id)
            store.tickets.remove(ticket.id)
        shelves: tuple[tuple[Any, tuple[int, ...]], ...] = (
            (store.records, sample.records),
            (store.render_jobs, sample.render_jobs),
            (store.render_profiles, sample.profiles),
            (store.printer_status, sample.printers),
            (store.printers, sample.printers),
            (store.printer_pools, sample.pools),
        )
        for shelf, ids in shelves:
            for doc_id in ids:
                if shelf.find(doc_id) is not None:
                    shelf.remove(doc_id)
        store.set(sample=None)
    for sheet in sheets:
        for path in store.folder.sheets.glob(f"{sheet.id}.*"):
            path.unlink(missing_ok=True)


def identity(name: str) -> str:
    """The UUID of a virtual printer of this name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"printroom-virtual:{name}"))


def _users(store: Store, sample: SampleStudio) -> list[str]:
    """What the studio made itself out of parts of the sample."""
    users = [
        f"render job “{one.name}”"
        for one in store.render_jobs.all()
        if one.id not in sample.render_jobs and set(one.profile_ids) & set(sample.profiles)
    ]
    users += [
        f"render profile “{one.name}”"
        for one in store.render_profiles.all()
        if one.id not in sample.profiles and (one.pool_id in sample.pools or one.printer_id in sample.printers)
    ]
    users += [
        f"print queue “{one.name}”"
        for one in store.print_queues.all()
        if one.pool_id in sample.pools or one.profile_id in sample.profiles
    ]
    return users + [f"hot folder “{one.name}”" for one in store.hot_folders.all() if one.profile_id in sample.profiles]


def _record(
    store: Store, number: str, client: str, images: tuple[ImageRef, ...], sizes: tuple[str, ...], now: datetime
) -> int:
    items = tuple(
        Item(id=str(n), image=image.name, size=parse_size(size), product=f"{size} print")
        for n, (image, size) in enumerate(zip(images, sizes, strict=True), 1)
    )
    push = RecordPush(
        kind=RecordKind.SESSION,
        number=number,
        revision=1,
        status=SELECT,
        client_name=client,
        images=images,
        items=items,
    )
    return intake.keep_record(store, push, intake.find_record(store, push.kind, number), now).id
