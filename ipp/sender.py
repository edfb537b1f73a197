"""The sender: sees that drawn sheets get printers, that every open print job is being carried, and that people hear of
those that do not get on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import aiohttp
import structlog

from ipp.access import Access
from ipp.attributes import JobState
from ipp.carrier import Carrier
from ipp.client import PrinterClient
from ipp.dispatch import Dispatch
from ipp.errors import PrinterError
from ipp.movement import Movement
from ipp.pool import BLOCKING_REASONS, Member, bare_reasons, why_not_ready
from ipp.sheet_documents import Convert, SheetDocuments
from ipp.stuck import stuck
from ipp.waiting import NEWEST, paces
from ipp.watch import Watch
from store import progress
from store.errors import StoreUnavailable
from store.pulse import Items
from store.records import Printer, PrinterState, PrintJob
from store.states import OPEN_PRINT_JOBS, PrintJobState
from store.tables import Store

log = structlog.get_logger("sender")

GATHER_S = 0.01  # while hundreds of jobs a second arrive, one look at the store is enough for several commits
LOOK_EVERY_S = 0.5
DISK_PAUSE_S = 5.0
TAKE_BACK_AFTER_S = 10.0  # a stopped printer keeps what it has not begun for so long, when another could print it
ORPHANS_EVERY_S = 5.0
MOST_SURPRISES = 5  # faults of ours in one print job, in a row; then its ticket is parked


class Sender:
    """Has sheets assigned, and print jobs carried."""

    def __init__(
        self,
        store: Store,
        http: aiohttp.ClientSession,
        watch: Watch,
        unreachable_limit: timedelta,
        convert: Convert | None = None,
    ) -> None:
        """
        Args:
            store: the open store.
            http: the session of this event loop.
            watch: the pollers, for what printers say of themselves.
            convert: see SheetDocuments.
            unreachable_limit: a sheet for which no printer was to be had for so long fails, and the studio hears.
        """
        self._store, self._http, self._watch, self._clock = store, http, watch, store.clock
        self._dispatch = Dispatch(store, unreachable_limit, makes_slips=convert is not None, shuns=watch.shuns)
        self._movement = Movement(store.clock.monotonic)
        documents = SheetDocuments(store, convert)
        self._carrier = Carrier(
            store, http, watch, documents, self._movement, self._dispatch.has_other, self._gives_back
        )
        self._items = Items("print_job", store.clock.monotonic)
        self._carrying: dict[int, asyncio.Task[None]] = {}  # by print job
        self._orphans: dict[int, asyncio.Task[None]] = {}
        self._orphans_due_s = 0.0
        self._stopped_since: dict[int, float] = {}  # by printer, on the monotonic clock
        self._ours: set[int] = set()  # print jobs that this process intended

    async def run(self) -> None:
        """Go on for ever; ends by cancellation."""
        while True:
            version = self._store.version
            try:
                self.step(self._clock.now())
            except StoreUnavailable as error:
                log.error("sender.store", error=str(error))
                await asyncio.sleep(DISK_PAUSE_S)
            await asyncio.to_thread(self._store.wait, version, LOOK_EVERY_S)
            await asyncio.sleep(GATHER_S)

    def step(self, now: datetime) -> None:
        """Give drawn sheets to printers, and see that every open print job is being carried."""
        self._ours.update(self._dispatch.assign(now))
        pace = paces(self._store.print_jobs.newest(NEWEST))
        for printer in self._store.printers.all():
            for state in OPEN_PRINT_JOBS:
                for print_job in self._store.print_jobs.by("printer_state", (printer.id, state.value)):
                    self._carry(print_job)
                    self._tell_if_stuck(print_job, printer, pace.get(printer.id, Member.seconds_per_copy), now)
        self._take_orphans()

    def _carry(self, print_job: PrintJob) -> None:
        task = self._carrying.get(print_job.id)
        if (task is None or task.done()) and self._items.may(print_job.id):
            self._carrying = {i: t for i, t in self._carrying.items() if not t.done()}
            self._carrying[print_job.id] = asyncio.create_task(self._carry_safely(print_job))

    async def _carry_safely(self, print_job: PrintJob) -> None:
        """Carry; after a surprise the row's truth is not certain any more. One that surprises us again and again stays
        where it is, and its ticket is parked: it is told, and touches no other."""
        if self._store.tickets.get(print_job.ticket_id).fault is not None:
            return
        try:
            with self._items.guard(print_job.id, str(print_job.id)):
                try:
                    await self._carrier.carry(print_job.id, is_certain=print_job.id in self._ours)
                except BaseException as error:
                    self._ours.discard(print_job.id)
                    if isinstance(error, Exception) and self._items.failures(print_job.id) + 1 >= MOST_SURPRISES:
                        progress.park_ticket(self._store, print_job.ticket_id, "printing", error, self._clock.now())
                    raise
        except StoreUnavailable as error:
            log.error("sender.store", error=str(error))
            await asyncio.sleep(DISK_PAUSE_S)

    # -- what stands still ----------------------------------------------------------------------------------------

    def _tell_if_stuck(self, print_job: PrintJob, printer: Printer, seconds_per_copy: float, now: datetime) -> None:
        is_behind = print_job.state is not PrintJobState.SENT or self._is_pending(print_job)
        quiet_s = self._movement.quiet_s(print_job.id, printer.device, is_behind)
        status = self._store.printer_status.find(printer.id)
        words = self._carrier.words.get(print_job.id, "")
        found = stuck(print_job, printer, status, quiet_s, words, seconds_per_copy, now)
        if found != print_job.stuck:
            with self._store.transaction():
                print_job = self._store.print_jobs.get(print_job.id)
                if print_job.state in OPEN_PRINT_JOBS:
                    self._store.print_jobs.put(print_job.with_(stuck=found))

    def _is_pending(self, print_job: PrintJob) -> bool:
        return self._movement.sign(print_job.id, "state") in (JobState.PENDING, JobState.PENDING_HELD)

    def _gives_back(self, printer: Printer, print_job: PrintJob) -> bool:
        """Whether a printer stands still for a while or was made inactive, and another could take over."""
        status = self._store.printer_status.find(printer.id)
        is_stuck = status is not None and (why_not_ready(printer, status) or BLOCKING_REASONS & bare_reasons(status))
        if not is_stuck:
            self._stopped_since.pop(printer.id, None)
        now_s = self._clock.monotonic()
        since_s = self._stopped_since.setdefault(printer.id, now_s) if is_stuck else now_s
        if not printer.inactive and now_s - since_s < TAKE_BACK_AFTER_S:
            return False
        return self._dispatch.has_other(print_job)

    # -- what was left over at printers ----------------------------------------------------------------------------

    def _take_orphans(self) -> None:
        """Jobs that were settled without their printer's word are canceled there when it is back."""
        if self._clock.monotonic() < self._orphans_due_s:
            return
        self._orphans_due_s = self._clock.monotonic() + ORPHANS_EVERY_S
        self._orphans = {i: t for i, t in self._orphans.items() if not t.done()}
        for orphan in self._store.print_jobs.by("orphaned", True):
            if orphan.id not in self._orphans:
                self._orphans[orphan.id] = asyncio.create_task(self._take_orphan(orphan))

    async def _take_orphan(self, orphan: PrintJob) -> None:
        printer = self._store.printers.find(orphan.printer_id)
        if printer is None:  # nobody can ask it any more
            progress.settle_orphan(self._store, orphan, None, self._clock.now())
            return
        status = self._store.printer_status.find(printer.id)
        if status is None or status.state is PrinterState.UNREACHABLE:
            return
        try:
            client = PrinterClient(printer.uri, self._http, Access.of(printer))
            await self._carrier.withdrawals.take_orphan(orphan, client)
        except (PrinterError, StoreUnavailable) as error:
            log.info("print_job.still_orphaned", id=orphan.id, error=str(error))
