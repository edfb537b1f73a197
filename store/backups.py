"""A backup is one zip: what is in the store, the archive, the audit log, the studio's files. A restore is verified in a
folder of its own, by opening it as a store, before anything is replaced.

Secrets (passwords, keys, links) are in the zip only encrypted, with a key made from a passphrase (scrypt, AES-256-GCM).

    manifest.json     what it is, how many of everything, the SHA-256 of every file; the last one in the zip
    tables.jsonl      a line for each document: [table, id, document]; the first line has the next ids
    secrets.enc       what was left out there
    archive/ audit/ assets/ sheets/ images/     as in the data folder; images only where they were asked for
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from zipstream import ZIP_STORED, ZipStream

from store.database import Tables, rows_in
from store.disk import Disk
from store.doctor import documents_of, hold_everything
from store.errors import StoreError
from store.folder import sync_folder
from store.generations import header_of, new_id, write_closed
from store.head import End, head_of, write_head
from store.states import ENDED_TICKETS
from store.tables import Store
from store.upgrade import SCHEMA, upgrade

FORMAT = 1
MIN_PASSPHRASE = 8
JUMP = 100_000  # of the changes' numbers: desktops may have heard of as many since the backup
BEFORE_UPDATE = "before-update-"
COPIES = 2  # from before updates, that are kept
PREPARED, MARKER, KEPT = "restore", "restore.go", "before-restore-"
_FOLDERS = ("archive", "audit", "assets", "queued")  # whole
_REPLACED = (
    "store",
    head_of(Path("store")).name,
    *_FOLDERS,
    "sheets",
    "secret",
    "tls",
)  # by a restore; pictures are added
_KEYS = ("secret", "tls/key.pem", "tls/certificate.pem")  # of the box itself
# By table: fields that nobody may read who finds a backup.
_SECRET_FIELDS = {
    "printers": ("password",),
    "alert_settings": ("smtp_password", "webhook_url"),
    "webhooks": ("secret",),
    "people": ("password_hash",),
    "downloads": ("token",),
    "print_queues": ("password_hash",),
    "queue_jobs": ("pin_hash",),
    "changes": ("download",),
}
_CHUNK = 1 << 20
Hidden = tuple[str, int, dict[str, Any]]  # table, id, and what is secret of the document


class BackupRefused(StoreError):
    """This file cannot be restored; says why."""


@dataclass(frozen=True)
class Summary:
    """What a backup holds."""

    made_at: datetime
    version: str
    studio_name: str
    counts: Mapping[str, int]  # documents by table
    has_pictures: bool


# -- writing ----------------------------------------------------------------------------------------------------


def backup(store: Store, passphrase: str, version: str, now: datetime, with_pictures: bool) -> Iterator[bytes]:
    """The zip, in pieces, as of one moment.

    Args:
        store: the open store.
        passphrase: of at least MIN_PASSPHRASE characters; without it nobody restores the backup.
        version: of Printroom.
        now: the time.
        with_pictures: whether the uploaded pictures come along.
    """
    with store.reading():
        tables = {shelf.name: dict(shelf.documents()) for shelf in store.shelves()}
        next_ids = store.next_ids
    hidden: list[Hidden] = []
    digests: dict[str, str] = {}
    archive = ZipStream(compress_type=ZIP_STORED)

    def told(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        try:
            for piece in pieces:
                digest.update(piece)
                yield piece
        except FileNotFoundError:
            return  # it was deleted meanwhile, as what is old is: the manifest does not name it
        digests[name] = digest.hexdigest()

    def add(name: str, pieces: Iterator[bytes], is_text: bool = False) -> None:
        archive.add(told(name, pieces), name, compress_type=zipfile.ZIP_DEFLATED if is_text else None)

    def manifest() -> Iterator[bytes]:
        settings = store.settings
        yield json.dumps(
            {
                "format": FORMAT,
                "schema": SCHEMA,
                "version": version,
                "made_at": now.isoformat(),
                "studio_name": settings.studio_name,
                "counts": {name: len(table) for name, table in sorted(tables.items()) if table},
                "has_pictures": with_pictures,
                "files": digests,
            },
            indent=1,
        ).encode()

    add("tables.jsonl", _lines(tables, next_ids, hidden), is_text=True)
    add("secrets.enc", _sealed(passphrase, hidden, store.folder.root))
    for path in _files(store, tables, with_pictures):
        add(path.relative_to(store.folder.root).as_posix(), _pieces(path))
    archive.add(manifest(), "manifest.json")
    yield from archive


def _lines(tables: Tables, next_ids: Mapping[str, int], hidden: list[Hidden]) -> Iterator[bytes]:
    yield json.dumps({"next_ids": dict(next_ids)}).encode() + b"\n"
    for name, table in tables.items():
        for doc_id, document in table.items():
            kept = {field: document[field] for field in _SECRET_FIELDS.get(name, ()) if field in document}
            if kept:
                hidden.append((name, doc_id, kept))
                document = {field: value for field, value in document.items() if field not in kept}
            yield json.dumps([name, doc_id, document], ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _sealed(passphrase: str, hidden: list[Hidden], root: Path) -> Iterator[bytes]:
    """Made when its turn comes: after the tables' lines, which find what is secret."""
    keys = {name: base64.b64encode((root / name).read_bytes()).decode() for name in _KEYS if (root / name).is_file()}
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    plain = json.dumps({"documents": hidden, "keys": keys}).encode()
    yield salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, b"printroom backup")


def _key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=1 << 15, r=8, p=1, maxmem=64 << 20, dklen=32)


def _files(store: Store, tables: Tables, with_pictures: bool) -> Iterator[Path]:
    folders = [store.folder.root / name for name in (*_FOLDERS, *(("images",) if with_pictures else ()))]
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file())
    for sheet_id, sheet in tables.get("sheets", {}).items():
        ticket = tables.get("tickets", {}).get(sheet["ticket_id"], {})
        if ticket.get("state") not in ENDED_TICKETS:  # drawn, and not printed yet
            files = (store.folder.sheet(sheet_id), store.folder.thumbnail(sheet_id))
            yield from (path for path in files if path.is_file())


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


# -- reading ----------------------------------------------------------------------------------------------------


def prepare(root: Path, next_ids_now: Mapping[str, int], file: Path, passphrase: str) -> Summary:
    """Check a backup and unpack it beside the store, ready to take its place; nothing is replaced yet.

    Args:
        root: the data folder.
        next_ids_now: of the store that is to be replaced, as far as they are known.
        file: the backup.
        passphrase: its own.

    Raises:
        BackupRefused: it is damaged, of a newer version, or the passphrase is wrong; nothing was kept.
    """
    target = root / PREPARED
    shutil.rmtree(target, ignore_errors=True)
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _manifest(archive)
            target.mkdir(mode=0o700)
            _unpack(archive, manifest["files"], target)
        tables, next_ids = _tables(target, passphrase)
        upgrade(int(manifest["schema"]), tables)
        _made_safe(tables, str(manifest["made_at"]))
        _write(target / "store", tables, _ids_above(next_ids, next_ids_now))
        _prove(target, tables)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, OSError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise BackupRefused(f"this file is not a whole backup of Printroom ({error}): take another one") from error
    except BackupRefused:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return Summary(
        made_at=datetime.fromisoformat(manifest["made_at"]),
        version=str(manifest["version"]),
        studio_name=str(manifest["studio_name"]),
        counts={str(name): int(count) for name, count in manifest["counts"].items()},
        has_pictures=bool(manifest["has_pictures"]),
    )


def _ids_above(next_ids: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    above = {name: max(next_ids.get(name, 1), now.get(name, 1)) for name in {*next_ids, *now}}
    return {**above, "changes": above.get("changes", 1) + JUMP}


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest = json.loads(archive.read("manifest.json"))
    if manifest["format"] > FORMAT or manifest["schema"] > SCHEMA:
        raise BackupRefused(
            f"this backup was made by Printroom {manifest['version']}, which is newer: update this box first"
        )
    return dict(manifest)


def _unpack(archive: zipfile.ZipFile, digests: Mapping[str, str], target: Path) -> None:
    """Write every file that the manifest names, and compare it."""
    root = target.resolve()
    for name, wanted in digests.items():
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            raise BackupRefused(f"this file is not a backup of Printroom: it names {name!r}, outside its folder")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with archive.open(name) as packed, path.open("wb") as file:
            while piece := packed.read(_CHUNK):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != wanted:
            raise BackupRefused(f"{name} in this backup is damaged: take another backup")
    for folder in ("store", "images", *_FOLDERS, "sheets"):
        (root / folder).mkdir(mode=0o700, exist_ok=True)


def _tables(target: Path, passphrase: str) -> tuple[Tables, dict[str, int]]:
    sealed = (target / "secrets.enc").read_bytes()
    salt, nonce, content = sealed[:16], sealed[16:28], sealed[28:]
    try:
        opened = json.loads(AESGCM(_key(passphrase, salt)).decrypt(nonce, content, b"printroom backup"))
    except InvalidTag:
        raise BackupRefused("the passphrase is not the one that this backup was made with: try another") from None
    tables: Tables = {}
    with (target / "tables.jsonl").open("rb") as lines:
        next_ids = {str(name): int(number) for name, number in json.loads(next(lines))["next_ids"].items()}
        for line in lines:
            name, doc_id, document = json.loads(line)
            tables.setdefault(name, {})[int(doc_id)] = document
    for name, doc_id, hidden in opened["documents"]:
        tables[name][int(doc_id)].update(hidden)
    for name, content in opened["keys"].items():
        if name in _KEYS:
            path = target / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
            path.chmod(0o600)
    (target / "secrets.enc").unlink()
    (target / "tables.jsonl").unlink()
    return tables, next_ids


def _made_safe(tables: Tables, made_at: str) -> None:
    hold_everything(tables)
    tables["box_settings"][1]["restored_from"] = made_at


def _write(folder: Path, tables: Tables, next_ids: Mapping[str, int]) -> None:
    """A store of its own; with its head, so that it cannot be taken for the one whose place it takes."""
    header = header_of(new_id(), 1, SCHEMA, (1, 0), dict(next_ids))
    write_closed(folder, header, rows_in(tables), Disk())
    write_head(folder, End(header["store"], 1, 1, 0, is_closed=True), Disk())


def _prove(target: Path, tables: Tables) -> None:
    """Open it as the box would, and read every document as the box would."""
    opened = Store(target)
    try:
        known = {shelf.name for shelf in opened.shelves()}
        for name in tables:
            if name not in known:
                raise BackupRefused(f"this version does not know the table '{name}' of this backup: update this box")
        for shelf in opened.shelves():
            shelf.all()
    finally:
        opened.close()
        (target / "lock").unlink(missing_ok=True)


# -- taking its place ---------------------------------------------------------------------------------------------


def go(root: Path, now: datetime) -> None:
    """Let the prepared backup take the store's place at the next start.

    Raises:
        BackupRefused: none is prepared.
    """
    if not (root / PREPARED / "store").is_dir():
        raise BackupRefused("no backup is ready to be restored: choose the file again")
    os.sync()  # what was unpacked, names and all, is on the disk before anything says that it is
    partial = root / f"{MARKER}.part"
    with partial.open("w") as file:
        file.write(f"{KEPT}{now:%Y%m%d-%H%M%S}")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(root / MARKER)
    sync_folder(root)


def forget(root: Path) -> None:
    """Take a prepared backup away."""
    shutil.rmtree(root / PREPARED, ignore_errors=True)


def finish(root: Path) -> Path | None:
    """Put a restore that was asked for into place, before the store is opened; returns where the state before lies.

    Cut off at any of its steps, it goes on at the next start: each thing is moved away, then its successor in.
    """
    marker = root / MARKER
    if not marker.is_file():
        return None
    kept, prepared = root / marker.read_text().strip(), root / PREPARED
    kept.mkdir(mode=0o700, exist_ok=True)
    for picture in sorted((prepared / "images").glob("*/*")):
        target = root / "images" / picture.parent.name / picture.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        picture.rename(target)
    for name in _REPLACED:
        if (prepared / name).exists():
            if (root / name).exists():
                (root / name).rename(kept / name)
            (prepared / name).rename(root / name)
    sync_folder(root)
    marker.unlink()
    sync_folder(root)
    shutil.rmtree(prepared, ignore_errors=True)
    return kept


def states_before(root: Path) -> list[Path]:
    """The states that restores replaced, newest first."""
    return sorted((path for path in root.glob(f"{KEPT}*") if path.is_dir()), reverse=True)


# -- copies from before updates -----------------------------------------------------------------------------------


def keep_before_update(store: Store, version: str, now: datetime) -> Path:
    """Keep the store as it is, on the same disk, before another version writes to it; the newest COPIES stay."""
    root = store.folder.root
    kept = root / f"{BEFORE_UPDATE}{version}-{now:%Y%m%d-%H%M%S}"
    shutil.rmtree(kept, ignore_errors=True)
    partial = root / f"{kept.name}.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    with store.reading():
        tables = {shelf.name: dict(shelf.documents()) for shelf in store.shelves()}
        next_ids = store.next_ids
    _write(partial, tables, next_ids)
    partial.rename(kept)
    sync_folder(root)
    for name in copies_before_updates(root)[COPIES:]:
        forget_copy(root, name)
    return kept


def copies_before_updates(root: Path) -> list[str]:
    """Names of the copies, newest first."""
    found = [path for path in root.glob(f"{BEFORE_UPDATE}*") if path.is_dir() and path.suffix != ".part"]
    return [path.name for path in sorted(found, key=lambda path: path.name[-15:], reverse=True)]


def forget_copy(root: Path, name: str) -> None:
    """Delete one; a name that is none is none."""
    if name in copies_before_updates(root):
        shutil.rmtree(root / name)


def prepare_copy(root: Path, name: str) -> None:
    """Make a copy from before an update ready to take the store's place, as `prepare` does with a backup.

    Raises:
        BackupRefused: there is none of this name, or it cannot be read.
    """
    if name not in copies_before_updates(root):
        raise BackupRefused(f"there is no copy {name!r} on this box")
    target = root / PREPARED
    shutil.rmtree(target, ignore_errors=True)
    try:
        tables, next_ids, schema = documents_of(root / name)
        upgrade(schema, tables)
        _made_safe(tables, name.removeprefix(BEFORE_UPDATE))
        (target / "store").mkdir(mode=0o700, parents=True)
        _write(target / "store", tables, _ids_above(next_ids, {}))
        _prove(target, tables)
    except (StoreError, KeyError, ValueError, TypeError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise BackupRefused(f"the copy cannot be read ({error}): take another one, or a backup") from error
