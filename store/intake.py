"""A record arrives, from whichever door: what changed, and which tickets open.

A ticket opens when the status that the desktop shows *changes to* a select status. The box's own writes (the finish
or error status) do not count as a change by the desktop, whether or not it has seen them yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog

from store.errors import Conflict
from store.hot_folders import ARRIVED, FAILED, PRINTED, HotFolder
from store.lines import Orphan, orphans
from store.profiles import RenderProfile, Selection
from store.pushed import ImageRef, RecordKind, RecordPush
from store.records import Instructions, Moment, Outcome, Printer, Priority, Record, RenderJob, Ticket
from store.sizes import PrintSize
from store.states import TicketState
from store.tables import Store

log = structlog.get_logger("intake")

ASKED_FOR = "asked for"  # the status with which a test page begins


class Answer(StrEnum):
    """What became of a pushed record."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"  # the box already has this revision
    STALE = "stale"  # the box has a later revision, or this one with other content
    ELSEWHERE = "elsewhere"  # its location is another box's: nothing of it was kept


@dataclass(frozen=True)
class Receipt:
    """What became of one pushed record."""

    answer: Answer
    record: Record  # as the box now has it
    opened: tuple[Ticket, ...] = ()  # by this push

    @property
    def tickets(self) -> tuple[int, ...]:
        """Ids of those that this push opened."""
        return tuple(ticket.id for ticket in self.opened)


def find_record(store: Store, kind: RecordKind, number: str) -> Record | None:
    """The record with this number."""
    found = store.records.by("number", (kind.value, number))
    return found[0] if found else None


def accept(store: Store, push: RecordPush, now: datetime) -> Receipt:
    """Take a record as a desktop sent it; durable when the outermost transaction has ended.

    Raises:
        StoreUnavailable: nothing was taken.
    """
    with store.transaction():
        known = find_record(store, push.kind, push.number)
        if known is None and not store.settings.takes(push.location):
            return Receipt(Answer.ELSEWHERE, _made(push, None, now))
        if known and push.revision < known.revision:
            return Receipt(Answer.STALE, known)
        if known and push.revision == known.revision:
            # The same number may hide different content when two desktops edit at once; the first one stands,
            # and the other learns from `stale` that it must look again and send a higher revision.
            same = push == known.pushed().with_(status=known.pushed_status)
            return Receipt(Answer.UNCHANGED if same else Answer.STALE, known)
        has_changed = known is None or push.status != known.pushed_status
        status = push.status if has_changed or known is None else known.status
        record = keep_record(store, push, known, now, status=status)
        tickets: tuple[Ticket, ...] = ()
        if has_changed:
            selected = [one for one in store.render_jobs.all() if is_selected(one, push)]
            tickets = _open_together(store, record, selected, now)
    if tickets:
        opened = [ticket.id for ticket in tickets]
        log.info("record.selected", kind=push.kind.value, number=push.number, status=push.status, tickets=opened)
    return Receipt(Answer.ACCEPTED, record, tickets)


def keep_record(
    store: Store, push: RecordPush, known: Record | None, now: datetime, status: str = "", drop: str = ""
) -> Record:
    """Keep a record in place of the one that is known.

    Args:
        store: the open store.
        push: the record as it came.
        known: as the box has it.
        now: the time.
        status: that it has at the box; '' for the one that it came with.
        drop: what was dropped into a hot folder to make it.
    """
    record = _made(push, known, now, status, drop)
    if known is None:
        return store.records.add(record)
    store.records.put(record)
    return record


def _made(push: RecordPush, known: Record | None, now: datetime, status: str = "", drop: str = "") -> Record:
    # A push was checked when it was read, and copying its thousand images through the same checks takes its time.
    return Record.model_construct(
        **{
            **dict(push),
            "status": status or push.status,
            "id": known.id if known else 0,
            "pushed_status": push.status,
            "changed_at": now,
            "drop": drop,
        }
    )


def accept_drop(store: Store, hot_folder: HotFolder, push: RecordPush, drop: str, now: datetime) -> Ticket:
    """Make what was dropped into a hot folder a record and a ticket, once.

    Args:
        store: the open store.
        hot_folder: where it lay.
        push: the record; it gets another number where the box has that one already.
        drop: names this drop among all; a drop that has its ticket gets no second one.
        now: the time.

    Raises:
        NotFound: the hot folder's render profile is gone.
    """
    with store.transaction():
        known = store.records.by("drop", drop)
        if known:
            return store.tickets.by("record", known[0].id)[0]
        profile = store.render_profiles.get(hot_folder.profile_id)
        push = push.model_copy(update={"number": _free_number(store, push.number, push.kind)})
        record = keep_record(store, push, None, now, drop=drop)
        render_job = RenderJob(
            name=f"Hot folder {hot_folder.name}",
            kind=RecordKind.HOT_FOLDER,
            select_status=ARRIVED,
            profile_ids=(profile.id,),
            finish_status=PRINTED,
            error_status=FAILED,
        )
        note = f"dropped into hot folder {hot_folder.name}"
        return open_ticket(store, record, render_job, (profile,), now, note)


def print_test_page(store: Store, printer: Printer, size: PrintSize, picture: bytes, now: datetime) -> Ticket:
    """Let a picture be printed on one printer, as any other sheet: through the ledger, and seen on a ticket's page."""
    digest = store.folder.add_image(picture)
    image = ImageRef(name="test page.jpg", sha256=digest)
    push = RecordPush(
        kind=RecordKind.TEST_PAGE,
        number=_free_number(store, f"{store.local(now):%Y-%m-%d %H:%M:%S}", RecordKind.TEST_PAGE),
        revision=1,
        status=ASKED_FOR,
        client_name=printer.name,
        images=(image,),
    )
    profile = RenderProfile(
        name=f"Test page of {printer.name}"[:200],
        selection=Selection.ALL_IMAGES,
        size=size,
        min_dpi=0,
        printer_id=printer.id,
        folder="test pages",
        file_name="{number}",
    )
    render_job = RenderJob(
        name="Test page",
        kind=RecordKind.TEST_PAGE,
        select_status=ASKED_FOR,
        profile_ids=(1,),
        finish_status=PRINTED,
        error_status=FAILED,
    )
    with store.transaction():
        record = keep_record(store, push, None, now)
        return open_ticket(
            store, record, render_job, (profile.with_(id=1),), now, "asked for in the panel", priority=Priority.FIRST
        )


def _free_number(store: Store, wanted: str, kind: RecordKind) -> str:
    """The number itself, or with a count behind it."""
    count, number = 1, wanted
    while find_record(store, kind, number):
        count += 1
        number = f"{wanted[:190]} ({count})"
    return number


def is_selected(render_job: RenderJob, push: RecordPush) -> bool:
    """Whether a render job wants a record in the status it came with."""
    return not render_job.inactive and render_job.kind == push.kind and render_job.select_status == push.status


def retry(store: Store, ticket: Ticket, now: datetime) -> Ticket:
    """Try again what failed of a ticket that has ended: a new one, with the same frozen instructions.

    Args:
        store: the open store.
        ticket: which failed, whole or in part.
        now: the time.

    Raises:
        Conflict: nothing of it failed, or its record is gone.
    """
    with store.transaction():
        failed = [result for result in ticket.results if result.outcome is Outcome.FAILED]
        record = store.records.find(ticket.record_id)
        if not failed or record is None or ticket.state is not TicketState.FAILED:
            raise Conflict("there is nothing to try again: look at the ticket again")
        frozen = store.instructions.get(ticket.id)
        lines, whole = {result.item for result in failed}, {result.image for result in failed if not result.item}
        items = tuple(item for item in frozen.record.items if item.id in lines)
        names = {item.image for item in items} | whole
        images = tuple(image for image in frozen.record.images if image.name in names)
        part = record.model_copy(update={"images": images, "items": items})
        failing = {result.profile for result in failed}
        profiles = [profile for profile in frozen.profiles if profile.name in failing] or frozen.profiles
        return open_ticket(store, part, frozen.render_job, profiles, now, f"what failed of ticket {ticket.id}")


def _open_together(store: Store, record: Record, render_jobs: Sequence[RenderJob], now: datetime) -> tuple[Ticket, ...]:
    """A ticket for each render job. Lines that none of them takes are told of by one of them."""
    profiles = [profiles_of(store, render_job) for render_job in render_jobs]
    left = orphans(record.items, [one for some in profiles for one in some], _names(store))
    note, tickets = f"status '{record.pushed_status}'", []
    for render_job, some in zip(render_jobs, profiles, strict=True):
        told: tuple[Orphan, ...] = ()
        if any(profile.selection is Selection.ITEMS for profile in some):
            told, left = left, ()
        tickets.append(open_ticket(store, record, render_job, some, now, note, told))
    return tuple(tickets)


def run_by_hand(
    store: Store, record: Record, images: Sequence[str], render_job: RenderJob, now: datetime, note: str
) -> Ticket:
    """Run a render job on some pictures of a record, and the lines of these.

    What the render job leaves to others is their business, unless it finds nothing to do itself.
    """
    wanted = set(images)
    items = tuple(item for item in record.items if item.image in wanted)
    part = record.model_copy(
        update={"images": tuple(image for image in record.images if image.name in wanted), "items": items}
    )
    alike = [one for one in store.render_jobs.all() if one.kind is record.kind and not one.inactive]
    others = [profile for one in alike for profile in profiles_of(store, one)]
    profiles = profiles_of(store, render_job)
    return open_ticket(store, part, render_job, profiles, now, note, orphans(items, profiles, _names(store), others))


def profiles_of(store: Store, render_job: RenderJob) -> tuple[RenderProfile, ...]:
    """What a render job runs, as far as it is still there."""
    return tuple(profile for i in render_job.profile_ids if (profile := store.render_profiles.find(i)))


def _names(store: Store) -> frozenset[str]:
    return frozenset(profile.name for profile in store.render_profiles.all())


def open_ticket(
    store: Store,
    record: Record,
    render_job: RenderJob,
    profiles: Sequence[RenderProfile],
    now: datetime,
    note: str,
    left: tuple[Orphan, ...] | None = None,
    **fields: Any,
) -> Ticket:
    """Queue a record for a render job, freezing record, render job and profiles as they stand.

    Args:
        store: the open store.
        record: which has an id.
        render_job: may be one that is not in the store.
        profiles: what it runs.
        now: the time.
        note: why it opens, for its trace.
        left: lines that nobody takes, of which it tells; None: those that its own profiles leave.
        fields: more of the ticket's.
    """
    ticket = store.tickets.add(
        Ticket(
            record_id=record.id,
            render_job_id=render_job.id,
            kind=record.kind,
            number=record.number,
            client_name=record.client_name,
            render_job_name=render_job.name,
            state=TicketState.WAITING,
            opened_at=now,
            changed_at=now,
            trace=(Moment(at=now, event="open", state=TicketState.WAITING, note=note),),
            **fields,
        )
    )
    if left is None:
        left = orphans(record.items, profiles, _names(store))
    store.instructions.add(
        Instructions(
            id=ticket.id, record=record.pushed(), render_job=render_job, profiles=tuple(profiles), orphans=left
        )
    )
    return ticket
