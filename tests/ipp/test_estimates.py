"""How long it takes, from how fast the printers were."""

from __future__ import annotations

from datetime import timedelta

from ipp.estimates import Wanted, estimates, rates
from store.records import Printer, PrinterState, PrinterStatus, PrintJob
from store.states import PrintJobState
from tests.studio import NOW


def job(number: int, printer_id: int, ended_s: float) -> PrintJob:
    return PrintJob(
        id=number,
        sheet_id=number,
        ticket_id=1,
        printer_id=printer_id,
        job_name=str(number),
        copies=1,
        state=PrintJobState.COMPLETED,
        intended_at=NOW,
        changed_at=NOW + timedelta(seconds=ended_s),
        impressions_completed=1,
    )


JOBS = [job(1, 1, 10), job(2, 1, 20), job(3, 2, 5), job(4, 2, 10)]  # one takes ten seconds, the other five
PRINTERS = [Printer(id=1, name="Slow", uri="ipp://a", pool_id=7), Printer(id=2, name="Quick", uri="ipp://b", pool_id=7)]


def status(printer_id: int, state: PrinterState = PrinterState.IDLE) -> PrinterStatus:
    return PrinterStatus(id=printer_id, state=state, since=NOW)


def test_a_pool_is_as_fast_as_its_printers_together() -> None:
    known = rates(PRINTERS, {1: status(1), 2: status(2)}, JOBS)
    assert known == {("printer", 1): 0.1, ("printer", 2): 0.2, ("pool", 7): 0.1 + 0.2}
    assert estimates([Wanted(1, {("pool", 7): 30})], known) == {1: 30 / (0.1 + 0.2)}


def test_a_printer_that_is_off_or_inactive_does_not_count() -> None:
    off = {1: status(1), 2: status(2, PrinterState.UNREACHABLE)}
    assert rates(PRINTERS, off, JOBS)["pool", 7] == 0.1
    inactive = [PRINTERS[0].with_(inactive=True), PRINTERS[1]]
    assert rates(inactive, {1: status(1), 2: status(2)}, JOBS)["pool", 7] == 0.2


def test_where_nothing_was_printed_yet_nothing_is_promised() -> None:
    known = rates(PRINTERS, {1: status(1), 2: status(2)}, [])
    assert known == {} and estimates([Wanted(1, {("pool", 7): 30})], known) == {}


def test_a_ticket_waits_for_those_before_it() -> None:
    wanted = [Wanted(1, {("pool", 7): 10}), Wanted(2, {}), Wanted(3, {("pool", 7): 10})]
    assert estimates(wanted, {("pool", 7): 1.0}) == {1: 10.0, 3: 20.0}
