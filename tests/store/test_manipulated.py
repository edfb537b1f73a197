"""Files of a store that was stopped are cut, turned, removed, emptied, exchanged or replaced by older ones: then it has
everything that was acknowledged, or says that it has not.

PRINTROOM_KILLS lengthens the campaign (120 in CI), PRINTROOM_SEED repeats one.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from store import doctor
from store.errors import StoreDamaged
from store.head import head_of
from store.tinydb_tables import Database
from store.upgrade import SCHEMA

CASES = 10 * int(os.environ.get("PRINTROOM_KILLS", "120"))
SEED = int(os.environ.get("PRINTROOM_SEED", random.SystemRandom().randrange(10**9)))

Documents = dict[int, dict[str, object]]


@dataclass
class Stopped:
    """A store as it was stopped, with what it acknowledged; itself at an earlier time; and another that began as its
    copy then, and went on by itself."""

    folder: Path
    acknowledged: Documents
    earlier: Path
    other: Path


def copied(folder: Path, to: Path, with_head: bool = True) -> Path:
    shutil.copytree(folder, to)
    if with_head:
        shutil.copy(head_of(folder), head_of(to))
    return to


def commit(database: Database, documents: Documents, dice: random.Random, count: int) -> None:
    for _ in range(count):
        number = dice.randrange(1, 30)
        document = None if dice.random() < 0.2 else {"n": dice.randrange(10**9), "text": "x" * dice.randrange(700)}
        database.journal.put("things", number, document)
        documents.pop(number, None)
        documents |= {number: document} if document else {}
        if dice.random() < 0.1:
            database.journal.fold()


def made(base: Path, dice: random.Random) -> Stopped:
    """Closed, or killed: what a killed process leaves is what the files are while it runs."""
    documents: Documents = {}
    running = base / "running"
    running.mkdir(parents=True)
    database = Database(running, SCHEMA)
    commit(database, documents, dice, dice.randint(1, 20))
    if dice.random() < 0.5:
        database.close()
        database = Database(running, SCHEMA)
    earlier = copied(running, base / "earlier")
    commit(database, documents, dice, dice.randint(1, 20))
    if dice.random() < 0.5:
        database.close()
        folder = copied(running, base / "store")
    else:
        folder = copied(running, base / "store")
        database.close()
    other = copied(earlier, base / "other")
    database = Database(other, SCHEMA)
    commit(database, {}, dice, dice.randint(1, 40))
    database.close()
    return Stopped(folder, documents, earlier, other)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Stopped]:
    base = tmp_path_factory.mktemp("stores")
    dice = random.Random(SEED)
    return [made(base / f"{n}", dice) for n in range(20)]


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.prj"))


def cut(path: Path, dice: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: dice.randrange(path.stat().st_size)])


def cut_behind_its_content(path: Path, dice: random.Random) -> None:
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[: -dice.randrange(1, min(100, len(content)))])


def turn_a_bit(path: Path, dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content.rstrip(b"\0")))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def zero_some(path: Path, dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    begins = dice.randrange(len(content.rstrip(b"\0")))
    count = min(dice.choice([1, 100, 512, 4096]), len(content) - begins)
    content[begins : begins + count] = bytes(count)
    path.write_bytes(content)


def zero(path: Path, dice: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def empty(path: Path, dice: random.Random) -> None:
    path.write_bytes(b"")


def remove(path: Path, dice: random.Random) -> None:
    path.unlink()


def fill(path: Path, dice: random.Random) -> None:
    path.write_bytes(dice.randbytes(path.stat().st_size))


def lengthen(path: Path, dice: random.Random) -> None:
    path.write_bytes(path.read_bytes() + dice.randbytes(dice.randrange(1, 600)))


def rename(path: Path, dice: random.Random) -> None:
    kind, generation = path.stem.split("-")
    path.rename(path.with_name(f"{kind}-{int(generation) + dice.choice([-1, 1, 5]):08d}.prj"))


ONE = [cut, cut_behind_its_content, turn_a_bit, zero_some, zero, empty, remove, fill, lengthen, rename]


def to_one(change: Callable[[Path, random.Random], None]) -> Callable[[Path, Stopped, random.Random], None]:
    def manipulate(folder: Path, stopped: Stopped, dice: random.Random) -> None:
        change(dice.choice(files(folder)), dice)

    manipulate.__name__ = change.__name__
    return manipulate


def to_the_newest_journal(
    change: Callable[[Path, random.Random], None],
) -> Callable[[Path, Stopped, random.Random], None]:
    def manipulate(folder: Path, stopped: Stopped, dice: random.Random) -> None:
        change(max(folder.glob("journal-*.prj")), dice)

    manipulate.__name__ = f"{change.__name__} the newest journal"
    return manipulate


def to_the_head(change: Callable[[Path, random.Random], None]) -> Callable[[Path, Stopped, random.Random], None]:
    def manipulate(folder: Path, stopped: Stopped, dice: random.Random) -> None:
        change(head_of(folder), dice)

    manipulate.__name__ = f"{change.__name__} the head"
    return manipulate


def exchange(folder: Path, stopped: Stopped, dice: random.Random) -> None:
    one, other = dice.choices(files(folder), k=2)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def remove_all(folder: Path, stopped: Stopped, dice: random.Random) -> None:
    for path in files(folder):
        path.unlink()


def remove_newest(folder: Path, stopped: Stopped, dice: random.Random) -> None:
    newest = max(folder.glob("journal-*.prj")).stem.split("-")[1]
    for path in folder.glob(f"*-{newest}.prj"):
        path.unlink()


def one_file_of(which: str) -> Callable[[Path, Stopped, random.Random], None]:
    def manipulate(folder: Path, stopped: Stopped, dice: random.Random) -> None:
        source = dice.choice(files(getattr(stopped, which)))
        shutil.copy(source, folder / source.name)

    manipulate.__name__ = f"one file of the {which}"
    return manipulate


def all_files_of(which: str, over: bool) -> Callable[[Path, Stopped, random.Random], None]:
    def manipulate(folder: Path, stopped: Stopped, dice: random.Random) -> None:
        if not over:
            remove_all(folder, stopped, dice)
        for source in files(getattr(stopped, which)):
            shutil.copy(source, folder / source.name)

    manipulate.__name__ = f"all files of the {which} {'over' if over else 'instead of'} its own"
    return manipulate


def the_head_of(which: str) -> Callable[[Path, Stopped, random.Random], None]:
    def manipulate(folder: Path, stopped: Stopped, dice: random.Random) -> None:
        shutil.copy(head_of(getattr(stopped, which)), head_of(folder))

    manipulate.__name__ = f"the head of the {which}"
    return manipulate


def nothing(folder: Path, stopped: Stopped, dice: random.Random) -> None: ...


MANIPULATIONS = [
    nothing,
    exchange,
    remove_all,
    remove_newest,
    *map(to_one, ONE),
    *map(to_the_newest_journal, ONE),
    *map(to_the_head, [cut, turn_a_bit, zero, empty, remove, fill, lengthen]),
    *(one_file_of(which) for which in ("earlier", "other")),
    *(all_files_of(which, over) for which in ("earlier", "other") for over in (True, False)),
    *(the_head_of(which) for which in ("earlier", "other")),
]


def things(folder: Path) -> tuple[Documents, list[str]]:
    database = Database(folder, SCHEMA)
    try:
        return database.journal.table_now("things"), database.journal.damage + database.journal.doubts
    finally:
        database.close()


@pytest.mark.parametrize("manipulate", MANIPULATIONS, ids=lambda one: one.__name__)
def test_whatever_is_done_to_the_files_less_is_never_silent(
    stores: list[Stopped], tmp_path: Path, manipulate: Callable[[Path, Stopped, random.Random], None]
) -> None:
    dice = random.Random(f"{SEED} {manipulate.__name__}")
    for case in range(CASES // len(MANIPULATIONS)):
        number = dice.randrange(len(stores))
        stopped, root = stores[number], tmp_path / f"{case}"
        root.mkdir()
        folder = copied(stopped.folder, root / "store")
        manipulate(folder, stopped, dice)
        what = f"seed {SEED}, case {case}, store {number}: {folder}"
        shutil.copytree(root, tmp_path / f"{case}-before")
        told: list[str] = []
        try:
            found, told = things(folder)
            assert told or found == stopped.acknowledged, f"less, and silent: {what}"
            if manipulate in (nothing, lengthen):
                assert not told, what
        except StoreDamaged as error:
            assert "repair" in str(error), what
            assert doctor.check(root).refusal
            findings, kept = doctor.repair(root)
            assert kept is not None and findings.damage, what
            assert doctor.check(root).is_sound, what
        again, told_again = things(folder)
        assert not told_again, what
        assert things(folder) == (again, []), what
        shutil.rmtree(root)
        shutil.rmtree(tmp_path / f"{case}-before")
