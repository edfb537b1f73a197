"""Printing again, and the report of what was printed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store import progress
from store.records import Printer, PrintJob, ReprintReason, Sheet, Ticket
from store.report import report
from store.reprints import reprint
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from tests.store.test_history import finished
from tests.studio import FINISH, NOW, add_render_job

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def original(store: Store) -> Ticket:
    add_render_job(store, pool_id=1)
    store.printers.add(Printer(name="Lab One"))
    ticket = store.tickets.get(finished(store, "S-1"))
    (sheet,) = store.sheets.by("ticket", ticket.id)
    store.sheets.put(sheet.with_(prints=True, copies_done=1))
    return ticket


def again(store: Store, original: Ticket, copies: int = 2) -> tuple[Ticket, Sheet]:
    (sheet,) = store.sheets.by("ticket", original.id)
    instructions = store.instructions.get(original.id)
    ticket = reprint(store, original, instructions, [(sheet, copies)], ReprintReason.DAMAGED, LATER)
    (copy,) = store.sheets.by("ticket", ticket.id)
    return ticket, copy


def print_it(store: Store, sheet: Sheet) -> None:
    job = store.print_jobs.add(
        PrintJob(
            sheet_id=sheet.id,
            ticket_id=sheet.ticket_id,
            printer_id=1,
            job_name="again",
            copies=sheet.quantity,
            state=PrintJobState.SENT,
            intended_at=LATER,
            changed_at=LATER,
        )
    )
    with store.transaction():
        progress.move_sheet(store, sheet, "assign", print_job_id=job.id)
        progress.settle_print_job(store, job, "complete", LATER)


def test_a_sheet_is_printed_again_as_it_was_drawn(store: Store, original: Ticket) -> None:
    ticket, sheet = again(store, original)
    assert (ticket.state, ticket.reprint_of) == (TicketState.RENDERED, original.id)
    assert (sheet.state, sheet.quantity, sheet.copies_done, sheet.print_job_id) == (SheetState.DRAWN, 2, 0, None)
    assert store.folder.sheet(sheet.id).read_bytes() == store.folder.sheet(original.id).read_bytes()
    assert store.instructions.get(ticket.id).profiles == store.instructions.get(original.id).profiles


def test_a_sheet_whose_file_has_expired_is_drawn_again(store: Store, original: Ticket) -> None:
    store.folder.sheet(store.sheets.by("ticket", original.id)[0].id).unlink()
    ticket, sheet = again(store, original)
    assert (ticket.state, sheet.state) == (TicketState.RENDERING, SheetState.PLANNED)


def test_a_reprint_ends_without_touching_the_record_or_telling_the_desktops(store: Store, original: Ticket) -> None:
    record = store.records.get(1)
    ticket, sheet = again(store, original)
    print_it(store, sheet)
    ended = store.tickets.get(ticket.id)
    assert ended.state is TicketState.FINISHED and ended.results[0].copies == 2
    assert store.records.get(1) == record and record.status == FINISH
    assert len(store.changes) == 1


def test_the_report_counts_sheets_by_printer_and_paper_and_tells_waste(store: Store, original: Ticket) -> None:
    _, sheet = again(store, original)
    print_it(store, sheet)
    told = report(store, NOW - timedelta(days=1))
    (line,) = told.lines
    assert (line.printer, line.paper, line.copies, line.orders, line.reprints) == ("Lab One", "4x6", 3, 2, 2)
    assert told.reasons == {"damaged or soiled": 2} and told.doubts == 0
    assert report(store, LATER + timedelta(seconds=1)).lines == ()
