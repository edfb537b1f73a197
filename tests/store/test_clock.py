"""One clock: a machine's wrong time deletes nothing, fails nothing and logs nobody out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import decisions, intake
from store.clock import BUILT, FAR, Clock, ClockTrouble, Marks
from store.housekeeping import Housekeeper, Retention
from store.tables import MARK_EVERY_S, MARK_IDLE_S, Store
from tests.machine_time import SetTime
from tests.studio import NOW, add_render_job, photo, push

WRONG = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC),
    datetime(2000, 1, 1, tzinfo=UTC),
]
TODAY = BUILT + timedelta(days=30)


@pytest.fixture
def machine() -> SetTime:
    return SetTime(TODAY)


@pytest.fixture
def reopen(tmp_path: Path, machine: SetTime) -> Iterator[Callable[[], Store]]:
    """Opens the store anew, as after a power cut and a start."""
    opened: list[Store] = []

    def again() -> Store:
        if opened:
            opened.pop().close()
        opened.append(Store(tmp_path / "data", machine=machine))
        return opened[-1]

    yield again
    for store in opened:
        store.close()


def with_work(store: Store) -> None:
    """A record whose ticket has ended, with its picture."""
    add_render_job(store)
    intake.accept(store, push(photo(store, 1, 60, 40)), store.clock.now())
    decisions.cancel_ticket(store, 1, store.clock.now())


# -- the clock itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", WRONG, ids=lambda moment: str(moment.year))
def test_a_start_with_a_wrong_clock_goes_on_from_the_newest_time_that_is_known(wrong: datetime) -> None:
    machine = SetTime(wrong)
    clock = Clock(machine, Marks(is_known=True, newest=TODAY))
    assert clock.trouble in (ClockTrouble.BEFORE_BUILD, ClockTrouble.AHEAD)
    assert clock.now() == TODAY
    machine.pass_s(60)
    assert clock.now() == TODAY + timedelta(seconds=60)
    machine.set_wall(TODAY + timedelta(hours=1))  # NTP
    assert clock.trouble is None and clock.now() == TODAY + timedelta(hours=1)


def test_the_first_start_of_a_box_in_1970_counts_from_when_the_program_was_made() -> None:
    machine = SetTime(datetime(1970, 1, 1, tzinfo=UTC))
    clock = Clock(machine)
    machine.pass_s(5)
    assert clock.trouble is ClockTrouble.BEFORE_BUILD and clock.now() == BUILT + timedelta(seconds=5)


@pytest.mark.parametrize("hours", [-1, 1, 10, 26])
def test_a_clock_that_is_set_by_hours_is_believed(machine: SetTime, hours: int) -> None:
    clock = Clock(machine, Marks(is_known=True, newest=TODAY))
    machine.set_wall(TODAY + timedelta(hours=hours))
    assert clock.trouble is None and clock.now() == machine.wall()


def test_a_box_that_was_off_for_long_asks_and_believes_whoever_answers(machine: SetTime) -> None:
    clock = Clock(machine, Marks(is_known=True, newest=TODAY - FAR - timedelta(days=1)))
    assert clock.trouble is ClockTrouble.AHEAD and clock.is_told
    clock.confirm()
    assert clock.trouble is None and clock.now() == TODAY and clock.marks.newest == TODAY


def test_a_time_server_is_believed_without_a_question(machine: SetTime) -> None:
    clock = Clock(machine, Marks(is_known=True, newest=TODAY - timedelta(days=200)))
    machine.synchronized = True
    assert clock.trouble is None and clock.now() == TODAY


def test_a_store_that_once_saw_2038_comes_back_to_today(machine: SetTime) -> None:
    clock = Clock(machine, Marks(is_known=True, newest=datetime(2038, 1, 1, tzinfo=UTC)))
    assert clock.trouble is ClockTrouble.BEHIND
    clock.confirm()
    assert clock.trouble is None and clock.now() == TODAY


def test_nobody_can_confirm_1970(machine: SetTime) -> None:
    machine.set_wall(datetime(1970, 1, 1, tzinfo=UTC))
    clock = Clock(machine, Marks(is_known=True, newest=TODAY))
    clock.confirm()
    assert clock.trouble is ClockTrouble.BEFORE_BUILD


def test_a_box_waits_for_its_time_server_and_tells_after_an_hour_that_it_found_none(machine: SetTime) -> None:
    clock = Clock(machine, Marks(is_known=True, newest=TODAY), expects_time_server=True)
    assert clock.trouble is ClockTrouble.NOT_SYNCHRONIZED and not clock.is_told
    assert clock.now() == TODAY  # people see it; only nothing is deleted by it
    machine.pass_s(3601)
    assert clock.is_told
    clock.confirm()
    assert clock.trouble is None
    # It stays so: this studio has no time server, and need not be asked each morning.
    assert Clock(machine, clock.marks, expects_time_server=True).trouble is None


def test_once_synchronized_a_box_may_lose_its_time_server(machine: SetTime) -> None:
    clock = Clock(machine, Marks(is_known=True, newest=TODAY), expects_time_server=True)
    machine.synchronized = True
    assert clock.trouble is None
    machine.synchronized = False
    assert clock.trouble is None


def test_running_time_goes_on_over_restarts_whatever_the_wall_clock_does(machine: SetTime) -> None:
    first = Clock(machine, Marks(is_known=True, newest=TODAY))
    machine.pass_s(100)
    machine.set_wall(datetime(2038, 1, 1, tzinfo=UTC))
    machine.pass_s(50)
    assert first.running_s() == 150
    second = Clock(machine, first.marks)
    machine.pass_s(7)
    assert second.running_s() == 157


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-80, 80), st.floats(0, 10_000)), max_size=20))
def test_now_never_leaves_what_is_credible(steps: list[tuple[int, float]]) -> None:
    """However the wall clock jumps by days, `now` stays within a far step of where time has really got to."""
    machine = SetTime(TODAY)
    clock = Clock(machine, Marks(is_known=True, newest=TODAY))
    for days, seconds in steps:
        before, wall = clock.now(), machine.wall()
        machine.pass_s(seconds)
        machine.set_wall(wall + timedelta(seconds=seconds, days=days))
        assert abs(clock.now() - before - timedelta(seconds=seconds)) <= FAR + timedelta(milliseconds=1)
        assert clock.now() >= BUILT - timedelta(days=1)


# -- what would have been lost -----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", WRONG, ids=lambda moment: str(moment.year))
def test_a_start_with_a_wrong_clock_deletes_nothing(
    reopen: Callable[[], Store], machine: SetTime, wrong: datetime
) -> None:
    with_work(reopen())
    machine.set_wall(wrong)
    store = reopen()
    housekeeper = Housekeeper(store, Retention())
    for _ in range(5):
        housekeeper.step(store.clock.now())
        machine.pass_s(3600)
    assert len(store.records) == 1 and len(store.tickets) == 1 and not store.archive.months()
    assert list(store.folder.images.glob("*/*"))
    assert any("clock of this box says" in told for told in store.troubles(0))


@pytest.mark.parametrize("cut", [False, True], ids=["", "cut off in between"])
def test_what_came_in_under_a_clock_of_1970_counts_from_when_the_time_is_known(
    reopen: Callable[[], Store], machine: SetTime, cut: bool
) -> None:
    machine.set_wall(datetime(1970, 1, 1, tzinfo=UTC))  # the first start, long after this program was made
    store = reopen()
    with_work(store)
    upload = store.folder.add_image(b"a picture whose record comes later")
    os.utime(store.folder.image(upload), (0, 0))
    if cut:
        store = reopen()
    machine.set_wall(BUILT + timedelta(days=500))
    Housekeeper(store, Retention()).step(store.clock.now())
    assert store.clock.trouble is None
    assert len(store.records) == 1 and len(store.tickets) == 1 and store.folder.image(upload).is_file()
    machine.pass_s(40 * 86_400)  # and then it ages like anything else
    store.remember_time()
    store = reopen()
    Housekeeper(store, Retention()).step(store.clock.now())
    assert len(store.records) == 1 and not len(store.tickets) and store.archive.months()


def test_an_edit_after_a_wrong_start_prints_nothing_again(reopen: Callable[[], Store], machine: SetTime) -> None:
    store = reopen()
    with_work(store)
    machine.set_wall(datetime(2038, 1, 1, tzinfo=UTC))
    store = reopen()
    Housekeeper(store, Retention()).step(store.clock.now())
    machine.set_wall(TODAY)
    edited = push(photo(store, 1, 60, 40)).model_copy(update={"revision": 2})
    assert not intake.accept(store, edited, store.clock.now()).opened


def test_a_store_of_a_version_that_kept_no_time_knows_it_by_what_happened(
    reopen: Callable[[], Store], machine: SetTime
) -> None:
    store = reopen()
    with_work(store)
    store.clock_marks.remove(1) if store.clock_marks.find(1) else None
    store._marked_version = store.version  # as the older version, which writes none at its end
    machine.set_wall(datetime(2038, 1, 1, tzinfo=UTC))
    assert reopen().clock.now() == TODAY


def test_time_is_remembered_seldom_and_less_while_nothing_happens(timed_store: Store, machine: SetTime) -> None:
    def marks_within(seconds: float) -> int:
        before, count = timed_store.version, 0
        while seconds > 0:
            machine.pass_s(60)
            seconds -= 60
            timed_store.remember_time()
            count += timed_store.version - before
            before = timed_store.version
        return count

    assert marks_within(4 * MARK_IDLE_S) == 4
    add_render_job(timed_store)
    machine.pass_s(MARK_EVERY_S)
    before = timed_store.version
    timed_store.remember_time()
    assert timed_store.version == before + 1


def test_files_of_a_wrong_clock_are_as_old_as_the_first_look_at_them(timed_store: Store, machine: SetTime) -> None:
    digest = timed_store.folder.add_image(b"nobody's picture")
    path = timed_store.folder.image(digest)
    os.utime(path, (0, 0))
    housekeeper = Housekeeper(timed_store, Retention())
    housekeeper.step(timed_store.clock.now())
    assert path.is_file()
    machine.pass_s(2 * 86_400)
    housekeeper.step(timed_store.clock.now())
    assert not path.exists()


assert NOW < TODAY  # a store that was made at NOW is not far from TODAY's
