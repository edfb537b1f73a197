"""The state in memory, and its transactions; TinyDB's storage seam.

Documents in memory are never changed in place, only replaced: so a shallow copy of a table is a consistent picture of
it, and what a reader got stays what it was.

A commit is three steps: under the owner's lock it gets a number, changes the memory and queues its frame; then, without
that lock, group_commit brings it to the disk together with whatever else is queued; then it returns. Reading waits for
what is queued, so nobody ever acts on a change that a power cut could take back.
"""

from __future__ import annotations

import copy
import errno
import os
import shutil
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from tinydb.storages import Storage

from store import journal
from store.errors import StoreError, StoreTooNew, StoreUnavailable
from store.folder import sync_folder
from store.group_commit import GroupCommit, Pending
from store.journal import Disk, DiskUncertain, FrameFile, Row, State

log = structlog.get_logger("store")

Document = dict[str, Any]
Tables = dict[str, dict[int, Document]]
Key = Callable[[Document], Hashable]
TRIAL_FILE = "on-trial"
ON_TRIAL = "this version of Printroom is being tried: nothing is taken for a minute"
FOLD_AT_BYTES = 16 * 1024 * 1024  # the journal is folded when it passes this and the last snapshot's size


class Index:
    """Document ids by a key computed from the document."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self._ids: dict[Hashable, set[int]] = {}

    def replace(self, doc_id: int, old: Document | None, new: Document | None) -> None:
        """Follow one document's change."""
        if old is not None:
            ids = self._ids[self.key(old)]
            ids.discard(doc_id)
            if not ids:
                del self._ids[self.key(old)]
        if new is not None:
            self._ids.setdefault(self.key(new), set()).add(doc_id)

    def ids(self, key: Hashable) -> set[int]:
        """The documents that have this key."""
        return self._ids.get(key, set())


def _copy_name(schema: int) -> str:
    """The folder of the files from before the upgrade to a schema."""
    return f"before-schema-{schema}"


class JournalStorage(Storage):
    """Tables in memory over the journal."""

    def __init__(
        self,
        folder: Path,
        schema: int = 1,
        disk: Disk | None = None,
        upgrade: Callable[[int, Tables], None] | None = None,
        on_trial: Callable[[], bool] = lambda: False,
    ) -> None:
        """Open the store in a folder, creating it when empty.

        Args:
            folder: where snapshots and journals lie; the caller holds the lock on it.
            schema: version of the documents' shape that this program writes.
            disk: the operating system, or a test's unreliable one.
            upgrade: brings tables of an older schema (given) to this one, in place.
            on_trial: whether this program may still be replaced by the one before. While it is, every change is
                refused; what an upgrade wrote meanwhile the older program may throw away.

        Raises:
            StoreDamaged: the files do not lead to a complete state.
            StoreTooNew: a newer program wrote them.
        """
        self._folder, self._disk, self.schema = folder, disk or Disk(), schema
        self._tables: Tables = {}
        self._next_ids: dict[str, int] = {}
        self._indexes: dict[str, dict[str, Index]] = {}
        self._memory = threading.Lock()  # held for microseconds: tables, indexes, queue
        self._owner = threading.RLock()  # held for the length of a transaction
        self._commits = GroupCommit(self._memory, self._write, self._take_back)
        self._depth = 0
        self._doomed = False
        self._overlay: dict[str, dict[int, Document | None]] = {}
        self._committed = 0  # number of the last commit, on disk or on its way
        self._undone = 0  # how often commits were taken back
        self._began_at_undone = 0
        self.failed = ""  # why nothing is accepted any more; '' while all is well
        self.is_full = False  # the last commit was refused by the disk
        self._folding: threading.Thread | None = None
        self._fold_lock = threading.Lock()  # one fold at a time
        self.damage: list[str] = []
        self._on_trial: Callable[[], bool] | None = on_trial
        self._trial_file = folder / TRIAL_FILE
        self._open(upgrade)

    # -- opening and folding --------------------------------------------------------------------------------------

    def _open(self, upgrade: Callable[[int, Tables], None] | None) -> None:
        state = journal.load(self._folder)
        found = int(state.header.get("schema", self.schema))
        if found > self.schema and self._trial_file.exists() and self._has_copy(found):
            self._go_back(found)
            state = journal.load(self._folder)
            found = int(state.header.get("schema", self.schema))
        if found > self.schema:
            raise StoreTooNew(
                f"{self._folder} was written by a newer Printroom (schema {found}, this one knows {self.schema}): "
                "install that version again, or restore a backup of this one"
            )
        self._take_over(state)
        for note in state.notes:
            log.warning("store.note", note=note)
        for note in state.damage:
            log.error("store.damaged", note=note)
        self.damage = state.damage
        self._begin_trial()
        if found < self.schema and state.generation:
            self._keep_copy(_copy_name(self.schema))
            if upgrade is not None:
                upgrade(found, self._tables)
            log.info("store.upgraded", schema=self.schema, before=found)
        if state.damage:
            self._keep_copy("damaged")
        # Anything but a plain whole generation is folded at once, so that the odd state is met only once.
        is_plain = state.generation and found == self.schema and not state.damage and len(state.journals) == 1
        if is_plain:
            report = state.journals[0]
            self._generation = state.generation
            self._file = FrameFile(report.path, self._disk, report.length_bytes)
            self._snapshot_bytes = journal.file_of(self._folder, "snapshot", self._generation).stat().st_size
            self._disk.sync_folder(self._folder)
        else:
            self._generation = state.generation + 1
            self._file = FrameFile(journal.file_of(self._folder, "journal", self._generation), self._disk)
            self._snapshot_bytes = self._write_snapshot(self._generation, self._header(), self._tables)

    def _begin_trial(self) -> None:
        """Say on the disk, before an upgrade, that nothing is accepted yet; or, before a change, that this is over."""
        if self._on_trial is not None and self._on_trial():
            self._trial_file.touch(mode=0o600)
        else:
            self._trial_file.unlink(missing_ok=True)
            self._on_trial = None
        sync_folder(self._folder)

    @property
    def is_on_trial(self) -> bool:
        """Whether changes are refused, because the program before this one may still take over again."""
        return self._on_trial is not None and self._on_trial()

    def _has_copy(self, schema: int) -> bool:
        """Whether the files from before the upgrade to a schema are there, whole."""
        return (self._folder / _copy_name(schema) / "whole").exists()

    def _go_back(self, schema: int) -> None:
        """A newer program upgraded this store and was given up before it took anything: its files go aside, those from
        before come back. Cut off anywhere, it goes on at the next start, because the mark goes last."""
        newer, copies = self._folder / f"from-schema-{schema}", self._folder / _copy_name(schema)
        newer.mkdir(mode=0o700, exist_ok=True)
        kept = {path.name for path in copies.iterdir()}
        for kind in ("snapshot", "journal"):
            for path in journal.generations(self._folder, kind).values():
                if path.name not in kept:
                    path.rename(newer / path.name)
        for path in copies.iterdir():
            if path.name != "whole":
                shutil.copy2(path, self._folder / f"{path.name}.part")
                (self._folder / f"{path.name}.part").rename(self._folder / path.name)
        os.sync()
        self._trial_file.unlink()
        sync_folder(self._folder)
        log.warning("store.went_back", schema=self.schema, newer=schema)

    def _take_over(self, state: State) -> None:
        self._next_ids = {str(name): int(number) for name, number in state.header.get("next_ids", {}).items()}
        for row in state.rows:
            self._apply(*row)
        for report in state.journals:
            for frame in report.commits:
                for name, doc_id, document in frame.payload:
                    self._apply(name, doc_id, document)
        self._committed = self._commits.durable = state.number

    def _keep_copy(self, name: str) -> None:
        """Keep the files as they are, before anything of them is changed."""
        copies = self._folder / name
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir(mode=0o700)
        for kind in ("snapshot", "journal"):
            for path in journal.generations(self._folder, kind).values():
                shutil.copy2(path, copies)
        os.sync()
        (copies / "whole").touch()
        self._disk.sync_folder(copies)

    def _header(self) -> dict[str, Any]:
        return {"format": 1, "schema": self.schema, "number": self._committed, "next_ids": dict(self._next_ids)}

    def _write_snapshot(self, generation: int, header: dict[str, Any], tables: Tables) -> int:
        rows: Iterator[Row] = ((name, i, document) for name, table in tables.items() for i, document in table.items())
        path = journal.file_of(self._folder, "snapshot", generation)
        size_bytes = journal.write_snapshot(path, header, rows, self._disk)
        for kind in ("snapshot", "journal"):  # the last good generation stays, in case this one rots
            for number, stale in journal.generations(self._folder, kind).items():
                if number < generation - 1:
                    stale.unlink()
        return size_bytes

    def fold(self) -> None:
        """Write the state as a new snapshot and begin a new journal; commits go on meanwhile."""
        with self._fold_lock:
            self._fold()

    def _fold(self) -> None:
        generation = self._generation + 1
        new = FrameFile(journal.file_of(self._folder, "journal", generation), self._disk)
        try:
            self._disk.sync_folder(self._folder)
        except OSError:
            new.close()
            raise
        picture: list[tuple[dict[str, Any], Tables]] = []
        old = self._file

        def switch() -> bool:
            if self.failed:
                return False
            picture.append((self._header(), {name: dict(table) for name, table in self._tables.items()}))
            self._file, self._generation = new, generation
            return True

        if not self._commits.exclusively(switch):
            new.close()
            return
        old.trim()
        old.close()
        self._snapshot_bytes = self._write_snapshot(generation, *picture[0])
        log.info("store.folded", generation=generation, bytes=self._snapshot_bytes)

    def _fold_when_grown(self) -> None:
        if self.journal_bytes < max(FOLD_AT_BYTES, self._snapshot_bytes):
            return
        with self._memory:
            if self._folding is not None and self._folding.is_alive():
                return
            self._folding = threading.Thread(target=self._fold_quietly, name="store-fold", daemon=True)
            self._folding.start()

    def _fold_quietly(self) -> None:
        try:
            self.fold()
        except OSError as error:  # the journals still have everything; the next commit tries again
            log.error("store.fold_failed", error=str(error))

    # -- transactions ---------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are kept together, or none of them. Other transactions wait meanwhile.

        Raises:
            StoreUnavailable: the disk did not take them; memory and disk are as before.
        """
        with self._owner:
            outermost = self._depth == 0
            if outermost:
                self._doomed = False
                self._began_at_undone = self._undone
            self._depth += 1
            pending: Pending | None = None
            try:
                yield
                if outermost and self._doomed:
                    raise StoreError("a change inside this transaction failed: none of it was kept")
                if outermost and self._overlay:
                    changes = self._overlay.items()
                    pending = self._commit([(name, i, d) for name, table in changes for i, d in table.items()])
            except BaseException:
                self._doomed = True
                raise
            finally:
                self._depth -= 1
                if outermost:
                    self._overlay = {}
        if pending is not None:
            self._commits.settle(pending)
            self._fold_when_grown()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything read inside belongs to one moment, and is on disk."""
        with self._owner:
            self._barrier()
            yield

    def _commit(self, rows: list[Row]) -> Pending:
        if self.failed:
            raise StoreUnavailable(self.failed)
        if self._on_trial is not None:
            if self._on_trial():
                raise StoreUnavailable(ON_TRIAL)
            self._begin_trial()
        number = self._committed + 1
        frame = journal.encode_frame(rows, number, self._commits.durable)
        with self._memory:
            if self._undone != self._began_at_undone:
                raise StoreUnavailable("the disk refused a change that this one built on: try again")
            undo = [(name, doc_id, self._tables.get(name, {}).get(doc_id)) for name, doc_id, _ in rows]
            for row in rows:
                self._apply(*row)
            self._committed = number
            pending = Pending(number, frame, lambda: self._apply_all(undo))
            self._commits.enqueue(pending)
            return pending

    def _apply(self, name: str, doc_id: int, document: Document | None) -> None:
        table = self._tables.setdefault(name, {})
        old = table.get(doc_id)
        if document is None:
            table.pop(doc_id, None)
        else:
            table[doc_id] = document
        if self._next_ids.get(name, 1) <= doc_id:
            self._next_ids[name] = doc_id + 1
        for index in self._indexes.get(name, {}).values():
            index.replace(doc_id, old, document)

    def _apply_all(self, rows: list[tuple[str, int, Document | None]]) -> None:
        for name, doc_id, document in reversed(rows):
            self._apply(name, doc_id, document)

    def _write(self, data: bytes) -> None:
        self._file.append(data)
        self.is_full = False

    def _take_back(self, error: OSError, batch: list[Pending]) -> Exception:
        """The disk refused: memory becomes what the disk has. Called with the memory's lock held."""
        for pending in reversed(batch):
            if pending.undo is not None:
                pending.undo()
        self._undone += 1
        self._committed = self._commits.durable
        code = errno.errorcode.get(error.errno or 0, "?")
        log.error("store.refused", error=str(error), errno=code, commits=len(batch))
        if isinstance(error, DiskUncertain):
            self.failed = f"the disk failed ({error.strerror}): nothing more is accepted. Check the disk and restart"
            return StoreUnavailable(self.failed)
        self.is_full = True
        return StoreUnavailable(f"the disk refused the change ({error.strerror}): nothing was changed. Make room on it")

    # -- reading --------------------------------------------------------------------------------------------------

    def _is_mine(self) -> bool:
        return self._depth > 0 and self._owner._is_owned()  # type: ignore[attr-defined]

    def _barrier(self) -> None:
        if self._commits.durable < self._committed:
            self._commits.barrier()

    @property
    def version(self) -> int:
        """Grows with every commit that is on disk."""
        return self._commits.durable

    @property
    def journal_bytes(self) -> int:
        """Length of the journal that is being written."""
        return self._file.length_bytes

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until the store has moved on from `version`, or the time is up; returns the version now."""
        with self._commits.changed:
            self._commits.listeners += 1
            try:
                self._commits.changed.wait_for(lambda: self._commits.durable != version, timeout_s)
            finally:
                self._commits.listeners -= 1
            return self._commits.durable

    def document(self, name: str, doc_id: int) -> Document | None:
        """One document as it is stored; not to be changed in place."""
        if self._is_mine():
            changes = self._overlay.get(name, {})
            if doc_id in changes:
                return changes[doc_id]
        else:
            self._barrier()
        return self._tables.get(name, {}).get(doc_id)

    def table_now(self, name: str) -> dict[int, Document]:
        """A consistent picture of a table: id → document; the documents are not to be changed in place."""
        mine = self._is_mine()
        if not mine:
            self._barrier()
        with self._memory:
            table = dict(self._tables.get(name, {}))
        if mine:
            for doc_id, document in self._overlay.get(name, {}).items():
                if document is None:
                    table.pop(doc_id, None)
                else:
                    table[doc_id] = document
        return table

    def count(self, name: str) -> int:
        """How many documents a table has."""
        return len(self.table_now(name)) if self._is_mine() else len(self._tables.get(name, {}))

    def add_index(self, name: str, index_name: str, key: Key) -> None:
        """Keep document ids of a table by a key."""
        index = Index(key)
        with self._memory:
            for doc_id, document in self._tables.get(name, {}).items():
                index.replace(doc_id, None, document)
            self._indexes.setdefault(name, {})[index_name] = index

    def count_of(self, name: str, index_name: str, key: Hashable) -> int:
        """How many have the key; costs nothing but what this thread's transaction has changed."""
        index = self._indexes[name][index_name]
        mine = self._is_mine()
        if not mine:
            self._barrier()
        with self._memory:
            found = len(index.ids(key))
            if mine:
                committed = index.ids(key)
                for doc_id, document in self._overlay.get(name, {}).items():
                    has_now = document is not None and index.key(document) == key
                    found += has_now - (doc_id in committed)
        return found

    def lookup(self, name: str, index_name: str, key: Hashable, settled: bool = True) -> list[tuple[int, Document]]:
        """(id, document) of those that have the key, by id; unless `settled`, with what is on its way to the disk."""
        index = self._indexes[name][index_name]
        mine = self._is_mine()
        if settled and not mine:
            self._barrier()
        with self._memory:
            found = {doc_id: self._tables[name][doc_id] for doc_id in index.ids(key)}
        if mine:
            for doc_id, document in self._overlay.get(name, {}).items():
                found.pop(doc_id, None)
                if document is not None and index.key(document) == key:
                    found[doc_id] = document
        return sorted(found.items())

    def after(self, name: str, doc_id: int, limit: int) -> list[tuple[int, Document]]:
        """At most `limit` (id, document) with ids above one, by id; costs what it returns."""
        return self._walk(name, range(doc_id + 1, self._next_ids.get(name, 1)), limit)

    def newest(self, name: str, limit: int) -> list[tuple[int, Document]]:
        """The `limit` (id, document) with the highest ids, highest first; costs what it returns."""
        return self._walk(name, range(self._next_ids.get(name, 1) - 1, 0, -1), limit)

    def _walk(self, name: str, ids: Iterable[int], limit: int) -> list[tuple[int, Document]]:
        documents = ((number, self.document(name, number)) for number in ids)
        return list(islice(((number, found) for number, found in documents if found is not None), limit))

    # -- changing -------------------------------------------------------------------------------------------------

    def put(self, name: str, doc_id: int, document: Document | None) -> None:
        """Insert, replace or (None) remove one document; in the running transaction or one of its own."""
        if self._is_mine():
            self._overlay.setdefault(name, {})[doc_id] = document
            return
        with self._owner:
            self._began_at_undone = self._undone
            pending = self._commit([(name, doc_id, document)])
        self._commits.settle(pending)
        self._fold_when_grown()

    @property
    def next_ids(self) -> dict[str, int]:
        """By table: the id that the next document gets."""
        with self._memory:
            return dict(self._next_ids)

    def reserve_id(self, name: str) -> int:
        """An id that no document of the table has or had, and nobody else will be given."""
        with self._memory:
            number = self._next_ids.get(name, 1)
            self._next_ids[name] = number + 1
            return number

    # -- TinyDB's seam --------------------------------------------------------------------------------------------

    def read(self) -> dict[str, dict[str, Any]] | None:
        """The whole state, as TinyDB's own code expects it (deep copy)."""
        with self._memory:
            names = list(self._tables)
        state = {name: {str(i): copy.deepcopy(d) for i, d in self.table_now(name).items()} for name in names}
        return {name: table for name, table in state.items() if table} or None

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Make the whole state equal to `data`, committing only what differs."""
        with self.transaction():
            for name in {*self._tables, *data}:
                now, want = self.table_now(name), {int(i): d for i, d in data.get(name, {}).items()}
                for doc_id in now.keys() - want.keys():
                    self.put(name, doc_id, None)
                for doc_id, document in want.items():
                    if now.get(doc_id) != document:
                        self.put(name, doc_id, copy.deepcopy(dict(document)))

    def close(self) -> None:
        """Bring everything to the disk and close the files."""
        self._commits.barrier()
        if self._folding is not None:
            self._folding.join()
        if not self.failed:
            self._file.trim()
        self._file.close()
