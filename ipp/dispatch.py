"""Giving drawn sheets to printers: ipp/pool's decisions into the ledger, one row each."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog

from ipp import separators
from ipp import waiting as known
from ipp.pool import TURN, Allocation, Member, Waiting, allocate
from ipp.shuns import Shuns
from store import progress
from store.errors import StoreUnavailable
from store.records import PrinterPool, PrintJob, Sheet
from store.sizes import PrintSize
from store.states import ENDED_TICKETS, PrintJobState, SheetState, TicketState
from store.tables import Store

log = structlog.get_logger("dispatch")

_SENDABLE = (TicketState.RENDERING, TicketState.RENDERED, TicketState.PRINTING, TicketState.HELD)
_Alike = tuple[int, int, PrintSize]  # ticket, profile, size


class Dispatch:
    """Assigns sheets to printers."""

    def __init__(
        self, store: Store, unreachable_limit: timedelta, makes_slips: bool = True, shuns: Shuns | None = None
    ) -> None:
        """
        Args:
            store: the open store.
            makes_slips: whether separators can be drawn.
            unreachable_limit: a sheet for which no printer was to be had for so long fails, and the studio hears.
            shuns: what printers refused lately.
        """
        self._store, self._unreachable_limit, self._makes_slips = store, unreachable_limit, makes_slips
        self._shuns = shuns or Shuns(store.clock.monotonic)
        self._waiting_since: dict[_Alike, float] = {}  # monotonic; while nothing can take such sheets

    def assign(self, now: datetime) -> list[int]:
        """Decide for every sheet that waits for a printer; returns the ids of the new print jobs.

        A ticket that raises is parked: it is told of, and the others go on.
        """
        if self._store.is_resting(now):
            self._waiting_since.clear()  # nobody's fault: this time does not count
            return []
        waiting = self._gather(now)
        now_s = self._store.clock.monotonic()
        self._waiting_since = {key: self._waiting_since.get(key, now_s) for key in map(_alike, waiting)}
        if not waiting:
            return []
        pools = {pool.id: pool for pool in self._store.printer_pools.all()}
        allocation = self._allocate(waiting, pools, now)
        of_ticket: dict[int, list[Waiting]] = defaultdict(list)
        for sheet in waiting:
            of_ticket[sheet.ticket_id].append(sheet)
        printers = dict(allocation.assigned)
        intended: list[int] = []
        for ticket_id, sheets in of_ticket.items():
            with self._guarded(ticket_id, now):
                intended += self._apply(sheets, printers, allocation, pools, now)
        return intended

    def has_other(self, print_job: PrintJob) -> bool:
        """Whether another device than the one that has a print job in hand could take its sheet now."""
        printer = self._store.printers.find(print_job.printer_id)
        others = [
            member
            for member in known.members(self._store, self._shuns)
            if printer is None or member.printer.device != printer.device
        ]
        pools = {pool.id: pool for pool in self._store.printer_pools.all()}
        return bool(allocate([known.of_print_job(self._store, print_job)], others, pools, {}, {}).assigned)

    # -- deciding -------------------------------------------------------------------------------------------------

    def _gather(self, now: datetime) -> list[Waiting]:
        printers = len(self._store.printers)
        found: list[Waiting] = []
        for state in _SENDABLE:
            for ticket in self._store.tickets.by("state", state.value):
                if not ticket.is_stopped:
                    with self._guarded(ticket.id, now):
                        found += known.of_ticket(self._store, ticket, printers)
        found.sort(key=lambda sheet: (-sheet.priority, sheet.ticket_id, sheet.sheet_id))
        return found

    def _allocate(self, waiting: list[Waiting], pools: Mapping[int, PrinterPool], now: datetime) -> Allocation:
        members = known.members(self._store, self._shuns)
        try:
            return self._allocated(waiting, members, pools)
        except Exception:
            # A fault of ours over one ticket's sheets: whichever raises alone is parked, and the others are decided.
            for ticket_id in {sheet.ticket_id for sheet in waiting}:
                with self._guarded(ticket_id, now):
                    self._allocated([one for one in waiting if one.ticket_id == ticket_id], members, pools)
            sound = [one for one in waiting if not self._store.tickets.get(one.ticket_id).is_stopped]
            return self._allocated(sound, members, pools) if len(sound) < len(waiting) else Allocation()

    def _allocated(
        self, waiting: Sequence[Waiting], members: Sequence[Member], pools: Mapping[int, PrinterPool]
    ) -> Allocation:
        left = {one: known.unassigned(self._store, one) for one in {sheet.ticket_id for sheet in waiting}}
        bound = known.printers_of_tickets(self._store, waiting)
        return allocate(waiting, members, pools, known.last_used(self._store), bound, left)

    @contextmanager
    def _guarded(self, ticket_id: int, now: datetime) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable:
            raise
        except Exception as error:
            progress.park_ticket(self._store, ticket_id, "giving its sheets to printers", error, now)

    # -- writing down ---------------------------------------------------------------------------------------------

    def _apply(
        self,
        sheets: Sequence[Waiting],
        printers: Mapping[int, int],
        allocation: Allocation,
        pools: Mapping[int, PrinterPool],
        now: datetime,
    ) -> list[int]:
        """What was decided for the sheets of one ticket; returns its new print jobs."""
        intended: list[int] = []
        now_s, limit_s = self._store.clock.monotonic(), self._unreachable_limit.total_seconds()
        for sheet in sheets:
            if sheet.sheet_id in printers:
                self._waiting_since[_alike(sheet)] = now_s
                intended += self._intend(sheet.sheet_id, printers[sheet.sheet_id], now)
            elif sheet.sheet_id in allocation.impossible:
                self._fail(sheet.sheet_id, allocation.impossible[sheet.sheet_id], now)
            elif sheet.sheet_id in allocation.refused:
                self._hold(sheet, allocation.refused[sheet.sheet_id], now)
            elif now_s - self._waiting_since.get(_alike(sheet), now_s) > limit_s:
                reason = allocation.waiting.get(sheet.sheet_id, TURN)
                if reason != TURN:
                    self._give_up(sheet, f"given up after {self._unreachable_limit}: {reason}", now)
        self._explain(sheets, allocation.waiting)
        ticket_id = sheets[0].ticket_id
        if intended and self._makes_slips:
            separators.add(self._store, ticket_id, pools)
        self._drop_separators(sheets, allocation.waiting, now)
        return intended

    def _intend(self, sheet_id: int, printer_id: int, now: datetime) -> list[int]:
        with self._store.transaction():
            sheet = self._store.sheets.get(sheet_id)
            if not self._still_waits(sheet):
                return []
            status = self._store.printer_status.find(printer_id)
            print_job = self._store.print_jobs.add(
                PrintJob(
                    sheet_id=sheet.id,
                    ticket_id=sheet.ticket_id,
                    printer_id=printer_id,
                    # Unique even after a restore of an older store: the number alone would come again.
                    job_name=f"printroom-{sheet.ticket_id}-{sheet.id}-{secrets.token_hex(4)}",
                    # What the printer cannot do at once follows in another print job.
                    copies=min(sheet.quantity - sheet.copies_done, status.max_copies if status else 1),
                    state=PrintJobState.INTENDED,
                    intended_at=now,
                    changed_at=now,
                )
            )
            progress.move_sheet(self._store, sheet, "assign", print_job_id=print_job.id, reason="")
            progress.review_ticket(self._store, sheet.ticket_id, now)
        log.info("print_job.intended", id=print_job.id, sheet=sheet.id, printer=printer_id, name=print_job.job_name)
        return [print_job.id]

    def _still_waits(self, sheet: Sheet) -> bool:
        """Whether no person has canceled or held it since it was looked at."""
        is_stopped = self._store.tickets.get(sheet.ticket_id).is_stopped
        return sheet.state is SheetState.DRAWN and not sheet.hold and not is_stopped

    def _hold(self, waits: Waiting, reason: str, now: datetime) -> None:
        """Every printer refused: a person changes the paper or the profile and has it tried again, or lets it go."""
        self._shuns.forget_kind(waits.kind)
        with self._store.transaction():
            sheet = self._store.sheets.get(waits.sheet_id)
            if not self._still_waits(sheet):
                return
            if sheet.slip:  # nobody ordered it, so nobody is asked
                progress.move_sheet(self._store, sheet, "fail", reason=reason)
            else:
                self._store.sheets.put(sheet.with_(hold=reason))
            progress.review_ticket(self._store, waits.ticket_id, now)
        log.warning("sheet.held", sheet=waits.sheet_id, ticket=waits.ticket_id, reason=reason)

    def _give_up(self, waits: Waiting, reason: str, now: datetime) -> None:
        """Nobody could take this sheet, nor those like it of which only the first ones were looked at."""
        for sheet in self._store.sheets.by("ticket_state", (waits.ticket_id, SheetState.DRAWN.value)):
            if (sheet.profile_id, sheet.size) == waits.kind and sheet.prints and not sheet.hold:
                self._fail(sheet.id, reason, now)

    def _fail(self, sheet_id: int, reason: str, now: datetime) -> None:
        with self._store.transaction():
            sheet = self._store.sheets.get(sheet_id)
            if sheet.state is not SheetState.DRAWN:
                return  # given up together with another
            sheet = progress.move_sheet(self._store, sheet, "fail", reason=reason)
            progress.review_ticket(self._store, sheet.ticket_id, now)
        log.warning("sheet.failed", sheet=sheet_id, ticket=sheet.ticket_id, reason=reason)

    def _explain(self, sheets: Sequence[Waiting], reasons: Mapping[int, str]) -> None:
        ticket = self._store.tickets.get(sheets[0].ticket_id)
        if ticket.state is not TicketState.HELD and ticket.state not in ENDED_TICKETS:
            told = (reasons[sheet.sheet_id] for sheet in sheets if sheet.sheet_id in reasons)
            with self._store.transaction():
                progress.explain_ticket(self._store, ticket, next((one for one in told if one != TURN), ""))

    def _drop_separators(self, sheets: Sequence[Waiting], reasons: Mapping[int, str], now: datetime) -> None:
        """A ticket does not wait for a separator that its printer cannot print now."""
        for one in sheets:
            reason = reasons.get(one.sheet_id, TURN)
            if one.printer_id is None or reason == TURN:
                continue
            if all(sheet.slip for sheet in self._store.sheets.by("open", one.ticket_id)):
                self._fail(one.sheet_id, reason, now)


def _alike(sheet: Waiting) -> _Alike:
    return sheet.ticket_id, sheet.profile.id, sheet.size
