"""A code for a new password: good for ten minutes, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from store import password_reset

NOW = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)


def test_a_code_is_good_for_ten_minutes_and_the_last_one_only(tmp_path: Path) -> None:
    first = password_reset.make(tmp_path, NOW)
    second = password_reset.make(tmp_path, NOW)
    assert not password_reset.is_good(tmp_path, first, NOW) or first == second
    assert password_reset.is_good(tmp_path, second, NOW + timedelta(minutes=10))
    assert not password_reset.is_good(tmp_path, second, NOW + timedelta(minutes=11))
    assert second not in (tmp_path / password_reset.NAME).read_text()
    password_reset.use_up(tmp_path)
    assert not password_reset.is_good(tmp_path, second, NOW)
