"""The crash campaign: a writer is killed at random moments, its unsynced tail cut or garbled; nothing that was
acknowledged is ever missing, and no half of a transaction is ever there.

PRINTROOM_KILLS sets how often (120 in CI), PRINTROOM_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from store.frames import frames_in
from store.tinydb_tables import Database

REPOSITORY = Path(__file__).parents[2]
KILLS = int(os.environ.get("PRINTROOM_KILLS", "120"))
SEED = int(os.environ.get("PRINTROOM_SEED", random.SystemRandom().randrange(10**9)))

# Four threads commit pairs and say so on standard output once a commit was acknowledged; folding goes on meanwhile.
WRITER = textwrap.dedent(
    """
    import os, sys, threading
    from pathlib import Path
    import structlog
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    from store.tinydb_tables import Database
    storage = Database(Path(sys.argv[1])).journal
    def work(thread):
        for turn in range(10**9):
            number = storage.reserve_id("left")
            with storage.transaction():
                storage.put("left", number, {"n": number, "text": "x" * (number * 37 % 700)})
                storage.put("right", number, {"n": number})
                if number > 60:
                    storage.put("left", number - 60, None)
                    storage.put("right", number - 60, None)
            os.write(1, f"{number}\\n".encode())
            if thread == 0 and turn % 15 == 14:
                storage.fold()
    for thread in range(4):
        threading.Thread(target=work, args=(thread,)).start()
    """
)


def spoil_tail(folder: Path, durable_bytes: dict[Path, int], dice: random.Random) -> str:
    """What a power cut does to the newest journal behind what was acknowledged: bytes cut off or garbled."""
    newest = max(folder.glob("journal-*.prj"))
    content = newest.read_bytes()
    begins = durable_bytes.get(newest, 0)
    tail = len(content) - begins
    how = dice.choice(["leave", "cut", "garble", "zero"])
    if tail <= 0 or how == "leave":
        return "leave"
    at = begins + dice.randrange(tail)
    if how == "cut":
        content = content[:at]
    else:
        count = min(dice.randrange(1, 400), len(content) - at)
        noise = bytes(count) if how == "zero" else dice.randbytes(count)
        content = content[:at] + noise + content[at + count :]
    newest.write_bytes(content)
    return how


def acknowledged_length(path: Path, numbers: set[int]) -> int:
    """Where the last frame ends that holds something acknowledged: nothing before it may be spoiled."""
    ends = 0
    for frame in frames_in(path.read_bytes()):
        if any(doc_id in numbers for _, doc_id, _ in frame.payload.get("rows", ())):
            ends = frame.ends
    return ends


def test_killed_at_random_moments_with_a_spoiled_tail(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    acknowledged: set[int] = set()
    ever = 0
    hows: dict[str, int] = {}
    for kill in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=REPOSITORY,
            text=True,
        )
        assert writer.stdout
        fresh: list[int] = []
        for _ in range(dice.randrange(1, 60)):
            fresh.append(int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
        fresh += [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        writer.stdout.close()
        acknowledged |= set(fresh)
        newest = max(tmp_path.glob("journal-*.prj"))
        how = spoil_tail(tmp_path, {newest: acknowledged_length(newest, acknowledged)}, dice)
        hows[how] = hows.get(how, 0) + 1

        database = Database(tmp_path)
        left, right = database.journal.table_now("left"), database.journal.table_now("right")
        assert database.journal.damage == [], (SEED, kill, how)
        database.close()
        assert set(left) == set(right), (SEED, kill, how)
        ever = max([ever, *left, *acknowledged])
        # A number leaves the tables only by the commit of the number 60 above it.
        expected = {number for number in acknowledged if number + 60 not in acknowledged}
        gone = {number for number in expected if number not in left}
        taken_away = {number for number in gone if number + 60 <= ever}
        assert gone == taken_away, f"seed {SEED}, kill {kill}, {how}: lost {sorted(gone - taken_away)}"
        acknowledged = {number for number in acknowledged if number in left}
    assert KILLS < 50 or len(hows) == 4


class StoreAgainstDictionary(RuleBasedStateMachine):
    """Random operations on the store and on a plain dictionary; crashes and reopenings between them."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name) / "store"
        self.folder.mkdir()
        self.model: dict[tuple[str, int], dict[str, int]] = {}
        self.database = Database(self.folder)

    @property
    def storage(self):  # type: ignore[no-untyped-def]
        return self.database.journal

    tables = st.sampled_from(["a", "b"])
    ids = st.integers(1, 5)
    documents = st.dictionaries(st.sampled_from("xyz"), st.integers(), max_size=3)

    @rule(table=tables, doc_id=ids, document=documents)
    def put(self, table: str, doc_id: int, document: dict[str, int]) -> None:
        self.storage.put(table, doc_id, dict(document))
        self.model[table, doc_id] = document

    @rule(table=tables, doc_id=ids)
    def remove(self, table: str, doc_id: int) -> None:
        self.storage.put(table, doc_id, None)
        self.model.pop((table, doc_id), None)

    @rule(changes=st.lists(st.tuples(tables, ids, documents), max_size=5), fails=st.booleans())
    def transaction(self, changes: list[tuple[str, int, dict[str, int]]], fails: bool) -> None:
        changed = dict(self.model)
        try:
            with self.storage.transaction():
                for table, doc_id, document in changes:
                    self.storage.put(table, doc_id, dict(document))
                    changed[table, doc_id] = document
                    assert self.storage.document(table, doc_id) == document
                if fails:
                    raise ZeroDivisionError
            self.model = changed
        except ZeroDivisionError:
            pass

    @rule()
    def fold(self) -> None:
        self.storage.fold()

    @rule()
    def close_and_open(self) -> None:
        self.database.close()
        self.database = Database(self.folder)

    @rule(torn=st.binary(max_size=60))
    def crash(self, torn: bytes) -> None:
        """What is on the disk at this moment, with the beginning of a write behind it, is all that is left."""
        storage = self.storage
        path, length = max(self.folder.glob("journal-*.prj")), storage.journal_bytes
        content = path.read_bytes()[:length] + torn
        storage._files.close(is_clean=False)
        path.write_bytes(content)
        self.database = Database(self.folder)

    @precondition(lambda self: self.storage.version > 3)
    @rule()
    def wait_for_nothing(self) -> None:
        assert self.storage.wait(self.storage.version - 1, 0) == self.storage.version

    @invariant()
    def agrees(self) -> None:
        state = {(table, i): document for table in ("a", "b") for i, document in self.storage.table_now(table).items()}
        assert state == self.model
        for table in ("a", "b"):
            assert self.database.table(table).all() == [d for (t, _), d in state.items() if t == table]

    def teardown(self) -> None:
        self.database.close()
        self._folder.cleanup()


TestStoreAgainstDictionary = StoreAgainstDictionary.TestCase
TestStoreAgainstDictionary.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
