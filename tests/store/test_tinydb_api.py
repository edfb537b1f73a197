"""TinyDB's public API on the journal: the same answers, and only what changed is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tinydb import Query, TinyDB
from tinydb.storages import MemoryStorage
from tinydb.table import Document

from store.tinydb_tables import Database


@pytest.fixture(params=["tinydb in memory", "journal"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TinyDB]:
    """Every test runs on TinyDB as it ships and on ours: that is the contract."""
    database = TinyDB(storage=MemoryStorage) if request.param == "tinydb in memory" else Database(tmp_path)
    yield database
    database.close()


def test_insert_search_update_remove(db: TinyDB) -> None:
    table, where = db.table("prints"), Query()
    ids = table.insert_multiple([{"size": "4x6", "n": 1}, {"size": "8x10", "n": 2}, {"size": "4x6", "n": 3}])
    assert ids == [1, 2, 3]
    assert [row["n"] for row in table.search(where.size == "4x6")] == [1, 3]
    assert table.update({"done": True}, where.n > 1) == [2, 3]
    assert table.remove(where.size == "8x10") == [2]
    assert [(row.doc_id, dict(row)) for row in table.all()] == [
        (1, {"size": "4x6", "n": 1}),
        (3, {"size": "4x6", "n": 3, "done": True}),
    ]
    assert table.insert({"n": 4}) == 4
    assert len(table) == 3 and table.contains(doc_id=3) and table.count(where.n > 2) == 2


def test_upsert_updates_or_inserts(db: TinyDB) -> None:
    table, where = db.table("prints"), Query()
    assert table.upsert({"n": 1, "a": 1}, where.n == 1) == [1]
    assert table.upsert({"n": 1, "a": 2}, where.n == 1) == [1]
    assert table.upsert(Document({"n": 9}, doc_id=7)) == [7]
    assert table.all() == [{"n": 1, "a": 2}, {"n": 9}]


def test_an_update_function_that_fails_changes_nothing(db: TinyDB) -> None:
    table = db.table("prints")
    table.insert_multiple([{"n": 1}, {"n": 2}])

    def spoil(document: Document) -> None:
        if document["n"] == 2:
            raise ValueError

    with pytest.raises(ValueError):
        table.update(spoil)
    assert table.all() == [{"n": 1}, {"n": 2}]


def test_drop_table_and_truncate(db: TinyDB) -> None:
    db.table("a").insert({"n": 1})
    db.table("b").insert({"n": 2})
    db.drop_table("a")
    db.table("b").truncate()
    assert db.table("a").all() == [] and db.table("b").all() == []


def test_what_a_reader_got_cannot_alter_the_store(tmp_path: Path) -> None:
    database = Database(tmp_path)
    table = database.table("prints")
    table.insert({"crop": {"left": 0.1}})
    table.all()[0]["crop"]["left"] = 0.9
    table.get(doc_id=1)["crop"]["left"] = 0.9  # type: ignore[index]
    assert table.all() == [{"crop": {"left": 0.1}}]
    database.close()


def test_a_change_of_one_document_writes_one_document(tmp_path: Path) -> None:
    database = Database(tmp_path)
    table = database.table("prints")
    table.insert_multiple([{"n": n, "text": "x" * 100} for n in range(1000)])
    journal = max(tmp_path.glob("journal-*.prj"))
    before = journal.stat().st_size
    table.update({"text": "y"}, Query().n == 500)
    assert journal.stat().st_size - before < 100
    database.close()
