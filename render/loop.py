"""The render loop: tickets in the store, drawn sheets in the store. It never talks to the sender.

A crash costs nothing but time: what is true is in the store, and a sheet that was drawn but not yet recorded is
drawn again, over the same file.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import structlog

from render import output
from render.draw import DrawTask, draw
from render.errors import PictureUnreadable, RenderError
from render.frames import Picture
from render.pictures import MeasureTask, measure
from render.plan import SheetPlan, images_used, plan
from render.sources import locate
from render.workers import Workers
from store import progress
from store.errors import StoreUnavailable
from store.records import RenderJob, Sheet, Ticket, Timing
from store.states import SheetState, TicketState
from store.tables import Store

log = structlog.get_logger("render")

CRASHED = (
    "the program that reads pictures was ended while it worked on this one: "
    "the file is damaged or needs too much memory; save it again from the original"
)


@dataclass
class Work:
    """One task in the workers."""

    ticket_id: int
    image: str
    task: MeasureTask | DrawTask
    sheets: tuple[Sheet, ...] = ()
    was_suspected: bool = False  # it was running when a worker died


class RenderLoop:
    """Starts tickets, plans their sheets, has them drawn and puts them where they belong."""

    def __init__(self, store: Store, workers: Workers, roots: Sequence[Path], max_pixels: int) -> None:
        """
        Args:
            store: the open store.
            workers: the drawing processes.
            roots: the image folders below which records may name pictures.
            max_pixels: pictures with more are refused before they are decoded.
        """
        self._store, self._workers, self._roots, self._max_pixels = store, workers, roots, max_pixels
        self._running: dict[Future[Any], Work] = {}
        self._suspects: list[Work] = []
        self._measured: dict[int, dict[str, Picture | RenderError]] = {}  # by ticket, until it is planned
        self._drawing: set[int] = set()  # sheets in the workers

    def run(self, stopping: threading.Event) -> None:
        """Go on until told to stop."""
        while not stopping.is_set():
            version = self._store.version
            try:
                did_something = self.loop(datetime.now(UTC))
            except StoreUnavailable as error:
                log.error("render.store_unavailable", error=str(error))
                stopping.wait(5)
                continue
            if self._running:
                wait(self._running, timeout=0.2, return_when=FIRST_COMPLETED)
            elif not did_something:
                self._store.wait(version, 1.0)
        self._workers.stop()

    def loop(self, now: datetime) -> bool:
        """Do what can be done without waiting; returns whether anything was done."""
        collected = self._collect(now)
        started = self._start(now)
        dispatched = self._dispatch(now)
        return collected or started or dispatched

    # -- starting -------------------------------------------------------------------------------------------------

    def _start(self, now: datetime) -> bool:
        did_something = False
        for ticket in self._store.tickets.by("state", TicketState.WAITING.value):
            render_job = self._store.instructions.get(ticket.id).render_job
            if may_start(render_job, now.astimezone().time()):
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
            self._submit(self._suspects.pop(0))
            return True
        did_something = False
        for ticket in self._store.tickets.by("state", TicketState.RENDERING.value):
            if len(self._running) >= 2 * self._workers.count:
                break
            did_something |= self._dispatch_ticket(ticket, now)
        return did_something

    def _dispatch_ticket(self, ticket: Ticket, now: datetime) -> bool:
        sheets = self._store.sheets.by("ticket", ticket.id)
        if not sheets:
            return self._measure(ticket, now)
        # Sheets of the same pictures are one task, so that each is decoded once.
        alike: dict[tuple[str, ...], list[tuple[Sheet, SheetPlan]]] = {}
        for sheet in sheets:
            if sheet.state is SheetState.PLANNED and sheet.id not in self._drawing:
                sheet_plan = SheetPlan.model_validate(sheet.plan)
                alike.setdefault(sheet_plan.images, []).append((sheet, sheet_plan))
        record = self._store.instructions.get(ticket.id).record
        folder = self._store.folder
        for images, wanted in alike.items():
            if len(self._running) >= 2 * self._workers.count:
                break
            some = tuple(sheet for sheet, _ in wanted)
            try:
                sources = tuple((name, locate(record.image(name), folder, self._roots)) for name in images)
            except RenderError as error:
                self._record_failure(ticket.id, some, str(error), now)
                continue
            plans = tuple((one, folder.sheet(sheet.id), folder.thumbnail(sheet.id)) for sheet, one in wanted)
            self._submit(Work(ticket.id, images[0], DrawTask(sources, self._max_pixels, plans), some))
        return bool(alike)

    def _measure(self, ticket: Ticket, now: datetime) -> bool:
        if ticket.id in self._measured:
            return False
        instructions = self._store.instructions.get(ticket.id)
        known = self._measured[ticket.id] = {}
        for image in images_used(instructions):
            try:
                source = locate(image, self._store.folder, self._roots)
            except RenderError as error:
                known[image.name] = error
            else:
                self._submit(Work(ticket.id, image.name, MeasureTask(source, image.name, self._max_pixels)))
        self._plan_when_measured(ticket.id, now)
        return True

    def _submit(self, work: Work) -> None:
        self._drawing.update(sheet.id for sheet in work.sheets)
        if isinstance(work.task, DrawTask):
            future: Future[Any] = self._workers.submit(draw, work.task)
        else:
            future = self._workers.submit(measure, work.task)
        self._running[future] = work

    # -- taking results -------------------------------------------------------------------------------------------

    def _collect(self, now: datetime) -> bool:
        done = [future for future in self._running if future.done()]
        if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
            self._isolate()
            return True
        for future in done:
            work = self._running.pop(future)
            error = future.exception()
            self._finish(work, error if error is not None else future.result(), now)
        return bool(done)

    def _isolate(self) -> None:
        """A worker died: nobody knows whose fault it was, so everything that ran is tried again, one at a time."""
        log.error("render.worker_died", running=len(self._running))
        wait(self._running, timeout=30)
        self._workers.rebuild()
        for future, work in list(self._running.items()):
            del self._running[future]
            error = future.exception() if future.done() and not future.cancelled() else None
            if future.done() and error is None and not future.cancelled():
                self._finish(work, future.result(), datetime.now(UTC))
            elif work.was_suspected:
                self._finish(work, PictureUnreadable(f"{work.image}: {CRASHED}"), datetime.now(UTC))
            else:
                work.was_suspected = True
                self._suspects.append(work)

    def _finish(self, work: Work, result: Any, now: datetime) -> None:
        self._drawing.difference_update(sheet.id for sheet in work.sheets)
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
            plans, failures = plan(instructions, known, ticket.opened_at)
            ticket = ticket.with_(results=tuple(failures))
            for sheet_plan in plans:
                self._store.sheets.add(_planned_sheet(ticket_id, sheet_plan))
            if plans:
                self._store.tickets.put(ticket)
            else:
                progress.end_ticket(self._store, ticket, ticket.results, now)
        del self._measured[ticket_id]
        log.info("ticket.planned", id=ticket_id, sheets=len(plans), failures=len(failures))

    def _record_drawn(self, work: Work, sizes: list[tuple[int, int]], now: datetime) -> None:
        folder = self._store.folder
        with self._store.transaction():
            for sheet, (width_px, height_px) in zip(work.sheets, sizes, strict=True):
                try:
                    file = output.publish(folder.sheet(sheet.id), folder.output, sheet.plan["file"])
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
        sheets = self._store.sheets.by("ticket", ticket_id)
        if all(sheet.state is not SheetState.PLANNED for sheet in sheets):
            progress.move_ticket(self._store, self._store.tickets.get(ticket_id), "drawn", now)
            progress.review_ticket(self._store, ticket_id, now)


def may_start(render_job: RenderJob, local: time) -> bool:
    """Whether a waiting ticket may start at this local time.

    >>> from store.records import RenderJob, Timing
    >>> night = RenderJob(name="n", kind="order", select_status="a", profile_ids=(1,), timing=Timing.HOURS,
    ...     start_time=time(20), end_time=time(6), finish_status="b", error_status="c")
    >>> may_start(night, time(23)), may_start(night, time(5)), may_start(night, time(12))
    (True, True, False)
    """
    if render_job.timing is Timing.BY_HAND:
        return False
    if render_job.timing is Timing.AT_ONCE:
        return True
    start, end = render_job.start_time, render_job.end_time
    return start <= local < end if start <= end else local >= start or local < end


def why_waiting(render_job: RenderJob) -> str:
    """What a ticket that may not start waits for."""
    if render_job.timing is Timing.BY_HAND:
        return "waits for a person: press Start"
    return f"waits until {render_job.start_time:%H:%M}, when this render job's hours begin"


def _planned_sheet(ticket_id: int, sheet_plan: SheetPlan) -> Sheet:
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
    )
