"""What a printer's answer means, for every answer and every operation; and that no answer prints twice or loses."""

from __future__ import annotations

import pytest

from ipp.answers import KINDS, Asked, Meaning, of_http, of_status
from ipp.attributes import Operation, Status
from store import decisions
from store.records import Outcome, PrinterPool
from store.states import SheetState, TicketState
from store.tables import Store
from tests.ipp.test_habits import copies_by_sheet
from tests.ipp.test_sender import NOW, StartVirtual, add_printer, drawn_ticket, ends_as, pool, room
from tests.lab import until

__all__ = ["pool"]  # the fixture

pytestmark = pytest.mark.unannounced

M = Meaning
OPERATIONS = (Operation.GET_JOBS, *KINDS)


@pytest.mark.parametrize("code", [*range(0x0400, 0x0416), *range(0x0500, 0x050D), 0x0480, 0x05FF, 0x0700, 0xFFFF])
def test_every_status_means_one_thing_for_every_operation(code: int) -> None:
    for operation in OPERATIONS:
        meaning = of_status(code, KINDS.get(operation, Asked.READ))
        assert isinstance(meaning, Meaning)
        if operation in (Operation.SEND_DOCUMENT, Operation.PRINT_JOB) and code >= 0x0500:
            # A server's trouble with a document in hand is "later" only where it says by definition that it took none.
            took_nothing = {Status.SERVICE_UNAVAILABLE, Status.NOT_ACCEPTING_JOBS, Status.BUSY, Status.TOO_MANY_JOBS}
            refused = {Status.OPERATION_NOT_SUPPORTED, Status.MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED}
            wanted = M.LATER if code in took_nothing else M.NO if code in refused else M.UNKNOWN
            assert meaning is wanted
        if operation in (Operation.GET_JOB_ATTRIBUTES, Operation.GET_JOBS) and code >= 0x0502:
            assert meaning in (M.LATER, M.NO) and (meaning is M.LATER or code == 0x0509)


@pytest.mark.parametrize(
    ("code", "asked", "meaning"),
    [
        (Status.NOT_POSSIBLE, Asked.ACT, M.NOT_POSSIBLE),
        (Status.NOT_POSSIBLE, Asked.DOCUMENT, M.NOT_POSSIBLE),
        (Status.NOT_FOUND, Asked.JOB, M.GONE),
        (Status.NOT_FOUND, Asked.CREATE, M.LATER),
        (Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, Asked.CREATE, M.NO),
        (Status.DOCUMENT_FORMAT_NOT_SUPPORTED, Asked.DOCUMENT, M.NO),
        (Status.INTERNAL_ERROR, Asked.CREATE, M.LATER),
    ],
)
def test_some_rows_of_the_table(code: int, asked: Asked, meaning: Meaning) -> None:
    assert of_status(code, asked) is meaning


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 408, 413, 429, 500, 502, 503, 504, 599])
def test_an_http_status_never_says_that_a_document_was_not_taken(status: int) -> None:
    assert of_http(status, Asked.DOCUMENT) is M.UNKNOWN
    assert of_http(status, Asked.JOB) is M.LATER
    assert of_http(status, Asked.ACT) is M.LATER
    if status >= 500:
        assert of_http(status, Asked.CREATE) is M.UNKNOWN and of_http(status, Asked.PRINT) is M.UNKNOWN


# -- on a printer -------------------------------------------------------------------------------------------------

ODD = ["http 503", "http 500", "http 404", "0x0500", "0x0502", "0x0504", "0x0505", "0x0506", "0x0507", "0x0508",
       "0x0400", "0x0403", "garbage", "empty", "another", "hang up"]  # fmt: skip


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for is the same; only sooner."""
    for name in ("ipp.carrier.LATER_S", "ipp.shuns.BUSY_FIRST_S", "ipp.shuns.REFUSED_FIRST_S"):
        monkeypatch.setattr(name, 0.2)
    for name in ("ipp.carrier.FOLLOW_EVERY_S", "ipp.withdrawals.LOOK_EVERY_S"):
        monkeypatch.setattr(name, 0.1)


@pytest.mark.parametrize("operation", ["Get-Job-Attributes", "Get-Jobs", "Create-Job", "Send-Document"])
def test_an_odd_answer_of_a_second_costs_nothing(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, operation: str
) -> None:
    """The printer does not do what it was asked for, and says so in some way; a moment later it is well again."""
    printer = quiet_printer("Odd")
    answers = {operation: [one for words in ODD for one in (words, words, "")]}
    if operation == "Get-Jobs":  # asked for only when something else went wrong
        answers["Send-Document"] = ["http 503"] * len(ODD)
    printer.pull(answers=answers)
    add_printer(store, pool, printer.uri, "Odd")
    drawn_ticket(store, pool, [2, *([1] * 29)])
    with room(store):
        ends_as(store, TicketState.FINISHED, within_s=110)
    assert copies_by_sheet(printer) == {"1": 2, **{str(number): 1 for number in range(2, 31)}}
    assert all(change.outcome is Outcome.DONE for change in store.changes.all())
    assert not any(printer.levers()["answers"].values()), "not all of them were answered"


@pytest.mark.parametrize("operation", ["Create-Job", "Get-Job-Attributes"])
def test_what_was_done_although_the_answer_was_odd_is_not_done_again(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, operation: str
) -> None:
    printer = quiet_printer("Odd")
    words = ["http 503", "0x0500", "0x0403", "garbage", "hang up"]
    printer.pull(answers={operation: [one for word in words for one in (f"done, {word}", "")]})
    add_printer(store, pool, printer.uri, "Odd")
    drawn_ticket(store, pool, [2, *([1] * 7)])
    with room(store):
        ends_as(store, TicketState.FINISHED, within_s=60)
    assert copies_by_sheet(printer) == {"1": 2, **{str(number): 1 for number in range(2, 9)}}


@pytest.mark.parametrize("words", ["http 503", "0x0500", "0x0504", "garbage", "another", "hang up"])
@pytest.mark.parametrize("holds", [False, True])
def test_a_document_that_was_taken_although_the_answer_was_odd_is_never_sent_again_unasked(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, words: str, holds: bool
) -> None:
    printer = quiet_printer("Odd")
    printer.pull(answers={"Send-Document": [f"done, {words}"]}, holds=holds)
    add_printer(store, pool, printer.uri, "Odd")
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.tickets.get(1).state in (TicketState.FINISHED, TicketState.HELD), "settled or asked", 60)
        if store.tickets.get(1).state is TicketState.HELD:  # it had begun: only a person can tell
            assert not holds
            until(lambda: printer.printed(), "it is out")
            decisions.answer_unsure(store, 1, 1, NOW)
            ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1}


@pytest.mark.parametrize("words", ["http 503", "0x0500", "0x0501", "0x0403", "0x0404", "garbage", "hang up"])
def test_a_release_that_is_refused_leaves_nothing_behind(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, words: str
) -> None:
    printer = quiet_printer("Odd")
    printer.pull(holds=True, answers={"Release-Job": [words]})
    add_printer(store, pool, printer.uri, "Odd")
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED, within_s=60)
    assert copies_by_sheet(printer) == {"1": 1, "2": 1}


def test_a_printer_that_never_releases_is_not_asked_to_hold_any_more(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printer = quiet_printer("Odd")
    printer.pull(holds=True, answers={"Release-Job": ["0x0501*"]})
    add_printer(store, pool, printer.uri, "Odd")
    drawn_ticket(store, pool, [1, 1, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED, within_s=60)
    assert copies_by_sheet(printer) == {"1": 1, "2": 1, "3": 1}


@pytest.mark.parametrize("words", ["http 503*", "http 404*", "0x0507*", "0x0506*", "0x0500*", "0x040b*", "garbage*"])
def test_a_pool_never_waits_for_a_member_that_takes_nothing_while_another_is_idle(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, words: str
) -> None:
    odd, well = quiet_printer("Odd"), quiet_printer("Well")
    odd.pull(answers={"Create-Job": [words]})
    for printer in (odd, well):
        add_printer(store, pool, printer.uri, printer.name)
    drawn_ticket(store, pool, [1] * 5)
    with room(store):
        ends_as(store, TicketState.FINISHED, within_s=30)
    assert copies_by_sheet(odd, well) == {str(number): 1 for number in range(1, 6)}
    assert odd.printed() == []


def test_what_every_printer_refuses_is_a_question_and_not_a_failure(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    """The paper was changed between the look and the print, and the printer's display was not."""
    printer = quiet_printer("Odd")
    printer.pull(refused_sizes=["4x6"])
    add_printer(store, pool, printer.uri, "Odd")
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        ends_as(store, TicketState.HELD, within_s=40)
        assert "Odd: the printer refused" in store.sheets.get(1).hold
        printer.pull(refused_sizes=[])
        for sheet in store.sheets.by("held", 1):
            decisions.answer_held(store, sheet.id, True, NOW)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1, "2": 1}


def test_paper_that_was_changed_meanwhile_lets_the_sheet_wait(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printer = quiet_printer("Odd", "--paper", "4x6=9")
    add_printer(store, pool, printer.uri, "Odd")
    with room(store):
        until(lambda: store.printer_status.find(1), "its paper is known")
        printer.pull(paper={"5x7": 9})  # nobody has looked since
        drawn_ticket(store, pool, [1])
        until(lambda: store.tickets.get(1).reason == "load 4x6 paper in Odd", "it waits for its paper")
        assert store.sheets.get(1).state is SheetState.DRAWN
        printer.pull(paper={"4x6": 9})
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1}


# -- canceling ----------------------------------------------------------------------------------------------------


def test_canceling_takes_back_what_the_printer_has_not_begun(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printer = quiet_printer("Slow", "--seconds-per-sheet", "1.5")
    add_printer(store, pool, printer.uri, "Slow")
    drawn_ticket(store, pool, [1, 1, 1])
    with room(store):
        until(lambda: store.print_jobs.by("printer_state", (1, "sent")) and printer.printed(), "one is out")
        until(lambda: len(store.print_jobs.by("printer_state", (1, "sent"))) == 2, "two are there")
        decisions.cancel_ticket(store, 1, NOW, "Kim")
        until(lambda: not store.sheets.by("open", 1), "all is settled")
    out = copies_by_sheet(printer)
    printed = [str(sheet.id) for sheet in store.sheets.by("ticket", 1) if sheet.state is SheetState.PRINTED]
    assert sorted(out) == printed and len(out) < 3
    assert {sheet.state for sheet in store.sheets.by("ticket", 1)} == {SheetState.PRINTED, SheetState.CANCELED}
    assert [result.copies for result in store.tickets.get(1).results].count(1) == len(out)


@pytest.mark.parametrize("words", ["", "http 503", "0x0500", "garbage", "hang up", "0x0404"])
def test_a_long_run_stops_where_the_printer_stops_it_and_the_count_is_the_printers(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, words: str
) -> None:
    printer = quiet_printer("Slow", "--seconds-per-sheet", "0.2")
    printer.pull(answers={"Cancel-Job": [words]} if words else {})
    add_printer(store, pool, printer.uri, "Slow")
    drawn_ticket(store, pool, [300])
    with room(store):
        until(lambda: len(printer.printed()) >= 2, "it has begun")
        decisions.cancel_ticket(store, 1, NOW, "Kim")
        until(lambda: store.sheets.get(1).state is not SheetState.ASSIGNED, "it is settled", 60)
    sheet, out = store.sheets.get(1), len(printer.printed())
    assert sheet.state is SheetState.CANCELED and sheet.copies_done == out < 300
    assert sheet.reason == f"canceled by Kim; {out} of 300 were out by then"


def test_what_a_printer_does_not_let_go_comes_out_and_is_said(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printer = quiet_printer("Stubborn", "--seconds-per-sheet", "1.5")
    printer.pull(answers={"Cancel-Job": ["0x0404*"]})
    add_printer(store, pool, printer.uri, "Stubborn")
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.print_jobs.by("printer_state", (1, "sent")), "it is there")
        decisions.cancel_ticket(store, 1, NOW, "Kim")
        until(lambda: "has begun with it: it comes out" in store.print_jobs.get(1).reason, "it is said")
        until(lambda: store.sheets.get(1).state is SheetState.PRINTED, "it came out", 40)
    assert copies_by_sheet(printer) == {"1": 1} and store.tickets.get(1).state is TicketState.CANCELED


def test_a_canceled_job_at_a_printer_that_is_away_is_withdrawn_when_it_is_back(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printer = quiet_printer("Away", "--seconds-per-sheet", "60")
    add_printer(store, pool, printer.uri, "Away")
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        until(lambda: len(store.print_jobs.by("printer_state", (1, "sent"))) == 2, "both are there")
        printer.pull(answers={"*": ["http 503*"]})
        decisions.cancel_ticket(store, 1, NOW, "Kim")
        until(lambda: store.tickets.get(1).state is TicketState.CANCELED, "it is canceled")
    assert store.sheets.count("ticket_state", (1, "assigned")) == 2  # nobody knows yet
    printer.pull(answers={})
    with room(store):
        until(lambda: store.sheets.get(2).state is SheetState.CANCELED, "the one behind is withdrawn")
    assert printer.printed() == []


# -- what a printer's jobs are known by ---------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["drop", "cut 9", "cut 22", "Photo"])
@pytest.mark.parametrize("hides", [(), ("job-uuid",), ("job-uuid", "time-at-creation", "job-printer-up-time")])
def test_a_printer_that_does_not_keep_names_costs_no_question(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, names: str, hides: tuple[str, ...]
) -> None:
    printer = quiet_printer("Nameless")
    printer.pull(names=names, hides=list(hides))
    add_printer(store, pool, printer.uri, "Nameless")
    drawn_ticket(store, pool, [2, 1, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 2, "2": 1, "3": 1}
    assert not [change for change in store.changes.all() if change.outcome is Outcome.HELD]


@pytest.mark.parametrize("names", ["drop", "cut 22", "Photo"])
def test_nor_does_it_after_a_restart_of_ours(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, names: str
) -> None:
    printer = quiet_printer("Nameless", "--seconds-per-sheet", "2")
    printer.pull(names=names)
    add_printer(store, pool, printer.uri, "Nameless")
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        until(lambda: len(store.print_jobs.by("printer_state", (1, "sent"))) == 2, "both are there")
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1, "2": 1}
