"""Rows of checksummed frames: what the store's files and the archive's are made of.

A frame is magic, length, CRC-32, a number, the number up to which commits were known to be durable when it was written,
then the payload as compact JSON. Only journals use the numbers. A file that is appended to is allocated ahead of its
content (an fsync is half as long when the file does not grow), so behind its last frame lie zeros.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

from store.disk import Disk, DiskUncertain

MAGIC = b"\xabPRJ"
_HEAD = struct.Struct(">4sIIQQ")  # magic, payload length, CRC-32 of all behind it, number, durable number
_CHECKSUM = struct.Struct(">8xI")
MAX_FRAME_BYTES = 256 * 1024 * 1024  # a length beyond this is damage, not data
ALLOCATE_BYTES = 1024 * 1024
SECTOR_BYTES = 512  # disks write these whole or not at all; larger ones are made of them
BLOCK_BYTES = 4096  # files are allocated in these
_CLEAN_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})  # what was there still is
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def read_file(path: Path) -> bytes:
    """What a file has; zeros for what the disk cannot read any more, so that the rest can be kept.

    Raises:
        OSError: it cannot be read for another reason.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    blocks = []
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for begins in range(0, os.fstat(fd).st_size, BLOCK_BYTES):
            try:
                blocks.append(os.pread(fd, BLOCK_BYTES, begins))
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                blocks.append(bytes(min(BLOCK_BYTES, os.fstat(fd).st_size - begins)))
    finally:
        os.close(fd)
    return b"".join(blocks)


def encode_frame(payload: object, number: int = 0, durable: int = 0) -> bytes:
    """One frame around a payload."""
    data = _encode(payload).encode()
    checksum = zlib.crc32(data, zlib.crc32(struct.pack(">QQ", number, durable)))
    return _HEAD.pack(MAGIC, len(data), checksum, number, durable) + data


def checksum_of(frame: bytes) -> int:
    """The CRC-32 in an encoded frame."""
    return int(_CHECKSUM.unpack_from(frame)[0])


@dataclass(frozen=True)
class Frame:
    """A whole frame as read back."""

    number: int
    durable: int
    checksum: int
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
    return Frame(number, durable, checksum, json.loads(payload), offset, ends)


def has_frame_at(file: BinaryIO, offset: int) -> bool:
    """Whether a frame of its full length begins at an offset of a file; what is in it is not looked at."""
    head = os.pread(file.fileno(), _HEAD.size, offset)
    if len(head) < _HEAD.size:
        return False
    magic, length, *_ = _HEAD.unpack(head)
    return bool(magic == MAGIC and offset + _HEAD.size + length <= os.fstat(file.fileno()).st_size)


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


class Tail(Enum):
    """What lies behind the last whole frame of a file."""

    NOTHING = "nothing but zeros"
    TORN = "a frame of which sectors were never written"
    CUT = "a frame in which the file ends"
    GARBLED = "a frame that was written, and cannot be read"


def tail_of(data: bytes, begins: int) -> Tail:
    """What lies at an offset where no whole frame begins.

    A power cut leaves some sectors of a write as they were, which is zeros, and a file as long as it was allocated,
    which is whole sectors. Bits that turn in a frame that was written leave no zeros: its text has none.
    """
    rest = data[begins:].rstrip(b"\0")
    if not rest:
        return Tail.NOTHING
    ends, at = begins + len(rest), begins
    while at < ends:
        following = min(_next_sector(at + 1), ends)
        if not any(data[at:following]):
            return Tail.TORN
        at = following
    magic, length, *_ = _HEAD.unpack(rest[: _HEAD.size].ljust(_HEAD.size, b"\0"))
    is_ours = magic == MAGIC or MAGIC.startswith(rest)
    is_as_long_as_it_says = len(rest) == _HEAD.size + length
    # Zeros that begin in a frame's head may be its own: what counts is where the sector ends.
    is_at_a_sector = _next_sector(ends) in range(ends, max(ends, begins + _HEAD.size) + 1)
    if is_ours and is_at_a_sector and not is_as_long_as_it_says:
        return Tail.TORN
    is_complete = is_as_long_as_it_says or rest.endswith((b"}", b"]"))  # the length itself may be what turned
    return Tail.CUT if ends == len(data) and not is_complete else Tail.GARBLED


def _next_sector(offset: int) -> int:
    return -(-offset // SECTOR_BYTES) * SECTOR_BYTES


class FrameFile:
    """A file that frames are appended to. `length_bytes` is what is known to be durable."""

    def __init__(self, path: Path, disk: Disk, length_bytes: int = 0) -> None:
        """Open a file. What lies behind `length_bytes` is cut away before the first frame is appended, not sooner: a
        start that appends nothing leaves the file as it was."""
        self.path, self._disk = path, disk
        self._fd = disk.open(path)
        self.length_bytes = length_bytes
        self._allocated_bytes = length_bytes
        self._is_cut = False  # whether nothing lies behind `length_bytes` any more

    def append(self, data: bytes, room_bytes: int = ALLOCATE_BYTES) -> None:
        """Append whole frames, durably.

        Args:
            data: the frames.
            room_bytes: to allocate at least, where it does not fit into what was allocated.

        Raises:
            DiskUncertain: the disk failed, or even cutting back did; what the file holds is not known any more.
            OSError: the disk refused, and the file is as it was.
        """
        ends = self.length_bytes + len(data)
        try:
            if not self._is_cut:
                self._cut()
            if ends > self._allocated_bytes:
                room = max(room_bytes, ends - self._allocated_bytes)
                room += -(self._allocated_bytes + room) % BLOCK_BYTES
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

    def _cut(self) -> None:
        """Durably, before anything is written there: what is cut away must not be mixed with what a power cut leaves of
        the next write."""
        if os.fstat(self._fd).st_size > self.length_bytes:
            self._disk.truncate(self._fd, self.length_bytes)
            self._disk.sync(self._fd)
        self._is_cut = True

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
