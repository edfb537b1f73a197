"""How tickets, sheets and print jobs move: the only writers of a state. Each move is one transaction with what
follows from it: the trace, the log line, and at a ticket's end the record's status and the change for the desktops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog

from store import downloads, queue_jobs, states
from store.errors import ImpossibleMove
from store.pushed import AT_THE_BOX
from store.records import Change, Instructions, ItemResult, Moment, Outcome, PrintJob, Sheet, Ticket
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store

log = structlog.get_logger("progress")


def move_ticket(store: Store, ticket: Ticket, event: str, now: datetime, reason: str = "") -> Ticket:
    """Move a ticket and keep the move in its trace.

    Raises:
        ImpossibleMove: its state does not know the event; nothing was changed.
    """
    state = states.after(states.TICKET_MOVES, f"ticket {ticket.id}", ticket.state, event)
    moved = ticket.with_(
        state=state,
        reason=reason,
        changed_at=now,
        trace=(*ticket.trace, Moment(at=now, event=event, state=state, note=reason)),
    )
    store.tickets.put(moved)
    log.info(
        "ticket.moved", id=ticket.id, **{"from": ticket.state.value}, to=state.value, event_name=event, reason=reason
    )
    return moved


def explain_ticket(store: Store, ticket: Ticket, reason: str) -> Ticket:
    """Say why a ticket stands where it stands; kept only when that is news."""
    if ticket.reason == reason:
        return ticket
    explained = ticket.with_(reason=reason)
    store.tickets.put(explained)
    if reason:
        log.info("ticket.waits", id=ticket.id, state=ticket.state.value, reason=reason)
    return explained


def move_sheet(store: Store, sheet: Sheet, event: str, **changes: Any) -> Sheet:
    """Move a sheet, with other fields that change along.

    Raises:
        ImpossibleMove: its state does not know the event; nothing was changed.
    """
    state = states.after(states.SHEET_MOVES, f"sheet {sheet.id}", sheet.state, event)
    moved = sheet.with_(state=state, **changes)
    store.sheets.put(moved)
    return moved


def move_print_job(store: Store, print_job: PrintJob, event: str, now: datetime, **changes: Any) -> PrintJob:
    """Move a row of the ledger, with other fields that change along.

    Raises:
        ImpossibleMove: its state does not know the event; nothing was changed.
    """
    state = states.after(states.PRINT_JOB_MOVES, f"print job {print_job.id}", print_job.state, event)
    moved = print_job.with_(state=state, changed_at=now, **changes)
    store.print_jobs.put(moved)
    log.info(
        "print_job.moved",
        id=moved.id,
        sheet=moved.sheet_id,
        printer=moved.printer_id,
        **{"from": print_job.state.value},
        to=state.value,
        reason=moved.reason,
    )
    return moved


_SHEET_AFTER = {
    PrintJobState.ABORTED: "fail",
    PrintJobState.CANCELED: "give back",
    PrintJobState.UNSURE: "doubt",
}


def settle_print_job(
    store: Store, print_job: PrintJob, event: str, now: datetime, holds: bool = False, **changes: Any
) -> PrintJob:
    """Move a print job to its end, its sheet with it, and the ticket when that was its last sheet.

    Args:
        store: the open store.
        print_job: the row.
        event: what happened.
        now: the time.
        holds: a person must say whether the sheet is printed again, instead of its failing.
        changes: further fields of the row, such as the reason.
    """
    with store.transaction():
        moved = move_print_job(store, print_job, event, now, **changes)
        sheet = store.sheets.get(moved.sheet_id)
        if moved.state is PrintJobState.COMPLETED:
            _count_copies(store, sheet, moved.copies)
        elif sheet.slip and moved.state is not PrintJobState.CANCELED:
            move_sheet(store, sheet, "fail", reason=moved.reason)  # nobody is asked about a slip
        elif holds:
            move_sheet(store, sheet, "give back", reason="", hold=moved.reason)
        else:
            move_sheet(store, sheet, _SHEET_AFTER[moved.state], reason=moved.reason)
        review_ticket(store, moved.ticket_id, now)
    return moved


def _count_copies(store: Store, sheet: Sheet, copies: int) -> Sheet:
    """Copies of a sheet came out: it is printed, or the rest goes to a printer again."""
    done = sheet.copies_done + copies
    return move_sheet(store, sheet, "print" if done >= sheet.quantity else "give back", reason="", copies_done=done)


def review_ticket(store: Store, ticket_id: int, now: datetime) -> Ticket:
    """Move a ticket to where its sheets have brought it: held for an unsure sheet, or to its end."""
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        if ticket.state in states.ENDED_TICKETS or ticket.state in (TicketState.WAITING, TicketState.RENDERING):
            return ticket
        unsure = store.sheets.count("ticket_state", (ticket_id, SheetState.UNSURE.value))
        held = store.sheets.by("held", ticket_id)
        is_open = store.sheets.count("open", ticket_id) > 0
        was_sent = store.sheets.count("was_sent", ticket_id) > 0
        if ticket.state is TicketState.RENDERED and was_sent:
            ticket = move_ticket(store, ticket, "send", now)
        if unsure and ticket.state is not TicketState.HELD:
            what = f"{unsure} sheet{'s' * (unsure > 1)} may or may not have come out of the printer"
            return move_ticket(store, ticket, "ask", now, f"{what}: look at the paper and answer on this page")
        if held and not unsure and ticket.state is not TicketState.HELD:
            what = f"{len(held)} sheet{'s' * (len(held) > 1)} wait{'s' * (len(held) == 1)} for your word"
            return move_ticket(store, ticket, "ask", now, f"{what} ({held[0].hold}): print, or not, on this page")
        if not unsure and not held and is_open and ticket.state is TicketState.HELD:
            return move_ticket(store, ticket, "resume" if was_sent else "release", now)
        if is_open:
            return ticket
        sheets = store.sheets.by("ticket", ticket_id)
        instructions = store.instructions.get(ticket_id)
        return end_ticket(store, ticket, results_of(store, ticket, instructions, sheets), now)


def results_of(
    store: Store, ticket: Ticket, instructions: Instructions, sheets: Iterable[Sheet]
) -> tuple[ItemResult, ...]:
    """What became of each item, from its sheets; items that never got a sheet are already in the ticket."""
    profiles = {profile.id: profile for profile in instructions.profiles}
    results = list(ticket.results)
    for sheet in sheets:
        is_done = sheet.state in (SheetState.PRINTED, SheetState.DRAWN)
        if sheet.is_cover and (is_done or sheet.slip):
            continue
        printers: list[str] = []
        for print_job in store.print_jobs.by("sheet", sheet.id):
            if print_job.state is PrintJobState.COMPLETED:
                printer = store.printers.find(print_job.printer_id)
                printers.append(printer.name if printer else f"printer {print_job.printer_id}")
        for (item, image), cells in Counter(sheet.lines or ((sheet.item, sheet.image),)).items():
            results.append(
                ItemResult(
                    item=item,
                    image=image,
                    profile=profiles[sheet.profile_id].name,
                    outcome=Outcome.DONE if is_done else Outcome.FAILED,
                    reason=sheet.reason,
                    files=(sheet.file,) if sheet.file else (),
                    printers=tuple(printers),
                    copies=sheet.copies_done * cells,
                )
            )
    return tuple(results)


def end_ticket(store: Store, ticket: Ticket, results: tuple[ItemResult, ...], now: datetime) -> Ticket:
    """Finish or fail a ticket: its last move, the record's status and the change for the desktops, in one commit."""
    counts = Counter(result.outcome for result in results)
    if not counts[Outcome.FAILED]:
        outcome, event = Outcome.DONE, "finish"
    else:
        outcome, event = (Outcome.PARTLY if counts[Outcome.DONE] else Outcome.FAILED), "fail"
    reasons = list(dict.fromkeys(result.reason for result in results if result.outcome is Outcome.FAILED))
    with store.transaction():
        render_job = store.instructions.get(ticket.id).render_job
        status = render_job.finish_status if event == "finish" else render_job.error_status
        ended = move_ticket(store, ticket.with_(results=results), event, now, "; ".join(reasons[:3]))
        if ended.reprint_of is not None:
            return ended
        record = store.records.get(ticket.record_id)
        store.records.put(record.with_(status=status, changed_at=now))
        if record.kind in AT_THE_BOX:
            queue_jobs.follow(store, ended, now)
            return ended
        sample = store.settings.sample
        if sample is not None and record.id in sample.records:
            return ended  # no desktop knows of it
        store.changes.add(
            Change(
                record_id=record.id,
                ticket_id=ticket.id,
                kind=record.kind,
                number=record.number,
                status=status,
                previous_status=record.status,
                outcome=outcome,
                results=results,
                download=downloads.open_link(store, ended, now),
                at=now,
            )
        )
    return ended


def cancel_ticket(store: Store, ticket_id: int, now: datetime) -> Ticket:
    """Stop a ticket for a person: what no printer has begun is withdrawn. The record keeps its status."""
    with store.transaction():
        ticket = move_ticket(store, store.tickets.get(ticket_id), "cancel", now, "canceled in the panel")
        for sheet in store.sheets.by("ticket", ticket_id):
            if (sheet.state, "fail") in states.SHEET_MOVES and sheet.state is not SheetState.ASSIGNED:
                move_sheet(store, sheet, "fail", reason="canceled in the panel")
        queue_jobs.follow(store, ticket, now)
        return ticket


def cancel_queue_job(store: Store, job_id: int, now: datetime) -> None:
    """Stop a job of a print queue, wherever it is.

    Raises:
        ImpossibleMove: it has ended.
    """
    with store.transaction():
        job = store.queue_jobs.get(job_id)
        if job.state is states.QueueJobState.PRINTING and job.ticket_id is not None:
            cancel_ticket(store, job.ticket_id, now)  # its end is the job's
        else:
            queue_jobs.move(store, job, "cancel", now)


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
        copies = min(max(0, copies), print_job.copies)
        if copies:
            note = "a person saw it" if copies == print_job.copies else f"a person saw {copies} of {print_job.copies}"
            move_print_job(store, print_job, "complete", now, reason=note)
            sheet = _count_copies(store, sheet, copies)
        else:
            move_print_job(store, print_job, "abort", now, reason="a person looked: it did not come out")
            sheet = move_sheet(store, sheet, "give back", reason="")
        review_ticket(store, sheet.ticket_id, now)
        return sheet
