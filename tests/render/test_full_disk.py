"""A full disk, and folders that go away, while a ticket is drawn: it waits, says why and goes on by itself."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from render import loop as loop_module
from render.publishing import Publishing
from render.workers import Workers
from store import intake
from store.states import TicketState
from tests.render.room import Room
from tests.studio import NOW, add_render_job, photo, push

needs_mounts = pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted")


@pytest.fixture
def small_disk(room: Room) -> Iterator[Callable[[str], None]]:
    """A disk of 64 kB for drawn sheets, whose size can be set."""
    sheets = room.store.folder.sheets
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", sheets], check=True)
    yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", sheets], check=True) and None
    subprocess.run(["umount", "-l", sheets], check=True)


@needs_mounts
def test_a_full_disk_keeps_a_ticket_waiting_and_blames_no_picture(
    room: Room, small_disk: Callable[[str], None]
) -> None:
    add_render_job(room.store)
    intake.accept(room.store, push([photo(room.store, 1), photo(room.store, 2)]), NOW)
    room.until_it_waits("no space left on device")
    assert "delete old files from the output folder" in room.ticket().reason
    small_disk("64m")
    room.until_ended()
    assert (room.ticket().state, room.ticket().reason, len(room.files())) == (TicketState.FINISHED, "", 2)


@needs_mounts
def test_pauses_on_a_full_disk_grow(
    room: Room, small_disk: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    del small_disk
    given: list[float] = []
    submit = Workers.submit

    def counted(self: Workers, function: Callable[..., Any], task: Any) -> Any:
        if function.__name__ == "draw":
            given.append(room.machine.monotonic())
        return submit(self, function, task)

    monkeypatch.setattr(Workers, "submit", counted)
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store)), NOW)
    room.until(lambda: len(given) >= 5, "five tries", passes_s=0.2)
    pauses = [later - sooner for sooner, later in itertools.pairwise(given)]
    assert [pause >= least for pause, least in zip(pauses, (1, 2, 4, 8), strict=False)] == [True] * 4


@pytest.mark.parametrize("name", ["sheets", "output", "scratch"])
def test_a_folder_that_somebody_removed_is_made_again(room: Room, name: str) -> None:
    add_render_job(room.store)
    intake.accept(room.store, push([photo(room.store, 1), photo(room.store, 2)]), NOW)
    room.until(lambda: room.store.sheets.by("ticket", 1), "a plan")
    shutil.rmtree(room.store.folder.root / name)
    room.until_ended()
    assert room.ticket().state is TicketState.FINISHED and len(room.files()) == 2


def test_a_folder_that_cannot_be_used_is_waited_for(room: Room) -> None:
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store)), NOW)
    room.store.folder.sheets.rmdir()
    room.store.folder.sheets.write_bytes(b"a file where the folder was")
    room.until_it_waits("not a directory")
    room.store.folder.sheets.unlink()
    room.until_ended()
    assert room.ticket().state is TicketState.FINISHED


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EDQUOT, errno.EMFILE])
def test_whatever_the_disk_refuses_is_the_disks(room: Room, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Of the real thing there are only some."""
    refuses = [True, True]
    place = Publishing._record

    def record(self: Publishing, *arguments: Any) -> None:
        if refuses:
            refuses.pop()
            raise OSError(code, os.strerror(code), "/data/x")
        place(self, *arguments)

    monkeypatch.setattr(Publishing, "_record", record)
    add_render_job(room.store)
    intake.accept(room.store, push(photo(room.store)), NOW)
    room.until_it_waits(os.strerror(code)[1:])
    room.until_ended()
    assert room.ticket().state is TicketState.FINISHED and len(room.files()) == 1


def test_a_disk_that_fails_holds_up_nobody_elses_ticket(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    to_draw = loop_module._to_draw

    def refuse(places: Any, *arguments: Any) -> Any:
        if places[0][0].file.startswith("S-1/"):
            raise OSError(errno.EIO, "Input/output error")
        return to_draw(places, *arguments)

    monkeypatch.setattr(loop_module, "_to_draw", refuse)
    add_render_job(room.store, folder="{number}")
    for number in (1, 2):
        intake.accept(room.store, push(photo(room.store, number), number=f"S-{number}"), NOW)
    room.until_ended(2)
    assert room.ticket(2).state is TicketState.FINISHED and "input/output error" in room.ticket(1).reason
