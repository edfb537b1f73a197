"""TinyDB over the journal: tables in memory, transactions, indexes, group commit.

Documents in memory are never changed in place, only replaced: so a shallow copy of a table is a consistent picture
of it, and what a reader got stays what it was.

A commit is three steps: under the owner's lock it gets a number, changes the memory and queues its frame; then,
without that lock, one of the waiting threads writes and fsyncs all queued frames at once; then all of them return.
Reading waits for what is queued to be on disk, so nobody ever acts on a change that a power cut could take back.
"""

from __future__ import annotations

import copy
import errno
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Table

from store import journal
from store.errors import StoreError, StoreTooNew, StoreUnavailable
from store.journal import Disk, DiskUncertain, FrameFile, Row

log = structlog.get_logger("store")

Document = dict[str, Any]
Key = Callable[[Document], Hashable]
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


class JournalStorage(Storage):
    """TinyDB's storage seam over the journal; also the transactions that the tables run in."""

    def __init__(self, folder: Path, schema: int = 1, disk: Disk | None = None) -> None:
        """Open the store in a folder, creating it when empty.

        Args:
            folder: where snapshots and journals lie; the caller holds the lock on it.
            schema: version of the documents' shape that this program writes.
            disk: the operating system, or a test's unreliable one.

        Raises:
            StoreDamaged: the files do not lead to a complete state.
            StoreTooNew: a newer program wrote them.
        """
        self._folder, self._disk, self.schema = folder, disk or Disk(), schema
        self._tables: dict[str, dict[int, Document]] = {}
        self._next_ids: dict[str, int] = {}
        self._indexes: dict[str, dict[str, Index]] = {}
        self._memory = threading.Lock()  # held for microseconds: tables, indexes, queue
        self._owner = threading.RLock()  # held for the length of a transaction
        self._flushing = threading.Lock()  # held while frames go to the disk
        self._depth = 0
        self._doomed = False
        self._overlay: dict[str, dict[int, Document | None]] = {}
        self._queued: list[tuple[int, bytes, list[tuple[str, int, Document | None]]]] = []
        self._committed = self._durable = 0
        self._undone = 0  # how often queued commits were taken back
        self._began_at_undone = 0
        self._lost: set[int] = set()
        self._failed: str | None = None
        self._changed = threading.Condition(self._memory)
        self._folding: threading.Thread | None = None
        self.damage = self._open()

    # -- opening and folding ------------------------------------------------------------------------------------

    def _open(self) -> list[str]:
        generation, header, batches, length, notes = journal.load(self._folder)
        found = int(header.get("schema", self.schema))
        if found > self.schema:
            raise StoreTooNew(
                f"{self._folder} was written by a newer Printroom (schema {found}, this one knows {self.schema}): "
                "install that version again, or restore a backup of this one"
            )
        self._next_ids = {str(name): int(number) for name, number in header.get("next_ids", {}).items()}
        for rows in batches:
            for name, doc_id, document in rows:
                self._apply(name, doc_id, document)
        for note in notes:
            log.error("store.damaged", note=note)
        self._generation = generation
        fresh = not journal.generations(self._folder, "snapshot")
        if fresh:
            self._generation = 1
            journal.write_snapshot(journal.file_of(self._folder, "snapshot", 1), self._header(), iter(()), self._disk)
        self._file = FrameFile(journal.file_of(self._folder, "journal", self._generation), self._disk)
        if not fresh and self._file.length_bytes > length:
            self._file.cut(length)
        self._disk.sync_folder(self._folder)
        self._snapshot_bytes = max(p.stat().st_size for p in journal.generations(self._folder, "snapshot").values())
        return notes

    def _header(self) -> dict[str, Any]:
        return {"format": 1, "schema": self.schema, "next_ids": dict(self._next_ids)}

    def fold(self) -> None:
        """Write the state as a new snapshot and begin a new journal; commits go on meanwhile."""
        with self._flushing:
            self._flush_locked()
            with self._memory:
                if self._failed or self._queued:
                    return  # somebody committed in between: the next commit tries again
                generation = self._generation + 1
                header = self._header()
                tables = {name: dict(table) for name, table in self._tables.items()}
                new = FrameFile(journal.file_of(self._folder, "journal", generation), self._disk)
                old, self._file, self._generation = self._file, new, generation
            self._disk.sync_folder(self._folder)
            old.close()
        rows = ((name, doc_id, doc) for name, table in tables.items() for doc_id, doc in table.items())
        path = journal.file_of(self._folder, "snapshot", generation)
        journal.write_snapshot(path, header, rows, self._disk)
        self._snapshot_bytes = path.stat().st_size
        for kind in ("snapshot", "journal"):  # the last good generation stays, in case this one rots
            for number, stale in journal.generations(self._folder, kind).items():
                if number < generation - 1:
                    stale.unlink()
        log.info("store.folded", generation=generation, bytes=self._snapshot_bytes)

    def _fold_when_grown(self) -> None:
        if self._file.length_bytes < max(FOLD_AT_BYTES, self._snapshot_bytes):
            return
        if self._folding is None or not self._folding.is_alive():
            self._folding = threading.Thread(target=self._fold_quietly, name="store-fold", daemon=True)
            self._folding.start()

    def _fold_quietly(self) -> None:
        try:
            self.fold()
        except OSError as error:  # the journal still has everything; the next commit tries again
            log.error("store.fold_failed", error=str(error))

    # -- transactions ---------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside are kept together, or none of them.

        Raises:
            StoreUnavailable: the disk did not take them; memory and disk are as before.
        """
        with self._owner:
            outermost = self._depth == 0
            if outermost:
                self._doomed = False
                self._began_at_undone = self._undone
            self._depth += 1
            ticket = 0
            try:
                yield
                if outermost and self._doomed:
                    raise StoreError("a change inside this transaction failed: none of it was kept")
                if outermost and self._overlay:
                    ticket = self._commit()
            except BaseException:
                self._doomed = True
                raise
            finally:
                self._depth -= 1
                if outermost:
                    self._overlay = {}
        if ticket:
            self._settle(ticket)
            self._fold_when_grown()

    def _commit(self) -> int:
        if self._failed:
            raise StoreUnavailable(self._failed)
        rows: list[Row] = [(n, i, d) for n, changes in self._overlay.items() for i, d in changes.items()]
        frame = journal.encode_frame(rows)
        with self._memory:
            if self._undone != self._began_at_undone:
                raise StoreUnavailable("the disk refused a change that this one built on: try again")
            undo = [(name, doc_id, self._tables.get(name, {}).get(doc_id)) for name, doc_id, _ in rows]
            for name, doc_id, document in rows:
                self._apply(name, doc_id, document)
            self._committed += 1
            self._queued.append((self._committed, frame, undo))
            return self._committed

    def _apply(self, name: str, doc_id: int, document: Document | None) -> None:
        table = self._tables.setdefault(name, {})
        old = table.get(doc_id)
        if document is None:
            table.pop(doc_id, None)
        else:
            table[doc_id] = document
        self._next_ids[name] = max(self._next_ids.get(name, 1), doc_id + 1)
        for index in self._indexes.get(name, {}).values():
            index.replace(doc_id, old, document)

    def _settle(self, ticket: int) -> None:
        """Return when commit number `ticket` is on disk, helping to bring it there."""
        if self._durable < ticket:
            with self._flushing:
                self._flush_locked()
        if ticket in self._lost:
            self._lost.discard(ticket)
            raise StoreUnavailable(self._failed or "the disk is full or read-only: nothing was changed; make room")

    def _flush_locked(self) -> None:
        with self._memory:
            batch = self._queued
            self._queued = []
        if not batch:
            return
        try:
            self._file.append(b"".join(frame for _, frame, _ in batch))
        except OSError as error:
            with self._memory:
                batch += self._queued  # they build on what is taken back now
                self._queued = []
                for number, _, undo in reversed(batch):
                    for name, doc_id, old in reversed(undo):
                        self._apply(name, doc_id, old)
                    self._lost.add(number)
                self._undone += 1
                self._durable = self._committed
                if isinstance(error, DiskUncertain):
                    self._failed = f"the disk failed ({error}): nothing more is accepted; check the disk and restart"
            code = errno.errorcode.get(error.errno or 0, "?")
            log.error("store.refused", error=str(error), errno=code, commits=len(batch))
            return
        with self._memory:
            self._durable = batch[-1][0]
            self._changed.notify_all()

    # -- reading --------------------------------------------------------------------------------------------------

    def _is_mine(self) -> bool:
        return self._depth > 0 and self._owner._is_owned()  # type: ignore[attr-defined]

    def _barrier(self) -> None:
        if self._durable < self._committed:
            with self._flushing:
                self._flush_locked()

    @property
    def version(self) -> int:
        """Grows with every commit."""
        return self._durable

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until the store has moved on from `version`, or the time is up; returns the version now."""
        with self._changed:
            self._changed.wait_for(lambda: self._durable != version, timeout_s)
            return self._durable

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

    def add_index(self, name: str, index_name: str, key: Key) -> None:
        """Keep document ids of a table by a key."""
        index = Index(key)
        with self._memory:
            for doc_id, document in self._tables.get(name, {}).items():
                index.replace(doc_id, None, document)
            self._indexes.setdefault(name, {})[index_name] = index

    def lookup(self, name: str, index_name: str, key: Hashable) -> list[tuple[int, Document]]:
        """(id, document) of those that have the key, by id."""
        index = self._indexes[name][index_name]
        mine = self._is_mine()
        if not mine:
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
        with self.transaction():
            self._overlay.setdefault(name, {})[doc_id] = document

    def reserve_id(self, name: str) -> int:
        """An id that no document of the table has or had, and nobody else will be given."""
        with self._memory:
            number = self._next_ids.get(name, 1)
            self._next_ids[name] = number + 1
            return number

    # -- TinyDB's seam ----------------------------------------------------------------------------------------------

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
        with self._flushing:
            self._flush_locked()
        if self._folding is not None:
            self._folding.join()
        self._file.close()


class _Changes(MutableMapping[int, Document]):
    """A table as TinyDB's update functions see it: what they touch is copied first, and found again afterwards."""

    def __init__(self, table: dict[int, Document]) -> None:
        self._table = table
        self._touched: dict[int, Document | None] = {}

    def __getitem__(self, doc_id: int) -> Document:
        if doc_id not in self._touched:
            self._touched[doc_id] = copy.deepcopy(self._table[doc_id])
        document = self._touched[doc_id]
        if document is None:
            raise KeyError(doc_id)
        return document

    def __setitem__(self, doc_id: int, document: Document) -> None:
        self._touched[doc_id] = copy.deepcopy(document)

    def __delitem__(self, doc_id: int) -> None:
        self[doc_id]
        self._touched[doc_id] = None

    def __iter__(self) -> Iterator[int]:
        gone = {i for i, d in self._touched.items() if d is None}
        return iter([i for i in {**self._table, **self._touched} if i not in gone])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def differences(self) -> Iterator[tuple[int, Document | None]]:
        """What is not as it was."""
        return ((i, d) for i, d in self._touched.items() if self._table.get(i) != d)


class _View(Mapping[str, Document]):
    """A table as TinyDB reads it: ids as text, and copies, so that what a reader gets cannot alter the store."""

    def __init__(self, table: dict[int, Document]) -> None:
        self._table = table

    def __getitem__(self, doc_id: str) -> Document:
        return copy.deepcopy(self._table[int(doc_id)])

    def __iter__(self) -> Iterator[str]:
        return (str(doc_id) for doc_id in self._table)

    def __len__(self) -> int:
        return len(self._table)


class JournalTable(Table):
    """TinyDB's table, reading memory and committing only the documents that changed."""

    default_query_cache_capacity = 0  # the data is in memory; a cache could only be stale

    def _journal(self) -> JournalStorage:
        assert isinstance(self._storage, JournalStorage)  # noqa: S101  (Database builds no other)
        return self._storage

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return _View(self._journal().table_now(self.name))  # type: ignore[return-value]  # a mapping is all it needs

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        storage = self._journal()
        with storage.transaction():
            changes = _Changes(storage.table_now(self.name))
            updater(changes)  # type: ignore[arg-type]  # a mapping that behaves as the dict it wants
            for doc_id, document in changes.differences():
                storage.put(self.name, doc_id, document)

    def _get_next_id(self) -> int:
        return self._journal().reserve_id(self.name)


class Database(TinyDB):
    """A TinyDB whose storage is the journal. Its `storage` has the transactions and indexes."""

    table_class = JournalTable

    def __init__(self, folder: Path, schema: int = 1, disk: Disk | None = None) -> None:
        super().__init__(folder, schema, disk, storage=JournalStorage)

    @property
    def journal(self) -> JournalStorage:
        """The storage, typed."""
        storage = self.storage
        assert isinstance(storage, JournalStorage)  # noqa: S101  (built in __init__)
        return storage
