"""What people set in the panel, as it takes effect when the box starts."""

from __future__ import annotations

import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.config import Settings
from appliance.process import Process
from ipp.errors import PrinterError
from store import backups, safe_mode
from store.settings import BoxSettings
from store.tables import Store
from tests.lab import until
from web.clients import new_client

PASSPHRASE = "long enough"


def started(data: Path, **settings: object) -> Process:
    return Process(Settings.load(data=data, discovery=False, ipp_port=0, interfaces=("127.0.0.1",), **settings))


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
        assert process.store.local(process.store.clock.now()).tzname() == "JST"
        assert not any(loop.is_failing for loop in process.services.loops()) and not process.store.settings.is_paused
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
    backups.prepare(store.folder.root, store.next_ids, file, PASSPHRASE)
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


def test_a_version_that_is_tried_is_healthy_and_takes_nothing_until_it_has_shown_it(tmp_path: Path) -> None:
    data, box = tmp_path / "data", tmp_path / "box"
    prepared(data, auto_start=False)
    store = Store(data)
    _, token = new_client(store, "Front desk")
    store.close()
    box.mkdir()
    (box / "on-trial").touch()
    process = started(data, box=box)
    try:
        http = process.app().test_client()  # type: ignore[attr-defined]
        record = {"kind": "session", "number": "S-1", "revision": 1, "status": "New"}

        def push() -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            return http.post("/sync/v1/statuses", json={"records": [record]}, headers=headers)

        until(lambda: http.get("/health/alive").status_code == 200, "it is healthy", 60)
        refused = push()
        assert http.get("/health/alive").get_json()["healthy"]
        assert refused.status_code == 503 and "is being tried" in refused.get_json()["error"]["message"]
        (box / "on-trial").unlink()
        assert push().status_code == 200 and not (data / "store" / "on-trial").exists()
        assert not any(loop.is_failing for loop in process.services.loops())
    finally:
        process.stop()


def test_safe_mode_takes_records_and_neither_draws_nor_prints(tmp_path: Path) -> None:
    prepared(tmp_path)
    safe_mode.switch(tmp_path, on=True)
    process = started(tmp_path)
    try:
        loops = process.services.loops()
        names = {loop.name for loop in loops}
        assert not names & {"Drawing", "Printing"} and "Alerts" in names and not any(loop.is_failing for loop in loops)
        assert process.services.is_safe
        with pytest.raises(PrinterError, match="safe mode"):
            process.room.describe("ipp://127.0.0.1:9/ipp/print")
        process.store.set(studio_name="Still here")
    finally:
        process.stop()


def test_pictures_on_the_box_s_share_are_known_as_computers_know_them(tmp_path: Path) -> None:
    settings = Settings.load(data=tmp_path, share=tmp_path / "share", local_name="printroom")
    wanted = (tmp_path / "share" / "images", "wedding/0001.jpg")
    for host in ("printroom", "printroom.local", "printroom-2", "PRINTROOM-2.local", socket.gethostname()):
        assert wanted in list(settings.image_folders.candidates(rf"\\{host}\images\wedding\0001.jpg")), host
    assert tmp_path / "share" / "hot" in settings.shared_folders
