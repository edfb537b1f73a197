"""Where a record's pictures lie: uploaded ones by digest, others below the configured image folders only."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SETTLE_S = 2.0  # a new file that was written to more recently may still be growing
NEW_S = 86_400.0  # a file that was written to within a day is new, whatever the clocks of those who wrote it say

# Of these, a folder says that it has no such file. Others are the folder's own trouble.
_NOT_HERE = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EACCES,
        errno.EPERM,
        errno.EILSEQ,
    }
)


@dataclass(frozen=True)
class PathMapping:
    r"""How a folder is called in the studio, and where the box finds it: \\server\images → /srv/images."""

    prefix: str
    folder: Path

    def below(self, path: str) -> str | None:
        """The rest of a path that lies below the prefix, with slashes; None when it does not.

        Compared as Windows does: either kind of slash, upper and lower case alike.

        >>> PathMapping("Z:", Path("/mnt/z")).below("z:\\\\2026\\\\a.jpg")
        '2026/a.jpg'
        >>> PathMapping("Z:", Path("/mnt/z")).below("zoo/a.jpg")
        """
        prefix, wanted = (text.replace("\\", "/") for text in (self.prefix, path))
        prefix = prefix.rstrip("/")
        if wanted[: len(prefix)].lower() != prefix.lower() or wanted[len(prefix) : len(prefix) + 1] != "/":
            return None
        return wanted[len(prefix) :].lstrip("/")


@dataclass(frozen=True)
class ImageFolders:
    """The folders below which records may name pictures, and nowhere else."""

    roots: tuple[Path, ...] = ()  # a path may be absolute or relative to any of them
    mappings: tuple[PathMapping, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.roots or self.mappings)

    def candidates(self, path: str) -> Iterator[tuple[Path, str]]:
        """(folder, path below it) of each place that a path may mean; the longest prefix first."""
        for mapping in sorted(self.mappings, key=lambda one: -len(one.prefix)):
            rest = mapping.below(path)
            if rest is not None:
                yield mapping.folder, rest
        for root in self.roots:
            yield root, path.replace("\\", "/")

    def __str__(self) -> str:
        return ", ".join([*(f"{one.prefix} = {one.folder}" for one in self.mappings), *map(str, self.roots)])


@dataclass(frozen=True)
class FoundFile:
    """A file below a root, as it was at one look."""

    root: Path
    path: Path  # its real one, links followed
    size: int
    mtime_ns: int

    def is_new(self, now_s: float) -> bool:
        """Whether it was written to so recently that somebody may still write to it.

        Args:
            now_s: the machine's time, in seconds since the epoch; that of the share's server may be another.
        """
        return self.mtime_ns / 1e9 > now_s - NEW_S

    def is_as(self, other: FoundFile) -> bool:
        """Whether it is as it was at another look."""
        return (self.path, self.size, self.mtime_ns) == (other.path, other.size, other.mtime_ns)


def find_below(root: Path, wanted: str) -> FoundFile | None:
    """A file below a root; None when there is none. What lies outside, also by way of a link, is as if it were not
    there. May hang: called in the root's own thread (store/reach).

    Args:
        root: one of the image folders.
        wanted: the path, with slashes; absolute, or below the root.

    Raises:
        OSError: the root cannot be looked into.
    """
    try:
        real_root = root.resolve(strict=True)
        inside = _inside(wanted, root, real_root)
        if inside is None:
            return None
        real = _as_spelt_or_alike(real_root, inside).resolve(strict=True)
        if not real.is_relative_to(real_root):
            return None
        seen = real.stat()
    except (ValueError, RuntimeError):  # a NUL in the name, a loop of links
        return None
    except OSError as error:
        if error.errno in _NOT_HERE:
            return None
        raise
    return FoundFile(root, real, seen.st_size, seen.st_mtime_ns) if stat.S_ISREG(seen.st_mode) else None


def has_something(root: Path) -> bool:
    """Whether a root is there and has anything in it: a share that is not mounted leaves an empty folder behind. May
    hang, as find_below()."""
    try:
        with os.scandir(root) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _inside(wanted: str, root: Path, real_root: Path) -> str | None:
    """A path relative to its root; None when it leads out. Told from the text alone: what lies elsewhere is not
    touched, for it may hang."""
    text = os.path.normpath(wanted)
    if text.startswith("/"):
        for base in (real_root, root):
            if Path(text).is_relative_to(base):
                return str(Path(text).relative_to(base))
        return None
    return None if text == ".." or text.startswith("../") else text


def _as_spelt_or_alike(root: Path, wanted: str) -> Path:
    """A path below a root; where there is none spelt so, one that Windows or a Mac would take for the same."""
    path = root / wanted
    if path.exists():
        return path
    found = root
    for step in wanted.split("/"):
        if (found / step).exists():
            found /= step
            continue
        alike = sorted(one.name for one in found.iterdir() if _folded(one.name) == _folded(step))
        found /= alike[0] if alike else step
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
