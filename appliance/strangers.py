"""What strangers put into a folder: anything that a file system can hold. It is looked at without following links,
opened without waiting, and read with limits."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from appliance.names import readable, split

MOST_DEEP = 20  # folders in folders
MOST_FILES = 10_000  # in a folder: as many pictures as a record may have
LOOKED_AT_ONCE = 200  # things, before others get their turn

# What belongs to one thing, and not to the folder or to the disk that it lies on.
ITS_OWN = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ELOOP,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENOENT,
        errno.ENXIO,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EILSEQ,
    }
)

_NOBODYS = frozenset({"thumbs.db", "desktop.ini"})  # which Windows leaves everywhere


def is_nobodys(name: str) -> bool:
    """Whether a name is of those that programs leave around for themselves: hidden files, and locks of Office."""
    return name.startswith((".", "~$")) or name.casefold() in _NOBODYS


class Unfit(Exception):
    """Something cannot be taken, and will not be later; says why, after its name."""


class Kind(Enum):
    """What lies under a name."""

    FILE = auto()
    FOLDER = auto()
    LINK = auto()
    OTHER = auto()  # a pipe, a socket, a device
    UNSEEN = auto()  # the system does not tell


class Thing(NamedTuple):
    """Something as it was at one look."""

    path: str  # below what was looked at, with "/" between
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    flaw: str = ""  # why it cannot be told what it is, after its name

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def ending(self) -> str:
        """Such as ".jpg"; in small letters."""
        return split(self.name)[1].lower()


def listed(folder: Path, below: str = "") -> Generator[None, None, list[Thing]]:
    """What lies in a folder, in the order of names.

    Args:
        folder: the whole path.
        below: what their paths begin with.

    Raises:
        OSError: the folder cannot be read.
    """
    found: list[Thing] = []
    with os.scandir(folder / below) as entries:
        for count, entry in enumerate(entries, 1):
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # it was taken away between two calls
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise
                found.append(Thing(path, Kind.UNSEEN, flaw=f"cannot be looked at ({why(error)})"))
                continue
            found.append(Thing(path, _kind(seen.st_mode), seen.st_size, seen.st_mtime_ns))
            if count % LOOKED_AT_ONCE == 0:
                yield
    return sorted(found, key=lambda thing: thing.path)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    return Kind.LINK if stat.S_ISLNK(mode) else Kind.OTHER


def inside(folder: Path, below: str) -> Generator[None, None, list[Thing]]:
    """All that lies in a folder and in the folders in it, these left out.

    Args:
        folder: the whole path of where it lies.
        below: its name.

    Raises:
        Unfit: there is too much in it, or it cannot be read.
    """
    found: list[Thing] = []
    waiting = [(below, 1)]
    while waiting:
        place, depth = waiting.pop()
        yield
        try:
            things = yield from listed(folder, place)
        except OSError as error:
            if error.errno == errno.ENOENT and place != below:
                continue
            if error.errno == errno.ENAMETOOLONG:
                raise Unfit("has names or folders in folders that are too long for the box: shorten them") from error
            if error.errno in ITS_OWN:
                raise Unfit(f"cannot be read ({why(error)}): let everybody read it") from error
            raise
        folders = [thing for thing in things if thing.kind is Kind.FOLDER]
        if folders and depth >= MOST_DEEP:
            raise Unfit(f"has folders in folders, more than {MOST_DEEP} deep: put the pictures into fewer")
        waiting += [(thing.path, depth + 1) for thing in reversed(folders)]
        found += [thing for thing in things if thing.kind is not Kind.FOLDER]
        if len(found) + len(waiting) > MOST_FILES:
            raise Unfit(f"has more than {MOST_FILES:,} files in it: drop them in parts")
    return sorted(found, key=lambda thing: thing.path)


@contextmanager
def opened(folder: Path, path: str) -> Iterator[io.FileIO]:
    """A file below a folder, open for reading. None of the steps to it may be a link: that would lead elsewhere.

    Args:
        folder: the whole path.
        path: below it, with "/" between.

    Raises:
        Unfit: it is no file.
        OSError: it cannot be opened.
    """
    *steps, name = path.split("/")
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for step in steps:
            inner = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = inner
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    finally:
        os.close(handle)
    with io.FileIO(file) as source:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Unfit("is not a file")
        yield source


def beginning(folder: Path, path: str, most: int) -> bytes:
    """What a file below a folder begins with; see opened().

    Args:
        folder: the whole path.
        path: below it.
        most: bytes; no more is read.
    """
    with opened(folder, path) as source:
        parts: list[bytes] = []
        while most > 0 and (part := source.read(min(most, 1_000_000))):
            parts.append(part)
            most -= len(part)
    return b"".join(parts)


def why(error: OSError) -> str:
    """What the system said, for people."""
    return readable(error.strerror or str(error))
