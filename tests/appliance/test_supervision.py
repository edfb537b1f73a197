"""Loops that fail are told of, begun again and go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from appliance.supervision import Loop
from store import pulse
from store.errors import StoreUnavailable
from store.pulse import TOLD_FOR_S, Items, Pulse
from store.tables import Store
from tests.lab import until
from tests.machine_time import SetTime


@contextmanager
def running(loop: Loop) -> Iterator[Loop]:
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()
        loop.join()


@pytest.mark.parametrize("error", [RuntimeError("a fault"), OSError(36, "name too long"), UnicodeError("surrogate")])
def test_a_step_that_raises_whatever_it_be_is_taken_again(store: Store, error: Exception) -> None:
    steps: list[datetime] = []

    def step(now: datetime) -> float:
        steps.append(now)
        if len(steps) == 1:
            raise error
        return 0.01

    with running(Loop("Hot folders", store, step)) as loop:
        until(lambda: len(steps) > 2, "it goes on")
        state = loop.state
        assert state.is_running and not state.is_failing
        assert "Hot folders stopped because of a fault in Printroom and was started again and runs" in state.trouble


def test_a_loop_that_fails_each_time_is_failing(store: Store) -> None:
    def step(now: datetime) -> float:
        raise ZeroDivisionError

    with running(Loop("Alerts", store, step)) as loop:
        until(lambda: loop.state.is_failing, "it is told")
        assert loop.state.is_running and "again and again (ZeroDivisionError())" in loop.state.trouble


def test_a_full_disk_is_not_the_loops_fault(store: Store) -> None:
    asked: list[int] = []

    def step(now: datetime) -> float:
        asked.append(1)
        raise StoreUnavailable("the disk is full")

    with running(Loop("Drawing", store, step)) as loop:
        until(lambda: asked, "it was asked")
        assert not loop.state.is_failing and not loop.state.trouble


def test_a_change_of_the_store_ends_the_rest_of_a_loop_that_waits_for_one(store: Store) -> None:
    seen: list[int] = []

    def step(now: datetime) -> float:
        seen.append(store.version)
        return 3600

    with running(Loop("Webhooks", store, step, wakes_on_change=True)):
        until(lambda: seen, "the first step")
        store.set(studio_name="North Light")
        until(lambda: seen[-1] == store.version, "the second")


def test_a_failure_is_told_for_a_while_and_then_forgotten(machine: SetTime) -> None:
    pulse = Pulse("Drawing", machine.monotonic)
    pulse.failed(ValueError("odd"))
    with pulse.step():
        pass
    machine.pass_s(TOLD_FOR_S)
    assert pulse.state(True).trouble
    machine.pass_s(1)
    assert not pulse.state(True).trouble


def test_a_step_that_does_not_come_back_is_told(machine: SetTime) -> None:
    pulse = Pulse("Hot folders", machine.monotonic)
    with pulse.step():
        machine.pass_s(179)
        assert not pulse.state(True).is_failing
        machine.pass_s(61)
        assert pulse.state(True).trouble.startswith("Hot folders has not moved for 4 min")
    assert not pulse.state(True).is_failing


def test_an_item_that_fails_is_left_alone_longer_each_time_and_the_others_go_on(machine: SetTime) -> None:
    items = Items("hot_folder", machine.monotonic)
    for pause in (1, 2, 4):
        with items.guard("a", "A"):
            raise RuntimeError
        assert items.may("b") and not items.may("a")
        machine.pass_s(pause)
        assert items.may("a")
    assert items.failures("a") == 3 and "RuntimeError" in items.error("a")
    with items.guard("a", "A"):
        pass
    assert items.failures("a") == 0


def test_some_items_are_left_alone_for_longer_and_what_fails_for_days_fills_no_log(
    machine: SetTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[int] = []

    class Log:
        def exception(self, _: str, failures: int, **__: str) -> None:
            lines.append(failures)

    monkeypatch.setattr(pulse, "log", Log())
    items = Items("alert_way", machine.monotonic, first_s=15, longest_s=3600)
    for pause in (15, 30, 60, *[0] * 1000, 3600):
        with items.guard("mail", "mail"):
            raise OSError
        if pause:
            machine.pass_s(pause - 1)
            assert not items.may("mail")
            machine.pass_s(1)
            assert items.may("mail")
    assert lines == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def test_a_disk_that_takes_nothing_is_everybodys(machine: SetTime) -> None:
    items = Items("webhook", machine.monotonic)
    with pytest.raises(StoreUnavailable), items.guard("a", "A"):
        raise StoreUnavailable("full")
    assert items.may("a")
