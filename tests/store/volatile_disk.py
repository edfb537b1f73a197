"""A disk that forgets what was not synced, for tests that cut its power."""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from store.disk import Disk
from store.frames import SECTOR_BYTES


@dataclass
class _File:
    """What is on the disk of a file, and what only the system knows."""

    durable: bytearray = field(default_factory=bytearray)
    sizes: list[int] = field(default_factory=list)  # truncated or allocated to, in this order
    writes: list[tuple[int, bytes]] = field(default_factory=list)

    def resize(self) -> None:
        """Everything about its length is on the disk now."""
        for size in self.sizes:
            _resize(self.durable, size)
        self.sizes.clear()

    def sync(self) -> None:
        """Everything is on the disk now."""
        self.resize()
        for offset, data in self.writes:
            self.durable[offset : offset + len(data)] = data
        self.writes.clear()

    def after_a_cut(self, dice: random.Random) -> bytes:
        """What may be left: some of the changes of length, and any of the sectors that were being written."""
        content = bytearray(self.durable)
        for size in self.sizes[: dice.randint(0, len(self.sizes))]:
            _resize(content, size)
        share = dice.choice([0.0, 0.5, 0.5, 1.0])
        for offset, data in self.writes:
            for begins, sector in _sectors(offset, data):
                if dice.random() < share:
                    fits = sector[: max(0, len(content) - begins)]
                    content[begins : begins + len(fits)] = fits
        return bytes(content)


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    ends, found = offset + len(data), []
    while offset < ends:
        following = min((offset // SECTOR_BYTES + 1) * SECTOR_BYTES, ends)
        found.append((offset, data[len(data) - (ends - offset) : len(data) - (ends - following)]))
        offset = following
    return found


class VolatileDisk(Disk):
    """Does everything on the real disk, and knows what a cut would leave of it."""

    def __init__(self, cut_at: int = 10**9) -> None:
        """
        Args:
            cut_at: the call, counted from 1, in which the power goes. It and all later ones fail.
        """
        self.cut_at, self.calls = cut_at, 0
        self._lock = threading.RLock()
        self._files: dict[int, _File] = {}  # by descriptor
        self._names: dict[Path, _File] = {}  # as the system sees them
        self._durable_names: dict[Path, _File] = {}
        self._renames: list[tuple[Path, Callable[[dict[Path, _File]], None]]] = []  # folder, and what is done in it

    @property
    def is_off(self) -> bool:
        """Whether the power has gone."""
        return self.calls >= self.cut_at

    def _tick(self) -> None:
        if self.is_off:
            raise OSError(errno.EIO, "no power")
        if threading.current_thread().name != "store-head":  # when that one comes is not the same in each run
            self.calls += 1

    def _refuse_when_off(self) -> None:
        if self.is_off:
            raise OSError(errno.EIO, "no power")

    def _file_of(self, path: Path) -> _File:
        """One that was there before is on the disk, name and all."""
        if path not in self._names and path.exists():
            self._names[path] = self._durable_names[path] = _File(bytearray(path.read_bytes()))
        return self._names[path]

    def _named(self, folder: Path, change: Callable[[dict[Path, _File]], None]) -> None:
        change(self._names)
        self._renames.append((folder, change))

    def open(self, path: Path) -> int:
        with self._lock:
            self._tick()
            if path in self._names or path.exists():
                file = self._file_of(path)
            else:
                file = _File()
                self._named(path.parent, lambda names: names.__setitem__(path, file))
            self._refuse_when_off()
            fd = super().open(path)
            self._files[fd] = file
            return fd

    def allocate(self, fd: int, offset: int, length_bytes: int) -> None:
        with self._lock:
            self._tick()
            length_bytes = min(length_bytes, 8192)  # so that a short test allocates more than once
            self._files[fd].sizes.append(offset + length_bytes)
            self._refuse_when_off()
            super().allocate(fd, offset, length_bytes)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        with self._lock:
            self._tick()
            file = self._files[fd]
            if self.is_off:
                file.writes.append((offset, bytes(data)))
                raise OSError(errno.EIO, "no power")
            written = super().write(fd, data, offset)
            file.resize()
            file.durable.extend(bytes(max(0, offset - len(file.durable))))
            file.durable[offset : offset + written] = data[:written]
            return written

    def write_lazily(self, fd: int, data: bytes, offset: int) -> None:
        with self._lock:
            self._tick()
            self._files[fd].writes.append((offset, data))
            if offset + len(data) > len(self._files[fd].durable):
                self._files[fd].sizes.append(offset + len(data))
            self._refuse_when_off()
            super().write_lazily(fd, data, offset)

    def sync(self, fd: int) -> None:
        with self._lock:
            self._tick()
            self._refuse_when_off()
            self._files[fd].sync()

    def truncate(self, fd: int, length_bytes: int) -> None:
        with self._lock:
            self._tick()
            self._files[fd].sizes.append(length_bytes)
            self._refuse_when_off()
            super().truncate(fd, length_bytes)

    def rename(self, old: Path, new: Path) -> None:
        with self._lock:
            self._tick()
            file = self._file_of(old)

            def change(names: dict[Path, _File]) -> None:
                names.pop(old, None)
                names[new] = file

            self._named(new.parent, change)
            self._refuse_when_off()
            super().rename(old, new)

    def remove(self, path: Path) -> None:
        with self._lock:
            self._tick()
            self._file_of(path)
            self._named(path.parent, lambda names: names.pop(path, None) and None)
            self._refuse_when_off()
            super().remove(path)

    def sync_folder(self, folder: Path) -> None:
        with self._lock:
            self._tick()
            self._refuse_when_off()
            for where, change in self._renames:
                if where == folder:
                    change(self._durable_names)
            self._renames = [one for one in self._renames if one[0] != folder]

    def leave(self, folder: Path, to: Path, dice: random.Random) -> None:
        """What is left of a folder and of the files beside it after the power went, under another name."""
        with self._lock:
            for path in [*folder.iterdir(), *folder.parent.glob(f"{folder.name}.*")]:
                if path.is_file():
                    self._file_of(path)
            names = dict(self._durable_names)
            share = dice.choice([0.0, 0.5, 1.0])
            for _, change in self._renames:
                if dice.random() < share:
                    change(names)
            to.mkdir(parents=True)
            for path, file in names.items():
                target = (
                    to / path.name if path.parent == folder else to.with_name(path.name.replace(folder.name, to.name))
                )
                if path.parent in (folder, folder.parent):
                    target.write_bytes(file.after_a_cut(dice))
