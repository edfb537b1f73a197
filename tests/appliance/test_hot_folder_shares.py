"""Hot folders on shares that hang, vanish, or let nobody write: they are named, and the others go on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from appliance import claims, keeping, watching
from store.hot_folders import HotFolder
from store.profiles import RenderProfile
from store.reach import Steps
from store.tables import Store
from tests.appliance.conftest import Appliance
from tests.appliance.hot_place import PHOTO, Place
from tests.lab import until
from tests.machine_time import SetTime
from tests.share import Share


@pytest.fixture
def store(timed_store: Store) -> Store:
    return timed_store


@pytest.fixture
def place(store: Store, machine: SetTime, tmp_path: Path) -> Place:
    return Place(store, machine, tmp_path / "hot")


@pytest.fixture
def denied(tmp_path: Path) -> Iterator[Share]:
    """A share on which nothing can be moved."""
    mounted = Share(tmp_path / "denied", "--rename-deny", "--delete-deny")
    yield mounted
    mounted.stop()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Share]:
    mounted = Share(tmp_path / "read only", "-r")
    yield mounted
    mounted.stop()


def second(place: Place, share: Share) -> HotFolder:
    """A hot folder that lies on a share."""
    (place.root / "Shared").symlink_to(share.mount)
    return place.store.hot_folders.add(HotFolder(name="Shared", profile_id=1))


def told(place: Place, hot_folder: HotFolder) -> str:
    notice = place.store.hot_folder_notices.find(hot_folder.id)
    return notice.trouble if notice else ""


def turns(count: int) -> Steps[None]:
    for _ in range(count):
        yield


def test_a_share_that_hangs_holds_only_its_own_and_is_named(place: Place, share: Share) -> None:
    hot_folder = second(place, share)
    (share.server / "waits.jpg").write_bytes(PHOTO)
    place.look(2)
    share.hang()
    place.restart(patience_s=0.2)
    threads = threading.active_count()
    for number in range(3):
        place.drop(f"{number}.jpg")
        until(lambda wanted=number + 1: place.look(1) or len(place.records) == wanted, "it is taken")
    assert place.numbers() == ["0", "1", "2"] and threading.active_count() <= threads + 1
    (sentence,) = [one for one in place.store.troubles(0) if "has not answered" in one]
    assert f"The folder {place.root / 'Shared'} has not answered since" in sentence
    share.go_on()
    until(lambda: not place.store.reach.silent(), "the share answers")
    place.restart()
    place.look(6)
    assert place.numbers() == ["0", "1", "2", "waits"] and not told(place, hot_folder)


def test_a_share_that_hangs_while_a_picture_is_copied_prints_it_once(
    place: Place, share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends meanwhile; the copy that hung comes back when the store is closed to it."""
    second(place, share)
    (share.server / "a.jpg").write_bytes(PHOTO)
    real = keeping.keep
    hangs: list[bool] = []

    def keep(*arguments: Any) -> Steps[str]:
        steps = real(*arguments)
        next(steps)
        if not hangs:
            share.hang()
            hangs.append(True)
        return (yield from steps)

    monkeypatch.setattr(keeping, "CHUNK_BYTES", 100)
    monkeypatch.setattr(watching, "keep", keep)
    place.look(1)
    place.restart(patience_s=0.1)
    until(lambda: place.look(1) or hangs, "the share hangs")
    place.watcher.stop()
    share.go_on()
    until(lambda: not place.store.reach.silent(), "the share answers")
    place.store.reach.finish(place.root / "Shared", turns(200))  # the look that hung goes on beside it
    assert place.records == []
    place.restart()
    place.look(8)
    assert place.numbers() == ["a"] and len(place.store.tickets) == 1


def test_a_share_that_vanishes_is_named_and_comes_back(place: Place, share: Share) -> None:
    hot_folder = second(place, share)
    place.look(2)
    share.vanish()
    place.drop("a.jpg")
    place.look(6)
    assert place.numbers() == ["a"]
    assert told(place, hot_folder).startswith("cannot be looked into (Transport endpoint is not connected)")
    (place.root / "Shared").unlink()
    (place.root / "Shared").mkdir()
    place.look(6, every_s=60)
    assert not told(place, hot_folder)


@pytest.mark.parametrize("kind", ["denied", "read_only"])
def test_a_share_on_which_the_box_may_not_write_is_named_and_left_as_it_is(
    place: Place, kind: str, request: pytest.FixtureRequest
) -> None:
    share: Share = request.getfixturevalue(kind)
    hot_folder = second(place, share)
    for name in ("a.jpg", "letter.docx"):
        (share.server / name).write_bytes(PHOTO)
    place.drop("b.jpg")
    place.look(30, every_s=10)
    assert place.numbers() == ["b"] and "cannot be written to" in told(place, hot_folder)
    assert {path.name for path in share.server.iterdir()} - set(claims.OWN) == {"a.jpg", "letter.docx"}
    assert len(list(share.server.glob(f"{claims.TAKEN}/*"))) <= 1, "nothing is heaped up"


def test_a_file_that_cannot_be_moved_is_named_and_the_others_go_on(place: Place) -> None:
    wrong = [place.drop("locked.jpg"), place.drop("locked.docx", b"x"), place.drop("order.csv", b"image\ngood.jpg\n")]
    place.drop("good.jpg")
    with locked(*wrong):
        place.look(30)
        assert place.records == [] and len(place.here()) == 4
        place.drop("other.jpg")
        place.look(30, every_s=10)
        assert place.numbers() == ["other"] and place.aside() == []
        assert not list((place.path / claims.TAKEN).iterdir()), "claims are withdrawn"
        assert "3 files lie there and cannot be taken" in place.told()
        assert "cannot be moved or read (Operation not permitted): let Printroom move" in place.told()
        assert not any(path.name.endswith(claims.WHY) for path in (place.path / claims.PROBLEMS).iterdir())
    place.look(10, every_s=60)
    assert place.numbers() == ["locked", "order", "other"] and place.aside() == ["locked.docx"] and place.here() == []


@contextlib.contextmanager
def locked(*paths: Path) -> Iterator[None]:
    """Files that cannot be moved, as `chattr +i` makes them; rights deny it to whoever is not root."""
    tool = shutil.which("chattr")
    if tool is None or subprocess.run([tool, "+i", *paths], check=False, capture_output=True).returncode:
        pytest.skip("files cannot be locked here")
    try:
        yield
    finally:
        subprocess.run([tool, "-i", *paths], check=True)


def test_a_claim_that_can_neither_be_taken_nor_withdrawn_is_the_only_one(place: Place, tmp_path: Path) -> None:
    share = Share(tmp_path / "kept", "--delete-deny")
    try:
        second(place, share)
        (share.server / "a.jpg").write_bytes(PHOTO)
        with locked(share.server / "a.jpg"):
            place.look(20, every_s=10)
            assert len(list((share.server / claims.TAKEN).iterdir())) == 1 and place.records == []
        place.look(10, every_s=60)
        assert place.numbers() == ["a"]
    finally:
        share.stop()


def test_looking_rests_at_least_as_long_as_it_took(
    place: Place, machine: SetTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    real = claims.Place.prepare

    def slow(self: claims.Place) -> None:
        looks.append(machine.monotonic())
        machine.pass_s(20)
        real(self)

    monkeypatch.setattr(claims.Place, "prepare", slow)
    place.look(60)
    assert len(looks) >= 3 and all(later - earlier >= 40 for earlier, later in pairwise(looks))


def test_a_box_starts_works_and_ends_while_its_share_hangs(
    appliance: Callable[..., Appliance], share: Share, tmp_path: Path
) -> None:
    with contextlib.closing(Store(tmp_path / "data")) as store:
        store.render_profiles.add(RenderProfile(name="Lustre"))
        store.hot_folders.add(HotFolder(name="Prints", profile_id=1))
    share.hang()
    box = appliance(tmp_path / "data", PRINTROOM_HOT_FOLDERS=str(share.mount))

    def is_alive() -> bool:
        with urllib.request.urlopen(f"{box.url}/health/alive", timeout=10) as answer:
            return bool(json.load(answer)["healthy"])

    until(lambda: "hot_folder.silent" in box.log(), "the share is named", within_s=60)
    assert is_alive()
    share.go_on()
    until((share.server / "Prints").is_dir, "the hot folder is made")
    (share.server / "Prints" / os.fsdecode(b"M\xfcller\n.jpg")).write_bytes(PHOTO)
    until(lambda: list((share.server / "Prints").glob(f"{claims.DONE}/*/*.jpg")), "it is taken")
    assert is_alive() and "loop.failed" not in box.log()
    share.hang()
    box.stop()
    assert "process.stopped" in box.log()
