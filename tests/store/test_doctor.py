"""Check, repair, export: what they find, what they mend, and that they destroy nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import doctor, intake
from store.errors import StoreDamaged, StoreLocked
from store.tables import Store
from tests.studio import NOW, add_render_job, photo, push


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A stopped store with three records, folded once in between."""
    folder = tmp_path / "data"
    store = Store(folder)
    add_render_job(store)
    digest = photo(store)
    for number in ("S-1", "S-2"):
        intake.accept(store, push(digest, number=number), NOW)
    store._database.journal.fold()
    intake.accept(store, push(digest, number="S-3"), NOW)
    store.close()
    return folder


def numbers(root: Path) -> list[str]:
    store = Store(root)
    found = [record.number for record in store.records.all()]
    store.close()
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_sound_store_is_in_order_and_nothing_is_touched(root: Path) -> None:
    before = content(root / "store")
    findings = doctor.check(root)
    assert findings.is_sound and findings.documents["records"] == 3 and findings.documents["tickets"] == 3
    assert doctor.repair(root)[1] is None
    assert content(root / "store") == before


def test_a_running_store_is_left_alone(root: Path) -> None:
    store = Store(root)
    for action in (doctor.check, doctor.repair, doctor.export):
        with pytest.raises(StoreLocked):
            action(root)  # type: ignore[operator]
    store.close()


def test_export_has_every_document(root: Path) -> None:
    exported = doctor.export(root)
    assert [record["number"] for record in exported["records"].values()] == ["S-1", "S-2", "S-3"]


def test_both_snapshots_gone_is_refused_and_repair_keeps_what_the_journals_have(root: Path) -> None:
    for snapshot in (root / "store").glob("snapshot-*"):
        snapshot.write_bytes(snapshot.read_bytes()[:-9])  # the closing frame is broken
    before = content(root / "store")
    with pytest.raises(StoreDamaged):
        Store(root)
    assert "can be read whole" in doctor.check(root).refusal
    findings, kept = doctor.repair(root, NOW)
    assert kept is not None and content(kept) == before
    assert findings.documents["records"] == 3
    assert numbers(root) == ["S-1", "S-2", "S-3"]


def test_a_missing_journal_costs_what_was_in_it_and_no_more(root: Path) -> None:
    store_folder = root / "store"
    max(store_folder.glob("snapshot-*")).unlink()
    min(store_folder.glob("journal-*")).unlink()
    with pytest.raises(StoreDamaged, match="is missing"):
        Store(root)
    findings, kept = doctor.repair(root)
    assert kept is not None and "is missing" in findings.damage[0]
    assert numbers(root) == ["S-3"]


def test_repaired_ids_are_not_given_again(root: Path) -> None:
    for snapshot in (root / "store").glob("snapshot-*"):
        snapshot.write_bytes(snapshot.read_bytes()[:-9])
    doctor.repair(root)
    store = Store(root)
    assert intake.accept(store, push(photo(store), number="S-4"), NOW).tickets == (4,)
    store.close()
