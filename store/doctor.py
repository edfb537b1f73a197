"""Looking at a store that is not running, mending it, and getting everything out of it."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from store import journal, upgrade
from store.archive import Archive
from store.database import Tables, rows_in
from store.disk import Disk
from store.errors import StoreDamaged
from store.folder import FolderLock, signs_of_use
from store.generations import file_of, generations, header_of, new_id, rows_of, write_closed
from store.head import End, head_of, remove_head, write_head
from store.journal import State
from store.salvage import salvage
from store.snapshots import write_snapshot
from store.states import ENDED_TICKETS
from store.upgrade import FIRST_WITH_ENDS, SCHEMA

ON_HOLD = (
    "Processing is paused and open tickets are on hold: compare prints with orders, cancel what is out already, then "
    "start processing"
)


@dataclass
class Findings:
    """What a look at a store found."""

    documents: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    notes: list[str] = field(default_factory=list)  # harmless
    doubts: list[str] = field(default_factory=list)  # something that was acknowledged may be lost; nobody can know
    damage: list[str] = field(default_factory=list)  # something that was acknowledged is lost
    archive: list[str] = field(default_factory=list)  # archived tickets that are lost; no repair brings them back
    refusal: str = ""  # why the store cannot be opened at all

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost, as far as anybody can know."""
        return not self.damage and not self.archive and not self.refusal

    @property
    def lost(self) -> list[str]:
        """Everything that is lost, in sentences."""
        return [*self.damage, *self.archive, *([self.refusal] if self.refusal else [])]


def check(root: Path) -> Findings:
    """Read everything and change nothing.

    Raises:
        StoreLocked: a running Printroom has the folder.
        StoreTooNew: a newer one wrote it.
    """
    lock = FolderLock(root)
    try:
        state = _load(root)
        findings = _findings(state)
        months = _tables(state)[0].get("archived_months", {}).values()
        if (root / "archive").is_dir():
            counts = {one["month"]: one["tickets"] for one in months}
            findings.archive = Archive(root / "archive").missing(counts, reads_all=True)
        return findings
    except StoreDamaged as error:
        return Findings(refusal=str(error))
    finally:
        lock.release()


def repair(root: Path, now: datetime | None = None) -> tuple[Findings, Path | None]:
    """Make a store that can be opened from whatever can be read; the files before are kept beside it.

    Where something is lost, all processing is paused and open tickets are on hold.

    Returns:
        what is now in the store, and where the files before are kept (None when nothing had to be done).

    Raises:
        StoreLocked: a running Printroom has the folder.
        StoreTooNew: a newer one wrote it.
    """
    lock = FolderLock(root)
    try:
        folder = root / "store"
        try:
            state = _load(root)
            if not state.notes and not state.doubts and not state.damage:
                return _findings(state), None
            refusal = ""
        except StoreDamaged as error:
            state, refusal = salvage(folder), str(error)
        kept = root / f"store-before-repair-{(now or datetime.now(UTC)):%Y%m%d-%H%M%S}"
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(folder, kept)
        if head_of(folder).exists():
            shutil.copy2(head_of(folder), head_of(kept))
        findings = _findings(state)
        findings.damage[:0] = [refusal] if refusal else []
        _write_anew(folder, state, is_older=bool(findings.damage))
        return findings, kept
    finally:
        lock.release()


def hold_everything(tables: Tables) -> None:
    """For a state that is older than the world: what was open then may have been printed since, so nothing goes on
    until a person says so."""
    for ticket in tables.get("tickets", {}).values():
        if ticket["state"] not in ENDED_TICKETS:
            ticket["is_paused"] = True
    tables.setdefault("box_settings", {}).setdefault(1, {})["is_paused"] = True


def _write_anew(folder: Path, state: State, is_older: bool) -> None:
    """A closed generation of a store of its own, so that no file of before can be taken for a part of it."""
    tables, next_ids, schema = _tables(state)
    if is_older:
        hold_everything(tables)
    at = max(state.number, 1), 0  # without a commit it would be a store that never had anything in it
    header = header_of(new_id(), state.generation + 1, schema, at, next_ids)
    write_closed(folder, header, rows_in(tables), Disk())
    write_head(folder, End(header["store"], header["generation"], *at, is_closed=True), Disk())
    _remove(folder, before=header["generation"])


def step_back(root: Path, schema: int) -> None:
    """Write the store in an older schema, so that an older program reads everything that this one accepted.

    The files before stay beside it. Cut off, the store is as it was; done twice, it is done once.

    Raises:
        StoreLocked: a running Printroom has the folder.
        StoreDamaged: it cannot be read, or not all of it; repair it first.
        StoreError: there is no way back.
    """
    lock = FolderLock(root)
    try:
        folder = root / "store"
        state = _load(root)
        if state.damage:
            raise StoreDamaged(
                f"{'; '.join(state.damage)}. Start this version once, or repair the store, before going back"
            )
        if state.schema > schema:
            tables, next_ids, found = _tables(state)
            upgrade.step_back(found, schema, tables)
            generation, at = state.generation + 1, (state.number, state.checksum)
            if schema < FIRST_WITH_ENDS:
                _write_without_ends(folder, generation, schema, state.number, tables, next_ids)
            else:
                header = header_of(state.store, generation, schema, at, next_ids)
                write_closed(folder, header, rows_in(tables), Disk())
            _remove(folder, before=state.generation)
        if schema < FIRST_WITH_ENDS:
            remove_head(folder, Disk())
    finally:
        lock.release()


def _write_without_ends(
    folder: Path, generation: int, schema: int, number: int, tables: Tables, next_ids: dict[str, int]
) -> None:
    """A generation as version 0.1 left one in which nothing was committed yet."""
    disk = Disk()
    file_of(folder, "journal", generation).touch(mode=0o600)
    disk.sync_folder(folder)
    header = {"format": 1, "schema": schema, "number": number, "next_ids": next_ids}
    write_snapshot(file_of(folder, "snapshot", generation), header, rows_in(tables), disk)


def _remove(folder: Path, before: int) -> None:
    """The files of older generations."""
    for kind in ("snapshot", "journal"):
        for number, path in generations(folder, kind).items():
            if number < before:
                path.unlink()


def export(root: Path) -> dict[str, dict[str, Any]]:
    """Every document of every table, as JSON writes it: {table: {id: document}}. Changes nothing.

    Raises:
        StoreLocked, StoreDamaged, StoreTooNew: with what to do.
    """
    lock = FolderLock(root)
    try:
        tables, _, _ = _tables(_load(root))
        return {name: {str(i): document for i, document in sorted(table.items())} for name, table in tables.items()}
    finally:
        lock.release()


def documents_of(folder: Path) -> tuple[Tables, dict[str, int], int]:
    """What a folder's snapshots and journals hold: documents by table, next ids, schema.

    Raises:
        StoreDamaged: they do not lead to a complete state.
        StoreTooNew: a newer program wrote them.
    """
    state = journal.load(folder)
    if state.damage:
        raise StoreDamaged("; ".join(state.damage))
    return _tables(state)


def _load(root: Path) -> State:
    return journal.load(root / "store", partial(signs_of_use, root))


def _findings(state: State) -> Findings:
    tables, _, _ = _tables(state)
    return Findings(
        documents=Counter({name: len(table) for name, table in sorted(tables.items())}),
        commits=state.number,
        notes=list(state.notes),
        doubts=list(state.doubts),
        damage=list(state.damage),
    )


def _tables(state: State) -> tuple[Tables, dict[str, int], int]:
    """Documents, next ids and schema; where journals have a newer shape than the snapshot, all of it in theirs."""
    tables: Tables = {}
    next_ids = {str(name): int(number) for name, number in state.header.get("next_ids", {}).items()}
    schemas = [int(report.opening["schema"]) for report in state.journals if report.opening]
    schema = int(state.header.get("schema", min(schemas, default=SCHEMA)))
    changes = [(schema, state.rows)]
    for report in state.journals:
        changes += [(int(report.opening.get("schema", schema)), rows_of(frame)) for frame in report.commits]
    for shape, rows in changes:
        if shape > schema:
            upgrade.upgrade(schema, tables, to=shape)
            schema = shape
        for name, doc_id, document in rows:
            next_ids[name] = max(next_ids.get(name, 1), doc_id + 1)
            if document is None:
                tables.setdefault(name, {}).pop(doc_id, None)
            else:
                tables.setdefault(name, {})[doc_id] = document
    return tables, next_ids, schema
