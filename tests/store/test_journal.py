"""The journal's promises: what was acknowledged is there after anything, and damage is never silent."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from store import journal
from store.database import JournalStorage
from store.disk import Disk
from store.errors import StoreDamaged, StoreError, StoreTooNew, StoreUnavailable
from store.frames import SECTOR_BYTES, checksum_of
from store.generations import encode_commit, generations
from store.head import UNKNOWN, head_of
from store.tinydb_tables import Database


def copied(folder: Path, to: Path) -> Path:
    """The store's files as they are on the disk now, with their head: as a killed process would leave them."""
    shutil.copytree(folder, to)
    shutil.copy(head_of(folder), head_of(to))
    return to


def newest_journal(folder: Path) -> Path:
    return max(folder.glob("journal-*.prj"))


def reopened(folder: Path) -> dict[int, dict[str, object]]:
    database = Database(folder)
    table = database.journal.table_now("things")
    database.close()
    return table


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"name": "Größe ×"})
    database.journal.put("things", 2, {"name": "two"})
    database.journal.put("things", 1, None)
    database.close()
    assert reopened(tmp_path) == {2: {"name": "two"}}


def test_an_id_that_was_removed_is_not_given_again(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", database.journal.reserve_id("things"), {})
    database.journal.put("things", 1, None)
    database.journal.fold()
    database.close()
    database = Database(tmp_path)
    assert database.journal.reserve_id("things") == 2
    database.close()


@pytest.mark.parametrize("kept_bytes", [1, 3, 7, 20, 28, 30])
@pytest.mark.parametrize("behind", [b"", b"\0" * 5000, b"\xab" * 40])
def test_a_tail_that_no_power_cut_leaves_is_cut_and_told(tmp_path: Path, kept_bytes: int, behind: bytes) -> None:
    """It may have been acknowledged, when the head had not been brought to the disk yet."""
    (tmp_path / "running").mkdir()
    database = Database(tmp_path / "running")
    database.journal.put("things", 1, {"n": 1})
    length = database.journal.journal_bytes
    folder = copied(tmp_path / "running", tmp_path / "after")
    database.journal.put("things", 2, {"n": 2})
    content = newest_journal(tmp_path / "running").read_bytes()
    database.close()
    newest_journal(folder).write_bytes(content[: length + kept_bytes] + behind)
    state = journal.load(folder)
    assert "may be lost" in state.doubts[0] and not state.notes + state.damage
    database = Database(folder)
    assert database.journal.table_now("things") == {1: {"n": 1}}
    database.journal.put("things", 3, {"n": 3})
    database.close()
    assert reopened(folder) == {1: {"n": 1}, 3: {"n": 3}}


@pytest.mark.parametrize("length", [300, 1000, 3000])
def test_sectors_that_were_not_written_are_cut_away_and_noted(tmp_path: Path, length: int) -> None:
    """Each sector of a write in turn is missing, all from it on, or all up to it; that is what a power cut leaves."""
    (tmp_path / "running").mkdir()
    database = Database(tmp_path / "running")
    database.journal.put("things", 1, {"n": 1, "text": "x" * length})
    begins = database.journal.journal_bytes
    folder = copied(tmp_path / "running", tmp_path / "after")
    database.journal.put("things", 2, {"n": 2, "text": "x" * 2000})
    ends = database.journal.journal_bytes
    content = newest_journal(tmp_path / "running").read_bytes()
    database.close()
    for sector in range(begins // SECTOR_BYTES, ends // SECTOR_BYTES + 1):
        first, behind = max(begins, sector * SECTOR_BYTES), min(ends, (sector + 1) * SECTOR_BYTES)
        for lost in (range(first, behind), range(first, ends), range(begins, behind)):
            torn = bytearray(content)
            torn[lost.start : lost.stop] = bytes(len(lost))
            newest_journal(folder).write_bytes(torn)
            state = journal.load(folder)
            assert not state.damage + state.doubts, (sector, lost)
            assert state.number == 1 and bool(state.notes) == (len(lost) < ends - begins)
    assert reopened(folder) == {1: {"n": 1, "text": "x" * length}}


def test_later_pages_of_a_write_that_the_power_cut_are_not_taken_for_commits(tmp_path: Path) -> None:
    """Disks may keep the second half of a write and lose the first; none of it was acknowledged."""
    (tmp_path / "running").mkdir()
    database = Database(tmp_path / "running")
    database.journal.put("things", 1, {"n": 1})
    length = database.journal.journal_bytes
    folder = copied(tmp_path / "running", tmp_path / "after")
    database.close()
    first = encode_commit([("things", 2, {"n": 2, "text": "x" * 1000})], 2, 1, UNKNOWN)
    second = encode_commit([("things", 3, {"n": 3})], 3, 1, checksum_of(first))
    content = newest_journal(folder).read_bytes()
    newest_journal(folder).write_bytes(content[:length] + (bytes(len(first)) + second).ljust(8192, b"\0"))
    state = journal.load(folder)
    assert "was cut short before it was acknowledged" in state.notes[0] and not state.damage + state.doubts
    assert reopened(folder) == {1: {"n": 1}}


@pytest.mark.parametrize("victim", [1, 2, 3])
def test_a_flipped_bit_costs_its_own_commit_only_and_is_reported(tmp_path: Path, victim: int) -> None:
    """What was durable behind it is kept: forgetting it would print again what was printed."""
    database = Database(tmp_path)
    ends = []
    for number in range(1, 6):
        database.journal.put("things", number, {"n": number})
        ends.append(database.journal.journal_bytes)
    database.close()
    journal_file = newest_journal(tmp_path)
    content = bytearray(journal_file.read_bytes())
    content[ends[victim - 1] - 5] ^= 0x10
    journal_file.write_bytes(content)
    database = Database(tmp_path)
    assert set(database.journal.table_now("things")) == {1, 2, 3, 4, 5} - {victim}
    assert f"commit {victim} cannot be read any more" in database.journal.damage[0]
    assert (tmp_path / "damaged" / journal_file.name).read_bytes() == bytes(content)
    database.journal.put("things", 9, {"n": 9})
    database.close()
    again = Database(tmp_path)
    assert again.journal.damage == [] and 9 in again.journal.table_now("things")
    again.close()


def test_a_damaged_snapshot_loses_nothing_while_the_one_before_is_there(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    database.journal.fold()
    database.journal.put("things", 2, {"n": 2})
    database.close()
    newest = max(tmp_path.glob("snapshot-*.prj"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0x40
    newest.write_bytes(content)
    assert newest.name in journal.load(tmp_path).notes[0]
    assert reopened(tmp_path) == {1: {"n": 1}, 2: {"n": 2}}
    assert journal.load(tmp_path).notes == []  # folded anew: the oddity is met once


def test_a_missing_snapshot_loses_nothing_while_the_one_before_is_there(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    database.journal.fold()
    database.journal.put("things", 2, {"n": 2})
    database.close()
    max(tmp_path.glob("snapshot-*.prj")).unlink()
    assert reopened(tmp_path) == {1: {"n": 1}, 2: {"n": 2}}


def test_no_readable_snapshot_at_all_is_refused_not_emptied(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    database.close()
    for snapshot in tmp_path.glob("snapshot-*.prj"):
        snapshot.write_bytes(b"garbage")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StoreDamaged, match="store repair"):
        Database(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_missing_journal_in_the_middle_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    database.journal.fold()
    database.journal.put("things", 2, {"n": 2})
    database.close()
    max(tmp_path.glob("snapshot-*.prj")).unlink()
    min(tmp_path.glob("journal-*.prj")).unlink()
    with pytest.raises(StoreDamaged, match=r"journal-00000001\.prj is missing"):
        Database(tmp_path)


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Database(tmp_path, 2).close()
    with pytest.raises(StoreTooNew, match="install that version"):
        Database(tmp_path, 1)


def test_folding_keeps_everything_and_the_last_good_generation(tmp_path: Path) -> None:
    database = Database(tmp_path)
    for number in range(1, 6):
        database.journal.put("things", number, {"n": number})
        database.journal.fold()
    database.close()
    assert sorted(generations(tmp_path, "snapshot")) == [5, 6]
    assert reopened(tmp_path) == {n: {"n": n} for n in range(1, 6)}


class FailingDisk(Disk):
    """Fails one call, the n-th of all that can fail, with an error; and again for as long as `lasts` says."""

    def __init__(self, code: int, at: int, lasts: int = 1, only: str = "") -> None:
        self.code, self.at, self.lasts, self.only = code, at, lasts, only
        self.calls = 0
        self.failed: list[str] = []

    def _maybe_fail(self, call: str) -> None:
        if self.only and call != self.only:
            return
        self.calls += 1
        if self.at <= self.calls < self.at + self.lasts:
            self.failed.append(call)
            raise OSError(self.code, os.strerror(self.code))

    def allocate(self, fd: int, offset: int, length_bytes: int) -> None:
        self._maybe_fail("allocate")
        super().allocate(fd, offset, min(length_bytes, 4096))  # so that a short test allocates more than once

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        try:
            self._maybe_fail("write")
        except OSError:
            super().write(fd, data[: len(data) // 2], offset)  # a full disk takes what still fits
            raise
        # and takes long writes in pieces
        return super().write(fd, data[:300], offset)

    def truncate(self, fd: int, length_bytes: int) -> None:
        self._maybe_fail("truncate")
        super().truncate(fd, length_bytes)

    def rename(self, old: Path, new: Path) -> None:
        self._maybe_fail("rename")
        super().rename(old, new)

    def sync_folder(self, folder: Path) -> None:
        self._maybe_fail("sync_folder")
        super().sync_folder(folder)


def a_days_work(folder: Path, disk: Disk, acknowledged: dict[int, int]) -> None:
    """Commits, each remembered once it was acknowledged, with folding in between; stops at nothing but the disk."""
    database = Database(folder, 1, disk)
    try:
        for number in range(1, 31):
            try:
                with database.journal.transaction():
                    database.journal.put("left", number % 7, {"n": number, "text": "x" * 300})
                    database.journal.put("right", number % 7, {"n": number})
                acknowledged[number % 7] = number
            except StoreUnavailable:
                now = database.journal.document("left", number % 7)
                assert (now or {}).get("n") == acknowledged.get(number % 7), "memory has what the disk refused"
            if number % 10 == 0:
                with contextlib.suppress(OSError):
                    database.journal.fold()
    finally:
        with contextlib.suppress(OSError):
            database.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("lasts", [1, 3, 10**6])
def test_whatever_call_fails_nothing_acknowledged_is_lost_and_no_half_is_kept(
    tmp_path: Path, code: int, lasts: int
) -> None:
    """Every call on the disk in turn fails once, thrice, or from then on for good."""
    counting = FailingDisk(code, at=10**9)
    (tmp_path / "whole").mkdir()
    a_days_work(tmp_path / "whole", counting, {})
    assert counting.calls > 100
    for at in range(1, counting.calls + 1):
        folder = tmp_path / f"{at}"
        folder.mkdir()
        acknowledged: dict[int, int] = {}
        disk = FailingDisk(code, at, lasts)
        with contextlib.suppress(OSError, StoreError):
            a_days_work(folder, disk, acknowledged)
        assert disk.failed
        database = Database(folder)
        left, right = database.journal.table_now("left"), database.journal.table_now("right")
        database.close()
        assert {i: d["n"] for i, d in left.items()} == {i: d["n"] for i, d in right.items()}, (at, disk.failed)
        for slot, number in acknowledged.items():
            assert left[slot]["n"] >= number, f"call {at} ({disk.failed[0]}) lost commit {number}"
        shutil.rmtree(folder)


def test_a_full_disk_refuses_the_change_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = FailingDisk(errno.ENOSPC, at=10**9, only="write")
    database = Database(tmp_path, 1, disk)
    storage = database.journal
    disk.at = disk.calls + 10
    acknowledged = refused = 0
    for number in range(1, 20):
        try:
            storage.put("things", number, {"n": number})
            acknowledged += 1
        except StoreUnavailable as error:
            refused += 1
            assert "No space left on device" in str(error) and "nothing was changed" in str(error)
            assert storage.is_full and storage.document("things", number) is None
    assert (acknowledged, refused, storage.is_full) == (18, 1, False)
    database.close()
    assert len(reopened(tmp_path)) == 18


def test_after_a_failing_disk_nothing_more_is_acknowledged(tmp_path: Path) -> None:
    disk = FailingDisk(errno.EIO, at=10**9, only="write")
    database = Database(tmp_path, 1, disk)
    database.journal.put("things", 1, {"n": 1})
    disk.at = disk.calls + 1
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="nothing more is accepted"):
            database.journal.put("things", 2, {"n": 2})
    assert database.journal.table_now("things") == {1: {"n": 1}}
    assert "Input/output error" in database.journal.failed
    database.close()


def test_an_upgrade_keeps_the_files_before_and_brings_the_tables_along(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"length_mm": 7})
    database.close()

    def upgrade(found: int, tables: dict[str, dict[int, dict[str, object]]]) -> None:
        assert found == 1
        tables["things"] = {i: {"length_um": int(str(d["length_mm"])) * 1000} for i, d in tables["things"].items()}

    database = Database(tmp_path, 2, None, upgrade)
    assert database.journal.table_now("things") == {1: {"length_um": 7000}}
    database.journal.put("things", 2, {"length_um": 5})
    database.close()
    database = Database(tmp_path, 2, None, upgrade)  # not a second time
    assert len(database.journal.table_now("things")) == 2
    database.close()
    assert reopened(tmp_path / "before-schema-2") == {1: {"length_mm": 7}}


def test_an_upgrade_that_fails_leaves_the_files_as_they_were(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    database.close()

    def upgrade(found: int, tables: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Database(tmp_path, 2, None, upgrade)
    assert reopened(tmp_path) == {1: {"n": 1}}


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(tmp_path)
    storage = database.journal
    storage.put("things", 1, {"n": 1})

    def half() -> None:
        with storage.transaction():
            storage.put("things", 1, {"n": 2})
            storage.put("others", 1, {"n": 2})
            assert storage.document("things", 1) == {"n": 2}
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        half()
    assert storage.document("things", 1) == {"n": 1}
    assert storage.document("others", 1) is None
    database.close()
    assert reopened(tmp_path) == {1: {"n": 1}}


def test_an_error_inside_a_nested_transaction_dooms_the_whole_of_it(tmp_path: Path) -> None:
    storage = JournalStorage(tmp_path)

    def swallowed() -> None:
        with storage.transaction():
            storage.put("things", 1, {"n": 1})
            try:
                with storage.transaction():
                    raise ValueError
            except ValueError:
                pass

    with pytest.raises(StoreError, match="none of it was kept"):
        swallowed()
    assert storage.table_now("things") == {}
    storage.close()


def test_other_threads_see_nothing_of_an_open_transaction(tmp_path: Path) -> None:
    storage = JournalStorage(tmp_path)
    seen: list[object] = []
    with storage.transaction():
        storage.put("things", 1, {"n": 1})
        reader = threading.Thread(target=lambda: seen.append(storage.document("things", 1)))
        reader.start()
        reader.join()
    assert seen == [None]
    assert storage.document("things", 1) == {"n": 1}
    storage.close()


def test_many_threads_lose_nothing_and_share_writes(tmp_path: Path) -> None:
    class Counting(Disk):
        writes = 0

        def write(self, fd: int, data: memoryview, offset: int) -> int:
            self.writes += 1
            return super().write(fd, data, offset)

    disk = Counting()
    storage = JournalStorage(tmp_path, 1, disk)
    before = disk.writes

    def work(worker: int) -> None:
        for number in range(50):
            storage.put("things", storage.reserve_id("things"), {"worker": worker, "number": number})

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(storage.table_now("things")) == 800
    assert disk.writes - before < 800
    storage.close()
    assert len(reopened(tmp_path)) == 800
