"""What people set in the panel, as it takes effect when the box starts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.config import Settings
from appliance.process import Process
from store import backups
from store.settings import BoxSettings
from store.tables import Store
from web.units import use_time_zone

PASSPHRASE = "long enough"


@pytest.fixture(autouse=True)
def _same_time_zone_after_it() -> Iterator[None]:
    before = os.environ.get("TZ", "")
    yield
    use_time_zone(before)


def started(data: Path) -> Process:
    return Process(Settings.load(data=data, discovery=False, ipp_port=0, interfaces=("127.0.0.1",)))


def prepared(data: Path, **settings: object) -> None:
    store = Store(data)
    store.set(**settings)
    store.close()


def test_the_panel_sets_what_nothing_else_says(tmp_path: Path) -> None:
    (tmp_path / "printroom.toml").write_text("workers = 3\n")
    settings = Settings.load(data=tmp_path)
    box = BoxSettings(workers=7, max_memory_mb=900, image_roots=("/srv/images",), path_mappings=("S:=/srv/images",))
    effective = settings.with_panel(box)
    assert (effective.workers, effective.max_memory_mb) == (3, 900) and "workers" in settings.fixed
    assert effective.image_roots == (Path("/srv/images"),) and len(effective.image_folders.mappings) == 1
    assert settings.with_panel(BoxSettings()) == settings


def test_what_was_set_is_in_force_after_a_start(tmp_path: Path) -> None:
    prepared(tmp_path, time_zone="Asia/Tokyo", max_memory_mb=900, archive_after_days=5)
    process = started(tmp_path)
    try:
        assert process.services.engine["max_memory_mb"] == 900 and process.services.engine["archive_after_days"] == 5
        assert datetime.now(UTC).astimezone().tzname() == "JST"
        assert all(process.services.loops().values()) and not process.store.settings.is_paused
    finally:
        process.stop()


def test_a_box_that_does_not_begin_by_itself_waits_for_a_person(tmp_path: Path) -> None:
    prepared(tmp_path, auto_start=False)
    process = started(tmp_path)
    paused = process.store.settings.is_paused
    process.stop()
    assert paused


def test_a_restore_that_was_asked_for_is_in_place_after_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = Store(data)
    store.set(studio_name="Then")
    file = tmp_path / "b.zip"
    file.write_bytes(b"".join(backups.backup(store, PASSPHRASE, "0.1.0", datetime.now(UTC), with_pictures=False)))
    store.set(studio_name="Now")
    backups.prepare(store, file, PASSPHRASE)
    backups.go(data, datetime.now(UTC))
    store.close()
    process = started(data)
    settings = process.store.settings
    process.stop()
    assert settings.studio_name == "Then" and settings.is_paused and settings.restored_from


def test_starting_anew_ends_the_worker_in_good_order(tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    process = started(tmp_path)
    try:
        process.services.restart()
    finally:
        process.stop()
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]
