"""An order that a pool divided: a slip on each printer says what is where."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from ipp.dispatch import Dispatch
from ipp.room import IppRoom
from ipp.slips import words_by_printer
from store import progress
from store.profiles import RenderProfile
from store.records import Printer, PrinterPool, PrinterState, PrinterStatus, Sheet
from store.sizes import parse_size
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from tests.appliance.test_convert import at_once
from tests.ipp.test_sender import PAGE, StartVirtual, add_printer, drawn_ticket, ends_as, pool, timedelta
from tests.studio import NOW

__all__ = ["pool"]  # the fixture
READY = PrinterStatus(state=PrinterState.IDLE, max_copies=99, since=NOW)


def room_that_draws(store: Store) -> IppRoom:
    return IppRoom(store, discovers=False, unreachable_limit=timedelta(hours=1), convert=at_once)


def slips(store: Store) -> list[Sheet]:
    return [sheet for sheet in store.sheets.all() if sheet.slip and sheet.state is not SheetState.FAILED]


def test_each_printer_prints_a_slip_behind_its_part(
    store: Store, pool: PrinterPool, virtual_printer: StartVirtual
) -> None:
    printers = [virtual_printer(name, "--seconds-per-sheet", "0.05") for name in ("Left", "Right")]
    for printer, name in zip(printers, ("Left", "Right"), strict=True):
        add_printer(store, pool, printer.uri, name)
    drawn_ticket(store, pool, [1] * 6)
    room = room_that_draws(store)
    room.start()
    try:
        ends_as(store, TicketState.FINISHED)
    finally:
        room.stop()
    made = slips(store)
    assert [slip.state for slip in made] == [SheetState.PRINTED] * 2
    for printer, slip, other in zip(printers, made, ("Right", "Left"), strict=True):
        pages = [(printer.tray / str(line["file"])).read_bytes() for line in printer.printed()]
        ordered = [page for page in pages if page.startswith(PAGE)]
        assert len(pages) == len(ordered) + 1 and pages[-1] not in ordered  # the slip lies on top of its part
        assert f"{len(ordered)} prints" in slip.slip[1] and slip.slip[-1] == f"On {other}: {6 - len(ordered)} prints"
        with Image.open(io.BytesIO(pages[-1])) as paper:
            assert paper.size == (1200, 1800)
            assert paper.convert("L").getextrema() == (0, 255)  # letters
    assert len(store.changes.get(1).results) == 6  # a slip is nothing that was ordered


@pytest.mark.parametrize("changes", [{"separator_slips": False}, {"job_split": False}])
def test_no_slips_where_nobody_wants_them_or_nothing_was_divided(
    store: Store, pool: PrinterPool, changes: dict[str, bool]
) -> None:
    store.printer_pools.put(pool.with_(**changes))
    for name in ("Left", "Right"):
        store.printer_status.put(READY.with_(id=add_printer(store, pool, f"ipp://{name}", name).id))
    drawn_ticket(store, pool, [1] * 4)
    Dispatch(store, timedelta(hours=1)).assign(NOW)
    assert slips(store) == []


def test_a_sheet_that_goes_to_another_printer_later_makes_new_slips(store: Store, pool: PrinterPool) -> None:
    for name in ("Left", "Right"):
        store.printer_status.put(READY.with_(id=add_printer(store, pool, f"ipp://{name}", name).id))
    drawn_ticket(store, pool, [1] * 4)
    dispatch = Dispatch(store, timedelta(hours=1))
    dispatch.assign(NOW)
    before = {slip.printer_id: slip.slip for slip in slips(store)}
    assert {one for words in before.values() for one in words if one.startswith("Here")} == {
        "Here, on Left: 2 prints",
        "Here, on Right: 2 prints",
    }
    jobs = {job.id: job for job in store.print_jobs.all() if job.printer_id == 2}
    progress.settle_print_job(store, next(iter(jobs.values())), "cancel", NOW, reason="it stopped")
    store.printer_status.put(READY.with_(id=2, state=PrinterState.STOPPED))
    for job in store.print_jobs.by("printer_state", (1, PrintJobState.INTENDED.value))[:1]:
        progress.settle_print_job(store, job, "abort", NOW, holds=False, reason="torn")
    dispatch.assign(NOW)
    after = {slip.printer_id: slip.slip for slip in slips(store)}
    assert after[2][1] == "Here, on Right: 1 print" and after[1][1] == "Here, on Left: 2 prints"
    assert len(slips(store)) == 2  # the two from before are not printed any more


def test_a_ticket_does_not_wait_for_the_slip_of_a_printer_that_stopped(store: Store, pool: PrinterPool) -> None:
    for name in ("Left", "Right"):
        store.printer_status.put(READY.with_(id=add_printer(store, pool, f"ipp://{name}", name).id))
    drawn_ticket(store, pool, [1] * 4)
    dispatch = Dispatch(store, timedelta(hours=1))
    dispatch.assign(NOW)
    for job in store.print_jobs.all():
        for event in ("create", "begin", "send"):
            job = progress.move_print_job(store, job, event, NOW)
        progress.settle_print_job(store, job, "complete", NOW)
    store.printer_status.put(READY.with_(id=1, state=PrinterState.STOPPED, message="lid"))
    dispatch.assign(NOW)
    (left,) = [sheet for sheet in store.sheets.all() if sheet.slip and sheet.printer_id == 1]
    assert left.state is SheetState.FAILED and "lid" in left.reason
    (job,) = store.print_jobs.by("printer_state", (2, PrintJobState.INTENDED.value))
    progress.settle_print_job(store, job, "abort", NOW, holds=True, reason="torn")  # nobody is asked about a slip
    assert store.tickets.get(1).state is TicketState.FINISHED


def test_many_pictures_are_counted_instead_of_written_too_small() -> None:
    left, right = Printer(id=1, name="Left"), Printer(id=2, name="Right")
    profile = RenderProfile(id=1, name="p", pool_id=1)
    many = [
        Sheet(
            ticket_id=1, profile_id=profile.id, item="", image=f"{n}.jpg", size=parse_size("4x6"), quantity=2,
            state=SheetState.ASSIGNED,
        )
        for n in range(200)
    ]  # fmt: skip
    words = words_by_printer("Session S-7 · Meier", [(left, many[:1]), (right, many[1:])])
    assert words[1] == ("Session S-7 · Meier", "Here, on Left: 2 prints", "0.jpg 4x6 × 2", "On Right: 398 prints")
    assert len(words[2]) == 15 and words[2][-2] == "and 155 more"
