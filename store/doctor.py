"""Looking at a store that is not running, mending it, and getting everything out of it."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from store import journal, upgrade
from store.database import Tables
from store.errors import StoreDamaged
from store.folder import FolderLock
from store.journal import Disk, State
from store.upgrade import SCHEMA


@dataclass
class Findings:
    """What a look at a store found."""

    documents: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    notes: list[str] = field(default_factory=list)  # harmless
    damage: list[str] = field(default_factory=list)  # something that was acknowledged is lost
    refusal: str = ""  # why the store cannot be opened at all

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost."""
        return not self.damage and not self.refusal


def check(root: Path) -> Findings:
    """Read everything and change nothing.

    Raises:
        StoreLocked: a running Printroom has the folder.
    """
    lock = FolderLock(root)
    try:
        return _findings(journal.load(root / "store"))
    except StoreDamaged as error:
        return Findings(refusal=str(error))
    finally:
        lock.release()


def repair(root: Path, now: datetime | None = None) -> tuple[Findings, Path | None]:
    """Make a store that can be opened from whatever can be read; the files before are kept beside it.

    Returns:
        what is now in the store, and where the files before are kept (None when nothing had to be done).

    Raises:
        StoreLocked: a running Printroom has the folder.
    """
    lock = FolderLock(root)
    try:
        folder = root / "store"
        try:
            state = journal.load(folder)
            if not state.notes and not state.damage:
                return _findings(state), None
            refusal = ""
        except StoreDamaged as error:
            state, refusal = journal.salvage(folder), str(error)
        kept = root / f"store-before-repair-{(now or datetime.now(UTC)):%Y%m%d-%H%M%S}"
        shutil.copytree(folder, kept)
        tables, next_ids = _tables(state)
        header = {
            "format": 1,
            "schema": state.header.get("schema", SCHEMA),
            "number": state.number,
            "next_ids": next_ids,
        }
        generation = state.generation + 1
        _write_anew(folder, generation, header, tables, keep=generation)
        findings = _findings(state)
        findings.damage += [refusal] if refusal else []
        return findings, kept
    finally:
        lock.release()


def step_back(root: Path, schema: int) -> None:
    """Write the store in an older schema, so that an older program reads everything that this one accepted.

    The files before stay beside it. Cut off, the store is as it was; done twice, it is done once.

    Raises:
        StoreLocked: a running Printroom has the folder.
        StoreDamaged: it cannot be read; repair it first.
        StoreError: there is no way back.
    """
    lock = FolderLock(root)
    try:
        folder = root / "store"
        state = journal.load(folder)
        found = int(state.header.get("schema", SCHEMA))
        if found > schema:
            tables, next_ids = _tables(state)
            upgrade.step_back(found, schema, tables)
            header = {"format": 1, "schema": schema, "number": state.number, "next_ids": next_ids}
            _write_anew(folder, state.generation + 1, header, tables, keep=state.generation)
    finally:
        lock.release()


def export(root: Path) -> dict[str, dict[str, Any]]:
    """Every document of every table, as JSON writes it: {table: {id: document}}. Changes nothing.

    Raises:
        StoreLocked, StoreDamaged: with what to do.
    """
    lock = FolderLock(root)
    try:
        tables, _, _ = documents_of(root / "store")
        return {name: {str(i): document for i, document in sorted(table.items())} for name, table in tables.items()}
    finally:
        lock.release()


def _write_anew(folder: Path, generation: int, header: dict[str, Any], tables: Tables, keep: int) -> None:
    """A snapshot of its own generation; files of generations before `keep` go."""
    rows = ((name, i, document) for name, table in tables.items() for i, document in table.items())
    journal.write_snapshot(journal.file_of(folder, "snapshot", generation), header, iter(rows), Disk())
    for kind in ("snapshot", "journal"):
        for number, path in journal.generations(folder, kind).items():
            if number < keep:
                path.unlink()


def _findings(state: State) -> Findings:
    tables, _ = _tables(state)
    return Findings(
        documents=Counter({name: len(table) for name, table in sorted(tables.items())}),
        commits=state.number,
        notes=list(state.notes),
        damage=list(state.damage),
    )


def documents_of(folder: Path) -> tuple[Tables, dict[str, int], int]:
    """What a folder's snapshots and journals hold: documents by table, next ids, schema.

    Raises:
        StoreDamaged: they do not lead to a complete state.
    """
    state = journal.load(folder)
    return *_tables(state), int(state.header.get("schema", SCHEMA))


def _tables(state: State) -> tuple[Tables, dict[str, int]]:
    tables: Tables = {}
    next_ids = {str(name): int(number) for name, number in state.header.get("next_ids", {}).items()}
    rows = [*state.rows, *(row for report in state.journals for frame in report.commits for row in frame.payload)]
    for name, doc_id, document in rows:
        next_ids[name] = max(next_ids.get(name, 1), doc_id + 1)
        if document is None:
            tables.setdefault(name, {}).pop(doc_id, None)
        else:
            tables.setdefault(name, {})[doc_id] = document
    return tables, next_ids
