"""The power goes, or the process is killed, in any call on the disk that opening, committing, folding and closing make:
nothing that was acknowledged is missing, and nothing is called lost that was not.

PRINTROOM_KILLS lengthens the campaign (120 in CI), PRINTROOM_SEED repeats one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import head
from store.errors import StoreError
from store.tinydb_tables import Database
from tests.store.killed import work
from tests.store.volatile_disk import VolatileDisk

REPOSITORY = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("PRINTROOM_KILLS", "120"))
SEED = int(os.environ.get("PRINTROOM_SEED", random.SystemRandom().randrange(10**9)))


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
    cuts = 0
    for campaign in range(ROUNDS):
        dice = random.Random(f"{SEED} {campaign}")
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


@pytest.fixture
def killed_at() -> Iterator[Callable[[Path, int, int, int], tuple[set[int], bool]]]:
    """What a process acknowledged that works until it kills itself, and whether it did."""
    command = [sys.executable, "-m", "tests.store.killed"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, **pipes) as worker:  # type: ignore[call-overload]

        def ask(folder: Path, kill_at: int, seed: int, begins: int) -> tuple[set[int], bool]:
            asked = {"folder": str(folder), "kill_at": kill_at, "seed": seed, "begins": begins}
            worker.stdin.write(json.dumps(asked) + "\n")
            worker.stdin.flush()
            told = json.loads(worker.stdout.readline())
            return set(told["acknowledged"]), told["was_killed"]

        yield ask


def test_after_a_kill_before_any_call(
    tmp_path: Path, killed_at: Callable[[Path, int, int, int], tuple[set[int], bool]]
) -> None:
    """The same work is killed at its first call, then a fresh one at its second, and so on to its end."""
    dice, kills = random.Random(SEED), 0
    for campaign in range(max(3, ROUNDS // 40)):
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
