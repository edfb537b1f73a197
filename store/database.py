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
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from tinydb.storages import Storage

from store import journal
from store.disk import Disk, DiskUncertain
from store.errors import StoreError, StoreTooNew, StoreUnavailable
from store.files import StoreFiles
from store.frames import checksum_of
from store.generations import encode_commit
from store.group_commit import GroupCommit, Pending
from store.journal import Signs, State, no_signs
from store.snapshots import Row
from store.trial import Trial, copy_before, keep_copy

log = structlog.get_logger("store")

Document = dict[str, Any]
Tables = dict[str, dict[int, Document]]
Key = Callable[[Document], Hashable]
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


def rows_in(tables: Tables) -> Iterator[Row]:
    """Every document, as a snapshot has it."""
    return ((name, doc_id, document) for name, table in tables.items() for doc_id, document in table.items())


class JournalStorage(Storage):
    """Tables in memory over the journal."""

    def __init__(
        self,
        folder: Path,
        schema: int = 1,
        disk: Disk | None = None,
        upgrade: Callable[[int, Tables], None] | None = None,
        on_trial: Callable[[], bool] = lambda: False,
        signs: Signs = no_signs,
    ) -> None:
        """Open the store in a folder, creating it when empty.

        Args:
            folder: where snapshots and journals lie; the caller holds the lock on it.
            schema: version of the documents' shape that this program writes.
            disk: the operating system, or a test's unreliable one.
            upgrade: brings tables of an older schema (given) to this one, in place.
            on_trial: whether this program may still be replaced by the one before. While it is, every change is
                refused; what an upgrade wrote meanwhile the older program may throw away.
            signs: what beside the folder shows that there was a store; see journal.load.

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
        self._checksum = 0  # of its frame
        self._undone = 0  # how often commits were taken back
        self._began_at_undone = 0
        self.failed = ""  # why nothing is accepted any more; '' while all is well
        self.is_full = False  # the last commit was refused by the disk
        self._folding: threading.Thread | None = None
        self._fold_lock = threading.Lock()  # one fold at a time
        self.damage: list[str] = []  # acknowledged commits that were found lost when this was opened
        self.doubts: list[str] = []  # and those that may be
        self._trial = Trial(folder, on_trial)
        self._open(upgrade, signs)

    # -- opening and folding --------------------------------------------------------------------------------------

    def _open(self, upgrade: Callable[[int, Tables], None] | None, signs: Signs) -> None:
        state = self._found(signs)
        found = int(state.header.get("schema", self.schema))
        self._take_over(state)
        for note in state.notes:
            log.warning("store.note", note=note)
        for note in (*state.doubts, *state.damage):
            log.error("store.damaged", note=note)
        self.damage, self.doubts = state.damage, state.doubts
        self._trial.mark()
        if found < self.schema and state.generation:
            keep_copy(self._folder, copy_before(self.schema), self._disk)
            if upgrade is not None:
                upgrade(found, self._tables)
            log.info("store.upgraded", schema=self.schema, before=found)
        if state.damage or state.doubts:
            keep_copy(self._folder, "damaged", self._disk)
        self._files = StoreFiles(self._folder, self.schema, self._disk, state)
        # Anything but a plain whole generation is folded at once, so that the odd state is met only once.
        is_whole = not state.damage and not state.doubts and len(state.journals) == 1 and state.journals[0].opening
        if is_whole and found == self.schema:
            self._files.resume(state)
        else:
            self._files.begin(dict(self._next_ids), rows_in(self._tables))

    def _found(self, signs: Signs) -> State:
        """What is in the folder, in a schema that this program knows."""
        for _ in range(2):
            try:
                state = journal.load(self._folder, signs)
                found = int(state.header.get("schema", self.schema))
            except StoreTooNew as error:
                found = error.schema
            if found <= self.schema:
                return state
            if not self._trial.may_go_back(found):
                break
            self._trial.go_back(found)
        raise StoreTooNew(
            f"{self._folder} was written by a newer Printroom (schema {found}, this one knows {self.schema}): "
            "install that version again, or restore a backup of this one",
            found,
        )

    @property
    def is_on_trial(self) -> bool:
        """Whether changes are refused, because the program before this one may still take over again."""
        return self._trial.is_on

    def _take_over(self, state: State) -> None:
        self._next_ids = {str(name): int(number) for name, number in state.header.get("next_ids", {}).items()}
        for row in state.all_rows():
            self._apply(*row)
        self._committed = self._commits.durable = state.number
        self._checksum = self._commits.checksum = state.checksum

    def fold(self) -> None:
        """Write the state as a new snapshot and begin a new journal; commits go on meanwhile."""
        with self._fold_lock:
            self._files.fold(self._commits.exclusively, self._picture)

    def _picture(self) -> tuple[dict[str, int], Iterator[Row]] | None:
        """Called with the memory's lock held; reading the rows takes time, and needs none."""
        if self.failed:
            return None
        return dict(self._next_ids), rows_in({name: dict(table) for name, table in self._tables.items()})

    def _fold_when_grown(self) -> None:
        if self.journal_bytes < max(FOLD_AT_BYTES, self._files.snapshot_bytes):
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
        if not self._trial.is_over:
            if self._trial.is_on:
                raise StoreUnavailable(ON_TRIAL)
            self._trial.mark()
        number = self._committed + 1
        frame = encode_commit(rows, number, self._commits.durable, self._checksum)
        checksum = checksum_of(frame)
        with self._memory:
            if self._undone != self._began_at_undone:
                raise StoreUnavailable("the disk refused a change that this one built on: try again")
            undo = [(name, doc_id, self._tables.get(name, {}).get(doc_id)) for name, doc_id, _ in rows]
            for row in rows:
                self._apply(*row)
            self._committed, self._checksum = number, checksum
            pending = Pending(number, frame, checksum, lambda: self._apply_all(undo))
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

    def _write(self, data: bytes, number: int, checksum: int) -> None:
        self._files.append(data, number, checksum)
        self.is_full = False

    def _take_back(self, error: OSError, batch: list[Pending]) -> Exception:
        """The disk refused: memory becomes what the disk has. Called with the memory's lock held."""
        for pending in reversed(batch):
            if pending.undo is not None:
                pending.undo()
        self._undone += 1
        self._committed, self._checksum = self._commits.durable, self._commits.checksum
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
        return self._files.journal_bytes

    @property
    def head_failed(self) -> str:
        """Why nobody will know the last commit after a power cut; '' while all is well."""
        return self._files.head_failed

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
        self._files.close(is_clean=not self.failed and not self._trial.is_on)
