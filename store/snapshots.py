"""Snapshots: the whole state at the beginning of a generation, in one file. One counts only with its closing frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from store.disk import Disk
from store.frames import ALLOCATE_BYTES, FrameFile, encode_frame, frames_in, read_file

Row = tuple[str, int, dict[str, Any] | None]  # table, document id, the document or None where it was removed
ROWS_PER_FRAME = 50  # half a millisecond of JSON, so that commits are not kept waiting by the GIL


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot file holds."""

    header: dict[str, Any]  # empty where it cannot be read
    rows: list[Row]
    is_whole: bool


def write_snapshot(path: Path, header: dict[str, Any], rows: Iterator[Row], disk: Disk) -> int:
    """Write a snapshot beside its place, fsync it, give it its name and make the name durable; returns its size."""
    temporary = path.with_suffix(".tmp")
    file = FrameFile(temporary, disk)
    try:
        # One append at the end would hold it all in memory twice; one for each frame would fsync each.
        count, chunk = 0, bytearray(encode_frame(header))
        while some := list(islice(rows, ROWS_PER_FRAME)):
            count += len(some)
            chunk += encode_frame(some)
            time.sleep(0)  # lets go of the interpreter, which a commit may be waiting for
            if len(chunk) > ALLOCATE_BYTES:
                file.append(bytes(chunk))
                chunk.clear()
        file.append(bytes(chunk) + encode_frame({"rows": count}))
        file.trim()
        size_bytes = file.length_bytes
    finally:
        file.close()
    disk.rename(temporary, path)
    disk.sync_folder(path.parent)
    return size_bytes


def read_snapshot(path: Path) -> Snapshot:
    """What can be read of a snapshot."""
    header: dict[str, Any] = {}
    rows: list[Row] = []
    is_closed, is_contiguous, ends = False, True, 0
    for frame in frames_in(read_file(path)):
        is_contiguous = is_contiguous and frame.begins == ends
        ends = frame.ends
        if isinstance(frame.payload, list):
            rows.extend(tuple(row) for row in frame.payload)
        elif "rows" in frame.payload:
            is_closed = frame.payload["rows"] == len(rows)
        else:
            header = frame.payload
    return Snapshot(header, rows, bool(header) and is_closed and is_contiguous)
