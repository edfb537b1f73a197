"""The calls on the operating system that the store's files need, and that can fail."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from store.folder import sync_folder


class Disk:
    """The operating system; tests replace it to make it fail, or to cut its power."""

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

    def write_lazily(self, fd: int, data: bytes, offset: int) -> None:
        """Write a few bytes, which are durable after sync(), or when the kernel gets to it."""
        os.pwrite(fd, data, offset)

    def sync(self, fd: int) -> None:
        """Make what was written lazily durable."""
        os.fdatasync(fd)

    def truncate(self, fd: int, length_bytes: int) -> None:
        """Cut the file."""
        os.ftruncate(fd, length_bytes)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its final name, replacing what bore it."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Make names in a folder durable."""
        sync_folder(folder)


class DiskUncertain(OSError):
    """A failure after which what is on the disk cannot be known without reading it again."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.errno, error.strerror or str(error))
