"""Giving drawn sheets to printers: what waits and what printers say in, ipp/pool's decisions into the ledger."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

import structlog

from ipp.pool import MAX_AHEAD, Member, Waiting, allocate
from ipp.shuns import Shuns
from ipp.slips import SLIP_DPI, words_by_printer
from store import progress
from store.records import Printer, PrinterPool, PrintJob, Sheet, Ticket
from store.sizes import PrintSize
from store.states import ENDED_TICKETS, OPEN_PRINT_JOBS, PrintJobState, SheetState, TicketState
from store.tables import Store

log = structlog.get_logger("dispatch")

_SENDABLE = (TicketState.RENDERING, TicketState.RENDERED, TicketState.PRINTING, TicketState.HELD)


class Dispatch:
    """Assigns sheets to printers, one ledger row each."""

    def __init__(
        self, store: Store, unreachable_limit: timedelta, makes_slips: bool = True, shuns: Shuns | None = None
    ) -> None:
        """
        Args:
            store: the open store.
            makes_slips: whether separator slips can be drawn.
            unreachable_limit: a sheet for which no printer was to be had for so long fails, and the studio hears.
            shuns: what printers refused lately.
        """
        self._shuns = shuns or Shuns(store.clock.monotonic)
        self._store, self._unreachable_limit, self._makes_slips = store, unreachable_limit, makes_slips
        self._waiting_since: dict[
            tuple[int, int, PrintSize], float
        ] = {}  # monotonic; while nothing can take such sheets

    def assign(self, now: datetime) -> list[int]:
        """Decide for every sheet that waits for a printer; returns the ids of the new print jobs."""
        if self._store.is_resting(now):
            self._waiting_since.clear()  # nobody's fault: this time does not count
            return []
        printers = self._store.printers.all()
        # Sheets of one ticket, profile and size have the same chances: no more of them are looked at than could go.
        most = MAX_AHEAD * len(printers) + 1
        waiting: list[Waiting] = []
        for state in _SENDABLE:
            for ticket in self._store.tickets.by("state", state.value):
                if ticket.is_stopped:
                    continue
                profiles = {profile.id: profile for profile in self._store.instructions.get(ticket.id).profiles}
                alike: Counter[tuple[int, PrintSize]] = Counter()
                # In their order: a sheet waits for those before it that are still being drawn.
                planned = self._store.sheets.by("ticket_state", (ticket.id, SheetState.PLANNED.value))
                first_undrawn = next((sheet.id for sheet in planned if sheet.prints), None)
                for sheet in self._store.sheets.by("ticket_state", (ticket.id, SheetState.DRAWN.value)):
                    profile = profiles[sheet.profile_id]
                    if first_undrawn is not None and sheet.id > first_undrawn:
                        break
                    if sheet.prints and not sheet.hold and alike[sheet.profile_id, sheet.size] < most:
                        alike[sheet.profile_id, sheet.size] += 1
                        waiting.append(
                            Waiting(
                                sheet.id,
                                ticket.id,
                                sheet.size,
                                sheet.quantity - sheet.copies_done,
                                profile,
                                sheet.printer_id,
                                ticket.priority,
                                self._avoids(sheet),
                            )
                        )
        now_s = self._store.clock.monotonic()
        self._waiting_since = {key: self._waiting_since.get(key, now_s) for key in map(_alike, waiting)}
        if not waiting:
            return []
        waiting.sort(key=lambda sheet: (-sheet.priority, sheet.ticket_id, sheet.sheet_id))
        pools = {pool.id: pool for pool in self._store.printer_pools.all()}
        left = {one: self._unassigned(one) for one in {sheet.ticket_id for sheet in waiting}}
        bound = self._printers_of_tickets(waiting)
        allocation = allocate(waiting, self._members(), pools, self._last_used(), bound, left)
        by_id = {sheet.sheet_id: sheet for sheet in waiting}
        intended: list[int] = []
        for sheet_id, printer_id in allocation.assigned:
            self._waiting_since[_alike(by_id[sheet_id])] = now_s
            intended.append(self._intend(sheet_id, printer_id, now))
        for sheet_id, reason in allocation.impossible.items():
            self._fail(sheet_id, reason, now)
        for sheet_id, reason in allocation.refused.items():
            self._hold(by_id[sheet_id], reason, now)
        for sheet_id, reason in allocation.waiting.items():
            waits = by_id[sheet_id]
            waited_s = now_s - self._waiting_since[_alike(waits)]
            if reason != "waits for its turn" and waited_s > self._unreachable_limit.total_seconds():
                for sheet in self._store.sheets.by("ticket_state", (waits.ticket_id, SheetState.DRAWN.value)):
                    if (sheet.profile_id, sheet.size) == (waits.profile.id, waits.size):
                        self._fail(sheet.id, f"given up after {self._unreachable_limit}: {reason}", now)
        self._explain(waiting, allocation.waiting)
        for ticket_id in {by_id[sheet_id].ticket_id for sheet_id, _ in allocation.assigned if self._makes_slips}:
            self._add_slips(ticket_id, pools)
        self._drop_slips(waiting, allocation.waiting, now)
        return intended

    def has_other(self, print_job: PrintJob) -> bool:
        """Whether another device than the one that has a print job in hand could take its sheet now."""
        printer = self._store.printers.find(print_job.printer_id)
        sheet = self._store.sheets.get(print_job.sheet_id)
        ticket = self._store.tickets.get(print_job.ticket_id)
        profiles = self._store.instructions.get(print_job.ticket_id).profiles
        profile = next(one for one in profiles if one.id == sheet.profile_id)
        waits = Waiting(sheet.id, ticket.id, sheet.size, print_job.copies, profile, sheet.printer_id, ticket.priority)
        others = [one for one in self._members() if printer is None or one.printer.device != printer.device]
        pools = {pool.id: pool for pool in self._store.printer_pools.all()}
        return bool(allocate([waits], others, pools, {}, {}).assigned)

    # -- separator slips ------------------------------------------------------------------------------------------

    def _add_slips(self, ticket_id: int, pools: Mapping[int, PrinterPool]) -> None:
        """Once every sheet of a ticket has its printer: a slip for each printer of a pool that shares them.

        Sheets that went to another printer later are told of by new slips; those not printed yet are taken back.
        """
        ticket = self._store.tickets.get(ticket_id)
        waiting = self._store.sheets.by("ticket_state", (ticket_id, SheetState.DRAWN.value))
        if ticket.state is TicketState.RENDERING or any(sheet.prints and not sheet.slip for sheet in waiting):
            return
        instructions = self._store.instructions.get(ticket_id)
        pool_of = {profile.id: pools.get(profile.pool_id or 0) for profile in instructions.profiles}
        with self._store.transaction():
            sheets = self._store.sheets.by("ticket", ticket_id)
            for pool in {pool.id: pool for pool in pool_of.values() if pool and pool.separator_slips}.values():
                of_pool = [sheet for sheet in sheets if pool_of[sheet.profile_id] == pool]
                portions = self._portions([sheet for sheet in of_pool if not sheet.slip])
                if len({printer.device for printer, _ in portions}) < 2:
                    continue
                wanted = words_by_printer(_title(ticket), portions)
                for slip in [sheet for sheet in of_pool if sheet.slip and sheet.state is not SheetState.FAILED]:
                    if wanted.get(slip.printer_id or 0) == slip.slip:
                        del wanted[slip.printer_id or 0]
                    elif slip.state is SheetState.DRAWN:
                        progress.move_sheet(self._store, slip, "fail", reason="the order was divided anew")
                for printer, theirs in portions:
                    if printer.id in wanted:
                        self._store.sheets.add(_slip_sheet(theirs[-1], printer, wanted[printer.id]))

    def _portions(self, sheets: Sequence[Sheet]) -> list[tuple[Printer, list[Sheet]]]:
        """Which printer has, or had, which sheets."""
        found: dict[int, list[Sheet]] = {}
        for sheet in sheets:
            if sheet.print_job_id and sheet.state in (SheetState.ASSIGNED, SheetState.PRINTED):
                found.setdefault(self._store.print_jobs.get(sheet.print_job_id).printer_id, []).append(sheet)
        printers = ((self._store.printers.find(printer_id), theirs) for printer_id, theirs in sorted(found.items()))
        return [(printer, theirs) for printer, theirs in printers if printer is not None]

    def _drop_slips(self, waiting: Sequence[Waiting], reasons: Mapping[int, str], now: datetime) -> None:
        """A ticket does not wait for a slip that its printer cannot print now."""
        for one in waiting:
            if one.printer_id is None or reasons.get(one.sheet_id, "waits for its turn") == "waits for its turn":
                continue
            still_open = self._store.sheets.by("open", one.ticket_id)
            if all(sheet.slip for sheet in still_open):
                self._fail(one.sheet_id, reasons[one.sheet_id], now)

    # -- what is known --------------------------------------------------------------------------------------------

    def _avoids(self, sheet: Sheet) -> int | None:
        """The printer from which a sheet was taken without its word, as long as that is so."""
        last = self._store.print_jobs.find(sheet.print_job_id) if sheet.print_job_id else None
        return last.printer_id if last is not None and last.is_orphaned else None

    def _unassigned(self, ticket_id: int) -> int:
        """Sheets of a ticket that no printer has in hand; about the copies, without reading thousands of them."""
        in_hand = self._store.sheets.count("ticket_state", (ticket_id, SheetState.ASSIGNED.value))
        return self._store.sheets.count("open", ticket_id) - in_hand

    def _members(self) -> list[Member]:
        pace = paces(self._store.print_jobs.newest(200))
        return [self._member(printer, pace.get(printer.id)) for printer in self._store.printers.all()]

    def _member(self, printer: Printer, seconds_per_copy: float | None) -> Member:
        open_jobs = [
            job
            for state in OPEN_PRINT_JOBS
            for job in self._store.print_jobs.by("printer_state", (printer.id, state.value))
        ]
        status, backlog = self._store.printer_status.find(printer.id), sum(job.copies for job in open_jobs)
        member = Member(
            printer,
            status,
            len(open_jobs),
            backlog,
            busy=self._shuns.busy(printer.id),
            is_stuck=any(job.stuck is not None for job in open_jobs),
            refusals=self._shuns.refusals(printer.id),
        )
        return member if seconds_per_copy is None else replace(member, seconds_per_copy=seconds_per_copy)

    def _last_used(self) -> dict[int, int]:
        """By pool: the printer of the pool's newest print job, so that a restart goes on in turn."""
        pool_of = {printer.id: printer.pool_id for printer in self._store.printers.all()}
        last: dict[int, int] = {}
        for print_job in self._store.print_jobs.newest(200):
            pool_id = pool_of.get(print_job.printer_id)
            if pool_id is not None:
                last.setdefault(pool_id, print_job.printer_id)
        return last

    def _printers_of_tickets(self, waiting: list[Waiting]) -> dict[tuple[int, int], list[int]]:
        """By (pool, ticket): the printers that have or had sheets of it, the first one first."""
        bound: dict[tuple[int, int], list[int]] = {}
        for ticket_id, pool_id in {(s.ticket_id, s.profile.pool_id) for s in waiting if s.profile.pool_id is not None}:
            for sheet in self._store.sheets.by("was_sent", ticket_id):
                if sheet.print_job_id and sheet.state in (SheetState.ASSIGNED, SheetState.PRINTED):
                    printers = bound.setdefault((pool_id, ticket_id), [])
                    printer_id = self._store.print_jobs.get(sheet.print_job_id).printer_id
                    if printer_id not in printers:
                        printers.append(printer_id)
                    if len(printers) > 1:
                        break  # split already: more would not change anything
        return bound

    def _intend(self, sheet_id: int, printer_id: int, now: datetime) -> int:
        with self._store.transaction():
            sheet = self._store.sheets.get(sheet_id)
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
        return print_job.id

    def _hold(self, waits: Waiting, reason: str, now: datetime) -> None:
        """Every printer refused: a person changes the paper or the profile and has it tried again, or lets it go."""
        self._shuns.forget_kind(waits.kind)
        with self._store.transaction():
            for sheet in self._store.sheets.by("ticket_state", (waits.ticket_id, SheetState.DRAWN.value)):
                if (sheet.profile_id, sheet.size) == waits.kind and sheet.prints and not sheet.hold:
                    self._store.sheets.put(sheet.with_(hold=reason))
            progress.review_ticket(self._store, waits.ticket_id, now)
        log.warning("sheet.held", sheet=waits.sheet_id, ticket=waits.ticket_id, reason=reason)

    def _fail(self, sheet_id: int, reason: str, now: datetime) -> None:
        with self._store.transaction():
            sheet = progress.move_sheet(self._store, self._store.sheets.get(sheet_id), "fail", reason=reason)
            progress.review_ticket(self._store, sheet.ticket_id, now)
        log.warning("sheet.failed", sheet=sheet_id, ticket=sheet.ticket_id, reason=reason)

    def _explain(self, waiting: list[Waiting], reasons: dict[int, str]) -> None:
        for ticket_id in {sheet.ticket_id for sheet in waiting}:
            ticket = self._store.tickets.get(ticket_id)
            if ticket.state is not TicketState.HELD and ticket.state not in ENDED_TICKETS:
                told = [reasons[s.sheet_id] for s in waiting if s.ticket_id == ticket_id and s.sheet_id in reasons]
                news = next((reason for reason in told if reason != "waits for its turn"), "")
                with self._store.transaction():
                    progress.explain_ticket(self._store, ticket, news)


def _title(ticket: Ticket) -> str:
    return f"{ticket.kind.value.capitalize()} {ticket.number}{f' · {ticket.client_name}' * bool(ticket.client_name)}"


def _slip_sheet(like: Sheet, printer: Printer, words: tuple[str, ...]) -> Sheet:
    """A slip on the paper of a sheet that the printer has."""
    short_um, long_um = sorted((like.size.width_um, like.size.height_um))
    width_px, height_px = (round(side_um * SLIP_DPI / 25_400) for side_um in (short_um, long_um))
    return Sheet(
        ticket_id=like.ticket_id,
        profile_id=like.profile_id,
        item="",
        image="",
        size=PrintSize(width_um=short_um, height_um=long_um),
        quantity=1,
        state=SheetState.DRAWN,
        plan={"dpi": SLIP_DPI, "width_px": width_px, "height_px": height_px},
        width_px=width_px,
        height_px=height_px,
        prints=True,
        is_cover=True,
        slip=words,
        printer_id=printer.id,
    )


def paces(print_jobs: Iterable[PrintJob]) -> dict[int, float]:
    """By printer: seconds a copy took lately, from when it began (or the one before ended) to its end."""
    ended: dict[int, list[PrintJob]] = {}
    for job in print_jobs:
        if job.state is PrintJobState.COMPLETED and job.impressions_completed is not None:
            ended.setdefault(job.printer_id, []).append(job)
    found: dict[int, float] = {}
    for printer_id, jobs in ended.items():
        jobs.sort(key=lambda job: job.changed_at)
        seconds = [
            (job.changed_at - max(job.intended_at, before.changed_at)).total_seconds() / job.copies
            for before, job in pairwise(jobs)
        ]
        if seconds:
            found[printer_id] = max(0.1, median(seconds[-20:]))
    return found


def _alike(sheet: Waiting) -> tuple[int, int, PrintSize]:
    return sheet.ticket_id, sheet.profile.id, sheet.size
