"""The power goes, or the process is killed, in any call on the disk that opening, committing, folding and closing make:
nothing that was acknowledged is missing, and nothing is called lost that was not.

PRINTROOM_KILLS lengthens the campaign (120 in CI), PRINTROOM_SEED repeats one.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from store import head
from store.disk import Disk
from store.errors import StoreError
from store.tinydb_tables import Database
from tests.store.volatile_disk import VolatileDisk

ROUNDS = int(os.environ.get("PRINTROOM_KILLS", "120"))
SEED = int(os.environ.get("PRINTROOM_SEED", random.SystemRandom().randrange(10**9)))

Say = Callable[[int], None]


def work(folder: Path, disk: Disk, dice: random.Random, begins: int, acknowledged: Say) -> None:
    """Commits pairs, numbered from one on; folds, closes and opens between them."""
    number = begins
    for _ in range(dice.randint(1, 3)):
        database = Database(folder, 1, disk)
        storage = database.journal
        try:
            for _ in range(dice.randint(0, 5)):
                with storage.transaction():
                    storage.put("left", number, {"n": number, "text": "x" * dice.randrange(1500)})
                    storage.put("right", number, {"n": number})
                acknowledged(number)
                number += 1
                if dice.random() < 0.2:
                    storage.fold()
        finally:
            with contextlib.suppress(OSError):
                database.close()


def assert_nothing_is_lost(folder: Path, acknowledged: set[int], what: object) -> int:
    """Returns the next number."""
    database = Database(folder)
    left, right = database.journal.table_now("left"), database.journal.table_now("right")
    told = database.journal.damage + database.journal.doubts
    database.close()
    assert told == [], what
    assert set(left) == set(right), what
    assert acknowledged <= set(left), (what, sorted(acknowledged - set(left)))
    assert set(left) <= {*acknowledged, max(acknowledged, default=0) + 1}, what  # or what was on its way
    acknowledged |= set(left)
    return max(acknowledged, default=0) + 1


def test_after_a_power_cut_in_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "SYNC_AFTER_S", 0.0005)  # so that the head's own syncs come between
    dice = random.Random(SEED)
    cuts = 0
    for campaign in range(ROUNDS):
        folder, acknowledged = tmp_path / f"{campaign}-0", set[int]()
        folder.mkdir()
        for cut in range(1, 6):
            next_one = assert_nothing_is_lost(folder, acknowledged, "sound") if dice.random() < 0.3 else None
            next_one = next_one or max(acknowledged, default=0) + 1
            disk = VolatileDisk(dice.randrange(1, 50))
            with contextlib.suppress(OSError, StoreError):
                work(folder, disk, dice, next_one, acknowledged.add)
            cuts += disk.is_off
            after = tmp_path / f"{campaign}-{cut}"
            disk.leave(folder, after, dice)
            folder = after
            assert_nothing_is_lost(folder, acknowledged, (SEED, campaign, cut, disk.calls))
    assert cuts > ROUNDS


class DeadlyDisk(Disk):
    """Kills its own process before the n-th call."""

    def __init__(self, kill_at: int) -> None:
        self._left = kill_at

    def __getattribute__(self, name: str) -> object:
        if not name.startswith("_"):
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__getattribute__(name)


def killed_at(folder: Path, kill_at: int, seed: int, begins: int) -> tuple[set[int], bool]:
    """What a process acknowledged that works until it kills itself, and whether it did."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            say: Say = lambda number: os.write(writer, f"{number}\n".encode()) and None  # noqa: E731
            work(folder, DeadlyDisk(kill_at), random.Random(seed), begins, say)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        acknowledged = {int(line) for line in lines}
    return acknowledged, os.waitpid(child, 0)[1] != 0


def test_after_a_kill_before_any_call(tmp_path: Path) -> None:
    """The same work is killed at its first call, then a fresh one at its second, and so on to its end."""
    dice, kills = random.Random(SEED), 0
    for campaign in range(max(5, ROUNDS // 40)):
        seed, kill_at, was_killed = dice.randrange(10**9), 0, True
        while was_killed:
            kill_at += 1
            folder = tmp_path / f"{campaign}-{kill_at}"
            folder.mkdir()
            first, _ = killed_at(folder, 10**9, dice.randrange(3), 1)  # sometimes there was something before
            second, was_killed = killed_at(folder, kill_at, seed, max(first, default=0) + 1)
            kills += was_killed
            assert_nothing_is_lost(folder, first | second, (SEED, campaign, kill_at))
    assert kills > 10
