"""How tickets, sheets and print jobs move: the only writers of a state. Each move is one transaction with what
follows from it: the trace, the log line, and at a ticket's end the record's status and the change for the desktops.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from store import downloads, queue_jobs, states
from store.pushed import AT_THE_BOX
from store.records import Change, Fault, Instructions, ItemResult, Moment, Outcome, PrintJob, Record, Sheet, Ticket
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
    moved = print_job.with_(**{"state": state, "changed_at": now, "stuck": None, **changes})
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
    store: Store,
    print_job: PrintJob,
    event: str,
    now: datetime,
    holds: bool = False,
    copies: int | None = None,
    **changes: Any,
) -> PrintJob:
    """Move a print job to its end, its sheet with it, and the ticket when that was its last sheet.

    Where somebody else has moved it meanwhile, that counts, and nothing is changed: printers take their time to answer,
    and people decide in between.

    Args:
        store: the open store.
        print_job: the row as it was when this was decided.
        event: what happened.
        now: the time.
        holds: a person must say whether the sheet is printed again, instead of its failing.
        copies: that surely came out, of a print job that did not complete; None: of one that did, all.
        changes: further fields of the row, such as the reason.
    """
    with store.transaction():
        current = store.print_jobs.get(print_job.id)
        if current.state is not print_job.state:
            log.info("print_job.overtaken", id=current.id, state=current.state.value, event_name=event)
            return current
        moved = move_print_job(store, current, event, now, **changes)
        sheet = store.sheets.get(moved.sheet_id)
        is_wanted = not moved.withdrawal and store.tickets.get(moved.ticket_id).state not in states.ENDED_TICKETS
        if moved.state is PrintJobState.COMPLETED:
            count_copies(store, sheet, moved.copies, moved.withdrawal if not is_wanted else "")
        elif copies:
            count_copies(store, sheet, copies, moved.withdrawal if not is_wanted else "")
        elif not is_wanted:
            move_sheet(store, sheet, "cancel", reason=_why_canceled(moved))
        elif sheet.slip and moved.state is not PrintJobState.CANCELED:
            move_sheet(store, sheet, "fail", reason=moved.reason)  # nobody is asked about a slip
        elif holds:
            move_sheet(store, sheet, "give back", reason="", hold=moved.reason)
        else:
            move_sheet(store, sheet, _SHEET_AFTER[moved.state], reason=moved.reason)
        review_ticket(store, moved.ticket_id, now)
    return moved


def settle_orphan(store: Store, print_job: PrintJob, copies: int | None, now: datetime) -> None:
    """A printer told at last what became of a job that was settled without its word.

    Args:
        store: the open store.
        print_job: the row.
        copies: that came out there; None: it does not tell.
        now: the time.
    """
    with store.transaction():
        print_job = store.print_jobs.get(print_job.id).with_(is_orphaned=False)
        store.print_jobs.put(print_job)
        sheet = store.sheets.find(print_job.sheet_id)
        if sheet is None or copies is None:
            return
        is_asked = print_job.state is PrintJobState.UNSURE and sheet.state is SheetState.UNSURE
        if is_asked and sheet.print_job_id == print_job.id and print_job.is_acknowledged:
            settle_unsure(store, sheet, print_job, copies, "the printer told at last", now)
        elif copies and print_job.state in (PrintJobState.CANCELED, PrintJobState.ABORTED):
            printer = store.printers.find(print_job.printer_id)
            also = f"{copies} also came out of {printer.name if printer else 'a printer'}: take them away"
            store.sheets.put(sheet.with_(flags=(*sheet.flags, also)))
            log.warning("print_job.came_out_too", id=print_job.id, sheet=sheet.id, copies=copies)


def settle_unsure(store: Store, sheet: Sheet, print_job: PrintJob, copies: int, who: str, now: datetime) -> Sheet:
    """It is known now how many copies of an unsure print job came out; the others are printed again.

    Args:
        store: the open store.
        sheet: which is unsure.
        print_job: about which was asked.
        copies: that came out; more than there were count as all.
        who: tells it, for the row.
        now: the time.
    """
    with store.transaction():
        copies = min(max(0, copies), print_job.copies)
        if copies:
            note = who if copies == print_job.copies else f"{who}: {copies} of {print_job.copies}"
            move_print_job(store, print_job, "complete", now, reason=note)
            sheet = count_copies(store, sheet, copies)
        else:
            move_print_job(store, print_job, "abort", now, reason=f"{who}: it did not come out")
            sheet = move_sheet(store, sheet, "give back", reason="")
        review_ticket(store, sheet.ticket_id, now)
        return sheet


def _why_canceled(print_job: PrintJob) -> str:
    """What is said of a sheet that nobody wants any more."""
    if print_job.state is PrintJobState.UNSURE:
        return f"{print_job.withdrawal}; {print_job.reason}"
    return print_job.withdrawal


def count_copies(store: Store, sheet: Sheet, copies: int, withdrawal: str = "") -> Sheet:
    """Copies of a sheet came out: it is printed, or the rest goes to a printer again, unless nobody wants it now."""
    done = sheet.copies_done + copies
    if done >= sheet.quantity:
        return move_sheet(store, sheet, "print", reason="", copies_done=done)
    if withdrawal:
        reason = f"{withdrawal}; {done} of {sheet.quantity} were out by then"
        return move_sheet(store, sheet, "cancel", reason=reason, copies_done=done)
    return move_sheet(store, sheet, "give back", reason="", copies_done=done)


def review_ticket(store: Store, ticket_id: int, now: datetime) -> Ticket:
    """Move a ticket to where its sheets have brought it: held for an unsure sheet, or to its end."""
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        if ticket.state is TicketState.CANCELED:
            return _review_canceled(store, ticket, now)
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
            return _ask(store, ticket, f"{what}: look at the paper and answer on this page", now)
        if held and not unsure and ticket.state is not TicketState.HELD:
            what = f"{len(held)} sheet{'s' * (len(held) > 1)} wait{'s' * (len(held) == 1)} for your word"
            return _ask(store, ticket, f"{what} ({held[0].hold}): print, or not, on this page", now)
        if not unsure and not held and is_open and ticket.state is TicketState.HELD:
            return move_ticket(store, ticket, "resume" if was_sent else "release", now)
        if is_open:
            return ticket
        sheets = store.sheets.by("ticket", ticket_id)
        instructions = store.instructions.get(ticket_id)
        return end_ticket(store, ticket, results_of(store, ticket, instructions, sheets), now)


def _ask(store: Store, ticket: Ticket, reason: str, now: datetime) -> Ticket:
    held = move_ticket(store, ticket, "ask", now, reason)
    tell(store, held, Outcome.HELD, now, reason=f"waits for a person: {reason}")
    return held


def _review_canceled(store: Store, ticket: Ticket, now: datetime) -> Ticket:
    """A printer said what became of a sheet of a canceled ticket: the results say so, too."""
    if store.sheets.count("open", ticket.id):
        return ticket
    results = results_of(store, ticket, store.instructions.get(ticket.id), store.sheets.by("ticket", ticket.id))
    known = ticket.with_(results=results, changed_at=now)
    store.tickets.put(known)
    return known


def results_of(
    store: Store, ticket: Ticket, instructions: Instructions, sheets: Iterable[Sheet]
) -> tuple[ItemResult, ...]:
    """What became of each item, from its sheets; items that never got a sheet are already in the ticket."""
    profiles = {profile.id: profile for profile in instructions.profiles}
    results = list(ticket.results)
    for sheet in sheets:
        outcome = _OUTCOMES.get(sheet.state, Outcome.CANCELED)
        if sheet.is_cover and (outcome is not Outcome.FAILED or sheet.slip):
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
                    outcome=outcome,
                    reason=sheet.reason,
                    files=(sheet.file,) if sheet.file else (),
                    printers=tuple(printers),
                    copies=sheet.copies_done * cells,
                )
            )
    return tuple(results)


_OUTCOMES = {
    SheetState.PRINTED: Outcome.DONE,
    SheetState.DRAWN: Outcome.DONE,
    SheetState.FAILED: Outcome.FAILED,
}


def end_ticket(
    store: Store, ticket: Ticket, results: tuple[ItemResult, ...], now: datetime, is_idle: bool = False
) -> Ticket:
    """Finish or fail a ticket: its last move, the record's status and the change for the desktops, in one commit.

    What a person canceled does not make it fail: somebody decided that it is not needed.

    Args:
        store: the open store.
        ticket: as it is now.
        results: what became of each item.
        now: the time.
        is_idle: it had nothing to do, because others that opened with it do it all: they give the record its status.
    """
    counts = Counter(result.outcome for result in results)
    event = "fail" if counts[Outcome.FAILED] else "finish"
    others = counts[Outcome.FAILED] + counts[Outcome.CANCELED]
    alone = Outcome.FAILED if counts[Outcome.FAILED] else Outcome.CANCELED
    outcome = Outcome.DONE if not others else Outcome.PARTLY if counts[Outcome.DONE] else alone
    reasons = list(dict.fromkeys(result.reason for result in results if result.outcome is not Outcome.DONE))
    with store.transaction():
        render_job = store.instructions.get(ticket.id).render_job
        status = render_job.finish_status if event == "finish" else render_job.error_status
        reason = "; ".join(reasons[:3]) if not is_idle else "nothing to do: other render jobs of this status do it all"
        ended = move_ticket(store, ticket.with_(results=results), event, now, reason)
        if ended.reprint_of is not None:
            return ended
        record = store.records.get(ticket.record_id)
        if is_idle:
            status = record.status
        store.records.put(record.with_(status=status, changed_at=now))
        queue_jobs.follow(store, ended, now)
        tell(store, ended, outcome, now, reason, record, status)
    return ended


def tell(
    store: Store,
    ticket: Ticket,
    outcome: Outcome,
    now: datetime,
    reason: str,
    record: Record | None = None,
    status: str = "",
    results: tuple[ItemResult, ...] | None = None,
) -> None:
    """Let the desktops hear what became of a ticket, where they know of its record.

    Args:
        store: the open store.
        ticket: as it is now.
        outcome: what became of it.
        now: the time.
        reason: why.
        record: as it was before; None: it did not change.
        status: that the record has now; '' for the one that it had.
        results: what became of each item so far; None for the ticket's.
    """
    record = record or store.records.find(ticket.record_id)
    sample = store.settings.sample
    is_ours = record is None or record.kind in AT_THE_BOX or (sample is not None and record.id in sample.records)
    if record is None or is_ours or ticket.reprint_of is not None:
        return
    has_ended = outcome not in (Outcome.HELD, Outcome.CANCELED) or ticket.state in (
        TicketState.FINISHED,
        TicketState.FAILED,
    )
    store.changes.add(
        Change(
            record_id=record.id,
            ticket_id=ticket.id,
            kind=record.kind,
            number=record.number,
            status=status or record.status,
            previous_status=record.status,
            outcome=outcome,
            reason=reason,
            results=ticket.results if results is None else results,
            download=downloads.open_link(store, ticket, now) if has_ended else "",
            at=now,
        )
    )


def park_ticket(
    store: Store, ticket_id: int, where: str, error: BaseException, now: datetime, reason: str = ""
) -> None:
    """A fault of ours in one ticket: it is left alone, also after a restart, and touches no other.

    Args:
        store: the open store.
        ticket_id: of the ticket.
        where: which part of the box stumbled: "drawing", "printing".
        error: as it was raised.
        now: the time.
        reason: what a person reads; '' for the usual.
    """
    at = traceback.extract_tb(error.__traceback__)[-3:]
    places = " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(at))
    elsewhere = "; ".join(getattr(error, "__notes__", ()))  # what another process told of its own place
    fault = Fault(at=now, where=where, error=f"{error!r} at {elsewhere or places}"[:1000])
    with store.transaction():
        ticket = store.tickets.find(ticket_id)
        if ticket is None or ticket.state in states.ENDED_TICKETS:
            return
        parked = ticket.with_(fault=fault, reason=reason or f"held: a fault in Printroom while {where}")
        store.tickets.put(parked)
        tell(store, parked, Outcome.HELD, now, parked.reason)
    log.error("ticket.parked", id=ticket_id, where=where, error=fault.error)
