"""Drawing processes that the system ends, and pictures that end them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from render.processes import MOST_KILLS
from store import decisions, intake
from store.states import SheetState, TicketState
from tests.render.room import Room
from tests.studio import NOW, add_render_job, photo, push


def kill_itself(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash(_: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def run_out_of_memory(_: object) -> None:
    raise MemoryError


Instead = Callable[[str, Callable[[object], None], int], None]


@pytest.mark.parametrize("kind", ["measure", "draw"])
@pytest.mark.parametrize("end", [kill_itself, run_out_of_memory])
def test_a_process_that_the_system_ends_costs_time_and_nothing_else(
    room: Room, instead: Instead, kind: str, end: Callable[[object], None]
) -> None:
    instead(kind, end, MOST_KILLS - 1)
    add_render_job(room.store)
    intake.accept(room.store, push([photo(room.store, 1), photo(room.store, 2)]), NOW)
    room.until_it_waits("the system ended the program that drew 0001.jpg")
    room.until_ended(passes_s=1)
    assert (room.ticket().state, room.ticket().reason) == (TicketState.FINISHED, "")


def test_a_process_that_the_system_ends_again_and_again_parks_the_ticket_and_not_the_picture(
    room: Room, instead: Instead
) -> None:
    instead("draw", kill_itself, MOST_KILLS)
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store)), NOW)
    other = [{"id": "1", "image": "0002.jpg", "size": "4x6"}]
    intake.accept(room.store, push([photo(room.store, 2), photo(room.store, 3)], other, number="S-2"), NOW)
    room.until(lambda: room.ticket().fault, "a parked ticket", passes_s=1)
    assert f"0001.jpg {MOST_KILLS} times" in room.ticket().reason and "memory" in room.ticket().reason
    assert "damaged" not in room.ticket().reason and room.store.sheets.by("ticket", 1)[0].state is SheetState.PLANNED
    decisions.resume_ticket(room.store, 1)
    room.until_ended(1, 2, passes_s=1)
    assert room.ticket().state is TicketState.FINISHED


def test_while_one_task_waits_for_its_next_try_others_are_drawn(room: Room, instead: Instead) -> None:
    instead("draw", kill_itself, 2)
    add_render_job(room.store)
    for number in (1, 2):
        digests = [photo(room.store, 10 * number + one) for one in range(2)]
        items = [{"id": "1", "image": f"000{number}.jpg", "size": "4x6"}]
        intake.accept(room.store, push(digests, items, number=f"S-{number}"), NOW)
    room.until(lambda: "ended" in room.ticket(1).reason, "a try that failed", passes_s=0)
    room.until_ended(2, passes_s=0)
    assert room.ticket(1).state is TicketState.RENDERING
    room.until_ended(1)


@pytest.mark.parametrize("kind", ["measure", "draw"])
def test_a_picture_that_crashes_its_reader_twice_fails_by_name_and_no_other(
    room: Room, instead: Instead, kind: str
) -> None:
    instead(kind, crash, 2)
    add_render_job(room.store)
    intake.accept(room.store, push([photo(room.store, 1), photo(room.store, 2)]), NOW)
    room.until_ended()
    reasons = {result.image: result.reason for result in room.ticket().results}
    assert "0001.jpg: the program that reads pictures was ended" in reasons["0001.jpg"] and reasons["0002.jpg"] == ""


def test_a_crash_that_does_not_come_again_costs_nothing(room: Room, instead: Instead) -> None:
    instead("draw", crash, 1)
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store, 1)), NOW)
    room.until_ended()
    assert room.ticket().state is TicketState.FINISHED
