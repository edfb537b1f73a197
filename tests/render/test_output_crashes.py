"""No output file is there twice after a crash, and none has the place of another."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from render.publishing import Publishing
from store import decisions, intake
from store.tables import Store
from tests.lab import REPOSITORY, until
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


DRAWS = """
import sys
from pathlib import Path
from render.loop import RenderLoop
from render.sources import ImageFolders
from render.workers import Workers
from store.tables import Store
from tests.studio import NOW

if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    loop = RenderLoop(store, Workers(2), ImageFolders(), 50_000_000)
    print("ready", flush=True)
    while store.tickets.get(1).state == "rendering" or store.tickets.get(1).state == "waiting":
        version = store.version
        loop.rest(version, loop.step(NOW))
    loop.stop()
    store.close()
    print("done", flush=True)
"""


def test_a_process_that_is_killed_again_and_again_leaves_each_file_once(tmp_path: Path) -> None:
    kills, count = int(os.environ.get("PRINTROOM_RENDER_KILLS", "5")), 24
    data, script = tmp_path / "data", tmp_path / "draws.py"
    script.write_text(DRAWS)
    store = Store(data)
    add_render_job(store, folder="{number}", file_name="{image}")
    intake.accept(store, push([photo(store, seed, 600, 400) for seed in range(count)]), NOW)
    output = store.folder.output / "S-1"
    store.close()
    dice = random.Random(int(os.environ.get("PRINTROOM_SEED", "1")))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(script), str(data)], stdout=subprocess.PIPE, text=True, env=environment
        )

    for number in range(1, kills + 1):
        process = start()
        most = number * count // (kills + 1)
        until(lambda most=most: output.is_dir() and len(list(output.iterdir())) >= most, f"{most} files", every_s=0.001)
        time.sleep(dice.random() * 0.03)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    last = start()
    said, _ = last.communicate(timeout=60)
    assert "done" in said
    assert sorted(path.name for path in output.iterdir()) == [f"{number:04d}.jpg" for number in range(1, count + 1)]
