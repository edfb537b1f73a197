"""What people decide about work that is under way: cancel, hold, go on, answer. Each is one transaction with all that
follows from it."""

from __future__ import annotations

from datetime import datetime

from store import queue_jobs, states
from store.errors import Conflict, ImpossibleMove
from store.progress import move_sheet, move_ticket, results_of, review_ticket, settle_print_job, settle_unsure, tell
from store.records import Outcome, PrintJob, Sheet, Ticket
from store.states import PrintJobState, SheetState
from store.tables import Store

MOVED = "a person moved it"  # why a print job ended whose sheet is meant for another printer
WAIT_LONGER_S = 900.0  # a person who chooses to wait is not asked again before


def cancel_ticket(store: Store, ticket_id: int, now: datetime, by: str = "") -> Ticket:
    """Stop a ticket for a person. What printers have not begun is taken back from them, what they have begun comes out;
    the record keeps its status, and the desktops hear of it.

    Args:
        store: the open store.
        ticket_id: of the ticket.
        now: the time.
        by: the person's name; '' where nobody knows.

    Raises:
        ImpossibleMove: it has ended.
    """
    why = canceled_by(by)
    with store.transaction():
        ticket = move_ticket(store, store.tickets.get(ticket_id), "cancel", now, why)
        for sheet in store.sheets.by("ticket", ticket_id):
            if sheet.state is SheetState.ASSIGNED:
                _withdraw(store, sheet, why)
            elif (sheet.state, "cancel") in states.SHEET_MOVES and (sheet.prints or sheet.state is SheetState.PLANNED):
                move_sheet(store, sheet, "cancel", reason=_unprinted(sheet, why), hold="")
        sheets = store.sheets.by("ticket", ticket_id)
        results = results_of(store, ticket, store.instructions.get(ticket_id), sheets)
        if not any(sheet.state is SheetState.ASSIGNED for sheet in sheets):
            ticket = ticket.with_(results=results)
            store.tickets.put(ticket)
        queue_jobs.follow(store, ticket, now)
        tell(store, ticket, Outcome.CANCELED, now, why, results=results)
        return ticket


def cancel_sheet(store: Store, sheet_id: int, now: datetime, by: str = "") -> Sheet:
    """Stop one sheet for a person; see cancel_ticket().

    Raises:
        ImpossibleMove: it has come out, failed or been canceled.
    """
    why = canceled_by(by)
    with store.transaction():
        sheet = store.sheets.get(sheet_id)
        states.after(states.SHEET_MOVES, f"sheet {sheet.id}", sheet.state, "cancel")
        if sheet.state is SheetState.ASSIGNED:
            _withdraw(store, sheet, why)
            return sheet
        sheet = move_sheet(store, sheet, "cancel", reason=_unprinted(sheet, why), hold="")
        review_ticket(store, sheet.ticket_id, now)
        return sheet


def canceled_by(by: str) -> str:
    """The reason that desktops, the panel and results tell."""
    return f"canceled by {by}" if by else "canceled"


def _unprinted(sheet: Sheet, why: str) -> str:
    """The reason that a canceled sheet keeps: of one that may have come out, also why nobody knows."""
    return f"{why}; {sheet.reason}" if sheet.state is SheetState.UNSURE and sheet.reason else why


def _withdraw(store: Store, sheet: Sheet, why: str) -> None:
    """Have a sheet taken back from its printer, as far as that has not begun with it; the sender does it."""
    print_job = store.print_jobs.get(sheet.print_job_id or 0)
    if print_job.state in states.OPEN_PRINT_JOBS and not print_job.withdrawal:
        store.print_jobs.put(print_job.with_(withdrawal=why))


def cancel_queue_job(store: Store, job_id: int, now: datetime, by: str = "") -> None:
    """Stop a job of a print queue, wherever it is.

    Raises:
        ImpossibleMove: it has ended.
    """
    with store.transaction():
        job = store.queue_jobs.get(job_id)
        if job.state is states.QueueJobState.PRINTING and job.ticket_id is not None:
            cancel_ticket(store, job.ticket_id, now, by)  # its end is the job's
        else:
            queue_jobs.move(store, job, "cancel", now)


def hold_ticket(store: Store, ticket_id: int, now: datetime, by: str = "") -> Ticket:
    """Stop a ticket until a person lets it go on; what printers have, they print. The desktops hear of it.

    Raises:
        ImpossibleMove: it has ended.
    """
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        if ticket.state in states.ENDED_TICKETS:
            raise ImpossibleMove(f"ticket {ticket.id}", ticket.state, "hold")
        held = ticket.with_(is_paused=True)
        store.tickets.put(held)
        if not ticket.is_paused:
            tell(store, held, Outcome.HELD, now, f"held by {by}" if by else "waits for a person")
        return held


def resume_ticket(store: Store, ticket_id: int) -> Ticket:
    """Let a ticket go on that a person held, or that Printroom stumbled over.

    Raises:
        ImpossibleMove: it has ended.
    """
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        if ticket.state in states.ENDED_TICKETS:
            raise ImpossibleMove(f"ticket {ticket.id}", ticket.state, "resume")
        ticket = ticket.with_(is_paused=False, fault=None, reason="" if ticket.fault else ticket.reason)
        store.tickets.put(ticket)
        return ticket


def answer_held(store: Store, sheet_id: int, prints: bool, now: datetime) -> Sheet:
    """Take a person's answer to "print it?": of too few pixels, or once more after the printer gave up.

    Raises:
        ImpossibleMove: nobody asked, or somebody answered already.
    """
    with store.transaction():
        sheet = store.sheets.get(sheet_id)
        if not sheet.hold or sheet.state is not SheetState.DRAWN:
            raise ImpossibleMove(f"sheet {sheet.id}", sheet.state, "release")
        if prints:
            sheet = sheet.with_(hold="")
            store.sheets.put(sheet)
        else:
            sheet = move_sheet(store, sheet, "fail", hold="", reason=f"not printed, as a person decided: {sheet.hold}")
        review_ticket(store, sheet.ticket_id, now)
        return sheet


def answer_unsure(store: Store, sheet_id: int, copies: int, now: datetime) -> Sheet:
    """Take a person's answer to "did this come out?"; what did not is printed again.

    Args:
        store: the open store.
        sheet_id: of the sheet.
        copies: how many of the print job's copies came out; more count as all.
        now: the time.

    Raises:
        ImpossibleMove: the sheet is not (or no longer) unsure.
    """
    with store.transaction():
        sheet = store.sheets.get(sheet_id)
        states.after(states.SHEET_MOVES, f"sheet {sheet.id}", sheet.state, "give back")
        print_job = store.print_jobs.get(sheet.print_job_id or 0)
        return settle_unsure(store, sheet, print_job, copies, "a person looked", now)


# -- print jobs of which nothing is heard -----------------------------------------------------------------------


def wait_longer(store: Store, print_job_id: int) -> PrintJob:
    """A person chooses to wait for a printer; it is told again when a while has passed.

    Raises:
        Conflict: it moves again, or has ended.
    """
    with store.transaction():
        print_job = _stuck(store, print_job_id)
        assert print_job.stuck is not None  # noqa: S101  (for the type checker)
        print_job = print_job.with_(stuck=print_job.stuck.with_(waits_until_s=store.clock.running_s() + WAIT_LONGER_S))
        store.print_jobs.put(print_job)
        return print_job


def ask_about(store: Store, print_job_id: int, now: datetime) -> PrintJob:
    """A person would rather look at the paper than wait for the printer: the sheet becomes a question.

    What the printer has not begun is taken back from it as soon as it answers.

    Raises:
        Conflict: it moves again, or has ended.
    """
    with store.transaction():
        print_job = _stuck(store, print_job_id)
        if print_job.state in (PrintJobState.INTENDED, PrintJobState.CREATED):
            return print_elsewhere(store, print_job_id, now)  # nothing was sent: there is nothing to look at
        reason = "a person wants to look instead of waiting for the printer"
        return settle_print_job(store, print_job, "doubt", now, reason=reason, is_orphaned=True)


def print_elsewhere(store: Store, print_job_id: int, now: datetime) -> PrintJob:
    """Let another printer have a sheet that its printer has surely not begun, and cannot begin by itself.

    Raises:
        Conflict: it may have begun, moves again, or has ended.
    """
    with store.transaction():
        print_job = _stuck(store, print_job_id)
        if not print_job.is_surely_unbegun:
            raise Conflict("the printer may have begun with it: look at the paper first")
        has_heard = print_job.job_id is not None
        return settle_print_job(store, print_job, "cancel", now, reason=MOVED, is_orphaned=has_heard)


def _stuck(store: Store, print_job_id: int) -> PrintJob:
    print_job = store.print_jobs.get(print_job_id)
    if print_job.stuck is None or print_job.state not in states.OPEN_PRINT_JOBS:
        raise Conflict("this print has moved on: look at it again")
    return print_job
