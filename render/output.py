"""Putting a drawn sheet where people look for it, without ever overwriting what is there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from render.errors import SheetImpossible


def publish(drawn: Path, root: Path, relative: str) -> str:
    """Give a drawn file its place below the output folder; returns the place, relative to it.

    The same file again is the same place; another file that already bears the name is left alone and the new one
    gets " (2)" and so on. The output folder gets a hard link where it can, so sheets are not kept twice.

    Raises:
        SheetImpossible: the folder cannot be made or written; says which.
    """
    wanted = root / relative
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if not wanted.parent.resolve().is_relative_to(root.resolve()):
            raise SheetImpossible(f"{relative}: a link leads out of the output folder: remove it")
        for number in range(1, 10_000):
            place = wanted if number == 1 else wanted.with_stem(f"{wanted.stem} ({number})")
            if _link(drawn, place):
                return place.relative_to(root).as_posix()
    except OSError as error:
        raise SheetImpossible(f"{relative} cannot be written ({error.strerror}): check the output folder") from error
    raise SheetImpossible(f"{relative}: there are 9,999 files of this name: clear the output folder")


def _link(drawn: Path, place: Path) -> bool:
    try:
        os.link(drawn, place)
    except FileExistsError:
        return place.samefile(drawn)
    except OSError:  # another file system, or one without links
        if place.exists():
            return place.stat().st_size == drawn.stat().st_size and place.read_bytes() == drawn.read_bytes()
        temporary = place.with_name(f".{place.name}.part")
        shutil.copyfile(drawn, temporary)
        temporary.rename(place)
    return True
