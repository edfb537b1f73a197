"""Giving sheets to printers: what one ticket raises stays with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ipp import dispatch as dispatch_module
from ipp import waiting
from ipp.dispatch import Dispatch
from ipp.pool import Allocation, Waiting, allocate
from store import decisions, intake, progress
from store.records import Printer, PrinterPool, PrinterState, PrinterStatus, Sheet, Ticket
from store.sizes import parse_size
from store.states import SheetState
from store.tables import Store
from tests.studio import NOW, add_render_job, photo, push


@pytest.fixture
def tickets(store: Store) -> list[Ticket]:
    """Three tickets with a drawn sheet each, and an idle printer."""
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    printer = store.printers.add(Printer(name="One", uri="ipp://127.0.0.1:9/ipp/print", pool_id=pool.id))
    store.printer_status.add(PrinterStatus(id=printer.id, state=PrinterState.IDLE, max_copies=99, since=NOW))
    add_render_job(store, pool_id=pool.id)
    digest = photo(store, 1, 60, 40)
    for number in range(1, 4):
        intake.accept(store, push(digest, number=f"S-{number}"), NOW)
        with store.transaction():
            ticket = store.tickets.get(number)
            for event in ("start", "drawn"):
                ticket = progress.move_ticket(store, ticket, event, NOW)
            fields = {"ticket_id": number, "profile_id": 1, "item": "1", "image": "0001.jpg", "prints": True}
            size = parse_size("4x6")
            store.sheets.add(Sheet(size=size, quantity=1, state=SheetState.DRAWN, plan={"dpi": 300}, **fields))
    return store.tickets.all()


def assigned(store: Store) -> list[int]:
    return [sheet.ticket_id for sheet in store.sheets.all() if sheet.state is SheetState.ASSIGNED]


def of_second(*arguments: Any) -> Any:
    raise ZeroDivisionError("a fault of ours")


@pytest.mark.parametrize("place", ["gathering", "allocating", "intending", "explaining"])
def test_a_ticket_that_we_stumble_over_is_parked_and_the_others_are_printed(
    store: Store, tickets: list[Ticket], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    dispatch = Dispatch(store, timedelta(hours=4))
    own_gathering, own_intend, own_explain = waiting.of_ticket, dispatch._intend, dispatch._explain

    def gathering(store: Store, ticket: Ticket, printers: int) -> list[Waiting]:
        return of_second() if ticket.id == 2 else own_gathering(store, ticket, printers)  # type: ignore[no-any-return]

    def allocating(sheets: Sequence[Waiting], *others: Any) -> Allocation:
        return of_second() if any(one.ticket_id == 2 for one in sheets) else allocate(sheets, *others)  # type: ignore[no-any-return]

    def intending(sheet_id: int, *others: Any) -> int:
        return of_second() if sheet_id == 2 else own_intend(sheet_id, *others)  # type: ignore[no-any-return]

    def explaining(sheets: Sequence[Waiting], *others: Any) -> None:
        of_second() if sheets[0].ticket_id == 2 else own_explain(sheets, *others)

    if place == "gathering":
        monkeypatch.setattr(waiting, "of_ticket", gathering)
    elif place == "allocating":
        monkeypatch.setattr(dispatch_module, "allocate", allocating)
    elif place == "intending":
        monkeypatch.setattr(dispatch, "_intend", intending)
    else:
        monkeypatch.setattr(dispatch, "_explain", explaining)
    dispatch.assign(NOW)
    dispatch.assign(NOW)  # what it would have had is another's now
    fault = store.tickets.get(2).fault
    assert fault is not None and "ZeroDivisionError" in fault.error and fault.where == "giving its sheets to printers"
    if place != "explaining":  # its sheet has its printer by then
        assert assigned(store) == [1, 3]
    monkeypatch.undo()
    again = Dispatch(store, timedelta(hours=4))  # as after a restart: it is left alone until a person says so
    again.assign(NOW)
    assert store.tickets.get(2).fault is not None
    decisions.resume_ticket(store, 2)
    for job in store.print_jobs.all():  # there is room again
        if job.ticket_id != 2:
            progress.settle_print_job(store, job, "cancel", NOW)
            decisions.cancel_ticket(store, job.ticket_id, NOW)
    again.assign(NOW)
    assert 2 in assigned(store)


def test_a_sheet_on_hold_is_not_given_up_with_those_that_wait(store: Store, tickets: list[Ticket]) -> None:
    store.printer_status.put(PrinterStatus(id=1, state=PrinterState.UNREACHABLE, since=NOW))
    held = store.sheets.get(1)
    store.sheets.put(held.with_(hold="too few pixels"))
    dispatch = Dispatch(store, timedelta(seconds=-1))
    dispatch.assign(NOW)
    assert [sheet.state for sheet in store.sheets.all()] == [SheetState.DRAWN, SheetState.FAILED, SheetState.FAILED]
