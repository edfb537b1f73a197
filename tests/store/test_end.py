"""The store knows its end: whatever of it is missing is told by its name, refused or mended, never silently less."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from store import doctor, head, intake, journal
from store.database import JournalStorage
from store.disk import Disk
from store.errors import StoreDamaged, StoreError, StoreUnavailable
from store.head import head_of, read_head
from store.tables import Store
from tests.lab import until
from tests.studio import NOW, add_render_job, photo, push


def filled(root: Path, folds: int = 0) -> Path:
    """A closed store with three records; returns where its files lie."""
    store = Store(root)
    add_render_job(store)
    digest = photo(store)
    for number in range(1, 4):
        intake.accept(store, push(digest, number=f"S-{number}"), NOW)
        if folds >= number:
            store._database.journal.fold()
    store._marked_version = store.version  # no mark of the clock behind the last record
    store.close()
    return root / "store"


def newest(folder: Path, kind: str = "journal") -> Path:
    return max(folder.glob(f"{kind}-*.prj"))


def numbers(root: Path) -> list[str]:
    store = Store(root)
    found = [one.number for one in store.records.all()]
    store.close()
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*folder.glob("*.prj"), head_of(folder)] if path.exists()}


def remove(folder: Path) -> None:
    newest(folder).unlink()


def empty(folder: Path) -> None:
    newest(folder).write_bytes(b"")


def zero(folder: Path) -> None:
    newest(folder).write_bytes(bytes(newest(folder).stat().st_size))


def fill(folder: Path) -> None:
    newest(folder).write_bytes(os.urandom(newest(folder).stat().st_size))


def cut(folder: Path) -> None:
    newest(folder).write_bytes(newest(folder).read_bytes()[:-200])


def remove_newest_generation(folder: Path) -> None:
    newest(folder, "snapshot").unlink()
    newest(folder).unlink()


def remove_files(folder: Path) -> None:
    for path in folder.glob("*.prj"):
        path.unlink()


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def remove_all_but_pictures(folder: Path) -> None:
    shutil.rmtree(folder)
    head_of(folder).unlink()


def take_another_store(folder: Path) -> None:
    other = filled(folder.parent.parent / "other")
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


def take_a_journal_of_another_store(folder: Path) -> None:
    other = filled(folder.parent.parent / "other", folds=1)
    shutil.copy(newest(other), newest(folder))


def exchange_snapshot_and_journal(folder: Path) -> None:
    one, other = newest(folder), newest(folder, "snapshot")
    one_content, other_content = one.read_bytes(), other.read_bytes()
    one.write_bytes(other_content)
    other.write_bytes(one_content)


REFUSED: dict[Callable[[Path], None], str] = {
    remove: "is missing",
    empty: "is empty",
    zero: "is empty",
    fill: "cannot be read at all",
    cut: "ends too early",
    remove_newest_generation: "is missing|ends too early|is empty, but it was in use",
    remove_files: "is empty, but it was in use",
    remove_folder: "is empty, but it was in use",
    remove_all_but_pictures: "uploaded pictures",
    take_another_store: "belongs to another store",
    take_a_journal_of_another_store: "belongs to another store",
    exchange_snapshot_and_journal: "can be read whole|does not belong to the other files",
}


@pytest.mark.parametrize("folds", [0, 1, 2])
@pytest.mark.parametrize("manipulate", REFUSED, ids=lambda one: one.__name__)
def test_less_is_refused_and_changed_by_a_repair_only(
    tmp_path: Path, manipulate: Callable[[Path], None], folds: int
) -> None:
    root = tmp_path / "data"
    folder = filled(root, folds)
    manipulate(folder)
    before = content(folder)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match=REFUSED[manipulate]) as refused:
            Store(root)
        assert "repair the store" in str(refused.value).lower() and "estore a backup" in str(refused.value)
        assert doctor.check(root).refusal == str(refused.value)
        assert content(folder) == before
    findings, kept = doctor.repair(root, NOW)
    assert kept is not None and content(kept) == {
        name.replace(head_of(folder).name, head_of(kept).name): one for name, one in before.items()
    }
    assert findings.damage[0] == str(refused.value)
    assert doctor.check(root).is_sound and not doctor.check(root).notes
    store = Store(root)
    assert store.settings.is_paused and all(ticket.is_paused for ticket in store.tickets.all())
    intake.accept(store, push(photo(store), number="S-9"), NOW)
    store.close()
    assert "S-9" in numbers(root)


@pytest.mark.parametrize("manipulate", [remove, empty, zero, fill, cut, remove_newest_generation])
def test_files_that_had_nothing_in_them_are_made_anew(tmp_path: Path, manipulate: Callable[[Path], None]) -> None:
    """The store was closed just after a new generation had begun, so that nothing can be missing."""
    folder = filled(tmp_path, folds=3)
    manipulate(folder)
    findings = doctor.check(tmp_path)
    assert findings.is_sound and not findings.doubts
    for _ in range(2):
        assert numbers(tmp_path) == ["S-1", "S-2", "S-3"]
    assert not doctor.check(tmp_path).notes


def test_a_store_of_which_nothing_ever_was_is_new(tmp_path: Path) -> None:
    (tmp_path / "printroom.toml").write_text("")
    assert numbers(tmp_path) == []
    (tmp_path / "secret").write_bytes(b"made at the first start")
    assert numbers(tmp_path) == []
    assert doctor.check(tmp_path).is_sound and not doctor.check(tmp_path).notes


def test_a_secret_without_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"made at the first start, when there was a store")
    with pytest.raises(StoreDamaged, match="the key of sessions"):
        Store(tmp_path)
    doctor.repair(tmp_path)
    assert numbers(tmp_path) == []


@pytest.mark.parametrize("victim", ["the last commit", "the closing"])
def test_bits_that_turn_at_the_end_after_a_clean_stop(tmp_path: Path, victim: str) -> None:
    folder = filled(tmp_path)
    state = journal.load(folder)
    commit, path = state.journals[0].commits[-1], newest(folder)
    turned = bytearray(path.read_bytes())
    turned[commit.ends - 5 if victim == "the last commit" else -5] ^= 4
    path.write_bytes(turned)
    if victim == "the closing":
        assert numbers(tmp_path) == ["S-1", "S-2", "S-3"] and not journal.load(folder).damage
    else:
        store = Store(tmp_path)
        assert [one.number for one in store.records.all()] == ["S-1", "S-2"]
        assert f"commit {commit.number} cannot be read any more" in store.damage[0]
        assert f"commit {commit.number}" in store.troubles(0)[0]
        store.close()
        store = Store(tmp_path)
        assert store.damage == [] == store.doubts
        store.close()


@pytest.mark.parametrize("was_closed", [True, False])
def test_a_head_that_is_missing(tmp_path: Path, was_closed: bool) -> None:
    folder = filled(tmp_path / "running")
    store = Store(tmp_path / "running")
    intake.accept(store, push([], [], number="S-4"), NOW)
    if was_closed:
        store.close()
    shutil.copytree(folder, tmp_path / "data" / "store")
    if not was_closed:
        store.close()
    findings = doctor.check(tmp_path / "data")
    assert "store.head is missing" in (findings.notes if was_closed else findings.doubts)[0]
    for _ in range(2):
        assert numbers(tmp_path / "data") == ["S-1", "S-2", "S-3", "S-4"]
    assert doctor.check(tmp_path / "data").doubts == [] == doctor.check(tmp_path / "data").notes


def test_the_head_of_another_day_does_no_harm(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    earlier = head_of(folder).read_bytes()
    store = Store(tmp_path)
    intake.accept(store, push([], [], number="S-4"), NOW)
    store.close()
    head_of(folder).write_bytes(earlier)
    assert "older than the store" in doctor.check(tmp_path).notes[0] and doctor.check(tmp_path).is_sound
    assert numbers(tmp_path) == ["S-1", "S-2", "S-3", "S-4"]


def test_a_process_that_was_killed_has_told_the_head_everything(tmp_path: Path) -> None:
    """Before anybody was told, so that a last commit that is gone is known to be."""
    running = tmp_path / "running"
    running.mkdir()
    storage = JournalStorage(running)
    for number in range(1, 20):
        storage.put("things", number, {"n": number})
        known = read_head(running)
        assert known is not None and known.number == number and not known.is_closed
    storage.close()
    known = read_head(running)
    assert known is not None and known.is_closed


def test_the_head_is_brought_to_the_disk_a_moment_later_and_then_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watched(Disk):
        syncs = 0

        def sync(self, fd: int) -> None:
            super().sync(fd)
            self.syncs += 1

    monkeypatch.setattr(head, "SYNC_AFTER_S", 0.01)
    disk = Watched()
    storage = JournalStorage(tmp_path, 1, disk)
    storage.put("things", 1, {})
    until(lambda: disk.syncs == 2, "the head is on the disk", 10)  # once before the commit, once behind it
    storage.put("things", 1, {})
    until(lambda: disk.syncs == 3, "and again", 10)
    storage.close()
    assert disk.syncs == 4


def test_starting_and_stopping_without_a_change_writes_nothing(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    before = content(folder)
    for on_trial in (False, True):
        Store(tmp_path, on_trial=lambda: on_trial).close()  # noqa: B023  (used at once)
        assert content(folder) == before


def test_a_version_that_is_tried_changes_nothing_even_after_a_power_cut(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    with newest(folder).open("ab") as file:
        file.write(b"\xabPRJ torn".ljust(3000, b"\0"))
    before = content(folder)
    Store(tmp_path, on_trial=lambda: True).close()
    assert content(folder) == before


class Failing(Disk):
    """Refuses some calls from a moment on."""

    def __init__(self, code: int, *calls: str) -> None:
        self.code, self.refused, self.is_on = code, calls, False

    def _maybe_fail(self, call: str) -> None:
        if self.is_on and call in self.refused:
            raise OSError(self.code, os.strerror(self.code))

    def open(self, path: Path) -> int:
        self._maybe_fail("open")
        return super().open(path)

    def allocate(self, fd: int, offset: int, length_bytes: int) -> None:
        self._maybe_fail("allocate")
        super().allocate(fd, offset, length_bytes)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        self._maybe_fail("write")
        return super().write(fd, data, offset)

    def write_lazily(self, fd: int, data: bytes, offset: int) -> None:
        self._maybe_fail("write_lazily")
        super().write_lazily(fd, data, offset)

    def sync(self, fd: int) -> None:
        self._maybe_fail("sync")
        super().sync(fd)

    def truncate(self, fd: int, length_bytes: int) -> None:
        self._maybe_fail("truncate")
        super().truncate(fd, length_bytes)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("call", ["write_lazily", "sync"])
@pytest.mark.parametrize("is_later", [True, False])
def test_a_head_that_cannot_be_written_stops_nothing_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str, is_later: bool
) -> None:
    monkeypatch.setattr(head, "SYNC_AFTER_S", 0.001)
    disk = Failing(code, call)
    store = Store(tmp_path, disk)
    if is_later:
        intake.accept(store, push([], [], number="S-1"), NOW)
    disk.is_on = True
    intake.accept(store, push([], [], number="S-2"), NOW)
    until(lambda: store._database.journal.head_failed, "it is noticed", 10)
    intake.accept(store, push([], [], number="S-3"), NOW)
    assert "store.head" in store.troubles(0)[0] and "Check the disk" in store.troubles(0)[0]
    store.close()
    assert {"S-2", "S-3"} <= set(numbers(tmp_path))
    assert doctor.check(tmp_path).is_sound


def test_a_head_that_could_not_be_written_is_tried_again_with_the_next_generation(tmp_path: Path) -> None:
    disk = Failing(errno.ENOSPC, "write_lazily")
    storage = JournalStorage(tmp_path, 1, disk)
    disk.is_on = True
    storage.put("things", 1, {})
    assert storage.head_failed
    disk.is_on = False
    storage.fold()
    storage.put("things", 2, {})
    known = read_head(tmp_path)
    assert not storage.head_failed and known is not None and known.number == 2
    storage.close()


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize(
    "calls", [["write"], ["allocate"], ["truncate"], ["write", "truncate", "allocate", "write_lazily", "sync", "open"]]
)
def test_a_disk_that_refuses_while_the_store_is_closed(tmp_path: Path, code: int, calls: list[str]) -> None:
    disk = Failing(code, *calls)
    store = Store(tmp_path, disk)
    intake.accept(store, push([], [], number="S-1"), NOW)
    disk.is_on = True
    store.close()
    findings = doctor.check(tmp_path)
    assert findings.is_sound and not findings.doubts
    assert numbers(tmp_path) == ["S-1"]


def test_a_disk_that_failed_leaves_no_mark_of_a_clean_stop(tmp_path: Path) -> None:
    disk = Failing(errno.EIO, "write")
    storage = JournalStorage(tmp_path, 1, disk)
    storage.put("things", 1, {"n": 1})
    disk.is_on = True
    with pytest.raises(StoreUnavailable):
        storage.put("things", 2, {"n": 2})
    disk.is_on = False
    storage.close()
    known = read_head(tmp_path)
    assert known is not None and not known.is_closed
    assert not journal.load(tmp_path).is_closed


def test_commits_of_another_time_of_the_same_store_are_refused(tmp_path: Path) -> None:
    """Two copies went on by themselves; their numbers fit, and what they are about does not."""
    filled(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        for number in range(5):
            intake.accept(store, push([], [], number=f"{name}-{number}"), NOW)
            if number == 2:
                store._database.journal.fold()
        store.close()
    shutil.copy(newest(tmp_path / "two" / "store"), newest(tmp_path / "one" / "store"))
    with pytest.raises(StoreDamaged, match="does not belong to the other files"):
        Store(tmp_path / "one")


def test_a_damaged_store_that_is_not_repaired_keeps_its_numbers(tmp_path: Path) -> None:
    """A commit that was lost and one that comes later are never told apart by anybody who heard of both numbers."""
    folder = filled(tmp_path)
    last = journal.load(folder).journals[0].commits[-1]
    turned = bytearray(newest(folder).read_bytes())
    turned[last.ends - 5] ^= 4
    newest(folder).write_bytes(turned)
    store = Store(tmp_path)
    assert store.version == last.number
    store.set(studio_name="x")
    assert store.version == last.number + 1
    store.close()


def test_repairing_twice_and_a_copy_of_before_that_can_be_read_again(tmp_path: Path) -> None:
    folder = filled(tmp_path, folds=1)
    newest(folder).unlink()
    _, kept = doctor.repair(tmp_path, NOW)
    assert doctor.repair(tmp_path, NOW) == (doctor.check(tmp_path), None)
    assert kept is not None
    with pytest.raises(StoreDamaged, match="is missing"):
        journal.load(kept)


def test_a_step_back_of_a_damaged_store_is_refused(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    last = journal.load(folder).journals[0].commits[-1]
    turned = bytearray(newest(folder).read_bytes())
    turned[last.ends - 5] ^= 4
    newest(folder).write_bytes(turned)
    with pytest.raises(StoreError, match="before going back"):
        doctor.step_back(tmp_path, 2)


def test_the_old_shape_is_not_mixed_with_the_new(tmp_path: Path) -> None:
    """The newest snapshot is damaged, and the one before it has documents of an older schema."""
    storage = JournalStorage(tmp_path, 1)
    storage.put("things", 1, {"length_mm": 7})
    storage.close()
    storage = JournalStorage(tmp_path, 2, None, lambda *_: None)
    storage.put("things", 2, {"length_um": 7})
    storage.close()
    newest(tmp_path, "snapshot").write_bytes(b"")
    with pytest.raises(StoreDamaged, match="newer shape"):
        JournalStorage(tmp_path, 2, None, lambda *_: None)


def test_sectors_that_the_disk_cannot_read_any_more_cost_what_was_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real disk that does this cannot be had in a test: the calls that read fail as they do on one."""
    storage = JournalStorage(tmp_path)
    for number in range(1, 21):
        storage.put("things", number, {"n": number, "text": "x" * 1000})
    storage.close()
    bad, pread, read_bytes = newest(tmp_path), os.pread, Path.read_bytes

    def failing_pread(fd: int, count: int, offset: int) -> bytes:
        if offset == 8192 and Path(f"/proc/self/fd/{fd}").readlink() == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(fd, count, offset)

    def failing_read(path: Path) -> bytes:
        if path == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_bytes(path)

    monkeypatch.setattr(os, "pread", failing_pread)
    monkeypatch.setattr(Path, "read_bytes", failing_read)
    state = journal.load(tmp_path)
    numbers_left = {doc_id for _, doc_id, _ in state.all_rows()}
    assert state.damage and numbers_left > set(range(1, 7)) | set(range(14, 21)) and len(numbers_left) < 20
