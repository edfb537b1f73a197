"""Backups: what is in them, who can read them, and that a restore brings back what was there, or changes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from store import backups, intake
from store.backups import BackupRefused
from store.pushed import RecordKind
from store.records import Change, Outcome, Printer, PrinterPool
from store.states import TicketState
from store.tables import Store
from store.upgrade import SCHEMA
from tests.ipp.test_sender import drawn_ticket
from tests.studio import NOW, add_render_job, photo, push

PASSPHRASE = "correct horse battery"


def filled(store: Store) -> None:
    """A studio with a printer that has a password, an open ticket with a drawn sheet, and keys."""
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    store.printers.add(Printer(name="DS620", pool_id=pool.id, username="admin", password="geheim-1234"))
    drawn_ticket(store, pool, [2])
    store.folder.sheet(1).write_bytes(b"the drawn sheet")
    (store.folder.root / "secret").write_bytes(b"key-of-the-sessions")
    store.set(studio_name="Lindqvist")


def made(store: Store, target: Path, with_pictures: bool = False) -> Path:
    target.write_bytes(b"".join(backups.backup(store, PASSPHRASE, "0.1.0", NOW, with_pictures)))
    return target


def restored(store: Store, file: Path, other: Path) -> Store:
    """The backup in the place of another box's store."""
    empty = Store(other)
    backups.prepare(empty.folder.root, empty.next_ids, file, PASSPHRASE)
    backups.go(other, NOW)
    empty.close()
    backups.finish(other)
    return Store(other)


def test_a_restored_box_has_everything_and_prints_nothing_by_itself(store: Store, tmp_path: Path) -> None:
    filled(store)
    box = restored(store, made(store, tmp_path / "b.zip"), tmp_path / "other")
    assert box.printers.get(1) == store.printers.get(1) and box.printers.get(1).password == "geheim-1234"
    assert box.sheets.all() == store.sheets.all() and box.folder.sheet(1).read_bytes() == b"the drawn sheet"
    assert (box.folder.root / "secret").read_bytes() == b"key-of-the-sessions"
    assert box.settings.is_paused and box.settings.restored_from == NOW.isoformat()
    assert box.tickets.get(1).is_paused and box.tickets.get(1).with_(is_paused=False) == store.tickets.get(1)
    assert box.settings.studio_name == "Lindqvist"
    box.close()


def test_nobody_who_finds_a_backup_reads_its_secrets(store: Store, tmp_path: Path) -> None:
    filled(store)
    with zipfile.ZipFile(made(store, tmp_path / "b.zip")) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"DS620" in content
    assert b"geheim-1234" not in content and b"key-of-the-sessions" not in content and b"smtp_password" not in content


def test_the_uploaded_pictures_come_along_where_they_are_asked_for(store: Store, tmp_path: Path) -> None:
    digest = photo(store)
    add_render_job(store)
    intake.accept(store, push(digest), NOW)
    without = restored(store, made(store, tmp_path / "a.zip"), tmp_path / "a")
    assert not without.folder.image(digest).exists()
    without.close()
    box = restored(store, made(store, tmp_path / "b.zip", with_pictures=True), tmp_path / "b")
    assert box.folder.image(digest).read_bytes() == store.folder.image(digest).read_bytes()
    box.close()


def test_desktops_hear_of_what_comes_after_a_restore(tmp_path: Path) -> None:
    """A number that a desktop has heard of already never comes again."""
    store = Store(tmp_path / "box")
    file = made(store, tmp_path / "b.zip")
    fields = {"record_id": 1, "ticket_id": 1, "number": "S", "status": "b", "previous_status": "a", "at": NOW}
    change = Change.model_validate({**fields, "kind": RecordKind.SESSION, "outcome": Outcome.DONE})
    heard = store.changes.add(change).id
    backups.prepare(store.folder.root, store.next_ids, file, PASSPHRASE)
    backups.go(store.folder.root, NOW)
    root = store.folder.root
    store.close()
    kept = backups.finish(root)
    box = Store(root)
    assert len(box.changes) == 0 and box.changes.add(change).id > heard + 1000
    box.close()
    assert kept is not None and backups.states_before(root) == [kept] and (kept / "store").is_dir()


def changed_manifest(file: Path, **changes: object) -> None:
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["manifest.json"] = json.dumps(json.loads(content["manifest.json"]) | changes).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def spoiled(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["tables.jsonl"] = content["tables.jsonl"].replace(b"DS620", b"DS999")
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file: file.write_bytes(b"no zip"), "not a whole backup"),
        (lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]), "not a whole backup"),
        (spoiled, "tables.jsonl in this backup is damaged"),
        (lambda file: changed_manifest(file, schema=SCHEMA + 1, version="9.9"), "Printroom 9.9, which is newer"),
        (lambda file: changed_manifest(file, files={"../../evil": "0" * 64}), "outside its folder"),
        (lambda file: changed_manifest(file, files={"nothing": "0" * 64}), "not a whole backup"),
    ],
)
def test_what_is_no_good_backup_is_refused_and_changes_nothing(
    store: Store, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    filled(store)
    file = made(store, tmp_path / "b.zip")
    spoil(file)
    before = store.version
    with pytest.raises(BackupRefused, match=words):
        backups.prepare(store.folder.root, store.next_ids, file, PASSPHRASE)
    assert store.version == before and not (store.folder.root / backups.PREPARED).exists()
    with pytest.raises(BackupRefused, match="no backup is ready"):
        backups.go(store.folder.root, NOW)


def test_without_the_right_passphrase_nothing_is_restored(store: Store, tmp_path: Path) -> None:
    file = made(store, tmp_path / "b.zip")
    with pytest.raises(BackupRefused, match="passphrase is not the one"):
        backups.prepare(store.folder.root, store.next_ids, file, "another passphrase")


def test_a_document_that_this_version_cannot_read_is_found_before_anything_is_replaced(
    store: Store, tmp_path: Path
) -> None:
    filled(store)
    file = made(store, tmp_path / "b.zip")
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["tables.jsonl"] = content["tables.jsonl"].replace(b'"quantity":2', b'"quantity":"x"')
    manifest = json.loads(content["manifest.json"])
    manifest["files"]["tables.jsonl"] = hashlib.sha256(content["tables.jsonl"]).hexdigest()
    content["manifest.json"] = json.dumps(manifest).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    file.write_bytes(buffer.getvalue())
    with pytest.raises(BackupRefused, match="not a whole backup"):
        backups.prepare(store.folder.root, store.next_ids, file, PASSPHRASE)


def test_cut_off_at_any_step_a_restore_goes_on_at_the_next_start(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store)
    file = made(store, tmp_path / "b.zip")
    real, cut_off = Path.rename, 0
    for last in range(1, 30):
        root = tmp_path / f"box-{last}"
        box = Store(root)
        box.set(studio_name="Before")
        backups.prepare(box.folder.root, box.next_ids, file, PASSPHRASE)
        backups.go(root, NOW)
        box.close()
        calls = iter(range(1, 100))

        def rename(path: Path, target: Path, calls=calls, last=last) -> Path:  # type: ignore[no-untyped-def]
            if next(calls) == last:
                raise KeyboardInterrupt
            return real(path, target)

        monkeypatch.setattr(Path, "rename", rename)
        try:
            backups.finish(root)
            is_cut_off = False
        except KeyboardInterrupt:
            is_cut_off = True
        monkeypatch.setattr(Path, "rename", real)
        backups.finish(root)
        box = Store(root)
        assert box.settings.studio_name == "Lindqvist" and box.tickets.get(1).state is TicketState.RENDERED
        box.close()
        (kept,) = backups.states_before(root)
        assert (kept / "store").is_dir()
        if not is_cut_off:
            break
        cut_off += 1
    assert cut_off >= 8


def test_the_newest_copies_from_before_updates_stay(store: Store) -> None:
    for hour, version in enumerate(("0.9.0", "0.10.0", "0.11.0")):
        backups.keep_before_update(store, version, NOW + timedelta(hours=hour))
    kept = backups.copies_before_updates(store.folder.root)
    assert [name.removeprefix(backups.BEFORE_UPDATE).partition("-")[0] for name in kept] == ["0.11.0", "0.10.0"]
