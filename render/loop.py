"""The render loop: tickets in the store, drawn sheets in the store. It never talks to the sender.

A crash costs nothing but time: what is true is in the store. A sheet that was not drawn yet is drawn again; one whose
file has its name goes to that place and no other.

What goes wrong with one ticket stays with it (render/blame): it waits and is tried again, or it is parked.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from render import memory
from render.blame import Blame, blame, why_it_crashed, why_it_is_held, why_it_is_tried_again
from render.care import Care
from render.draw import Drawn, DrawTask, Source, save
from render.errors import PictureMissing, PictureUnreadable, PictureUnsettled, RenderError, SheetImpossible
from render.fetching import Fetched, Fetcher
from render.measuring import Measuring
from render.orders import Order, Orders
from render.pictures import MeasureTask
from render.plan import images_used
from render.planning import plan_ticket
from render.processes import MOST_KILLS, Processes, Work
from render.publishing import Publishing, move_on, record_failure
from render.sheets import SheetPlan
from render.sources import ImageFolders
from render.starting import may_start, why_waiting
from render.workers import Cluster, Workers
from store import progress
from store.pushed import ImageRef
from store.reach import OutOfReach
from store.records import Sheet, Ticket
from store.states import SheetState, TicketState
from store.tables import Store

LOOK_EVERY_S = 0.5
BUSY_S = 0.2  # while something is drawn: new tickets come too
GATHER_S = 0.01  # one look at the store is enough for several commits


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
        monotonic, folder = store.clock.monotonic, store.folder
        self._store, self._max_pixels, self._image_wait = store, max_pixels, image_wait
        self._processes = Processes(workers, cluster or Cluster(""), max_bytes, monotonic)
        self._fetcher = Fetcher(folder, image_folders, store.reach, "drawing")
        self._care = Care(store, self._let_go)
        self._publishing = Publishing(store, self._care)
        self._measuring: dict[int, Measuring] = {}  # by ticket, until it is planned
        self._orders = Orders(self._fetcher, most_ready=workers.count)
        self._plans: dict[int, SheetPlan] = {}  # by sheet, while it waits to be drawn
        with suppress(OSError):  # what was cut off in a process before
            for partial in folder.sheets.glob(".*.part"):
                partial.unlink()

    def step(self, now: datetime) -> float:
        """Do what can be done without waiting; returns the seconds until there may be more."""
        try:
            did_something = self._step(now)
        except BaseException:
            self._forget_what_is_under_way()
            raise
        return LOOK_EVERY_S if self._futures or not did_something else 0.0

    def rest(self, version: int, wait_s: float) -> None:
        """Wait for a task to end or, where none is under way, for the store to move on from a version."""
        if futures := self._futures:
            wait(futures, timeout=min(wait_s, BUSY_S), return_when=FIRST_COMPLETED)
        elif self._store.wait(version, wait_s) != version:
            time.sleep(GATHER_S)

    def stop(self) -> None:
        """End the drawing processes."""
        self._processes.stop()

    @property
    def _futures(self) -> list[Future[Any]]:
        looks = (one.look for one in self._measuring.values() if one.look is not None)
        return [
            *self._processes.futures,
            *self._orders.futures,
            *(future for look in looks for future in look.futures if not future.done()),
            *self._publishing.futures,
        ]

    def _step(self, now: datetime) -> bool:
        ended = self._collect(now)
        published = self._publishing.step(now)
        if self._store.is_resting(now):
            return ended or published
        started = self._start(now)
        given = self._give(now)
        ordered = self._order(now)
        return any((ended, published, started, given, ordered))

    def _forget_what_is_under_way(self) -> None:
        """It is begun again from what the store says."""
        self._orders.drop()
        self._measuring.clear()
        self._publishing.forget()

    def _let_go(self, ticket_id: int) -> None:
        """What is under way of a ticket, and was not given to a process, begins anew."""
        self._measuring.pop(ticket_id, None)
        self._orders.drop(ticket_id)

    # -- starting -------------------------------------------------------------------------------------------------

    def _start(self, now: datetime) -> bool:
        did_something = False
        for ticket in self._store.tickets.by("state", TicketState.WAITING.value):
            if ticket.is_stopped:
                continue
            with self._care.of(ticket.id, now):
                did_something |= self._start_one(ticket.id, now)
        return did_something

    def _start_one(self, ticket_id: int, now: datetime) -> bool:
        render_job = self._store.instructions.get(ticket_id).render_job
        with self._store.transaction():
            ticket = self._store.tickets.get(ticket_id)
            if ticket.state is not TicketState.WAITING or ticket.is_stopped:
                return False  # somebody was quicker
            if may_start(render_job, ticket.opened_at, now, self._store.settings.zone):
                progress.move_ticket(self._store, ticket, "start", now)
                return True
            progress.explain_ticket(self._store, ticket, why_waiting(render_job))
            return False

    # -- ordering pictures ----------------------------------------------------------------------------------------

    def _order(self, now: datetime) -> bool:
        """Let pictures be brought for what is to be measured and drawn next."""
        rendering = sorted(
            self._store.tickets.by("state", TicketState.RENDERING.value), key=lambda one: (-one.priority, one.id)
        )
        going_on = {ticket.id for ticket in rendering if not ticket.is_stopped}
        self._forget_others(going_on, {ticket.id for ticket in rendering})
        did_something = False
        for ticket in rendering:
            if ticket.id not in going_on or not self._care.patience.may(ticket.id):
                continue
            if self._orders.has_enough():
                break
            with self._care.of(ticket.id, now):
                did_something |= self._order_for(ticket, now)
        return did_something

    def _forget_others(self, going_on: set[int], rendering: set[int]) -> None:
        """What was under way of tickets that were canceled, held or parked."""
        for ticket_id in {*self._measuring, *self._orders.ticket_ids} - going_on:
            self._let_go(ticket_id)
        self._processes.drop(lambda work: work.ticket_id in going_on)
        self._care.patience.keep(going_on)
        if not rendering:
            self._plans.clear()

    def _order_for(self, ticket: Ticket, now: datetime) -> bool:
        sheets = self._store.sheets.by("ticket_state", (ticket.id, SheetState.PLANNED.value))
        if sheets:
            return self._order_sheets(ticket, sheets, now)
        if self._store.sheets.by("ticket", ticket.id):
            return move_on(self._store, ticket.id, now)  # all of them were canceled, say
        return self._measure(ticket, now)

    def _measure(self, ticket: Ticket, now: datetime) -> bool:
        measuring = self._measuring.get(ticket.id)
        if measuring is None:
            used = images_used(self._store.instructions.get(ticket.id))
            measuring = Measuring(used, self._fetcher, self._store.clock, self._image_wait)
            self._measuring[ticket.id] = measuring
        if measuring.looked is None:
            reason = measuring.why_it_waits(self._store.local(now))
            if reason is not None:
                if reason:
                    self._care.explain(ticket.id, reason)
                return False
        did_something = False
        while measuring.left and self._orders.may_add([measuring.left[0]]):
            image = measuring.left.popleft()
            self._orders.add(ticket.id, [image], partial(_to_measure, image, self._max_pixels), measuring.looked)
            did_something = True
        if measuring.is_done:
            plan_ticket(self._store, ticket.id, measuring.known, now)
            del self._measuring[ticket.id]
            self._care.patience.forget(ticket.id)
            did_something = True
        return did_something

    def _order_sheets(self, ticket: Ticket, sheets: Sequence[Sheet], now: datetime) -> bool:
        if self._store.reach.is_silent(self._store.folder.output):
            raise OutOfReach(self._store.folder.output)  # what is drawn could not be put there
        under_way = {
            *(sheet.id for work in self._processes.works for sheet in work.sheets),
            *self._orders.sheet_ids,
            *self._publishing.sheet_ids,
        }
        left = [sheet for sheet in sheets if sheet.id not in under_way]
        drawn = [sheet for sheet in left if sheet.file and self._store.folder.sheet(sheet.id).is_file()]
        if drawn:  # before a crash: what is missing is its place
            self._publishing.begin(ticket.id, [(sheet, (sheet.width_px, sheet.height_px)) for sheet in drawn])
            under_way.update(sheet.id for sheet in drawn)
        record = self._store.instructions.get(ticket.id).record
        did_something = bool(drawn)
        for some, plans in self._alike([sheet for sheet in left if sheet.id not in under_way]):
            if self._orders.has_enough():
                break
            images = [record.image(name) for name in plans[0].images]
            if self._orders.may_add(images):
                did_something = True
                self._order_drawing(ticket.id, some, plans, images, now)
        return did_something

    def _alike(self, sheets: Sequence[Sheet]) -> Iterator[tuple[tuple[Sheet, ...], tuple[SheetPlan, ...]]]:
        """Sheets of the same pictures are one task, so that each is decoded once."""
        alike: dict[tuple[str, ...], list[tuple[Sheet, SheetPlan]]] = {}
        for sheet in sheets:
            sheet_plan = self._plans.get(sheet.id) or SheetPlan.model_validate(sheet.plan)
            self._plans[sheet.id] = sheet_plan
            # What an untagged picture is taken for belongs to the decoded picture.
            alike.setdefault((*sheet_plan.images, sheet_plan.colour.untagged), []).append((sheet, sheet_plan))
        for some in alike.values():
            yield tuple(sheet for sheet, _ in some), tuple(one for _, one in some)

    def _order_drawing(
        self,
        ticket_id: int,
        sheets: tuple[Sheet, ...],
        plans: tuple[SheetPlan, ...],
        images: Sequence[ImageRef],
        now: datetime,
    ) -> None:
        needs_bytes, folder = memory.needed_bytes(plans), self._store.folder
        assets = {asset.sha256: folder.asset(asset.sha256) for one in plans for asset in one.assets}
        gone = next((a for one in plans for a in one.assets if not assets[a.sha256].is_file()), None)
        budget_bytes = self._processes.budget_bytes
        impossible: RenderError | None = None
        if not self._processes.is_remote and needs_bytes > budget_bytes:
            impossible = SheetImpossible(
                f"{plans[0].image}: drawing it takes about {needs_bytes / 1e9:.1f} GB of memory, and the settings "
                f"leave {budget_bytes / 1e9:.1f} GB: raise max_memory_mb, or lower dpi or size"
            )
        elif gone:
            impossible = PictureMissing(f"the file '{gone.name}' of the render profile was removed: upload it again")
        if impossible is not None:
            record_failure(self._store, ticket_id, sheets, str(impossible), now)
            return
        for sheet in sheets:
            self._plans.pop(sheet.id, None)
        places = tuple((one, folder.sheet(s.id), folder.thumbnail(s.id)) for s, one in zip(sheets, plans, strict=True))
        task = partial(_to_draw, places, self._max_pixels, tuple(assets.items()))
        self._orders.add(ticket_id, images, task, None, sheets, needs_bytes)

    # -- giving work to the processes -----------------------------------------------------------------------------

    def _give(self, now: datetime) -> bool:
        """Give the processes what is ready, as far as there is room."""
        did_something = self._processes.go_on()
        for order in self._orders:
            if not self._processes.has_room():
                break
            if order not in self._orders:
                continue  # its ticket stumbled just now
            fetched: Fetched | None = None
            with self._care.of(order.ticket_id, now):
                fetched = self._fetched(order, now)
            if fetched is None:
                continue
            if not self._processes.has_memory(order.needs_bytes):
                break
            self._orders.remove(order)
            did_something = True
            with self._care.of(order.ticket_id, now):
                self._give_one(order, fetched)
        return did_something

    def _give_one(self, order: Order, fetched: Fetched) -> None:
        work = Work(order.ticket_id, order.images, order.task(fetched), order.sheets, order.needs_bytes, fetched)
        try:
            self._processes.give(work)
        except BaseException:
            fetched.remove()
            raise

    def _fetched(self, order: Order, now: datetime) -> Fetched | None:
        """An order's pictures, when all are here."""
        try:
            return order.bringing.poll()
        except PictureUnsettled:
            raise
        except RenderError as error:
            self._orders.remove(order)
            order.bringing.drop()
            self._fail(order, error, now)
            return None

    # -- taking results -------------------------------------------------------------------------------------------

    def _collect(self, now: datetime) -> bool:
        ended = self._processes.take()
        try:
            for work, result in ended:
                with self._care.of(work.ticket_id, now):
                    self._take(work, result, now)
        finally:
            for work, _ in ended:
                if work not in self._processes.works:
                    work.pictures.remove()
        return bool(ended)

    def _take(self, work: Work, result: Any, now: datetime) -> None:
        """Take what came of work, or what it raised."""
        ticket = self._store.tickets.find(work.ticket_id)
        if ticket is None or ticket.state is not TicketState.RENDERING or ticket.fault is not None:
            return  # canceled or parked meanwhile
        if isinstance(result, PictureMissing) and work.pictures.are_gone:
            raise FileNotFoundError(errno.ENOENT, "the folder was removed", str(work.pictures.folder))
        if not isinstance(result, BaseException):
            if isinstance(work.task, DrawTask):
                self._take_drawn(work, result)
            elif measuring := self._measuring.get(ticket.id):
                measuring.known[work.task.name] = result
        elif isinstance(result, RenderError):
            self._fail(work, result, now)
        elif blame(result) in (Blame.MEMORY, Blame.CRASH):
            self._take_ended(work, result, now)
        else:
            raise result

    def _take_ended(self, work: Work, result: BaseException, now: datetime) -> None:
        """A process was ended while it worked: once more, alone, as long as that may help."""
        is_tried_again = self._processes.try_again(work, result)
        if blame(result) is Blame.CRASH:
            if not is_tried_again:
                self._fail(work, PictureUnreadable(why_it_crashed(work.images)), now)
        elif is_tried_again:
            self._care.explain(work.ticket_id, why_it_is_tried_again(work.images))
        else:
            reason = why_it_is_held(work.images, MOST_KILLS)
            self._care.park(work.ticket_id, result, now, reason)

    def _fail(self, work: Work | Order, error: RenderError, now: datetime) -> None:
        """A picture, or what was asked for, is to blame."""
        if work.sheets:
            record_failure(self._store, work.ticket_id, work.sheets, str(error), now)
        elif measuring := self._measuring.get(work.ticket_id):
            measuring.known[work.images[0]] = error

    def _take_drawn(self, work: Work, drawn: Sequence[Drawn]) -> None:
        folder = self._store.folder
        if work.is_remote:
            for sheet, one in zip(work.sheets, drawn, strict=True):
                save(one.thumbnail, folder.thumbnail(sheet.id))
                save(one.sheet, folder.sheet(sheet.id))
        self._publishing.begin(
            work.ticket_id, [(sheet, one.size_px) for sheet, one in zip(work.sheets, drawn, strict=True)]
        )


def _to_measure(image: ImageRef, max_pixels: int, fetched: Fetched) -> MeasureTask:
    return MeasureTask(fetched.files[image.name], image.name, max_pixels, image.sha256 or "")


def _to_draw(
    places: tuple[tuple[SheetPlan, Path, Path], ...],
    max_pixels: int,
    assets: tuple[tuple[str, Path], ...],
    fetched: Fetched,
) -> DrawTask:
    first, _, _ = places[0]
    digests = dict(first.digests)
    sources = tuple(Source(name, fetched.files[name], digests.get(name, "")) for name in first.images)
    return DrawTask(sources, max_pixels, places, assets)
