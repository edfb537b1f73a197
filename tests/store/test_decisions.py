"""What people decide: canceling, holding, going on; and what the desktops hear of it."""

from __future__ import annotations

import pytest

from store import decisions, intake, progress
from store.errors import ImpossibleMove
from store.records import Change, Outcome, PrintJob, Sheet, Ticket
from store.sizes import parse_size
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from tests.studio import FINISH, NOW, SELECT, add_render_job, photo, push


@pytest.fixture
def ticket(store: Store) -> Ticket:
    """Three drawn sheets: one with its printer, one that waits, one that only becomes a file."""
    pool_id = 1
    add_render_job(store, pool_id=pool_id)
    intake.accept(store, push(photo(store, 1, 60, 40)), NOW)
    with store.transaction():
        ticket = store.tickets.get(1)
        for event in ("start", "drawn"):
            ticket = progress.move_ticket(store, ticket, event, NOW)
        for number, prints in enumerate((True, True, False), 1):
            fields = {"ticket_id": 1, "profile_id": 1, "item": str(number), "image": "0001.jpg", "prints": prints}
            size = parse_size("4x6")
            store.sheets.add(Sheet(size=size, quantity=3, state=SheetState.DRAWN, file=f"{number}.jpg", **fields))
        job = PrintJob(
            sheet_id=1, ticket_id=1, printer_id=1, job_name="a", copies=3, state=PrintJobState.INTENDED,
            intended_at=NOW, changed_at=NOW,
        )  # fmt: skip
        job = store.print_jobs.add(job)
        progress.move_sheet(store, store.sheets.get(1), "assign", print_job_id=job.id)
        for event in ("create", "begin", "send"):
            job = progress.move_print_job(store, job, event, NOW)
    return progress.review_ticket(store, 1, NOW)


def states(store: Store) -> list[str]:
    return [sheet.state.value for sheet in store.sheets.by("ticket", 1)]


def told(store: Store) -> list[Change]:
    return store.changes.after(0, 100)


def test_canceling_takes_back_what_printers_have_and_says_who_did_it(store: Store, ticket: Ticket) -> None:
    assert decisions.cancel_ticket(store, ticket.id, NOW, "Kim").state is TicketState.CANCELED
    assert states(store) == ["assigned", "canceled", "drawn"]
    assert store.print_jobs.get(1).withdrawal == "canceled by Kim"
    (change,) = told(store)
    assert (change.outcome, change.reason, change.status) == (Outcome.CANCELED, "canceled by Kim", SELECT)
    assert [one.outcome for one in change.results] == [Outcome.CANCELED, Outcome.CANCELED, Outcome.DONE]
    assert store.records.get(1).status == SELECT


@pytest.mark.parametrize(
    ("event", "copies", "state", "done", "words"),
    [
        ("complete", None, SheetState.PRINTED, 3, ""),
        ("cancel", None, SheetState.CANCELED, 0, "canceled by Kim"),
        ("cancel", 2, SheetState.CANCELED, 2, "canceled by Kim; 2 of 3 were out by then"),
        ("abort", None, SheetState.CANCELED, 0, "canceled by Kim"),
        ("doubt", None, SheetState.CANCELED, 0, "canceled by Kim; the link broke"),
    ],
)
def test_the_printers_word_settles_a_sheet_that_was_canceled(
    store: Store, ticket: Ticket, event: str, copies: int | None, state: SheetState, done: int, words: str
) -> None:
    decisions.cancel_ticket(store, ticket.id, NOW, "Kim")
    reason = {"reason": "the link broke"} if event == "doubt" else {}
    progress.settle_print_job(store, store.print_jobs.get(1), event, NOW, copies=copies, **reason)
    sheet = store.sheets.get(1)
    assert (sheet.state, sheet.copies_done, sheet.reason) == (state, done, words)
    ticket = store.tickets.get(ticket.id)
    assert ticket.state is TicketState.CANCELED
    assert ticket.results[0].copies == done and len(ticket.results) == 3


def test_what_was_settled_meanwhile_is_not_settled_again(store: Store, ticket: Ticket) -> None:
    """A printer answers after seconds; what it says is about the row as it was."""
    as_it_was = store.print_jobs.get(1)
    progress.settle_print_job(store, as_it_was, "cancel", NOW, reason="elsewhere")
    sheet = store.sheets.get(1)
    again = progress.settle_print_job(store, as_it_was, "abort", NOW, holds=True, reason="canceled there")
    assert (again.state, again.reason) == (PrintJobState.CANCELED, "elsewhere")
    assert store.sheets.get(1) == sheet


def test_a_wish_is_not_lost_by_what_a_printer_says_of_the_row_as_it_was(store: Store, ticket: Ticket) -> None:
    as_it_was = store.print_jobs.get(1)
    decisions.cancel_ticket(store, ticket.id, NOW, "Kim")
    progress.settle_print_job(store, as_it_was, "abort", NOW, holds=True, reason="canceled there")
    assert (store.sheets.get(1).state, store.sheets.get(1).reason) == (SheetState.CANCELED, "canceled by Kim")


def test_one_sheet_is_canceled_and_the_ticket_goes_on_without_it(store: Store, ticket: Ticket) -> None:
    assert decisions.cancel_sheet(store, 2, NOW, "Kim").state is SheetState.CANCELED
    decisions.cancel_sheet(store, 1, NOW, "Kim")
    assert states(store) == ["assigned", "canceled", "drawn"] and store.print_jobs.get(1).withdrawal
    progress.settle_print_job(store, store.print_jobs.get(1), "complete", NOW)
    ended = store.tickets.get(1)
    assert (ended.state, ended.reason) == (TicketState.FINISHED, "canceled by Kim")
    (change,) = told(store)
    assert (change.outcome, change.status) == (Outcome.PARTLY, FINISH)
    with pytest.raises(ImpossibleMove):
        decisions.cancel_sheet(store, 1, NOW, "Kim")


def test_a_canceled_sheet_that_may_have_come_out_keeps_saying_so(store: Store, ticket: Ticket) -> None:
    progress.settle_print_job(store, store.print_jobs.get(1), "doubt", NOW, reason="the link broke")
    decisions.cancel_ticket(store, ticket.id, NOW, "Kim")
    assert store.sheets.get(1).reason == "canceled by Kim; the link broke"


def test_holding_and_going_on_are_told_and_change_no_state(store: Store, ticket: Ticket) -> None:
    held = decisions.hold_ticket(store, ticket.id, NOW, "Kim")
    assert held.is_stopped and held.state is ticket.state
    decisions.hold_ticket(store, ticket.id, NOW, "Alex")  # twice is once
    (change,) = told(store)
    assert (change.outcome, change.reason, change.status) == (Outcome.HELD, "held by Kim", SELECT)
    assert not decisions.resume_ticket(store, ticket.id).is_stopped


def test_a_question_to_a_person_reaches_the_desktops(store: Store, ticket: Ticket) -> None:
    progress.settle_print_job(store, store.print_jobs.get(1), "doubt", NOW, reason="the link broke")
    (change,) = told(store)
    assert change.outcome is Outcome.HELD and change.reason.startswith("waits for a person: 1 sheet may or may not")


def test_a_fault_of_ours_parks_one_ticket_with_what_support_needs(store: Store, ticket: Ticket) -> None:
    try:
        raise RuntimeError("odd")
    except RuntimeError as error:
        progress.park_ticket(store, ticket.id, "printing", error, NOW)
    parked = store.tickets.get(ticket.id)
    assert parked.is_stopped and parked.state is ticket.state
    assert parked.fault and "RuntimeError('odd') at test_decisions.py" in parked.fault.error
    assert told(store)[-1].reason == "held: a fault in Printroom while printing"
    again = decisions.resume_ticket(store, ticket.id)
    assert again.fault is None and not again.reason and not again.is_stopped


@pytest.mark.parametrize("decide", [decisions.hold_ticket, decisions.cancel_ticket])
def test_what_has_ended_cannot_be_decided_about(store: Store, ticket: Ticket, decide: object) -> None:
    decisions.cancel_ticket(store, ticket.id, NOW)
    with pytest.raises(ImpossibleMove):
        decide(store, ticket.id, NOW)  # type: ignore[operator]
    with pytest.raises(ImpossibleMove):
        decisions.resume_ticket(store, ticket.id)
