"""A code for a new password: good for ten minutes, and once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from store import password_reset
from tests.machine_time import SetTime


def test_a_code_is_good_for_ten_minutes_and_the_last_one_only(tmp_path: Path, machine: SetTime) -> None:
    first = password_reset.make(tmp_path, machine)
    second = password_reset.make(tmp_path, machine)
    assert not password_reset.is_good(tmp_path, first, machine) or first == second
    machine.pass_s(600)
    assert password_reset.is_good(tmp_path, second, machine)
    machine.pass_s(1)
    assert not password_reset.is_good(tmp_path, second, machine)
    assert second not in (tmp_path / password_reset.NAME).read_text()
    password_reset.use_up(tmp_path)
    assert not password_reset.is_good(tmp_path, second, machine)


def test_a_clock_that_is_set_neither_ends_a_code_nor_keeps_it(tmp_path: Path, machine: SetTime) -> None:
    code = password_reset.make(tmp_path, machine)
    machine.set_wall(machine.wall() + timedelta(hours=10))
    assert password_reset.is_good(tmp_path, code, machine)
    machine.set_wall(machine.wall() - timedelta(days=30))
    machine.pass_s(601)
    assert not password_reset.is_good(tmp_path, code, machine)


def test_a_code_of_before_the_machine_was_started_anew_is_void(
    tmp_path: Path, machine: SetTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = password_reset.make(tmp_path, machine)
    monkeypatch.setattr(password_reset, "_boot", lambda: "another start")
    assert not password_reset.is_good(tmp_path, code, machine)
