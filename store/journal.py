"""The files under the store: numbered, checksummed frames; journals of commits and snapshots of the whole.

A *generation* N is a snapshot file (the whole state when N began) and a journal file (what was committed since). Both
are rows of frames. A frame is magic, length, CRC-32, its commit's number, the number up to which commits were known to
be durable when it was written, then the payload as compact JSON. A snapshot counts only with its closing frame.

A journal is allocated ahead of its content (an fsync is half as long when the file does not grow), so behind the last
frame lie zeros. What else may lie there:

* a *torn tail*: the power went during a write. Nothing in it was acknowledged; it is cut away.
* *damage*: a later whole frame says that what is unreadable here had been durable. Then the damaged commits are lost
  and reported, and all others, before and behind, are kept: a commit holds whole documents, so it stands by itself,
  and dropping everything behind one flipped bit would forget prints that were made.
"""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from store.errors import StoreDamaged
from store.folder import sync_folder

Row = tuple[str, int, dict[str, Any] | None]  # table, document id, the document or None where it was removed

MAGIC = b"\xabPRJ"
_HEAD = struct.Struct(">4sIIQQ")  # magic, payload length, CRC-32 of all behind it, number, durable number
_REPAIR = "in the box its recovery page does it, elsewhere `./printroom store repair`"
MAX_FRAME_BYTES = 256 * 1024 * 1024  # a length beyond this is damage, not data
ALLOCATE_BYTES = 1024 * 1024
ROWS_PER_FRAME = 50  # of a snapshot: half a millisecond of JSON, so that commits are not kept waiting by the GIL
_CLEAN_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})  # what was there still is
_NAME = re.compile(r"^(snapshot|journal)-(\d{8})\.prj$")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class Disk:
    """The calls on the operating system that can fail; tests replace it to make them fail."""

    def open(self, path: Path) -> int:
        """Open for writing, created when missing; returns a file descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def allocate(self, fd: int, offset: int, length_bytes: int) -> None:
        """Reserve room; it reads as zeros."""
        os.posix_fallocate(fd, offset, length_bytes)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        """Write some of data at an offset, durably when this returns; returns how many bytes were taken.

        One call for write and fdatasync: with many threads, every call less is a wait for the interpreter less.
        """
        try:
            return os.pwritev(fd, [data], offset, os.RWF_DSYNC)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:  # a file system without it: FUSE, some network shares
                raise
            written = os.pwrite(fd, data, offset)
            os.fdatasync(fd)
            return written

    def truncate(self, fd: int, length_bytes: int) -> None:
        """Cut the file."""
        os.ftruncate(fd, length_bytes)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its final name, replacing what bore it."""
        old.replace(new)

    def sync_folder(self, folder: Path) -> None:
        """Make names in a folder durable."""
        sync_folder(folder)


class DiskUncertain(OSError):
    """A failure after which what is on the disk cannot be known without reading it again."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.errno, error.strerror or str(error))


def encode_frame(payload: object, number: int = 0, durable: int = 0) -> bytes:
    """One frame around a payload."""
    data = _encode(payload).encode()
    checksum = zlib.crc32(data, zlib.crc32(struct.pack(">QQ", number, durable)))
    return _HEAD.pack(MAGIC, len(data), checksum, number, durable) + data


@dataclass(frozen=True)
class Frame:
    """A whole frame as read back."""

    number: int
    durable: int
    payload: Any
    begins: int  # offsets in the file
    ends: int


def frame_at(data: bytes, offset: int) -> Frame | None:
    """The frame that begins at an offset, or None when there is no whole one."""
    if len(data) - offset < _HEAD.size:
        return None
    magic, length, checksum, number, durable = _HEAD.unpack_from(data, offset)
    ends = offset + _HEAD.size + length
    if magic != MAGIC or length > MAX_FRAME_BYTES or ends > len(data):
        return None
    payload = data[offset + _HEAD.size : ends]
    if zlib.crc32(payload, zlib.crc32(struct.pack(">QQ", number, durable))) != checksum:
        return None
    return Frame(number, durable, json.loads(payload), offset, ends)


def frames_in(data: bytes) -> Iterator[Frame]:
    """Every whole frame, whatever lies between them."""
    offset = 0
    while offset >= 0:
        frame = frame_at(data, offset)
        if frame is None:
            offset = data.find(MAGIC, offset + 1)
        else:
            yield frame
            offset = frame.ends


class FrameFile:
    """A file that frames are appended to. `length_bytes` is what is known to be durable."""

    def __init__(self, path: Path, disk: Disk, length_bytes: int = 0) -> None:
        """Open a file and cut away whatever lies behind `length_bytes`."""
        self.path, self._disk = path, disk
        self._fd = disk.open(path)
        self.length_bytes = length_bytes
        try:
            disk.truncate(self._fd, length_bytes)
        except OSError:
            os.close(self._fd)
            raise
        self._allocated_bytes = length_bytes

    def append(self, data: bytes) -> None:
        """Append whole frames, durably.

        Raises:
            DiskUncertain: the disk failed, or even cutting back did; what the file holds is not known any more.
            OSError: the disk refused, and the file is as it was.
        """
        ends = self.length_bytes + len(data)
        try:
            if ends > self._allocated_bytes:
                room = max(ALLOCATE_BYTES, len(data))
                self._disk.allocate(self._fd, self._allocated_bytes, room)
                self._allocated_bytes += room
            self._write(data, self.length_bytes)
        except OSError as error:
            if error.errno not in _CLEAN_REFUSALS:
                # After a failed fsync the kernel may have dropped the pages: nothing may be acknowledged any more.
                raise DiskUncertain(error) from error
            try:
                self._disk.truncate(self._fd, self.length_bytes)
            except OSError:
                raise DiskUncertain(error) from error
            self._allocated_bytes = self.length_bytes
            raise
        self.length_bytes = ends

    def _write(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = self._disk.write(self._fd, view, offset)
            view = view[written:]
            offset += written

    def trim(self) -> None:
        """Give back what was allocated ahead; when a file is left for good."""
        self._disk.truncate(self._fd, self.length_bytes)
        self._allocated_bytes = self.length_bytes

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def generations(folder: Path, kind: str) -> dict[int, Path]:
    """The files of one kind ('snapshot' or 'journal') in a folder, by generation."""
    found = ((_NAME.match(path.name), path) for path in folder.iterdir())
    return {int(match[2]): path for match, path in found if match and match[1] == kind}


def file_of(folder: Path, kind: str, generation: int) -> Path:
    """Where the file of a generation lies."""
    return folder / f"{kind}-{generation:08d}.prj"


# -- snapshots --------------------------------------------------------------------------------------------------


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


def read_snapshot(path: Path, insists: bool = True) -> tuple[dict[str, Any], list[Row]] | None:
    """A snapshot's header and rows, or None when it is not whole.

    Args:
        path: the file.
        insists: on the closing frame; without it, whatever can be read is returned (for `store repair`).
    """
    data = path.read_bytes()
    header: dict[str, Any] = {}
    rows: list[Row] = []
    closed = False
    ends = 0
    for frame in frames_in(data):
        if insists and frame.begins != ends:
            return None
        ends = frame.ends
        if isinstance(frame.payload, list):
            rows.extend(tuple(row) for row in frame.payload)
        elif "rows" in frame.payload:
            closed = frame.payload["rows"] == len(rows)
        else:
            header = frame.payload
    return (header, rows) if header and (closed or not insists) else None


# -- reading the state back -------------------------------------------------------------------------------------


@dataclass
class JournalReport:
    """What a journal file holds."""

    path: Path
    commits: list[Frame] = field(default_factory=list)
    length_bytes: int = 0  # of the part that counts
    torn_bytes: int = 0  # behind it, not zeros, never acknowledged
    lost: list[tuple[int, int]] = field(default_factory=list)  # first and last number of commits that are damaged


def read_journal(path: Path, after: int) -> JournalReport:
    """Read a journal whose commits should follow on number `after`."""
    data = path.read_bytes()
    report = JournalReport(path)
    frames = list(frames_in(data))
    known_durable = max((frame.durable for frame in frames), default=0)
    expected, ends = after + 1, 0
    for frame in frames:
        if frame.number < expected:
            continue  # a commit that the snapshot has already
        if frame.number > expected or frame.begins != ends:
            if known_durable < expected:
                break  # a write that the power cut short, and perhaps its later pages: none of it acknowledged
            report.lost.append((expected, frame.number - 1))
        report.commits.append(frame)
        expected, ends = frame.number + 1, frame.ends
    report.length_bytes = ends
    report.torn_bytes = len(data[ends:].rstrip(b"\0"))
    if known_durable >= expected:
        report.lost.append((expected, known_durable))
    return report


@dataclass
class State:
    """What a folder's files add up to."""

    generation: int = 0  # of the newest journal; 0 for an empty folder
    header: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)  # the snapshot's
    journals: list[JournalReport] = field(default_factory=list)  # to be applied in this order
    notes: list[str] = field(default_factory=list)  # harmless: what was cut or passed over, nothing acknowledged lost
    damage: list[str] = field(default_factory=list)  # acknowledged commits that are lost

    @property
    def number(self) -> int:
        """Of the last commit."""
        last = [report.commits[-1].number for report in self.journals if report.commits]
        return max([int(self.header.get("number", 0)), *last])


def load(folder: Path, insists: bool = True) -> State:
    """Read the state that a folder holds. Changes nothing.

    Args:
        folder: with snapshots and journals.
        insists: on a whole snapshot; without it the newest one that can be read in part will do (`store repair`).

    Raises:
        StoreDamaged: there are files, but no way to a complete state from them; says what to do.
    """
    snapshots, journals = generations(folder, "snapshot"), generations(folder, "journal")
    if not snapshots and not journals:
        return State()
    state = State(generation=max([*snapshots, *journals]))
    if not snapshots and not any(next(frames_in(path.read_bytes()), None) for path in journals.values()):
        return state  # the power went while the store was made: nothing was ever committed
    for start in sorted(snapshots, reverse=True):
        snapshot = read_snapshot(snapshots[start], insists)
        if snapshot is None:
            state.notes.append(
                f"{snapshots[start].name} is damaged: the one before it and its journal are used instead"
            )
            continue
        state.header, state.rows = snapshot
        for generation in range(start, state.generation + 1):
            if generation in journals:
                report = read_journal(journals[generation], state.number)
                state.journals.append(report)
                _describe(report, state)
            elif generation < state.generation:
                raise StoreDamaged(_missing(file_of(folder, "journal", generation)))
        return state
    raise StoreDamaged(
        f"no snapshot in {folder} can be read whole. Repair the store to keep what can still be read ({_REPAIR}), or "
        "restore a backup into this folder"
    )


def salvage(folder: Path) -> State:
    """Whatever can still be read of a folder that load() refuses: the fullest snapshot, and every whole commit."""
    state = State(generation=max([0, *generations(folder, "snapshot"), *generations(folder, "journal")]))
    for _, path in sorted(generations(folder, "snapshot").items()):
        found = read_snapshot(path, insists=False)
        if found is not None and len(found[1]) >= len(state.rows):
            state.header, state.rows = found
    for _, path in sorted(generations(folder, "journal").items()):
        report = JournalReport(path)
        after = int(state.header.get("number", 0)) if not state.journals else state.number
        report.commits = [frame for frame in frames_in(path.read_bytes()) if frame.number > after]
        state.journals.append(report)
    return state


def _missing(path: Path) -> str:
    return (
        f"{path} is missing, and later commits build on it. Put it back or restore a backup, or repair the store to go "
        f"on without it ({_REPAIR})"
    )


def _describe(report: JournalReport, state: State) -> None:
    if report.torn_bytes and not report.lost:
        state.notes.append(
            f"{report.path.name}: {report.torn_bytes} bytes at the end are not a whole commit: "
            "a write that was cut short before it was acknowledged"
        )
    for first, last in report.lost:
        commits = f"commit {first}" if first == last else f"commits {first} to {last}"
        state.damage.append(f"{report.path.name}: {commits} cannot be read any more; all others were kept")
