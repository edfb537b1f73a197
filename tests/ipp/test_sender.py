"""The sender on real printers: every sheet once, whatever happens in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ipp.client import Connection, JobRequest
from ipp.dispatch import Dispatch
from ipp.room import IppRoom
from render.samples import sample_photo
from store import decisions, intake, progress
from store.errors import StoreUnavailable
from store.records import Outcome, Printer, PrinterPool, PrinterState, PrintJob, Sheet, Ticket
from store.sizes import parse_size
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from tests.lab import EvePrinter, VirtualPrinterProcess, free_port, until
from tests.machine_time import SetTime
from tests.studio import ERROR, FINISH, NOW, add_render_job, photo, push

StartEve = Callable[..., EvePrinter]
StartVirtual = Callable[..., VirtualPrinterProcess]
PAGE = sample_photo(1, 400, 600)


@contextmanager
def room(store: Store, limit: timedelta = timedelta(hours=1)) -> Iterator[IppRoom]:
    running = IppRoom(store, discovers=False, unreachable_limit=limit)
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def pool(store: Store) -> PrinterPool:
    return store.printer_pools.add(PrinterPool(name="Lab"))


def add_printer(store: Store, pool: PrinterPool, uri: str, name: str = "Lab One", **fields: Any) -> Printer:
    return store.printers.add(Printer(name=name, uri=uri, pool_id=pool.id, added_by_hand=True, **fields))


def drawn_ticket(store: Store, pool: PrinterPool, quantities: list[int], size: str = "4x6") -> Ticket:
    """A ticket whose sheets are drawn and wait for a printer."""
    add_render_job(store, pool_id=pool.id)
    intake.accept(store, push(photo(store, 1, 60, 40)), NOW)
    with store.transaction():
        ticket = store.tickets.get(1)
        for event in ("start", "drawn"):
            ticket = progress.move_ticket(store, ticket, event, NOW)
        for number, quantity in enumerate(quantities, 1):
            sheet = store.sheets.add(
                Sheet(
                    ticket_id=1,
                    profile_id=1,
                    item=str(number),
                    image="0001.jpg",
                    size=parse_size(size),
                    quantity=quantity,
                    state=SheetState.DRAWN,
                    prints=True,
                    plan={"dpi": 300, "width_px": 1200, "height_px": 1800},
                    file=f"{number}.jpg",
                )
            )
            # Each sheet another file, so that what a printer got tells which sheet it was.
            store.folder.sheet(sheet.id).write_bytes(PAGE + str(sheet.id).encode())
    return ticket


def state_of(store: Store, ticket_id: int = 1) -> TicketState:
    return store.tickets.get(ticket_id).state


def ends_as(store: Store, state: TicketState, within_s: float = 40) -> None:
    def ended() -> bool:
        return state_of(store) is state

    until(ended, f"ticket is {state}", within_s)


def test_a_pool_of_two_real_printers_prints_every_sheet_once(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eves = [eve_printer("One"), eve_printer("Two")]
    for eve in eves:
        add_printer(store, pool, eve.uri, eve.name)
    drawn_ticket(store, pool, [1, 2, 1, 1, 3, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    received = [printed for eve in eves for printed in eve.printed()]
    assert sorted(printed.document.read_bytes()[len(PAGE) :] for printed in received) == [
        str(number).encode() for number in range(1, 7)
    ]
    copies = {printed.document.read_bytes()[len(PAGE) :]: printed.copies for printed in received}
    assert [copies[str(number).encode()] for number in range(1, 7)] == [1, 2, 1, 1, 3, 1]
    assert all(eve.printed() for eve in eves)
    assert store.records.get(1).status == FINISH
    results = store.changes.get(1).results
    assert sorted(result.copies for result in results) == [1, 1, 1, 1, 2, 3]
    assert {name for result in results for name in result.printers} == {"One", "Two"}


def test_a_printer_that_is_gone_does_not_stop_the_pool(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    alive = virtual_printer("Alive")
    add_printer(store, pool, f"ipp://127.0.0.1:{free_port()}/ipp/print", "Gone")
    add_printer(store, pool, alive.uri, "Alive")
    drawn_ticket(store, pool, [1, 1, 1, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert len(alive.printed()) == 4
    status = store.printer_status.get(1)
    assert status.state is PrinterState.UNREACHABLE and "switched on" in status.message


def test_when_no_printer_is_there_the_ticket_waits_says_why_and_goes_on_by_itself(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    port = free_port()
    add_printer(store, pool, f"ipp://127.0.0.1:{port}/ipp/print")
    drawn_ticket(store, pool, [2])
    with room(store):
        until(lambda: "Lab One does not answer" in store.tickets.get(1).reason, "the reason is told")
        printer = virtual_printer("Back again", port=port)
        ends_as(store, TicketState.FINISHED)
    assert len(printer.printed()) == 2


def test_a_printer_that_stays_away_becomes_the_error_status_with_the_reason(store: Store, pool: PrinterPool) -> None:
    add_printer(store, pool, f"ipp://127.0.0.1:{free_port()}/ipp/print")
    drawn_ticket(store, pool, [1])
    with room(store, limit=timedelta(seconds=2)):
        ends_as(store, TicketState.FAILED)
    assert store.records.get(1).status == ERROR
    assert "Lab One does not answer: switch it on" in store.changes.get(1).results[0].reason


def test_a_size_that_no_printer_allows_becomes_the_error_status(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    add_printer(store, pool, virtual_printer("Lab").uri, allowable_print_sizes=("4x6",))
    drawn_ticket(store, pool, [1], size="11x14")
    with room(store):
        ends_as(store, TicketState.FAILED)
    assert "add 11x14 to a printer's allowable print sizes" in store.changes.get(1).results[0].reason


def test_paper_out_waits_and_goes_on_when_it_is_there(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Lab", "--paper", "4x6=0,5x7=9")
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        until(lambda: store.tickets.get(1).reason == "load 4x6 paper in Lab One", "paper is asked for")
        printer.pull(paper={"4x6": 50, "5x7": 9})
        ends_as(store, TicketState.FINISHED)
    assert len(printer.printed()) == 2


def test_paper_that_runs_out_in_the_middle_prints_nothing_twice(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printer = virtual_printer("Lab", "--paper", "4x6=3")
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [2, 2, 2])
    with room(store):
        until(lambda: len(printer.printed()) == 3, "the paper is used up")
        printer.pull(paper={"4x6": 50})
        ends_as(store, TicketState.FINISHED)
    names = [line["job_name"] for line in printer.printed()]
    assert len(names) == 6 and all(names.count(name) == 2 for name in names)


def test_a_print_that_the_printer_gives_up_is_held_with_its_words(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Broken", code=1)
    add_printer(store, pool, eve.uri, "Broken")
    drawn_ticket(store, pool, [1])
    with room(store):
        ends_as(store, TicketState.HELD)
    job = store.print_jobs.get(1)
    # ippeveprinter may count an impression before it aborts: then nobody can know, and a person is asked.
    assert job.state in (PrintJobState.ABORTED, PrintJobState.UNSURE)
    if job.state is PrintJobState.ABORTED:
        assert "aborted the print" in store.sheets.get(1).hold


# -- what a crash leaves ----------------------------------------------------------------------------------------


def left_behind(store: Store, printer: Printer, state: PrintJobState, name: str, job_id: int | None = None) -> PrintJob:
    """A row of the ledger as a process that died in this state leaves it."""
    with store.transaction():
        job = store.print_jobs.add(
            PrintJob(
                sheet_id=1,
                ticket_id=1,
                printer_id=printer.id,
                job_name=name,
                copies=1,
                state=state,
                job_id=job_id,
                intended_at=NOW,
                changed_at=NOW,
            )
        )
        progress.move_sheet(store, store.sheets.get(1), "assign", print_job_id=job.id)
        progress.review_ticket(store, 1, NOW)
    return job


def at_the_printer(uri: str, name: str, document: bytes | None, folder: Store) -> int:
    """Bring a job to a printer as the process that died would have; returns its job-id."""

    async def bring() -> int:
        async with Connection(uri) as printer:
            description = await printer.describe()
            request = JobRequest(name, 1, parse_size("4x6"), 300, has_bleed=False)
            job_id = (await printer.create_job(request, description.attributes)).job_id
            if document is not None:
                path = folder.folder.root / "document"
                path.write_bytes(document)
                await printer.send_document(job_id, path, "image/jpeg")
            return job_id

    return asyncio.run(bring())


@pytest.mark.parametrize("state", [PrintJobState.INTENDED, PrintJobState.CREATED, PrintJobState.SENDING])
def test_died_before_the_document_the_waiting_job_is_used_and_printed_once(
    store: Store, pool: PrinterPool, eve_printer: StartEve, state: PrintJobState
) -> None:
    """The printer still lists the job without its document, which also keeps everybody else out of it."""
    eve = eve_printer("Eve")
    printer = add_printer(store, pool, eve.uri)
    drawn_ticket(store, pool, [1])
    job_id = at_the_printer(eve.uri, "printroom-1-1-dead", None, store)
    left_behind(store, printer, state, "printroom-1-1-dead", None if state is PrintJobState.INTENDED else job_id)
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert [printed.job_name for printed in eve.printed()] == ["printroom-1-1-dead"]


def test_died_after_the_acknowledgement_it_is_followed_and_not_sent_again(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve", seconds=1.5)
    printer = add_printer(store, pool, eve.uri)
    drawn_ticket(store, pool, [1])
    job_id = at_the_printer(eve.uri, "printroom-1-1-dead", PAGE, store)
    left_behind(store, printer, PrintJobState.SENT, "printroom-1-1-dead", job_id)
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert len(eve.printed()) == 1


def test_died_in_mid_document_a_person_is_asked_once_and_nothing_is_resent_unasked(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve")
    printer = add_printer(store, pool, eve.uri)
    drawn_ticket(store, pool, [1])
    job_id = at_the_printer(eve.uri, "printroom-1-1-dead", PAGE[:500], store)  # half a picture, and it completes
    left_behind(store, printer, PrintJobState.SENDING, "printroom-1-1-dead", job_id)
    until(lambda: len(eve.printed()) == 1, "the half is out")
    with room(store):
        ends_as(store, TicketState.HELD)
        assert "may or may not have come out" in store.tickets.get(1).reason
        assert "cannot say whether the sheet came out of Lab One" in store.sheets.get(1).reason
        assert len(eve.printed()) == 1
        decisions.answer_unsure(store, 1, copies=0, now=datetime.now(UTC))
        ends_as(store, TicketState.FINISHED)
    assert len(eve.printed()) == 2


def test_the_answer_that_it_came_out_settles_the_sheet_without_printing(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve")
    printer = add_printer(store, pool, eve.uri)
    drawn_ticket(store, pool, [1])
    left_behind(store, printer, PrintJobState.SENT, "printroom-forgotten", 77)  # no history can vouch for it
    with room(store):
        ends_as(store, TicketState.HELD)
        decisions.answer_unsure(store, 1, copies=1, now=datetime.now(UTC))
        ends_as(store, TicketState.FINISHED)
    assert eve.printed() == []


def test_died_before_anything_was_sent_it_is_printed_once(
    store: Store, pool: PrinterPool, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve")
    printer = add_printer(store, pool, eve.uri)
    drawn_ticket(store, pool, [1])
    left_behind(store, printer, PrintJobState.INTENDED, "printroom-1-1-never-sent")
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert len(eve.printed()) == 1
    assert store.print_jobs.get(1).state is PrintJobState.CANCELED


@pytest.mark.parametrize(("event", "ends"), [("create", TicketState.FINISHED), ("send", TicketState.HELD)])
def test_a_disk_that_refuses_a_step_of_the_ledger_prints_nothing_twice(
    store: Store,
    pool: PrinterPool,
    eve_printer: StartEve,
    monkeypatch: pytest.MonkeyPatch,
    event: str,
    ends: TicketState,
) -> None:
    """The printer has taken a step that our record could not keep: it is asked before anything else is done."""
    eve = eve_printer("Eve")
    add_printer(store, pool, eve.uri)
    drawn_ticket(store, pool, [1])
    real_move, refused = progress.move_print_job, []

    def move(store: Store, job: PrintJob, what: str, now: datetime, **changes: Any) -> PrintJob:
        if what == event and not refused:
            refused.append(what)
            raise StoreUnavailable("no space left")
        return real_move(store, job, what, now, **changes)

    monkeypatch.setattr(progress, "move_print_job", move)
    with room(store):
        ends_as(store, ends)
    assert refused and len(eve.printed()) == 1


def test_a_printer_without_an_address_is_unreachable_and_harms_nobody(store: Store, pool: PrinterPool) -> None:
    printer = add_printer(store, pool, "")
    drawn_ticket(store, pool, [1])
    left_behind(store, printer, PrintJobState.SENT, "printroom-1-1-x", 5)
    with room(store):
        time.sleep(1)
        assert store.print_jobs.get(1).state is PrintJobState.SENT


def test_a_canceled_ticket_prints_nothing_more(store: Store, pool: PrinterPool, virtual_printer: StartVirtual) -> None:
    printer = virtual_printer("Lab")
    printer.pull(stopped=True)
    add_printer(store, pool, printer.uri)
    drawn_ticket(store, pool, [1, 1, 1])
    with room(store):
        until(lambda: "is stopped" in store.tickets.get(1).reason, "the printer is known to be stopped")
        decisions.cancel_ticket(store, 1, datetime.now(UTC))
        printer.pull(stopped=False)
        until(lambda: store.printer_status.get(1).state is PrinterState.IDLE, "the printer is back")
    assert printer.printed() == []
    assert [change.outcome for change in store.changes.all()] == [Outcome.CANCELED]


def waiting_for_nobody(store: Store) -> Dispatch:
    """A sheet for a printer of which nothing is known."""
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    add_printer(store, pool, "ipp://127.0.0.1:1/ipp/print")
    drawn_ticket(store, pool, [1])
    dispatch = Dispatch(store, timedelta(hours=4))
    dispatch.assign(store.clock.now())
    return dispatch


def test_while_processing_is_paused_nothing_is_given_up(timed_store: Store, machine: SetTime) -> None:
    dispatch = waiting_for_nobody(timed_store)
    timed_store.pause(True)
    machine.pass_s(9 * 3600)
    assert dispatch.assign(timed_store.clock.now()) == []
    timed_store.pause(False)
    machine.pass_s(1)
    dispatch.assign(timed_store.clock.now())
    assert timed_store.sheets.get(1).state is SheetState.DRAWN
    machine.pass_s(5 * 3600)
    dispatch.assign(timed_store.clock.now())
    assert timed_store.sheets.get(1).state is SheetState.FAILED


@pytest.mark.parametrize("hours", [10, -1, 24 * 365])
def test_a_clock_that_is_set_gives_nothing_up(timed_store: Store, machine: SetTime, hours: int) -> None:
    dispatch = waiting_for_nobody(timed_store)
    machine.pass_s(60)
    machine.set_wall(machine.wall() + timedelta(hours=hours))
    dispatch.assign(timed_store.clock.now())
    assert timed_store.sheets.get(1).state is SheetState.DRAWN
    machine.pass_s(4 * 3600)
    dispatch.assign(timed_store.clock.now())
    assert timed_store.sheets.get(1).state is SheetState.FAILED
