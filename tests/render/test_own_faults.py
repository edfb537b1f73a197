"""A fault of ours parks its ticket, and touches no other; people decide meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from render import loop as loop_module
from render.loop import RenderLoop
from render.publishing import Publishing
from store import decisions, intake, progress
from store.states import SheetState, TicketState
from store.tables import Store
from tests.render.room import Room
from tests.studio import NOW, add_render_job, photo, push


def _at_start(room_of: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    may_start = loop_module.may_start

    def fail(render_job: Any, *arguments: Any) -> Any:
        if render_job.kind == "session":
            raise ZeroDivisionError
        return may_start(render_job, *arguments)

    monkeypatch.setattr(loop_module, "may_start", fail)


def _of_ticket_1(target: Any, name: str, ticket_of: Callable[..., int]) -> Callable[[Store, pytest.MonkeyPatch], None]:
    def inject(_: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(target, name)

        def fail(*arguments: Any, **others: Any) -> Any:
            if ticket_of(*arguments) == 1:
                raise ZeroDivisionError
            return original(*arguments, **others)

        monkeypatch.setattr(target, name, fail)

    return inject


PLACES = {
    "start": _at_start,
    "order": _of_ticket_1(RenderLoop, "_order_for", lambda _, ticket, *__: ticket.id),
    "measure": _of_ticket_1(RenderLoop, "_measure", lambda _, ticket, *__: ticket.id),
    "plan": _of_ticket_1(loop_module, "plan_ticket", lambda _, ticket_id, *__: ticket_id),
    "dispatch": _of_ticket_1(RenderLoop, "_order_drawing", lambda _, ticket_id, *__: ticket_id),
    "give": _of_ticket_1(RenderLoop, "_give_one", lambda _, order, *__: order.ticket_id),
    "collect": _of_ticket_1(RenderLoop, "_take", lambda _, work, *__: work.ticket_id),
    "drawn": _of_ticket_1(RenderLoop, "_take_drawn", lambda _, work, *__: work.ticket_id),
    "publish": _of_ticket_1(Publishing, "_reserve", lambda _, publication: publication.ticket_id),
    "record": _of_ticket_1(Publishing, "_record", lambda _, publication, *__: publication.ticket_id),
    "move": _of_ticket_1(progress, "move_sheet", lambda _, sheet, *__: sheet.ticket_id),
    "end": _of_ticket_1(progress, "review_ticket", lambda _, ticket_id, *__: ticket_id),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_fault_of_ours_parks_its_ticket_over_restarts_and_touches_no_other(
    room: Room, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    add_render_job(room.store)
    add_render_job(room.store, kind="order")
    intake.accept(room.store, push([photo(room.store, 1), photo(room.store, 2)]), NOW)
    intake.accept(room.store, push(photo(room.store, 3), kind="order", number="O-2"), NOW)
    with monkeypatch.context() as faulty:
        PLACES[place](room.store, faulty)
        room.until_ended(2)
        room.until(lambda: room.ticket(1).fault, "a parked ticket")
        room.restart()
        version = room.store.version
        assert room.loop.step(NOW) > 0 and room.store.version == version  # it is left alone
        intake.accept(room.store, push(photo(room.store, 4), kind="order", number="O-3"), NOW)
        room.until_ended(3)
    fault = room.ticket(1).fault
    assert fault is not None and fault.where == "drawing" and "ZeroDivisionError" in fault.error
    assert room.ticket(1).reason == "held: a fault in Printroom while drawing"
    assert [room.ticket(one).state for one in (2, 3)] == [TicketState.FINISHED] * 2
    decisions.resume_ticket(room.store, 1)
    room.restart()
    room.until_ended(1)
    assert room.ticket(1).state is TicketState.FINISHED
    assert len(room.files()) == 4 and not [name for name in room.files() if "(" in name]


def test_a_fault_in_a_drawing_process_is_parked_with_its_place(
    room: Room, instead: Callable[[str, Callable[[object], None], int], None]
) -> None:
    instead("draw", stumble, 1)
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store)), NOW)
    room.until(lambda: room.ticket().fault, "a parked ticket")
    fault = room.ticket().fault
    assert fault is not None and "KeyError('a')" in fault.error and "test_own_faults.py" in fault.error


def stumble(_: object) -> None:
    raise KeyError("a")


# -- people and races -------------------------------------------------------------------------------------------


def test_a_sheet_that_is_canceled_while_it_is_drawn_stays_canceled_and_the_ticket_ends(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_render_job(room.store)
    intake.accept(room.store, push([photo(room.store, 1), photo(room.store, 2)]), NOW)
    take = RenderLoop._take_drawn

    def cancel_first(self: RenderLoop, work: Any, drawn: Any) -> None:
        if work.sheets[0].id == 1:
            decisions.cancel_sheet(room.store, 1, NOW, "Kim")
        take(self, work, drawn)

    monkeypatch.setattr(RenderLoop, "_take_drawn", cancel_first)
    room.until_ended()
    assert [sheet.state for sheet in room.store.sheets.by("ticket", 1)] == [SheetState.CANCELED, SheetState.DRAWN]


def test_when_a_person_cancels_every_sheet_before_it_is_drawn_the_ticket_ends(room: Room) -> None:
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store)), NOW)
    room.until(lambda: room.store.sheets.by("ticket", 1), "a plan")
    room.workers.stop()
    decisions.cancel_sheet(room.store, 1, NOW, "Kim")
    room.until_ended()
    assert room.store.sheets.get(1).state is SheetState.CANCELED


def test_a_ticket_that_is_held_waits_with_its_own_words_and_goes_on(room: Room) -> None:
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store)), NOW)
    room.until(lambda: room.store.sheets.by("ticket", 1), "a plan")
    decisions.hold_ticket(room.store, 1, NOW, "Kim")
    for _ in range(20):
        room.loop.step(NOW)
    assert room.ticket().state is TicketState.RENDERING and room.ticket().is_paused
    decisions.resume_ticket(room.store, 1)
    room.until_ended()
