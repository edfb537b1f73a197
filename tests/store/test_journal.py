"""The journal's promises: what was acknowledged is there after anything, and damage is never silent."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from store import journal
from store.database import Database, JournalStorage
from store.errors import StoreDamaged, StoreError, StoreTooNew, StoreUnavailable
from store.journal import Disk

REPOSITORY = Path(__file__).parents[2]


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


@pytest.mark.parametrize("torn_bytes", [1, 7, 8, 9, 20])
def test_a_torn_tail_is_cut_at_the_last_whole_commit_and_reported(tmp_path: Path, torn_bytes: int) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    length = newest_journal(tmp_path).stat().st_size
    database.journal.put("things", 2, {"n": 2})
    database.close()
    os.truncate(newest_journal(tmp_path), length + torn_bytes)
    database = Database(tmp_path)
    assert database.journal.table_now("things") == {1: {"n": 1}}
    assert "not a whole commit" in database.journal.damage[0]
    database.journal.put("things", 3, {"n": 3})
    database.close()
    assert reopened(tmp_path) == {1: {"n": 1}, 3: {"n": 3}}


def test_a_damaged_snapshot_is_reported_and_the_one_before_is_used(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    database.journal.fold()
    database.journal.put("things", 2, {"n": 2})
    database.close()
    newest = max(tmp_path.glob("snapshot-*.prj"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0x40
    newest.write_bytes(content)
    database = Database(tmp_path)
    assert database.journal.table_now("things") == {1: {"n": 1}, 2: {"n": 2}}
    assert newest.name in database.journal.damage[0]
    database.close()


def test_no_readable_snapshot_at_all_is_refused_not_emptied(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.journal.put("things", 1, {"n": 1})
    database.close()
    for snapshot in tmp_path.glob("snapshot-*.prj"):
        snapshot.write_bytes(b"garbage")
    with pytest.raises(StoreDamaged, match="restore a backup"):
        Database(tmp_path)


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
    assert sorted(journal.generations(tmp_path, "snapshot")) == [5, 6]
    assert reopened(tmp_path) == {n: {"n": n} for n in range(1, 6)}


class FailingDisk(Disk):
    """Fails one kind of call from a given one on."""

    def __init__(self, call: str, code: int, after: int = 0, times: int = 1) -> None:
        self.call, self.code, self.after, self.times = call, code, after, times

    def _maybe_fail(self, call: str) -> None:
        if call != self.call:
            return
        self.after -= 1
        if self.after < 0 and self.times > 0:
            self.times -= 1
            raise OSError(self.code, os.strerror(self.code))

    def write(self, fd: int, data: bytes) -> int:
        try:
            self._maybe_fail("write")
        except OSError:
            super().write(fd, data[: len(data) // 2])  # a full disk takes what still fits
            raise
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        self._maybe_fail("sync")
        super().sync(fd)


def opened_with(folder: Path, disk: FailingDisk) -> Database:
    after, disk.after = disk.after, 10**9
    database = Database(folder, 1, disk)
    disk.after = after
    return database


def test_a_full_disk_refuses_the_change_and_keeps_memory_and_file_as_they_were(tmp_path: Path) -> None:
    database = opened_with(tmp_path, FailingDisk("write", errno.ENOSPC, after=1))
    database.journal.put("things", 1, {"n": 1})
    with pytest.raises(StoreUnavailable, match="nothing was changed"):
        database.journal.put("things", 1, {"n": 2})
    assert database.journal.document("things", 1) == {"n": 1}
    database.journal.put("things", 2, {"n": 3})  # there is room again
    database.close()
    assert reopened(tmp_path) == {1: {"n": 1}, 2: {"n": 3}}


def test_after_a_failed_fsync_nothing_more_is_acknowledged(tmp_path: Path) -> None:
    database = opened_with(tmp_path, FailingDisk("sync", errno.EIO, after=1))
    database.journal.put("things", 1, {"n": 1})
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="nothing more is accepted"):
            database.journal.put("things", 2, {"n": 2})
    assert database.journal.table_now("things") == {1: {"n": 1}}
    database.close()


def test_short_writes_are_completed(tmp_path: Path) -> None:
    class Stingy(Disk):
        def write(self, fd: int, data: bytes) -> int:
            return super().write(fd, data[:3])

    database = Database(tmp_path, 1, Stingy())
    database.journal.put("things", 1, {"text": "longer than three bytes"})
    database.close()
    assert reopened(tmp_path) == {1: {"text": "longer than three bytes"}}


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


def test_many_threads_lose_nothing_and_share_fsyncs(tmp_path: Path) -> None:
    class Counting(Disk):
        syncs = 0

        def sync(self, fd: int) -> None:
            self.syncs += 1
            super().sync(fd)

    disk = Counting()
    storage = JournalStorage(tmp_path, 1, disk)
    before = disk.syncs

    def work(worker: int) -> None:
        for number in range(50):
            storage.put("things", storage.reserve_id("things"), {"worker": worker, "number": number})

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(storage.table_now("things")) == 800
    assert disk.syncs - before < 800
    storage.close()
    assert len(reopened(tmp_path)) == 800


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import structlog
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    from store.database import Database
    database = Database(Path(sys.argv[1]))
    storage = database.journal
    number = int(sys.argv[2])
    while True:
        number += 1
        with storage.transaction():
            storage.put("left", number, {"n": number})
            storage.put("right", number, {"n": number})
        print(number, flush=True)
        if number % 40 == 0:
            storage.fold()
    """
)


def test_sigkill_at_random_moments_loses_no_acknowledged_commit_and_leaves_no_half(tmp_path: Path) -> None:
    seed = int(os.environ.get("PRINTROOM_SEED", random.SystemRandom().randrange(10**9)))
    dice = random.Random(seed)
    acknowledged = 0
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=REPOSITORY,
            text=True,
        )
        assert writer.stdout
        for _ in range(dice.randrange(1, 90)):
            line = writer.stdout.readline()
            acknowledged = int(line)
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged
        database = Database(tmp_path)
        left, right = database.journal.table_now("left"), database.journal.table_now("right")
        database.close()
        assert left == right
        assert set(range(1, acknowledged + 1)) <= set(left), f"seed {seed}"
        acknowledged = max(left)
