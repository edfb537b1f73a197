"""Folders that hang, on a real mount whose server stops answering."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from store.clock import Clock
from store.reach import OutOfReach, Reach, ReachedFile, Steps
from store.tables import Store
from tests.lab import until
from tests.share import Share

LIMIT_S = 0.5


@pytest.fixture
def reach() -> Reach:
    return Reach(Clock(), LIMIT_S)


@pytest.fixture
def hanging(share: Share) -> Share:
    (share.server / "a.jpg").write_bytes(b"picture")
    share.hang()
    return share


def threads_of(root: Path) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"reach {root}"]


def look(share: Share) -> Callable[[], bytes]:
    return (share.mount / "a.jpg").read_bytes


def test_a_folder_that_answers_gives_what_it_has_and_its_errors(reach: Reach, share: Share) -> None:
    (share.server / "a.jpg").write_bytes(b"picture")
    assert reach.call(share.mount, look(share)) == b"picture"
    with pytest.raises(FileNotFoundError):
        reach.call(share.mount, (share.mount / "b.jpg").read_bytes)
    assert reach.silent() == []


def test_a_folder_that_hangs_is_named_fails_at_once_and_comes_back(reach: Reach, hanging: Share) -> None:
    with pytest.raises(OutOfReach, match=f"the folder {hanging.mount} does not answer"):
        reach.call(hanging.mount, look(hanging))
    (silence,) = reach.silent()
    assert silence.root == hanging.mount
    not_called: list[None] = []
    for _ in range(100):
        with pytest.raises(OutOfReach):
            reach.call(hanging.mount, lambda: not_called.append(None))
    assert not_called == [] and len(threads_of(hanging.mount)) == 1
    hanging.go_on()
    until(lambda: not reach.silent(), "the folder answers")
    assert reach.call(hanging.mount, look(hanging)) == b"picture"


def test_whoever_waits_in_line_when_it_hangs_waits_no_longer_than_the_first(reach: Reach, hanging: Share) -> None:
    began = threading.Barrier(20)
    called: list[str] = []

    def ask(number: int) -> str:
        began.wait()
        try:
            reach.call(hanging.mount, lambda: called.append((hanging.mount / "a.jpg").read_text()))
        except OutOfReach:
            return "out of reach"
        return "answered"

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(ask, range(20))) == {"out of reach"}
    assert len(threads_of(hanging.mount)) == 1
    hanging.go_on()
    until(lambda: called, "the call that hung comes back")
    assert reach.call(hanging.mount, lambda: len(called)) == 1  # of the others, none was made for nobody


def test_another_folder_is_not_harmed(reach: Reach, hanging: Share, tmp_path: Path) -> None:
    with pytest.raises(OutOfReach):
        reach.call(hanging.mount, look(hanging))
    assert reach.call(tmp_path, lambda: (tmp_path / "lan").is_dir())


def counted(upto: int, seen: list[int], waits: Callable[[int], object] = lambda _: None) -> Steps[str]:
    for number in range(upto):
        waits(number)
        seen.append(number)
        yield
    return "done"


def test_longer_work_lets_looks_in_between(reach: Reach, tmp_path: Path) -> None:
    seen: list[int] = []
    at_two, goes_on = threading.Event(), threading.Event()

    def waits(number: int) -> None:
        if number == 2:
            at_two.set()
            goes_on.wait()

    copying = reach.begin(tmp_path, counted(1000, seen, waits))
    at_two.wait()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(reach.call, tmp_path, lambda: len(seen))
        goes_on.set()
        assert asked.result() < 1000
    assert copying.result() == "done" and seen == list(range(1000))


def test_longer_work_waits_while_its_folder_is_silent_and_goes_on(reach: Reach, hanging: Share) -> None:
    read: list[Any] = []

    def copy() -> Steps[int]:
        read.append((hanging.mount / "a.jpg").read_bytes())
        yield
        return len(read)

    copying = reach.begin(hanging.mount, copy())
    until(lambda: reach.is_silent(hanging.mount), "the folder is silent")
    with pytest.raises(OutOfReach):
        reach.begin(hanging.mount, copy())
    assert not copying.done()
    hanging.go_on()
    assert copying.result(timeout=30) == 1


def test_whoever_waits_for_longer_work_waits_as_long_as_it_gets_on(reach: Reach, hanging: Share) -> None:
    assert reach.finish(hanging.server, counted(4, [], lambda _: time.sleep(LIMIT_S / 2))) == "done"
    with pytest.raises(OutOfReach):
        reach.finish(hanging.mount, counted(3, [], lambda _: look(hanging)()))


def test_what_longer_work_raises_is_its_own(reach: Reach, tmp_path: Path) -> None:
    def fails() -> Steps[None]:
        yield
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        reach.finish(tmp_path, fails())
    assert reach.call(tmp_path, lambda: 1) == 1


@pytest.fixture
def opened(reach: Reach, share: Share) -> Iterator[ReachedFile]:
    (share.server / "a.bin").write_bytes(bytes(range(256)) * 100)
    file = reach.open(share.mount, share.mount / "a.bin")
    yield file
    file.close()


def test_a_file_is_read_in_parts(opened: ReachedFile) -> None:
    assert opened.size == 25_600 and opened.read(3) == b"\0\1\2"
    assert opened.seek(-2, 2) == 25_598 and opened.read() == b"\xfe\xff" and opened.read() == b""


def test_reading_and_closing_a_file_do_not_hang(opened: ReachedFile, share: Share) -> None:
    share.hang()
    with pytest.raises(OutOfReach):
        opened.read(10_000)
    opened.close()
    share.go_on()


def test_a_file_that_opens_after_nobody_waits_any_more_is_closed(reach: Reach, hanging: Share) -> None:
    closed: list[Any] = []
    with pytest.raises(OutOfReach):
        reach.call(hanging.mount, lambda: (hanging.mount / "a.jpg").open("rb"), undo=lambda f: closed.append(f.close()))
    hanging.go_on()
    until(lambda: closed, "the file is closed")


def test_a_thread_ends_when_nothing_is_asked_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.reach.IDLE_S", 0.05)
    reach = Reach(Clock())
    assert reach.call(tmp_path, lambda: 1) == 1
    until(lambda: not threads_of(tmp_path), "the thread ends")
    assert reach.call(tmp_path, lambda: 2) == 2


def test_the_store_tells_of_folders_that_do_not_answer(store: Store, hanging: Share) -> None:
    store.reach = Reach(store.clock, LIMIT_S)
    with pytest.raises(OutOfReach):
        store.reach.call(hanging.mount, look(hanging))
    assert any(f"The folder {hanging.mount} has not answered since" in one for one in store.troubles(0))
    hanging.go_on()
    until(lambda: not store.troubles(0), "the folder answers")
