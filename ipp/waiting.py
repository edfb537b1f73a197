"""What the allocation is told: which sheets wait for a printer, what printers can take, who has begun with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from ipp.pool import MAX_AHEAD, Member, Waiting
from ipp.shuns import Shuns
from store.decisions import MOVED
from store.records import Printer, PrintJob, Sheet, Ticket
from store.sizes import PrintSize
from store.states import OPEN_PRINT_JOBS, PrintJobState, SheetState
from store.tables import Store

NEWEST = 200  # print jobs, from which a printer's pace and its turn are told


def of_ticket(store: Store, ticket: Ticket, printers: int) -> list[Waiting]:
    """The sheets of a ticket that wait for a printer.

    Sheets of one profile and size have the same chances: no more of them are looked at than could go.

    Args:
        store: the open store.
        ticket: which is open.
        printers: how many there are.
    """
    most = MAX_AHEAD * printers + 1
    profiles = {profile.id: profile for profile in store.instructions.get(ticket.id).profiles}
    alike: Counter[tuple[int, PrintSize]] = Counter()
    # In their order: a sheet waits for those before it that are still being drawn.
    planned = store.sheets.by("ticket_state", (ticket.id, SheetState.PLANNED.value))
    first_undrawn = next((sheet.id for sheet in planned if sheet.prints), None)
    found: list[Waiting] = []
    for sheet in store.sheets.by("ticket_state", (ticket.id, SheetState.DRAWN.value)):
        if first_undrawn is not None and sheet.id > first_undrawn:
            break
        if not sheet.prints or sheet.hold or alike[sheet.profile_id, sheet.size] >= most:
            continue
        alike[sheet.profile_id, sheet.size] += 1
        found.append(
            Waiting(
                sheet.id,
                ticket.id,
                sheet.size,
                sheet.quantity - sheet.copies_done,
                profiles[sheet.profile_id],
                sheet.printer_id,
                ticket.priority,
                **_avoids(store, sheet),
            )
        )
    return found


def of_print_job(store: Store, print_job: PrintJob) -> Waiting:
    """The sheet of a print job, as if it waited again."""
    sheet, ticket = store.sheets.get(print_job.sheet_id), store.tickets.get(print_job.ticket_id)
    profiles = store.instructions.get(print_job.ticket_id).profiles
    profile = next(one for one in profiles if one.id == sheet.profile_id)
    return Waiting(sheet.id, ticket.id, sheet.size, print_job.copies, profile, sheet.printer_id, ticket.priority)


def _avoids(store: Store, sheet: Sheet) -> dict[str, int]:
    """The printer that a sheet should not go to (again), and how strictly; see Waiting."""
    last = store.print_jobs.find(sheet.print_job_id) if sheet.print_job_id else None
    if last is None or not (last.is_orphaned or last.reason == MOVED):
        return {}
    return {"avoids" if last.is_orphaned else "moved_from": last.printer_id}


def unassigned(store: Store, ticket_id: int) -> int:
    """Sheets of a ticket that no printer has in hand; about the copies, without reading thousands of them."""
    in_hand = store.sheets.count("ticket_state", (ticket_id, SheetState.ASSIGNED.value))
    return store.sheets.count("open", ticket_id) - in_hand


def members(store: Store, shuns: Shuns) -> list[Member]:
    """Every printer, with what it has in hand and what it said."""
    pace = paces(store.print_jobs.newest(NEWEST))
    return [_member(store, shuns, printer, pace.get(printer.id)) for printer in store.printers.all()]


def _member(store: Store, shuns: Shuns, printer: Printer, seconds_per_copy: float | None) -> Member:
    open_jobs = [
        job for state in OPEN_PRINT_JOBS for job in store.print_jobs.by("printer_state", (printer.id, state.value))
    ]
    member = Member(
        printer,
        store.printer_status.find(printer.id),
        len(open_jobs),
        sum(job.copies for job in open_jobs),
        busy=shuns.busy(printer.id),
        is_stuck=any(job.stuck is not None for job in open_jobs),
        refusals=shuns.refusals(printer.id),
    )
    return member if seconds_per_copy is None else replace(member, seconds_per_copy=seconds_per_copy)


def last_used(store: Store) -> dict[int, int]:
    """By pool: the printer of the pool's newest print job, so that a restart goes on in turn."""
    pool_of = {printer.id: printer.pool_id for printer in store.printers.all()}
    last: dict[int, int] = {}
    for print_job in store.print_jobs.newest(NEWEST):
        pool_id = pool_of.get(print_job.printer_id)
        if pool_id is not None:
            last.setdefault(pool_id, print_job.printer_id)
    return last


def printers_of_tickets(store: Store, waiting: Sequence[Waiting]) -> dict[tuple[int, int], list[int]]:
    """By (pool, ticket): the printers that have or had sheets of it, the first one first."""
    bound: dict[tuple[int, int], list[int]] = {}
    for ticket_id, pool_id in {(s.ticket_id, s.profile.pool_id) for s in waiting if s.profile.pool_id is not None}:
        for sheet in store.sheets.by("was_sent", ticket_id):
            if sheet.print_job_id and sheet.state in (SheetState.ASSIGNED, SheetState.PRINTED):
                printers = bound.setdefault((pool_id, ticket_id), [])
                printer_id = store.print_jobs.get(sheet.print_job_id).printer_id
                if printer_id not in printers:
                    printers.append(printer_id)
                if len(printers) > 1:
                    break  # split already: more would not change anything
    return bound


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
