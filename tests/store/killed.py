"""Works on a store until it kills itself before the n-th call on the disk: asked for line by line on standard input.

A line is JSON: {"folder", "kill_at", "seed", "begins"}; the answer: {"acknowledged": [numbers], "was_killed"}. This
process has no threads and no store; each piece of work is done by a child of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from store.disk import Disk
from store.tinydb_tables import Database

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


def _child(writer: int, asked: dict[str, object]) -> None:
    def say(number: int) -> None:
        os.write(writer, f"{number}\n".encode())

    disk, dice = DeadlyDisk(int(str(asked["kill_at"]))), random.Random(int(str(asked["seed"])))
    work(Path(str(asked["folder"])), disk, dice, int(str(asked["begins"])), say)


def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _child(writer, json.loads(line))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            acknowledged = [int(one) for one in lines]
        was_killed = os.waitpid(child, 0)[1] == signal.SIGKILL
        sys.stdout.write(json.dumps({"acknowledged": acknowledged, "was_killed": was_killed}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
