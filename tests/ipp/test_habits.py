"""What printers do that they should not, one lever of the virtual printer each: nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
import http.client
from urllib.parse import urlsplit

import pytest

from ipp import codec
from ipp.attributes import Operation, attribute
from ipp.client import Connection, JobRequest
from ipp.codec import Group, GroupTag, Message
from store import decisions
from store.records import PrinterPool, ReprintReason
from store.reprints import reprint
from store.sizes import parse_size
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from tests.ipp.test_sender import NOW, PAGE, StartVirtual, add_printer, drawn_ticket, ends_as, left_behind, pool, room
from tests.lab import VirtualPrinterProcess, until

__all__ = ["pool"]  # the fixture


def copies_by_sheet(*printers: VirtualPrinterProcess) -> dict[str, int]:
    """Impressions that came out, by the sheet's number, as the printers' own files tell."""
    counts: dict[str, int] = {}
    for printer in printers:
        for line in printer.printed():
            number = (printer.tray / str(line["file"])).read_bytes()[len(PAGE) :].decode()
            counts[number] = counts.get(number, 0) + 1
    return counts


@pytest.mark.parametrize("max_copies", [0, 1, 3])
def test_copies_are_exactly_as_ordered_on_printers_with_and_without_them(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual, max_copies: int
) -> None:
    printer = virtual_printer("Few")
    printer.pull(max_copies=max_copies)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [5, 1, 2])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 5, "2": 1, "3": 2}
    assert [result.copies for result in store.changes.get(1).results] == [5, 1, 2]
    assert max(job.copies for job in store.print_jobs.all()) == (max_copies or 1)


def test_a_printer_that_makes_fewer_copies_than_it_says_is_not_believed(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Liar")
    printer.pull(copies_made=2)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [5])
    with room(store):
        ends_as(store, TicketState.HELD)
        assert "counted 2 of 5 copies" in store.sheets.get(1).reason
        printer.pull(copies_made=0)
        decisions.answer_unsure(store, 1, 2, NOW)  # a person counts two, and the other three are printed
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 5}
    assert store.changes.newest(1)[0].results[0].copies == 5


@pytest.mark.parametrize("name", ["media-col", "copies"])
def test_a_printer_that_ignores_what_decides_over_the_paper_gets_no_document(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual, name: str
) -> None:
    printer = virtual_printer("Deaf")
    printer.pull(ignored=[name])
    add_printer(store, pool, printer.uri, "Deaf")
    drawn_ticket(store, pool, [2])
    with room(store):
        ends_as(store, TicketState.FAILED)
    assert printer.printed() == []
    assert f"Deaf took the job but would ignore {name}" in store.tickets.get(1).reason


def test_what_matters_less_may_be_ignored(store: Store, pool: PrinterPool, virtual_printer: StartVirtual) -> None:
    printer = virtual_printer("Careless")
    printer.pull(ignored=["print-quality", "print-scaling"])
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1}


@pytest.mark.parametrize("halves", [False, True])
def test_a_link_that_breaks_in_mid_document_makes_a_person_look_and_nothing_is_resent(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual, halves: bool
) -> None:
    printer = virtual_printer("Far")
    printer.pull(drop_after_bytes=len(PAGE) // 2, prints_halves=halves)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.sheets.get(1).state is not SheetState.DRAWN, "it is on its way")
        printer.pull(drop_after_bytes=0)
        until(lambda: store.tickets.get(1).state in (TicketState.HELD, TicketState.FINISHED), "it is settled or asked")
    if (
        store.tickets.get(1).state is TicketState.FINISHED
    ):  # the printer still waited for the document: provably unbegun
        assert copies_by_sheet(printer) == {"1": 1}
    else:
        assert store.sheets.get(1).state is SheetState.UNSURE and len(printer.printed()) <= 1


def test_the_lever_cuts_a_document_that_arrives_in_one_piece_with_its_head_too(virtual_printer: StartVirtual) -> None:
    printer = virtual_printer("Far")
    printer.pull(drop_after_bytes=len(PAGE) // 2)
    head = [
        attribute("attributes-charset", "utf-8"),
        attribute("attributes-natural-language", "en"),
        attribute("printer-uri", printer.uri),
    ]
    message = codec.encode(Message(Operation.PRINT_JOB, 1, [Group(GroupTag.OPERATION, head)]))
    place = urlsplit(printer.uri)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    connection.request("POST", place.path, message + PAGE, {"Content-Type": "application/ipp"})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    assert printer.printed() == []


def test_a_printer_that_forgets_its_history_is_asked_about_once(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Forgetful", "--seconds-per-sheet", "0.01")
    printer.pull(forgets=True)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        ends_as(store, TicketState.HELD)
        decisions.answer_unsure(store, 1, 1, NOW)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1}


def test_a_printer_that_sleeps_before_it_answers_is_given_time(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Sleepy")
    printer.pull(answer_delay_s=12)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: store.printer_status.find(1), "it woke up", within_s=25)
        printer.pull(answer_delay_s=1.5)  # awake, but slow
        ends_as(store, TicketState.FINISHED, within_s=60)
    assert copies_by_sheet(printer) == {"1": 1}


def test_a_jam_holds_what_is_in_the_printer_and_the_pools_others_go_on(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    jammed, healthy = virtual_printer("Jammed"), virtual_printer("Healthy")
    jammed.pull(jammed=True)
    for printer in (jammed, healthy):
        add_printer(store, pool, printer.uri, printer.name)
    drawn_ticket(store, pool, [1] * 8)
    with room(store):
        until(lambda: len(healthy.printed()) >= 6, "the healthy one goes on")
        jammed.pull(jammed=False)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(jammed, healthy) == {str(number): 1 for number in range(1, 9)}


def test_a_job_that_the_printer_aborts_is_held_with_its_reason_until_a_person_decides(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Torn")
    printer.pull(aborts=1)
    add_printer(store, pool, printer.uri, "Torn")
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        ends_as(store, TicketState.HELD)
        (held,) = store.sheets.by("held", 1)
        assert held.hold == "Torn aborted the print (the ribbon tore): look at the printer"
        assert held.hold in store.tickets.get(1).reason
        decisions.answer_held(store, held.id, True, NOW)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1, "2": 1}


def test_a_person_may_let_go_of_what_the_printer_aborted(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Torn")
    printer.pull(aborts=1)
    add_printer(store, pool, printer.uri, "Torn")
    drawn_ticket(store, pool, [1])
    with room(store):
        ends_as(store, TicketState.HELD)
        decisions.answer_held(store, 1, False, NOW)
    assert store.tickets.get(1).state is TicketState.FAILED and printer.printed() == []
    assert "not printed, as a person decided: Torn aborted the print" in store.tickets.get(1).reason


def test_a_printer_that_was_switched_off_with_a_job_and_begins_its_ids_again(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Amnesia", "--seconds-per-sheet", "30")
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        until(lambda: any(j.state is PrintJobState.SENT for j in store.print_jobs.all()), "the document is there")
        printer.process.kill()
        printer.process.wait()
        again = virtual_printer("Amnesia", port=printer.port)
        ends_as(store, TicketState.HELD, within_s=60)  # it may have come out before the power went
        decisions.answer_unsure(store, 1, 0, NOW)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(again) == {"1": 1}


def test_what_a_stopped_printer_has_not_begun_is_printed_by_another(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipp.sender.TAKE_BACK_AFTER_S", 1.0)
    jammed, healthy = virtual_printer("Jammed", "--seconds-per-sheet", "0.4"), virtual_printer("Healthy")
    for printer in (jammed, healthy):
        add_printer(store, pool, printer.uri, printer.name)
    drawn_ticket(store, pool, [1] * 8)
    with room(store):
        until(lambda: len(jammed.printed()) >= 1, "it has begun")
        jammed.pull(jammed=True)
        # One is in its works and stays; the one behind it goes to the other printer.
        until(lambda: store.sheets.count("ticket_state", (1, "printed")) == 7, "all others are out", within_s=30)
        assert [sheet.state for sheet in store.sheets.by("open", 1)] == [SheetState.ASSIGNED]
        jammed.pull(jammed=False)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(jammed, healthy) == {str(number): 1 for number in range(1, 9)}


def test_entries_of_one_device_share_what_is_ahead_of_it(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    """Entered once for each size, as studios do: still one engine, and never more than two jobs ahead of it."""
    printer = virtual_printer("Twice", "--seconds-per-sheet", "0.2")
    for name in ("Twice 4x6", "Twice too"):
        add_printer(store, pool, printer.uri, name)
    drawn_ticket(store, pool, [1] * 6)
    most = 0
    with room(store):
        while store.tickets.get(1).state is not TicketState.FINISHED:
            most = max(most, sum(len(store.print_jobs.by("printer_state", (n, "sent"))) for n in (1, 2)))
    assert most <= 2 and copies_by_sheet(printer) == {str(number): 1 for number in range(1, 7)}


def test_a_sheet_is_printed_again_on_a_persons_word(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Again")
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [2, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
        sheet = store.sheets.by("ticket", 1)[0]
        ticket = store.tickets.get(1)
        again = reprint(store, ticket, store.instructions.get(1), [(sheet, 3)], ReprintReason.COLOUR, NOW)
        until(lambda: store.tickets.get(again.id).state is TicketState.FINISHED, "the reprint has ended")
    assert copies_by_sheet(printer) == {"1": 5, "2": 1}


def test_a_printer_without_create_job_gets_everything_at_once(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Plain")
    printer.pull(has_create_job=False)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [2, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 2, "2": 1}


def test_where_a_job_comes_with_its_document_the_printer_is_asked_before_whether_it_would_ignore_the_paper(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Plain")
    printer.pull(has_create_job=False, ignored=["media-col"])
    add_printer(store, pool, printer.uri, "Plain")
    drawn_ticket(store, pool, [2])
    with room(store):
        ends_as(store, TicketState.FAILED)
    assert printer.printed() == [] and "Plain took the job but would ignore media-col" in store.tickets.get(1).reason


def test_a_printer_made_inactive_finishes_what_it_prints_and_gives_the_rest_back(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    slow, other = virtual_printer("Slow", "--seconds-per-sheet", "2"), virtual_printer("Other")
    first = add_printer(store, pool, slow.uri, "Slow")
    drawn_ticket(store, pool, [1] * 4)
    with room(store):
        until(lambda: len(store.print_jobs.by("printer_state", (first.id, PrintJobState.SENT.value))) == 2, "two ahead")
        add_printer(store, pool, other.uri, "Other")
        store.printers.put(store.printers.get(first.id).with_(inactive=True))
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(slow) == {"1": 1}
    assert copies_by_sheet(other) == {"2": 1, "3": 1, "4": 1}


def test_a_link_that_breaks_in_mid_print_job_is_never_sent_again_unasked(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Plain")
    printer.pull(has_create_job=False, drop_after_bytes=len(PAGE) // 2)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        ends_as(store, TicketState.HELD)
        assert printer.printed() == []
        printer.pull(drop_after_bytes=0)
        decisions.answer_unsure(store, 1, 0, NOW)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1}


def test_a_printer_that_speaks_only_ipp_1_1_is_spoken_to_in_it(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Old")
    printer.pull(versions=["1.1"])
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1}


def test_what_is_left_on_the_ribbon_is_known(store: Store, pool: PrinterPool, virtual_printer: StartVirtual) -> None:
    printer = virtual_printer("Ribbon")
    printer.pull(ribbon=38)
    add_printer(store, pool, printer.uri)
    with room(store):
        until(lambda: store.printer_status.find(1) is not None, "it has answered")
    assert store.printer_status.get(1).supplies[0].sheets_left == 38


def test_a_printer_that_can_hold_prints_only_when_it_has_the_whole_document(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Holding")
    printer.pull(holds=True)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [2, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 2, "2": 1}
    assert all(job.is_held and job.is_released for job in store.print_jobs.all())


def test_a_job_that_was_created_held_just_before_a_crash_is_released_when_its_document_is_there(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    """The process died between the printer's answer and its own row: the row knows neither the job nor its hold."""
    printer = virtual_printer("Holding")
    printer.pull(holds=True)
    known = add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1])
    held_at_the_printer(printer.uri, "printroom-1-1-dead")
    left_behind(store, known, PrintJobState.INTENDED, "printroom-1-1-dead")
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1}
    (job,) = store.print_jobs.all()
    assert job.is_held and job.is_released


def held_at_the_printer(uri: str, name: str) -> None:
    """Create a job that the printer is to hold, and no more."""

    async def create() -> None:
        async with Connection(uri) as printer:
            description = await printer.describe()
            request = JobRequest(name, 1, parse_size("4x6"), 300, has_bleed=False, is_held=True)
            await printer.create_job(request, description.attributes)

    asyncio.run(create())


def test_there_a_broken_link_is_no_question_for_a_person_even_where_halves_are_printed(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Holding")
    printer.pull(holds=True, drop_after_bytes=len(PAGE) // 2, prints_halves=True)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        until(lambda: any(job.state is PrintJobState.CANCELED for job in store.print_jobs.all()), "one is withdrawn")
        assert printer.printed() == []
        printer.pull(drop_after_bytes=0, prints_halves=False)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(printer) == {"1": 1, "2": 1}
    assert not [job for job in store.print_jobs.all() if job.state is PrintJobState.UNSURE]
