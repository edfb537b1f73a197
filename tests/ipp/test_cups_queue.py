"""Queues of a real cupsd as the pool's printers, as USB printers are in the box."""

from __future__ import annotations

import time

import pytest

from store import decisions
from store.records import PrinterPool
from store.states import SheetState, TicketState
from store.tables import Store
from tests.ipp.test_sender import PAGE, StartEve, add_printer, drawn_ticket, ends_as, pool, room
from tests.lab import CupsServer, EvePrinter, Printed, until
from tests.studio import NOW

__all__ = ["pool"]  # the fixture


@pytest.mark.parametrize("is_raw", [False, True])
def test_every_copy_comes_out_of_the_printer_behind_the_queue(
    store: Store, pool: PrinterPool, cups_server: CupsServer, eve_printer: StartEve, is_raw: bool
) -> None:
    eve = eve_printer("Eve")
    add_printer(store, pool, cups_server.add_queue("photo", eve.uri, is_raw))
    drawn_ticket(store, pool, [3, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
    documents = [page.document.read_bytes() for page in eve.printed()]
    assert sorted(document[len(PAGE) :] for document in documents) == [b"1", b"1", b"1", b"2"]
    assert [result.copies for result in store.changes.get(1).results] == [3, 1]
    if not is_raw:
        assert all("x-dimension=10160 y-dimension=15240" in page.media_col for page in eve.printed())


@pytest.mark.timeout(240)
def test_a_cupsd_that_is_killed_and_comes_back_loses_and_repeats_nothing(
    store: Store, pool: PrinterPool, cups_server: CupsServer, eve_printer: StartEve
) -> None:
    eve = eve_printer("Eve", seconds=1)
    add_printer(store, pool, cups_server.add_queue("photo", eve.uri))
    until((cups_server.folder / "etc" / "printers.conf").exists, "the queue itself is kept")
    drawn_ticket(store, pool, [1] * 4)
    with room(store):
        until(lambda: len(eve.printed()) == 1, "the first one comes out")
        cups_server.stop(kill=True)
        cups_server.start()
        until(lambda: answered(store, eve), "everything came out", 150, every_s=1)
    assert sorted(map(sheet_of, eve.printed())) == [1, 2, 3, 4]


def sheet_of(page: Printed) -> int:
    return int(page.document.read_bytes()[len(PAGE) :])


def answered(store: Store, eve: EvePrinter) -> bool:
    """Answer what cupsd forgot, as a person who looks at the paper a while later; whether the ticket is done."""
    for sheet in store.sheets.by("ticket_state", (1, SheetState.UNSURE.value)):
        time.sleep(3)  # what the dead cupsd had begun may still come out
        decisions.answer_unsure(store, sheet.id, int(sheet.id in map(sheet_of, eve.printed())), NOW)
    return store.tickets.get(1).state is TicketState.FINISHED
