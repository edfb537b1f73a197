"""Shares that hang or go away while tickets need them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from render.samples import sample_photo
from render.sources import ImageFolders
from store import intake
from store.states import TicketState
from store.tables import Store
from tests.machine_time import SetTime
from tests.render.room import Room
from tests.share import Share
from tests.studio import NOW, add_render_job, photo, push


@pytest.fixture
def shared(timed_store: Store, machine: SetTime, share: Share) -> Iterator[Room]:
    """A room whose pictures lie on a share."""
    made = Room(timed_store, machine, ImageFolders((share.mount,)))
    yield made
    share_goes_on(share)
    made.loop.stop()


def share_goes_on(share: Share) -> None:
    with suppress(ProcessLookupError):
        share.go_on()


def order_from_share(room: Room, share: Share, count: int = 2) -> None:
    names = [f"{number}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        path = share.server / name
        path.write_bytes(sample_photo(number, 900, 600))
        old_s = room.machine.wall().timestamp() - 30 * 86_400
        os.utime(path, (old_s, old_s))
    add_render_job(room.store)
    record = push([], []).model_dump(mode="json") | {
        "images": [{"name": name, "path": name} for name in names],
        "items": [{"id": name, "image": name, "size": "4x6"} for name in names],
    }
    intake.accept(room.store, push([]).model_validate(record), NOW)


def test_pictures_on_a_share_are_copied_before_anybody_reads_them(shared: Room, share: Share) -> None:
    order_from_share(shared, share, 5)
    shared.until_ended()
    assert shared.ticket().state is TicketState.FINISHED and len(shared.files()) == 5
    assert not list(shared.store.folder.scratch.rglob("*.*")) and not list(
        (shared.store.folder.scratch / "drawing").iterdir()
    )


@pytest.mark.parametrize("stage", ["at the start", "when planned"])
def test_a_share_that_hangs_holds_its_own_tickets_and_no_others(shared: Room, share: Share, stage: str) -> None:
    order_from_share(shared, share)
    if stage == "when planned":
        shared.until(lambda: shared.store.sheets.by("ticket", 1), "a plan")
    share.hang()
    shared.until_it_waits(f"the folder {share.mount} does not answer")
    for number in (2, 3):
        intake.accept(
            shared.store, push([photo(shared.store, 10 + one) for one in range(4)], number=f"S-{number}"), NOW
        )
    shared.until_ended(2, 3)
    assert shared.ticket(1).state is TicketState.RENDERING and shared.store.troubles(0)
    share.go_on()
    shared.until_ended(1)
    assert (shared.ticket(1).state, shared.ticket(1).reason) == (TicketState.FINISHED, "")
    assert not shared.store.troubles(0)


def test_a_share_that_hangs_in_the_middle_of_a_copy_is_waited_for(
    shared: Room, share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_from_share(shared, share)
    monkeypatch.setattr("render.fetching.CHUNK_BYTES", 4096)
    scratch = shared.store.folder.scratch / "drawing"

    def has_begun() -> bool:
        return any(path.is_file() for path in scratch.rglob("*")) if scratch.is_dir() else False

    shared.until(has_begun, "a copy", passes_s=0)
    share.hang()
    shared.until(lambda: "does not answer" in shared.ticket().reason, "a ticket that waits", passes_s=1)
    share.go_on()
    shared.until_ended()
    assert shared.ticket().state is TicketState.FINISHED


def test_a_share_that_goes_away_with_an_error_is_waited_for(shared: Room, share: Share) -> None:
    order_from_share(shared, share)
    shared.until(lambda: shared.store.sheets.by("ticket", 1), "a plan")
    share.vanish()
    shared.until_it_waits("ransport endpoint is not connected")
    subprocess.run(["umount", "-l", share.mount], check=True)
    shared.until_it_waits("the folder is empty or not there")  # the share is not mounted now
    for path in share.server.iterdir():
        shutil.copy2(path, share.mount)
    shared.until_ended()
    assert shared.ticket().state is TicketState.FINISHED


def test_an_output_folder_that_hangs_is_waited_for_and_named(room: Room, share: Share) -> None:
    room.store.folder.output.rmdir()
    room.store.folder.output.symlink_to(share.mount)
    add_render_job(room.store, folder="{number}", file_name="{image}")
    intake.accept(room.store, push([photo(room.store, one) for one in range(4)]), NOW)
    room.until(lambda: room.store.sheets.by("ticket", 1), "a plan")
    share.hang()
    room.until_it_waits(f"the folder {room.store.folder.output} does not answer")
    share.go_on()
    room.until_ended()
    assert room.ticket().state is TicketState.FINISHED
    assert sorted(path.name for path in (share.server / "S-1").iterdir()) == [f"000{n}.jpg" for n in (1, 2, 3, 4)]


# -- waiting for pictures, whatever the clock says --------------------------------------------------------------


def test_waiting_for_pictures_does_not_depend_on_the_time_of_day(timed_store: Store, machine: SetTime) -> None:
    room = Room(timed_store, machine)
    room.image_wait = timedelta(hours=4)
    room.restart()
    add_render_job(room.store)
    digest = photo(room.store)
    room.store.folder.image(digest).unlink()
    intake.accept(room.store, push(digest), NOW)
    try:
        room.until_it_waits("waits until 14:00 for 0001.jpg")
        for jump in (timedelta(hours=10), timedelta(days=-2), timedelta(days=4000), timedelta(days=-30_000)):
            machine.set_wall(NOW + jump)
            for _ in range(20):
                room.loop.step(room.store.clock.now())
                machine.pass_s(1)
            assert room.ticket().state is TicketState.RENDERING, jump
        machine.set_wall(NOW)
        room.until_ended(passes_s=300)
        assert "0001.jpg: no picture with this digest was uploaded" in room.ticket().reason
    finally:
        room.loop.stop()


@pytest.mark.parametrize("age_s", [-400 * 86_400.0, -3600.0, 0.0, 3600.0])
def test_a_new_file_is_whole_when_it_has_stayed_the_same_for_a_while(
    timed_store: Store, machine: SetTime, tmp_path: Path, age_s: float
) -> None:
    """Whatever the clock of the server says that wrote it."""
    room = Room(timed_store, machine, ImageFolders((tmp_path,)))
    whole, path = sample_photo(1, 900, 600), tmp_path / "0.jpg"
    written_s = machine.wall().timestamp() - age_s

    def write(data: bytes, later_s: float = 0) -> None:
        path.write_bytes(data)
        os.utime(path, (written_s + later_s, written_s + later_s))

    write(whole[:3000])
    add_render_job(room.store)
    record = push([], []).model_dump(mode="json") | {
        "images": [{"name": "0.jpg", "path": "0.jpg"}],
        "items": [{"id": "1", "image": "0.jpg", "size": "4x6"}],
    }
    intake.accept(room.store, push([]).model_validate(record), NOW)
    try:
        for part in (6000, 9000, 12_000):  # it grows, a little each time
            room.until_it_waits("waits until 0.jpg is completely copied")
            machine.pass_s(1.5)
            write(whole[:part], part / 1000)
            for _ in range(5):
                room.loop.step(NOW)
                machine.pass_s(0.1)
        write(whole, 60)
        room.until_ended(passes_s=0.2)
        assert room.ticket().state is TicketState.FINISHED
    finally:
        room.loop.stop()
