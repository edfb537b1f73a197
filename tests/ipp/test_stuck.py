"""Print jobs of which nothing is heard: people are told, and what they choose prints nothing twice."""

from __future__ import annotations

from typing import Any

import pytest

from ipp import stuck as stuck_module
from ipp.stuck import stuck
from store import decisions
from store.errors import Conflict
from store.records import Printer, PrinterPool, PrinterState, PrinterStatus, PrintJob, StuckReason
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from tests.ipp.test_habits import copies_by_sheet
from tests.ipp.test_sender import NOW, StartVirtual, add_printer, drawn_ticket, ends_as, pool, room
from tests.lab import until

__all__ = ["pool"]  # the fixture

pytestmark = pytest.mark.unannounced


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are told after a moment instead of minutes."""
    monkeypatch.setattr(stuck_module, "AFTER_S", dict.fromkeys(StuckReason, 1.0))
    monkeypatch.setattr(stuck_module, "PACES", 0)
    monkeypatch.setattr("ipp.sender.ORPHANS_EVERY_S", 0.2)
    for name in ("ipp.carrier.LATER_S", "ipp.withdrawals.LOOK_EVERY_S"):
        monkeypatch.setattr(name, 0.1)


def stuck_job(store: Store, *reasons: StuckReason) -> PrintJob:
    def found() -> PrintJob | None:
        return next(
            (job for job in store.print_jobs.by("stuck", True) if job.stuck and job.stuck.reason in reasons), None
        )

    job = until(found, f"it is told as one of {reasons}")
    assert job is not None
    return job


# -- what is told -------------------------------------------------------------------------------------------------

PRINTER = Printer(id=1, name="Lab One", uri="ipp://x")
STATES: list[tuple[dict[str, Any], str, PrintJobState, StuckReason]] = [
    ({"state": PrinterState.UNREACHABLE}, "", PrintJobState.SENT, StuckReason.UNREACHABLE),
    ({"state": PrinterState.STOPPED, "state_reasons": ("media-jam",)}, "", PrintJobState.SENT, StuckReason.STOPPED),
    (
        {"state": PrinterState.PROCESSING, "state_reasons": ("media-needed",)},
        "",
        PrintJobState.SENT,
        StuckReason.WISHES,
    ),
    ({"state": PrinterState.IDLE}, "it is busy", PrintJobState.CREATED, StuckReason.BUSY),
    ({"state": PrinterState.PROCESSING}, "", PrintJobState.SENT, StuckReason.SILENT),
]


@pytest.mark.parametrize(("status", "words", "state", "reason"), STATES)
def test_why_nothing_moves(
    monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], words: str, state: PrintJobState, reason: StuckReason
) -> None:
    monkeypatch.setattr(stuck_module, "AFTER_S", dict.fromkeys(StuckReason, 100.0))
    job = PrintJob(
        sheet_id=1, ticket_id=1, printer_id=1, job_name="a", copies=1, state=state, intended_at=NOW, changed_at=NOW
    )
    known = PrinterStatus(since=NOW, **status)
    assert stuck(job, PRINTER, known, 99, words, 10, NOW) is None
    found = stuck(job, PRINTER, known, 100, words, 10, NOW)
    assert found is not None and found.reason is reason
    # It is told once: what a person has chosen, and since when it lasts, stays.
    waits = job.with_(stuck=found.with_(waits_until_s=5.0))
    assert stuck(waits, PRINTER, known, 500, words, 10, NOW.replace(year=2027)) == waits.stuck


def test_a_slow_printer_gets_as_long_as_it_usually_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stuck_module, "PACES", 5)
    job = PrintJob(
        sheet_id=1, ticket_id=1, printer_id=1, job_name="a", copies=1, state=PrintJobState.SENT, intended_at=NOW,
        changed_at=NOW,
    )  # fmt: skip
    busy = PrinterStatus(since=NOW, state=PrinterState.PROCESSING)
    assert stuck(job, PRINTER, busy, 1_400, "", 300, NOW) is None
    assert stuck(job, PRINTER, busy, 1_500, "", 300, NOW) is not None


# -- on printers --------------------------------------------------------------------------------------------------


def test_a_printer_that_says_processing_and_does_not_move_is_told_until_it_does(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printer = quiet_printer("Silent", "--seconds-per-sheet", "5")
    add_printer(store, pool, printer.uri, "Silent")
    drawn_ticket(store, pool, [1])
    with room(store):
        job = stuck_job(store, StuckReason.SILENT)
        decisions.wait_longer(store, job.id)
        assert store.print_jobs.get(job.id).stuck.waits_until_s > store.clock.running_s()  # type: ignore[union-attr]
        ends_as(store, TicketState.FINISHED)
    assert not store.print_jobs.by("stuck", True) and copies_by_sheet(printer) == {"1": 1}
    with pytest.raises(Conflict):
        decisions.ask_about(store, job.id, NOW)


def test_whoever_looks_instead_of_waiting_for_a_dead_printer_gets_the_rest_from_another(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    dead = quiet_printer("Dead", "--seconds-per-sheet", "60")
    add_printer(store, pool, dead.uri, "Dead")
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.print_jobs.by("printer_state", (1, "sent")), "the document is there")
        dead.process.kill()
        dead.process.wait()
        job = stuck_job(store, StuckReason.UNREACHABLE)
        with pytest.raises(Conflict, match="may have begun"):
            decisions.print_elsewhere(store, job.id, NOW)
        decisions.ask_about(store, job.id, NOW)
        assert store.tickets.get(1).state is TicketState.HELD
        other = quiet_printer("Other")
        add_printer(store, pool, other.uri, "Other")
        decisions.answer_unsure(store, 1, 0, NOW)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(dead, other) == {"1": 1}


def test_a_printer_that_comes_back_answers_the_question_by_itself(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printer = quiet_printer("Back", "--seconds-per-sheet", "3")
    add_printer(store, pool, printer.uri, "Back")
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.print_jobs.by("printer_state", (1, "sent")), "the document is there")
        printer.pull(answers={"*": ["http 503*"]})
        job = stuck_job(store, StuckReason.UNREACHABLE)
        decisions.ask_about(store, job.id, NOW)
        until(lambda: len(printer.printed()) == 1, "it comes out meanwhile")
        printer.pull(answers={})
        ends_as(store, TicketState.FINISHED)  # and nobody had to answer
    assert store.print_jobs.get(job.id).state is PrintJobState.COMPLETED and copies_by_sheet(printer) == {"1": 1}


def test_what_is_held_and_not_released_is_printed_elsewhere_and_taken_from_the_first(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    first = quiet_printer("First")
    first.pull(holds=True, answers={"Release-Job": ["http 503*"]})
    add_printer(store, pool, first.uri, "First")
    drawn_ticket(store, pool, [1])
    with room(store):
        job = stuck_job(store, StuckReason.BUSY)
        second = quiet_printer("Second")
        add_printer(store, pool, second.uri, "Second")
        decisions.print_elsewhere(store, job.id, NOW)
        ends_as(store, TicketState.FINISHED)
        until(lambda: not store.print_jobs.get(job.id).is_orphaned, "the first one has let it go")
        first.pull(answers={})
    assert copies_by_sheet(first, second) == {"1": 1} and first.printed() == []


def test_what_a_person_moves_while_the_printer_is_answering_is_left_nowhere(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    """Its printer has made a job when the person has long decided: that job is canceled, and nothing else changes."""
    first = quiet_printer("First")
    first.pull(answer_delay_s=3)
    add_printer(store, pool, first.uri, "First")
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.printer_status.find(1), "the first one has told of itself")
        job = stuck_job(store, StuckReason.BUSY)
        assert job.state is PrintJobState.INTENDED
        second = quiet_printer("Second")
        add_printer(store, pool, second.uri, "Second")
        decisions.print_elsewhere(store, job.id, NOW)
        until(lambda: store.print_jobs.get(job.id).job_id, "the first one has answered")
        first.pull(answer_delay_s=0)
        ends_as(store, TicketState.FINISHED)
        until(lambda: not store.print_jobs.get(job.id).is_orphaned, "the first one has let it go")
    row = store.print_jobs.get(job.id)
    assert (row.state, row.reason) == (PrintJobState.CANCELED, decisions.MOVED)
    assert copies_by_sheet(first, second) == {"1": 1} and first.printed() == []


def test_what_comes_out_although_it_was_moved_is_said(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    """Somebody looked, and answered too early."""
    first = quiet_printer("First", "--seconds-per-sheet", "3")
    add_printer(store, pool, first.uri, "First")
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.print_jobs.by("printer_state", (1, "sent")), "the document is there")
        first.pull(answers={"*": ["http 503*"]})
        job = stuck_job(store, StuckReason.UNREACHABLE)
        decisions.ask_about(store, job.id, NOW)
        decisions.answer_unsure(store, 1, 0, NOW)
        until(lambda: len(first.printed()) == 1, "it comes out after all")
        second = quiet_printer("Second")
        add_printer(store, pool, second.uri, "Second")
        until(lambda: store.sheets.get(1).state is SheetState.PRINTED, "the other printed it, too")
        first.pull(answers={})
        until(lambda: store.sheets.get(1).flags, "it is said")
    assert store.sheets.get(1).flags == ("1 also came out of First: take them away",)
