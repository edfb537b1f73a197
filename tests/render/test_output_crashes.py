"""No output file is there twice after a crash, and none has the place of another."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from render.publishing import Publishing
from store import decisions, intake
from tests.render.room import Room
from tests.studio import NOW, add_render_job, photo, push


class Crash(BaseException):
    """The process ends here."""


CRASHES = [
    (Publishing, "_go_on", "before"),  # drawn, and no name was chosen
    (Publishing, "_reserve", "after"),  # the name stands in the row
    (Publishing, "_record", "before"),  # the file is there
    (Publishing, "_record", "after"),
]


@pytest.mark.parametrize("has_links", [True, False], ids=["hard links", "copies"])
@pytest.mark.parametrize(("target", "name", "when"), CRASHES)
def test_no_output_file_is_there_twice_after_a_crash(
    room: Room, monkeypatch: pytest.MonkeyPatch, target: Any, name: str, when: str, has_links: bool
) -> None:
    if not has_links:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr("render.output.os.link", refuse)
    add_render_job(room.store, folder="{number}", file_name="{image}")
    digest = photo(room.store)
    intake.accept(room.store, push(digest), NOW)
    original = getattr(target, name)

    def crash_there(*arguments: Any) -> Any:
        if when == "after":
            original(*arguments)
        raise Crash

    with monkeypatch.context() as crashing:
        crashing.setattr(target, name, crash_there)
        with pytest.raises(Crash):
            room.until_ended()
    room.restart()
    room.until_ended()
    assert room.files() == ["S-1/0001.jpg"]
    intake.accept(room.store, push(digest, revision=2, status="-"), NOW)
    intake.accept(room.store, push(digest, revision=3), NOW)
    room.until_ended(2)
    assert room.files() == ["S-1/0001 (2).jpg", "S-1/0001.jpg"]  # that one was wanted


def test_a_new_ticket_leaves_the_name_to_a_sheet_that_had_it_before_a_crash(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_render_job(room.store, folder="all", file_name="{image}")
    intake.accept(room.store, push(photo(room.store, 1)), NOW)
    with monkeypatch.context() as crashing:

        def crash_there(*arguments: Any) -> Any:
            original(*arguments)
            raise Crash

        original = Publishing._reserve
        crashing.setattr(Publishing, "_reserve", crash_there)
        with pytest.raises(Crash):
            room.until_ended()
    decisions.hold_ticket(room.store, 1, NOW)
    room.restart()
    intake.accept(room.store, push(photo(room.store, 2), number="S-2"), NOW)
    room.until_ended(2)
    assert room.files() == ["all/0001 (2).jpg"]
    decisions.resume_ticket(room.store, 1)
    room.until_ended(1)
    assert room.files() == ["all/0001 (2).jpg", "all/0001.jpg"]
