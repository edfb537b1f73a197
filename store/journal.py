"""The files under the store: checksummed frames, appended and fsynced; snapshots of the same make.

A *generation* N is a snapshot file (the whole state when N began) and a journal file (what was committed since).
Both are a row of frames: length, CRC-32, payload (UTF-8 JSON). A snapshot counts only when its closing frame is
there; a journal may end in a torn frame, which is what a power cut leaves, and is cut at the last whole one.
"""

from __future__ import annotations

import json
import os
import re
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from store.errors import StoreDamaged

Row = tuple[str, int, dict[str, Any] | None]  # table, document id, the document or None where it was removed

_HEAD = struct.Struct(">II")
MAX_FRAME_BYTES = 256 * 1024 * 1024  # a length beyond this is damage, not data
_NAME = re.compile(r"^(snapshot|journal)-(\d{8})\.prj$")


class Disk:
    """The calls on the operating system that can fail; tests replace it to make them fail."""

    def open_append(self, path: Path) -> int:
        """Open for appending, created when missing; returns a file descriptor."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, fd: int, data: bytes) -> int:
        """Write some of data; returns how many bytes were taken."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """Bring the file's data and length to the platter."""
        os.fdatasync(fd)

    def truncate(self, fd: int, length_bytes: int) -> None:
        """Cut the file."""
        os.ftruncate(fd, length_bytes)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its final name, replacing what bore it."""
        old.replace(new)

    def sync_folder(self, folder: Path) -> None:
        """Make names in a folder durable."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def encode_frame(payload: object) -> bytes:
    """One frame: big-endian length and CRC-32 of the payload, then the payload as compact JSON."""
    data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return _HEAD.pack(len(data), zlib.crc32(data)) + data


class FrameFile:
    """An append-only file of frames. `length_bytes` is what is known to be durable."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path, self._disk = path, disk
        self._fd = disk.open_append(path)
        self.length_bytes = os.fstat(self._fd).st_size

    def append(self, data: bytes) -> None:
        """Append whole frames and fsync. When the disk refuses, the file is cut back to what was durable.

        Raises:
            OSError: the disk's own error; with `.undone` set to False when even cutting back failed or the
                failure came from fsync, after which the file's true content cannot be known.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[self._disk.write(self._fd, view.tobytes()) :]
        except OSError as error:
            try:
                self._disk.truncate(self._fd, self.length_bytes)
            except OSError:
                raise DiskUncertain(error) from error
            raise
        try:
            self._disk.sync(self._fd)
        except OSError as error:
            # After a failed fsync the kernel may have dropped the pages: nothing may be acknowledged any more.
            raise DiskUncertain(error) from error
        self.length_bytes += len(data)

    def cut(self, length_bytes: int) -> None:
        """Remove a torn tail, durably."""
        self._disk.truncate(self._fd, length_bytes)
        self._disk.sync(self._fd)
        self.length_bytes = length_bytes

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class DiskUncertain(OSError):
    """A failure after which what is on the disk cannot be known without reading it again."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.errno, error.strerror or str(error))


def read_frames(path: Path) -> Iterator[tuple[Any, int]]:
    """Yield (payload, offset after it) for each whole frame; ends before the first frame that is not whole."""
    with path.open("rb") as file:
        offset = 0
        while True:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return
            length, checksum = _HEAD.unpack(head)
            if length > MAX_FRAME_BYTES:
                return
            data = file.read(length)
            if len(data) < length or zlib.crc32(data) != checksum:
                return
            offset += _HEAD.size + length
            yield json.loads(data), offset


def generations(folder: Path, kind: str) -> dict[int, Path]:
    """The files of one kind ('snapshot' or 'journal') in a folder, by generation."""
    found = ((_NAME.match(path.name), path) for path in folder.iterdir())
    return {int(match[2]): path for match, path in found if match and match[1] == kind}


def file_of(folder: Path, kind: str, generation: int) -> Path:
    """Where the file of a generation lies."""
    return folder / f"{kind}-{generation:08d}.prj"


def read_snapshot(path: Path) -> tuple[dict[str, Any], list[Row]] | None:
    """A snapshot's header and rows, or None when it is not whole."""
    header: dict[str, Any] | None = None
    rows: list[Row] = []
    for payload, _ in read_frames(path):
        if header is None:
            header = payload
        elif isinstance(payload, dict):  # the closing frame
            return (header, rows) if payload.get("rows") == len(rows) else None
        else:
            rows.extend(tuple(row) for row in payload)
    return None


def write_snapshot(path: Path, header: dict[str, Any], rows: Iterator[Row], disk: Disk) -> None:
    """Write a snapshot beside its place, fsync it, give it its name and make the name durable."""
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    file = FrameFile(temporary, disk)
    try:
        file.append(encode_frame(header))
        count = 0
        while chunk := list(islice(rows, 1000)):
            file.append(encode_frame(chunk))
            count += len(chunk)
        file.append(encode_frame({"rows": count}))
    finally:
        file.close()
    disk.rename(temporary, path)
    disk.sync_folder(path.parent)


def load(folder: Path) -> tuple[int, dict[str, Any], list[list[Row]], int, list[str]]:
    """Read the state a folder holds.

    Returns:
        (generation of the newest journal, snapshot header, rows in commit order: the snapshot's first, then one
        list for each commit, length in bytes of the newest journal's whole part, what was found damaged).

    Raises:
        StoreDamaged: there are files, but no way to a complete state from them.
    """
    snapshots, journals = generations(folder, "snapshot"), generations(folder, "journal")
    if not snapshots and not journals:
        return 0, {}, [], 0, []
    notes: list[str] = []
    for start in sorted(snapshots, reverse=True):
        snapshot = read_snapshot(snapshots[start])
        if snapshot is None:
            notes.append(f"{snapshots[start].name} is damaged: an older snapshot and its journal are used instead")
            continue
        header, rows = snapshot
        batches: list[list[Row]] = [rows]
        newest = max([start, *journals])
        length = 0
        for generation in range(start, newest + 1):
            path = journals.get(generation)
            if path is None:
                if generation == newest:
                    break  # the power went between snapshot and journal: nothing was committed yet
                raise StoreDamaged(f"{file_of(folder, 'journal', generation)} is missing; restore it or a backup")
            length = 0
            for payload, offset in read_frames(path):
                batches.append([tuple(row) for row in payload])
                length = offset
            size = path.stat().st_size
            if length < size:
                what = f"{path.name}: {size - length} bytes after byte {length} are not a whole commit"
                if generation != newest:
                    raise StoreDamaged(f"{what}, and later commits build on them; restore a backup")
                notes.append(what)
        return newest, header, batches, length, notes
    raise StoreDamaged(f"no snapshot in {folder} can be read; restore a backup into this folder")
