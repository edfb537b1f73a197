"""A new version is tried: it takes nothing, so the version before can come back with everything that was accepted; and
a version that was left for good hands over what it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import doctor, intake, upgrade
from store.database import JournalStorage, Tables
from store.errors import StoreTooNew, StoreUnavailable
from store.tables import Store
from tests.studio import NOW, push


def write(storage: JournalStorage, text: str) -> None:
    with storage.transaction():
        storage.put("notes", storage.reserve_id("notes"), {"text": text})


def texts(storage: JournalStorage) -> list[str]:
    return [note.get("text") or note["words"] for note in storage.table_now("notes").values()]


def renamed(found: int, tables: Tables) -> None:
    for note in tables["notes"].values():
        note["words"] = note.pop("text")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    storage = JournalStorage(tmp_path, schema=1)
    write(storage, "before the update")
    storage.close()
    return tmp_path


def test_a_version_that_is_tried_takes_nothing_and_then_everything(old: Path) -> None:
    is_tried = True
    storage = JournalStorage(old, schema=2, upgrade=renamed, on_trial=lambda: is_tried)
    with pytest.raises(StoreUnavailable, match="is being tried"):
        write(storage, "too early")
    assert texts(storage) == ["before the update"] and storage.is_on_trial
    is_tried = False
    write(storage, "after the trial")
    storage.close()
    assert texts(JournalStorage(old, schema=2)) == ["before the update", "after the trial"]


def test_the_version_before_comes_back_as_if_nothing_had_been(old: Path) -> None:
    for _ in range(3):  # it is tried three times
        JournalStorage(old, schema=2, upgrade=renamed, on_trial=lambda: True).close()
    back = JournalStorage(old, schema=1)
    assert texts(back) == ["before the update"]
    write(back, "and goes on")
    back.close()
    again = JournalStorage(old, schema=1)
    assert texts(again) == ["before the update", "and goes on"]
    again.close()
    assert texts(JournalStorage(old, schema=2, upgrade=renamed)) == ["before the update", "and goes on"]


def test_the_version_before_does_not_come_back_over_what_was_taken(old: Path) -> None:
    is_tried = True
    storage = JournalStorage(old, schema=2, upgrade=renamed, on_trial=lambda: is_tried)
    is_tried = False
    write(storage, "taken by the new one")
    storage.close()
    with pytest.raises(StoreTooNew):
        JournalStorage(old, schema=1)
    assert "taken by the new one" in texts(JournalStorage(old, schema=2))


@pytest.mark.parametrize("moved", ["nothing", "one file", "all files"])
def test_coming_back_goes_on_where_it_was_cut_off(old: Path, moved: str) -> None:
    JournalStorage(old, schema=2, upgrade=renamed, on_trial=lambda: True).close()
    newer = [path for path in sorted(old.iterdir()) if path.is_file() and path.name.endswith("2.prj")]
    assert len(newer) == 2
    aside = old / "from-schema-2"
    aside.mkdir()
    for path in newer[: {"nothing": 0, "one file": 1, "all files": len(newer)}[moved]]:
        path.rename(aside / path.name)
    assert texts(JournalStorage(old, schema=1)) == ["before the update"]


def test_a_trial_that_ended_while_the_box_was_off_is_over(old: Path) -> None:
    JournalStorage(old, schema=2, upgrade=renamed, on_trial=lambda: True).close()
    JournalStorage(old, schema=2).close()
    with pytest.raises(StoreTooNew):
        JournalStorage(old, schema=1)


def test_every_step_since_the_first_has_a_way_back() -> None:
    assert set(upgrade.STEPS) == set(range(1, upgrade.SCHEMA)) == set(upgrade.BACK)


def test_a_step_back_keeps_everything_in_the_older_shape(tmp_path: Path) -> None:
    store = Store(tmp_path)
    intake.accept(store, push([], []), NOW)
    store.close()
    doctor.step_back(tmp_path, 1)
    doctor.step_back(tmp_path, 1)  # once is enough
    tables, _, schema = doctor.documents_of(tmp_path / "store")
    assert schema == 1 and [one["number"] for one in tables["records"].values()] == ["S-1"]
    forward = Store(tmp_path)
    assert [one.number for one in forward.records.all()] == ["S-1"]
    forward.close()


def test_each_way_back_undoes_its_step() -> None:
    sheet = {"ticket_id": 1, "profile_id": 1, "state": "printed", "quantity": 2, "plan": {"background": "#fff"}}
    instructions = {1: {"profiles": [{"id": 1, "pool_id": 1}]}}
    tables: Tables = {"sheets": {1: {**sheet, "prints": True, "copies_done": 2}}, "instructions": instructions}
    upgrade.step_back(2, 1, tables)
    assert tables["sheets"][1]["plan"] == {"border_colour": "#fff"} and "prints" not in tables["sheets"][1]
    upgrade.upgrade(1, tables)
    assert tables["sheets"][1] == {**sheet, "prints": True, "copies_done": 2}
