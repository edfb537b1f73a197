"""The store's files of a generation: their names, what their frames say, and how a generation is begun."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from store.disk import Disk
from store.frames import Frame, FrameFile, encode_frame
from store.snapshots import Row, write_snapshot

FORMAT = 2  # of the files; what the documents in them look like is the schema
_NAME = re.compile(r"^(snapshot|journal)-(\d{8,})\.prj$")


def generations(folder: Path, kind: str) -> dict[int, Path]:
    """The files of one kind ('snapshot' or 'journal') in a folder, by generation."""
    found = ((_NAME.match(path.name), path) for path in folder.iterdir()) if folder.is_dir() else iter(())
    return {int(match[2]): path for match, path in found if match and match[1] == kind}


def file_of(folder: Path, kind: str, generation: int) -> Path:
    """Where the file of a generation lies."""
    return folder / f"{kind}-{generation:08d}.prj"


def new_id() -> str:
    """For a new store."""
    return secrets.token_hex(8)


def encode_commit(rows: list[Row], number: int, durable: int, after: int) -> bytes:
    """A commit's frame.

    Args:
        rows: what it changes.
        number: its own.
        durable: up to which commits are known to be on the disk.
        after: the checksum of the commit before it.
    """
    return encode_frame({"after": after, "rows": rows}, number, durable)


def encode_closing(number: int, checksum: int, following: int = 0) -> bytes:
    """The last frame of a journal that is left; more may follow when it is gone on with.

    Args:
        number: of the last commit, wherever it lies.
        checksum: of that commit.
        following: the next generation; 0 when the store is closed.
    """
    return encode_frame({"closes_at": checksum, "following": following}, number, number)


def is_commit(frame: Frame) -> bool:
    """Whether a journal's frame is a commit; version 0.1 had no others, and only their rows in them."""
    return isinstance(frame.payload, list) or "rows" in frame.payload


def is_opening(frame: Frame) -> bool:
    """Whether a journal's frame is its opening."""
    return not is_commit(frame) and "store" in frame.payload


def rows_of(commit: Frame) -> list[Row]:
    """What a commit changed."""
    return commit.payload if isinstance(commit.payload, list) else commit.payload["rows"]


def begin_journal(folder: Path, header: dict[str, Any], disk: Disk) -> FrameFile:
    """The journal of a new generation, durable with its opening; what is there under its name is replaced.

    Args:
        folder: of the store.
        header: of the generation's snapshot.
        disk: the operating system.

    Raises:
        OSError: the disk refused.
    """
    file = FrameFile(file_of(folder, "journal", header["generation"]), disk)
    try:
        file.append(encode_frame({name: header[name] for name in ("store", "generation", "schema")}))
        disk.sync_folder(folder)
    except OSError:
        file.close()
        raise
    return file


def header_of(
    store: str, generation: int, schema: int, at: tuple[int, int], next_ids: dict[str, int]
) -> dict[str, Any]:
    """A snapshot's first frame.

    Args:
        store: its id.
        generation: which the snapshot begins.
        schema: of the documents.
        at: number and checksum of the commit it stands at.
        next_ids: by table.
    """
    chain = {"store": store, "generation": generation, "number": at[0], "checksum": at[1]}
    return {"format": FORMAT, "schema": schema, **chain, "next_ids": next_ids}


def write_closed(folder: Path, header: dict[str, Any], rows: Iterator[Row], disk: Disk) -> None:
    """A whole generation that is closed: for stores that are made while they are not open.

    The journal comes first: a snapshot is never without.
    """
    file = begin_journal(folder, header, disk)
    try:
        file.append(encode_closing(header["number"], header["checksum"]))
        file.trim()
    finally:
        file.close()
    write_snapshot(file_of(folder, "snapshot", header["generation"]), header, rows, disk)
