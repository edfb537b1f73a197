"""The head: a small file beside the store's folder that says how far the store is, so that it cannot become less
without anybody knowing.

It names the store, the generation, the number and checksum of the last commit, and whether the store was closed after
it. It is written after each commit's own write and before the commit is acknowledged, without waiting for the disk;
SYNC_AFTER_S later it is brought there. So it never says more than the journal has; after a killed process it says all
that was acknowledged, and after a power cut all but what came in its last moments.

It lies beside the folder and not in it: files from some other day do not bring their own witness along. It has two
slots. While one is brought to the disk the other is written, so a write that the power tears leaves one whole.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

import structlog

from store.disk import Disk
from store.frames import read_file

log = structlog.get_logger("store")

SYNC_AFTER_S = 0.25
UNKNOWN = -1  # checksum of a commit that cannot be read any more
_SLOT_BYTES = 4096
_SLOT = struct.Struct(">4sQ16sIQq?")  # magic, turn, store, generation, number, checksum, whether closed
_CRC = struct.Struct(">I")
_MAGIC = b"PRH1"


@dataclass(frozen=True)
class End:
    """How far a store is."""

    store: str  # its id, 16 hexadecimal digits
    generation: int  # whose journal is being written
    number: int  # of the last commit
    checksum: int  # of that commit's frame, 0 before the first; or UNKNOWN
    is_closed: bool = False  # nothing was committed since


def head_of(folder: Path) -> Path:
    """Where the head of the store in a folder lies."""
    return folder.with_name(f"{folder.name}.head")


def read_head(folder: Path) -> End | None:
    """What the head of the store in a folder says; None where there is none, or none that can be read."""
    return _read(head_of(folder))[0]


def write_head(folder: Path, end: End, disk: Disk) -> None:
    """Put a head in place of whatever is there, durably."""
    head = Head(folder, disk)
    head.begin(end)
    head.close()
    if head.failed:
        raise OSError(f"{head_of(folder)} cannot be written: {head.failed}")


def remove_head(folder: Path, disk: Disk) -> None:
    """Take the head away, durably: for a program that knows nothing of it."""
    if head_of(folder).exists():
        disk.remove(head_of(folder))
        disk.sync_folder(folder.parent)


def _read(path: Path) -> tuple[End | None, int, int]:
    """What a head says, the turn in which that was written, and the slot."""
    data = read_file(path) if path.is_file() else b""
    found: tuple[End | None, int, int] = None, 0, 0
    for slot in (0, 1):
        begins = slot * _SLOT_BYTES
        content = data[begins : begins + _SLOT.size]
        crc = data[begins + _SLOT.size : begins + _SLOT.size + _CRC.size]
        if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != zlib.crc32(content):
            continue
        magic, turn, store, generation, number, checksum, is_closed = _SLOT.unpack(content)
        if magic == _MAGIC and turn > found[1]:
            found = End(store.decode(), generation, number, checksum, is_closed), turn, slot
    return found


class Head:
    """The head of an open store. When it cannot be written everything else goes on, and `failed` says why."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk = folder, disk
        self._fd, self._turn, self._slot, self._store = -1, 0, 0, b""
        self._is_stale, self._is_closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.failed = ""  # why it cannot be written; '' while all is well

    @property
    def is_begun(self) -> bool:
        """Whether it follows the commits, or was meant to."""
        return self._fd >= 0 or bool(self.failed)

    def begin(self, end: End) -> None:
        """Say durably where the store stands, and follow it from now on."""
        path = head_of(self._folder)
        try:
            is_new = not path.exists()
            _, self._turn, slot = _read(path)
            self._slot, self._store = 1 - slot, end.store.encode()
            if self._fd < 0:
                self._fd = self._disk.open(path)
            if os.fstat(self._fd).st_size < 2 * _SLOT_BYTES:  # room for both slots, also on a disk that is full later
                self._disk.write_lazily(self._fd, bytes(2 * _SLOT_BYTES), 0)
            self._write(end.generation, end.number, end.checksum, end.is_closed)
            self._disk.sync(self._fd)
            self._slot ^= 1
            if is_new:
                self._disk.sync_folder(path.parent)
            self.failed = ""
        except OSError as error:
            self._fail(error)

    def note(self, generation: int, number: int, checksum: int) -> None:
        """A commit is on the disk; called before anybody is told."""
        if self.failed:
            return
        try:
            self._write(generation, number, checksum)
        except OSError as error:
            self._fail(error)
            return
        if not self._is_stale.is_set():
            self._is_stale.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="store-head", daemon=True)
            self._thread.start()

    def _write(self, generation: int, number: int, checksum: int, is_closed: bool = False) -> None:
        self._turn += 1
        slot = _SLOT.pack(_MAGIC, self._turn, self._store, generation, number, checksum, is_closed)
        self._disk.write_lazily(self._fd, slot + _CRC.pack(zlib.crc32(slot)), self._slot * _SLOT_BYTES)

    def _follow(self) -> None:
        """Bring what was noted to the disk, a moment later."""
        while not self._is_closing.is_set():  # asked again after clear(), which may have hidden that it was
            self._is_stale.wait()
            if self._is_closing.wait(SYNC_AFTER_S):
                return
            self._is_stale.clear()
            self._slot ^= 1  # what is noted meanwhile goes into the other one
            try:
                self._disk.sync(self._fd)
            except OSError as error:
                self._thread = None
                self._fail(error)
                return

    def _fail(self, error: OSError) -> None:
        self.failed = error.strerror or str(error)
        log.error("store.head_failed", error=str(error))

    def close(self, end: End | None = None) -> None:
        """Stop following; with an `end`, say durably that the store was closed there."""
        self._is_closing.set()
        self._is_stale.set()
        if self._thread is not None:
            self._thread.join()
        if end is not None:
            self.begin(end)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
