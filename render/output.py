"""Putting a drawn sheet where people look for it, without overwriting what is there unasked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from render.errors import SheetImpossible
from store.profiles import IfExists


def publish(drawn: Path, root: Path, relative: str, if_exists: IfExists = IfExists.NUMBER) -> str:
    """Give a drawn file its place below the output folder; returns the place, relative to it.

    The same file again is the same place. Where another file already bears the name, the profile says what happens;
    nothing is overwritten unless it says so. The output folder gets a hard link where it can, so sheets are not kept
    twice.

    Raises:
        SheetImpossible: the folder cannot be made or written, or the name is taken; says which.
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
            if if_exists is IfExists.REPLACE and not place.is_dir():
                _replace(drawn, place)
                return relative
            if if_exists is IfExists.FAIL:
                raise SheetImpossible(
                    f"{relative} is in the output folder already, and the profile says not to touch it: move the old "
                    "file away and set the status again"
                )
    except OSError as error:
        raise SheetImpossible(f"{relative} cannot be written ({error.strerror}): check the output folder") from error
    raise SheetImpossible(f"{relative}: there are 9,999 files of this name: clear the output folder")


def _replace(drawn: Path, place: Path) -> None:
    temporary = place.with_name(f".{place.name}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(drawn, temporary)
    except OSError:  # another file system, or one without links
        shutil.copyfile(drawn, temporary)
    temporary.replace(place)


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
