"""TinyDB's tables and database on our storage: its public API, committing only the documents that changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.table import Table

from store.database import Document, JournalStorage, Tables
from store.disk import Disk
from store.journal import Signs, no_signs


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

    def insert(self, document: Mapping[str, Any]) -> int:
        """See TinyDB; two threads never get the same id."""
        with self._journal().transaction():
            return super().insert(document)

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """See TinyDB."""
        with self._journal().transaction():
            return super().insert_multiple(documents)

    def upsert(self, document: Mapping[str, Any], cond: Any = None) -> list[int]:
        """See TinyDB; looking and inserting are one step."""
        with self._journal().transaction():
            return super().upsert(document, cond)

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
    """A TinyDB whose storage is the journal. Its `journal` has the transactions and indexes."""

    table_class = JournalTable

    def __init__(
        self,
        folder: Path,
        schema: int = 1,
        disk: Disk | None = None,
        upgrade: Callable[[int, Tables], None] | None = None,
        on_trial: Callable[[], bool] = lambda: False,
        signs: Signs = no_signs,
    ) -> None:
        super().__init__(folder, schema, disk, upgrade, on_trial, signs, storage=JournalStorage)

    @property
    def journal(self) -> JournalStorage:
        """The storage, typed."""
        storage = self.storage
        assert isinstance(storage, JournalStorage)  # noqa: S101  (built in __init__)
        return storage
