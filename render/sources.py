"""Where a record's pictures lie: uploaded ones by digest, others below the configured image folders only."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from render.errors import PictureMissing, PictureUnsettled
from store.folder import DataFolder
from store.pushed import ImageRef

SETTLE_S = 2.0  # a file that was written to more recently may still be growing


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


def check_settled(path: Path, name: str, now_s: float) -> None:
    """Refuse a file that somebody may still be copying.

    Args:
        path: the file.
        name: for messages.
        now_s: the time, in seconds since the epoch.

    Raises:
        PictureUnsettled: it was written to a moment ago.
    """
    if 0 <= now_s - path.stat().st_mtime < SETTLE_S:
        raise PictureUnsettled(f"waits until {name} is completely copied")


def locate(image: ImageRef, folder: DataFolder, folders: ImageFolders) -> Path:
    """The file of a picture.

    Args:
        image: the record's reference.
        folder: the data folder, for uploaded pictures.
        folders: below which paths are allowed.

    Raises:
        PictureMissing: names the picture and says what to do. A path outside the folders is treated as missing
            whether or not there is a file, symbolic links included.
    """
    if image.sha256 is not None:
        path = folder.image(image.sha256)
        if not path.is_file():
            raise PictureMissing(
                f"{image.name}: no picture with this digest was uploaded; PUT it first, then push again"
            )
        return path
    if not folders:
        raise PictureMissing(f"{image.name}: the box has no image folders; set PRINTROOM_IMAGE_ROOTS or upload it")
    for root, wanted in folders.candidates(image.path or ""):
        try:
            real_root = root.resolve(strict=True)
            real = _as_spelt_or_alike(real_root, wanted).resolve(strict=True)
        except (OSError, ValueError):  # not there, a loop of links, a NUL in the name
            continue
        if real.is_relative_to(real_root) and real.is_file():
            return real
    raise PictureMissing(f"{image.name}: no file '{image.path}' below the image folders ({folders})")


def _as_spelt_or_alike(root: Path, wanted: str) -> Path:
    """A path below a root; where there is none spelt so, one that Windows or a Mac would take for the same."""
    path = root / wanted
    steps = wanted.split("/")
    if path.exists() or Path(wanted).is_absolute() or ".." in steps:
        return path
    found = root
    for step in steps:
        if (found / step).exists():
            found /= step
            continue
        alike = sorted(one.name for one in found.iterdir() if _folded(one.name) == _folded(step))
        found /= alike[0] if alike else step
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
