"""The render loop: tickets in the store, drawn sheets in the store. It never talks to the sender.

A crash costs nothing but time: what is true is in the store, and a sheet that was drawn but not yet recorded is
drawn again, over the same file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import structlog

from render import memory, output
from render.draw import Drawn, DrawTask, Source, draw, save
from render.errors import PictureMissing, PictureUnreadable, PictureUnsettled, RenderError, SheetImpossible
from render.frames import Picture
from render.pictures import MeasureTask, measure
from render.plan import images_used, plan
from render.sheets import SheetPlan
from render.sources import ImageFolders, check_settled, locate
from render.workers import Cluster, Workers
from store import progress
from store.clock import first_at
from store.profiles import IfExists
from store.records import Instructions, ItemResult, Outcome, RenderJob, Sheet, Ticket, Timing
from store.settings import is_between
from store.states import SheetState, TicketState
from store.tables import Store

log = structlog.get_logger("render")

LOOK_EVERY_S = 0.5
BUSY_S = 0.2  # while something is drawn: new tickets come too
GATHER_S = 0.01  # one look at the store is enough for several commits
CRASHED = (
    "the program that reads pictures was ended while it worked on this one: "
    "the file is damaged, takes too long or needs too much memory; save it again from the original"
)


@dataclass
class Work:
    """One task in the workers."""

    ticket_id: int
    image: str
    task: MeasureTask | DrawTask
    sheets: tuple[Sheet, ...] = ()
    needs_bytes: int = 0
    is_remote: bool = False  # in the cluster
    was_suspected: bool = False  # it was running when a worker died


class RenderLoop:
    """Starts tickets, plans their sheets, has them drawn and puts them where they belong."""

    def __init__(
        self,
        store: Store,
        workers: Workers,
        image_folders: ImageFolders,
        max_pixels: int,
        max_bytes: int = 4_000_000_000,
        cluster: Cluster | None = None,
        image_wait: timedelta = timedelta(0),
    ) -> None:
        """
        Args:
            store: the open store.
            workers: the drawing processes.
            image_folders: below which records may name pictures.
            max_pixels: pictures with more are refused before they are decoded.
            max_bytes: what all drawing processes may take together.
            cluster: draws instead of the workers, while it is there.
            image_wait: how long a ticket waits for pictures that are not there yet, from its opening.
        """
        self._image_wait = image_wait
        self._max_bytes, self._cluster = max_bytes, cluster or Cluster("")
        self._store, self._workers, self._image_folders, self._max_pixels = store, workers, image_folders, max_pixels
        self._running: dict[Future[Any], Work] = {}
        self._suspects: list[Work] = []
        self._looked_since: dict[int, float] = {}  # by ticket: since when its pictures are waited for
        self._measured: dict[int, dict[str, Picture | RenderError]] = {}  # by ticket, until it is planned
        self._plans: dict[int, SheetPlan] = {}  # by sheet, while it waits to be drawn

    def step(self, now: datetime) -> float:
        """Do what can be done without waiting; returns the seconds until there may be more."""
        try:
            did_something = self._step(now)
        except Exception:
            self._measured.clear()  # measured again where it was under way
            raise
        return LOOK_EVERY_S if self._running or not did_something else 0.0

    def rest(self, version: int, wait_s: float) -> None:
        """Wait for a task to end or, where none is under way, for the store to move on from a version."""
        if self._running:
            wait(self._running, timeout=min(wait_s, BUSY_S), return_when=FIRST_COMPLETED)
        elif self._store.wait(version, wait_s) != version:
            time.sleep(GATHER_S)

    def stop(self) -> None:
        """End the drawing processes."""
        self._workers.stop()
        self._cluster.stop()

    def _step(self, now: datetime) -> bool:
        collected = self._collect(now)
        if self._store.is_resting(now):
            return collected
        started = self._start(now)
        dispatched = self._dispatch(now)
        return collected or started or dispatched

    # -- starting -------------------------------------------------------------------------------------------------

    def _start(self, now: datetime) -> bool:
        did_something = False
        for ticket in self._store.tickets.by("state", TicketState.WAITING.value):
            render_job = self._store.instructions.get(ticket.id).render_job
            if may_start(render_job, ticket.opened_at, now, self._store.settings.zone):
                with self._store.transaction():
                    progress.move_ticket(self._store, ticket, "start", now)
                did_something = True
            else:
                with self._store.transaction():
                    progress.explain_ticket(self._store, ticket, why_waiting(render_job))
        return did_something

    # -- giving work to the workers -------------------------------------------------------------------------------

    def _dispatch(self, now: datetime) -> bool:
        if self._suspects:
            if self._running:
                return False  # a suspect works alone, so that a second crash is its own
            self._submit(self._suspects.pop(0), in_cluster=False)
            return True
        did_something = False
        rendering = sorted(
            self._store.tickets.by("state", TicketState.RENDERING.value), key=lambda one: (-one.priority, one.id)
        )
        if not rendering:
            self._plans.clear()  # of canceled tickets
        for ticket in rendering:
            if ticket.is_stopped:
                continue
            if not self._has_room(self._cluster.count):
                break
            did_something |= self._dispatch_ticket(ticket, now)
        return did_something

    @property
    def _drawing(self) -> set[int]:
        """The sheets that were given away, or wait to be tried alone."""
        return {sheet.id for work in (*self._running.values(), *self._suspects) for sheet in work.sheets}

    def _has_room(self, in_cluster: int) -> bool:
        """Whether another task may be given away: the next one waits ready, so that no worker is idle."""
        return len(self._running) < 2 * (in_cluster or self._workers.count)

    def _has_memory(self, needs_bytes: int) -> bool:
        """Whether a task fits beside those that run here. One alone always does: it was checked against the limit."""
        running = [work.needs_bytes for work in self._running.values() if not work.is_remote]
        # Of those that were given away, only as many as there are workers are under way at the same time.
        busiest = sorted([*running, needs_bytes], reverse=True)[: self._workers.count]
        return not running or sum(busiest) <= self._budget

    @property
    def _budget(self) -> int:
        """For pictures and sheets, beside what the processes take when they do nothing."""
        return max(100_000_000, self._max_bytes - self._workers.count * memory.WORKER_BYTES)

    def _dispatch_ticket(self, ticket: Ticket, now: datetime) -> bool:
        sheets = self._store.sheets.by("ticket_state", (ticket.id, SheetState.PLANNED.value))
        if not sheets:
            return not self._store.sheets.by("ticket", ticket.id) and self._measure(ticket, now)
        # Sheets of the same pictures are one task, so that each is decoded once.
        alike: dict[tuple[str, ...], list[tuple[Sheet, SheetPlan]]] = {}
        drawing = self._drawing
        for sheet in sheets:
            if sheet.id not in drawing:
                sheet_plan = self._plans.get(sheet.id) or SheetPlan.model_validate(sheet.plan)
                self._plans[sheet.id] = sheet_plan
                # What an untagged picture is taken for belongs to the decoded picture.
                key = (*sheet_plan.images, sheet_plan.colour.untagged)
                alike.setdefault(key, []).append((sheet, sheet_plan))
        record = self._store.instructions.get(ticket.id).record
        folder = self._store.folder
        did_something = False
        for wanted in alike.values():
            some, plans = tuple(sheet for sheet, _ in wanted), [one for _, one in wanted]
            in_cluster = self._cluster.count
            needs_bytes = memory.needed_bytes(plans)
            if not self._has_room(in_cluster) or not (in_cluster or self._has_memory(needs_bytes)):
                break
            did_something = True
            try:
                if not in_cluster and needs_bytes > self._budget:
                    raise SheetImpossible(
                        f"{plans[0].image}: drawing it takes about {needs_bytes / 1e9:.1f} GB of memory, and the "
                        f"settings leave {self._budget / 1e9:.1f} GB: raise max_memory_mb, or lower dpi or size"
                    )
                digests = dict(plans[0].digests)
                sources = tuple(
                    Source(name, locate(record.image(name), folder, self._image_folders), digests.get(name, ""))
                    for name in plans[0].images
                )
                assets = {asset.sha256: folder.asset(asset.sha256) for one in plans for asset in one.assets}
                gone = next((a for one in plans for a in one.assets if not assets[a.sha256].is_file()), None)
                if gone:
                    raise PictureMissing(f"the file '{gone.name}' of the render profile was removed: upload it again")
            except RenderError as error:
                self._record_failure(ticket.id, some, str(error), now)
                continue
            places = tuple((one, folder.sheet(sheet.id), folder.thumbnail(sheet.id)) for sheet, one in wanted)
            task = DrawTask(sources, self._max_pixels, places, tuple(assets.items()))
            self._submit(Work(ticket.id, plans[0].image, task, some, needs_bytes), bool(in_cluster))
        return did_something

    def _measure(self, ticket: Ticket, now: datetime) -> bool:
        if ticket.id in self._measured:
            return False
        instructions = self._store.instructions.get(ticket.id)
        known: dict[str, Picture | RenderError] = {}
        tasks: list[MeasureTask] = []
        missing: list[str] = []
        for image in images_used(instructions):
            try:
                source = locate(image, self._store.folder, self._image_folders)
                if image.path is not None:
                    check_settled(source, image.name, self._store.clock.machine_time().timestamp())
            except PictureUnsettled as error:
                with self._store.transaction():
                    progress.explain_ticket(self._store, ticket, str(error))
                return False
            except RenderError as error:
                known[image.name] = error
                missing.append(image.name)
            else:
                tasks.append(MeasureTask(source, image.name, self._max_pixels, image.sha256 or ""))
        waited_s = self._store.clock.monotonic() - self._looked_since.setdefault(
            ticket.id, self._store.clock.monotonic()
        )
        if missing and waited_s < self._image_wait.total_seconds():
            until = now + self._image_wait - timedelta(seconds=waited_s)
            with self._store.transaction():
                progress.explain_ticket(self._store, ticket, _why_without(missing, self._store.local(until)))
            return False
        self._looked_since.pop(ticket.id, None)
        self._measured[ticket.id] = known
        for task in tasks:
            self._submit(Work(ticket.id, task.name, task))
        self._plan_when_measured(ticket.id, now)
        return True

    def _submit(self, work: Work, in_cluster: bool = False) -> None:
        work.is_remote = in_cluster
        if not isinstance(work.task, DrawTask):
            future: Future[Any] = self._workers.submit(measure, work.task)
        elif in_cluster:
            try:
                future = self._cluster.submit(draw, work.task.portable())
            except OSError as error:  # a picture that went away just now
                self._finish(
                    work, PictureMissing(f"{work.image}: {error.strerror}: put it back"), self._store.clock.now()
                )
                return
        else:
            future = self._workers.submit(draw, work.task)
        self._running[future] = work

    # -- taking results -------------------------------------------------------------------------------------------

    def _collect(self, now: datetime) -> bool:
        if any(work.is_remote for work in self._running.values()) and not self._cluster.count:
            # Nobody draws there any more, and nobody says so: what was given away is drawn here.
            for future, work in [(future, work) for future, work in self._running.items() if work.is_remote]:
                del self._running[future]
                log.warning("cluster.task_lost", ticket=work.ticket_id, image=work.image)
                self._submit(work)
        done = [future for future in self._running if future.done()]
        if any(not future.cancelled() and isinstance(future.exception(), BrokenProcessPool) for future in done):
            self._isolate()
            return True
        for future in done:
            work = self._running.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if work.is_remote and error is not None and not isinstance(error, RenderError):
                # The cluster went away, or gave the task up after it had killed several workers: it is tried here,
                # alone, where its end hurts nobody else.
                log.warning("cluster.task_lost", ticket=work.ticket_id, image=work.image, error=repr(error))
                work.was_suspected = True
                self._suspects.append(work)
                continue
            self._finish(work, error if error is not None else future.result(), now)
        return bool(done)

    def _isolate(self) -> None:
        """A worker died: nobody knows whose fault it was, so everything that ran is tried again, one at a time."""
        log.error("render.worker_died", running=len(self._running))
        wait([future for future, work in self._running.items() if not work.is_remote], timeout=30)
        self._workers.rebuild()
        for future, work in [(future, work) for future, work in self._running.items() if not work.is_remote]:
            del self._running[future]
            error = future.exception() if future.done() and not future.cancelled() else None
            if future.done() and error is None and not future.cancelled():
                self._finish(work, future.result(), self._store.clock.now())
            elif work.was_suspected:
                self._finish(work, PictureUnreadable(f"{work.image}: {CRASHED}"), self._store.clock.now())
            else:
                work.was_suspected = True
                self._suspects.append(work)

    def _finish(self, work: Work, result: Any, now: datetime) -> None:
        for sheet in work.sheets:
            self._plans.pop(sheet.id, None)
        ticket = self._store.tickets.get(work.ticket_id)
        if ticket.state is not TicketState.RENDERING:
            self._measured.pop(ticket.id, None)  # canceled meanwhile
            return
        if isinstance(result, BaseException) and not isinstance(result, RenderError):
            log.error("render.failed", ticket=ticket.id, image=work.image, error=repr(result))
            result = PictureUnreadable(f"{work.image}: could not be drawn ({result}): save it again from the original")
        if isinstance(work.task, MeasureTask):
            self._measured.setdefault(ticket.id, {})[work.image] = result
            self._plan_when_measured(ticket.id, now)
        elif isinstance(result, RenderError):
            self._record_failure(ticket.id, work.sheets, str(result), now)
        else:
            self._record_drawn(work, result, now)

    def _plan_when_measured(self, ticket_id: int, now: datetime) -> None:
        instructions = self._store.instructions.get(ticket_id)
        known = self._measured[ticket_id]
        if any(image.name not in known for image in images_used(instructions)):
            return
        with self._store.transaction():
            ticket = self._store.tickets.get(ticket_id)
            plans, failures = _planned(instructions, known, self._store.local(ticket.opened_at))
            ticket = ticket.with_(results=tuple(failures))
            prints = {profile.id: profile.prints for profile in instructions.profiles}
            for sheet_plan in plans:
                self._store.sheets.add(_planned_sheet(ticket_id, sheet_plan, prints[sheet_plan.profile_id]))
            if plans:
                self._store.tickets.put(ticket)
            else:
                progress.end_ticket(self._store, ticket, ticket.results, now)
        del self._measured[ticket_id]
        log.info("ticket.planned", id=ticket_id, sheets=len(plans), failures=len(failures))

    def _record_drawn(self, work: Work, drawn: list[Drawn], now: datetime) -> None:
        folder = self._store.folder
        if work.is_remote:
            for sheet, one in zip(work.sheets, drawn, strict=True):
                save(one.thumbnail, folder.thumbnail(sheet.id))
                save(one.sheet, folder.sheet(sheet.id))
        with self._store.transaction():
            for sheet, one in zip(work.sheets, drawn, strict=True):
                width_px, height_px = one.size_px
                if_exists = IfExists(sheet.plan.get("if_exists", IfExists.NUMBER))
                try:
                    file = output.publish(folder.sheet(sheet.id), folder.output, sheet.plan["file"], if_exists)
                except RenderError as error:
                    progress.move_sheet(self._store, sheet, "fail", reason=str(error))
                    continue
                progress.move_sheet(self._store, sheet, "draw", file=file, width_px=width_px, height_px=height_px)
            self._move_on(work.ticket_id, now)

    def _record_failure(self, ticket_id: int, sheets: Sequence[Sheet], reason: str, now: datetime) -> None:
        with self._store.transaction():
            for sheet in sheets:
                progress.move_sheet(self._store, sheet, "fail", reason=reason)
            self._move_on(ticket_id, now)
        log.warning("sheets.failed", ticket=ticket_id, sheets=len(sheets), reason=reason)

    def _move_on(self, ticket_id: int, now: datetime) -> None:
        if not self._store.sheets.by("ticket_state", (ticket_id, SheetState.PLANNED.value)):
            progress.move_ticket(self._store, self._store.tickets.get(ticket_id), "drawn", now)
            progress.review_ticket(self._store, ticket_id, now)


def _why_without(missing: Sequence[str], until: datetime) -> str:
    """Why a ticket waits whose pictures are not all there."""
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"waits until {until:%H:%M} for {', '.join(missing[:3])}{more}, which {verb} not here yet: "
        "look whether the studio's program still uploads"
    )


def may_start(render_job: RenderJob, opened: datetime, now: datetime, zone: tzinfo | None) -> bool:
    """Whether a waiting ticket may start.

    Args:
        render_job: its.
        opened: when it was opened.
        now: the time.
        zone: the studio's.

    >>> from datetime import UTC, time
    >>> night = RenderJob(name="n", kind="order", select_status="a", profile_ids=(1,), timing=Timing.HOURS,
    ...     start_time=time(20), end_time=time(6), finish_status="b", error_status="c")
    >>> day = datetime(2026, 5, 1, tzinfo=UTC)
    >>> [may_start(night, day, day.replace(hour=hour), UTC) for hour in (23, 5, 12)]
    [True, True, False]
    >>> evening = night.with_(timing=Timing.AT_TIME)
    >>> [may_start(evening, day.replace(hour=12), day.replace(hour=hour), UTC) for hour in (13, 20, 23)]
    [False, True, True]
    >>> may_start(evening, day.replace(hour=21), day.replace(hour=23), UTC)
    False
    """
    if render_job.timing is Timing.BY_HAND:
        return False
    if render_job.timing is Timing.AT_ONCE:
        return True
    if render_job.timing is Timing.AT_TIME:
        return now >= first_at(opened, render_job.start_time, zone)
    return is_between(now.astimezone(zone).time(), render_job.start_time, render_job.end_time)


def why_waiting(render_job: RenderJob) -> str:
    """What a ticket that may not start waits for."""
    if render_job.timing is Timing.BY_HAND:
        return "waits for a person: press Start"
    if render_job.timing is Timing.AT_TIME:
        return f"waits until {render_job.start_time:%H:%M}"
    return f"waits until {render_job.start_time:%H:%M}, when this render job's hours begin"


def _planned(
    instructions: Instructions, known: Mapping[str, Picture | RenderError], opened_at: datetime
) -> tuple[list[SheetPlan], list[ItemResult]]:
    """The plan; where we fail at it, the ticket fails with a reason, and the others go on."""
    try:
        return plan(instructions, known, opened_at)
    except Exception as error:
        log.exception("ticket.plan_failed", id=instructions.id, error=repr(error))
        reason = f"the sheets could not be laid out ({error}): change the render profile's sizes and try again"
        return [], [ItemResult(item="", image="", profile="", outcome=Outcome.FAILED, reason=reason)]


def _planned_sheet(ticket_id: int, sheet_plan: SheetPlan, prints: bool) -> Sheet:
    return Sheet(
        ticket_id=ticket_id,
        profile_id=sheet_plan.profile_id,
        item=sheet_plan.item,
        image=sheet_plan.image,
        lines=sheet_plan.lines,
        size=sheet_plan.size,
        quantity=sheet_plan.quantity,
        state=SheetState.PLANNED,
        plan=sheet_plan.model_dump(mode="json"),
        flags=sheet_plan.flags,
        prints=prints,
        is_cover=sheet_plan.is_cover,
        hold=sheet_plan.hold,
    )
