"""Putting drawn sheets where people look for them, without overwriting what is there unasked.

A sheet's name is chosen, written down in its row, and only then the file appears: after a crash the same sheet has the
same name. The output folder may be a share: all of it is done in that folder's own thread (store/reach).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from render.errors import RenderError, SheetImpossible
from store.profiles import IfExists
from store.reach import Reach, Steps

MOST_OF_A_NAME = 10_000
CHUNK_BYTES = 1 << 20
# A name that the folder will never take; everything else may be mended.
_NEVER = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})
_NO_LINKS = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL}
)


@dataclass
class Drawing:
    """A drawn sheet on its way to the output folder."""

    sheet_id: int
    drawn: Path  # its file in the data folder
    wanted: str  # below the output folder
    if_exists: IfExists
    size_px: tuple[int, int]
    file: str = ""  # the name that it has; '' until it was chosen
    error: RenderError | None = None  # why it gets none
    is_placed: bool = False


@dataclass(eq=False)
class Publication:
    """The drawn sheets of one task."""

    ticket_id: int
    drawings: tuple[Drawing, ...]
    is_placing: bool = False  # the names stand in the sheets' rows, and the files appear
    is_given_up: bool = False
    future: Future[None] = field(default_factory=Future)


class Publisher:
    """Takes drawn sheets to the output folder."""

    def __init__(self, reach: Reach, root: Path) -> None:
        """
        Args:
            reach: the folders that may hang.
            root: the output folder.
        """
        self._reach, self._root = reach, root
        self._taken: set[str] = set()  # names of files that are on their way; read in the folder's thread

    def take(self, names: Iterable[str]) -> None:
        """Names that were written down before a crash."""
        self._taken = set(names)

    def begin(self, publication: Publication) -> None:
        """Begin the next step: to choose names for the sheets that have none or, when all have one that stands in
        their rows, to let the files appear.

        Raises:
            OutOfReach: the folder does not answer.
        """
        publication.is_placing = all(drawing.file or drawing.error for drawing in publication.drawings)
        if publication.is_placing:
            self._taken.update(drawing.file for drawing in publication.drawings if drawing.file)
        steps = self._place(publication) if publication.is_placing else self._choose(publication)
        publication.future = self._reach.begin(self._root, steps)

    def end(self, publication: Publication) -> None:
        """The files are where they belong, or will not come; what is under way has no effect any more."""
        publication.is_given_up = True
        self._taken.difference_update(drawing.file for drawing in publication.drawings)

    def _choose(self, publication: Publication) -> Steps[None]:
        for drawing in publication.drawings:
            if drawing.file or drawing.error:
                continue
            try:
                drawing.file = free_name(self._root, drawing.wanted, drawing.if_exists, self._taken)
            except RenderError as error:
                drawing.error = error
            if publication.is_given_up:
                return
            self._taken.add(drawing.file)
            yield

    def _place(self, publication: Publication) -> Steps[None]:
        for drawing in publication.drawings:
            if drawing.is_placed or drawing.error or publication.is_given_up:
                continue
            try:
                drawing.is_placed = yield from place(drawing.drawn, self._root, drawing.file, drawing.if_exists)
                if not drawing.is_placed:  # somebody else's file came in between
                    self._taken.discard(drawing.file)
                    drawing.file = ""
            except RenderError as error:
                drawing.error = error
            yield


def free_name(root: Path, wanted: str, if_exists: IfExists, taken: Collection[str]) -> str:
    """The name that a new sheet gets below the output folder.

    Args:
        root: the output folder.
        wanted: the name by the profile's templates.
        if_exists: what happens where another file has it.
        taken: names of files that are on their way.

    Raises:
        SheetImpossible: there is none; says why.
        OSError: the folder fails.
    """
    first = root / wanted
    try:
        _make_folder(root, first)
        for number in range(1, MOST_OF_A_NAME):
            name = first if number == 1 else first.with_stem(f"{first.stem} ({number})")
            relative = name.relative_to(root).as_posix()
            if relative not in taken and not _is_there(name):
                return relative
            if if_exists is IfExists.REPLACE and not name.is_dir():
                return wanted
            if if_exists is IfExists.FAIL:
                raise _occupied(wanted)
    except OSError as error:
        _check_name(wanted, error)
        raise
    raise SheetImpossible(f"{wanted}: there are {MOST_OF_A_NAME - 1:,} files of this name: clear the output folder")


def place(drawn: Path, root: Path, relative: str, if_exists: IfExists) -> Steps[bool]:
    """Let a drawn file appear under the name that was written down for it; returns whether it did: a file that somebody
    else has put there meanwhile is left alone.

    The output folder gets a hard link where it can, so that sheets are not kept twice.

    Raises:
        SheetImpossible: the name cannot be used; says why.
        OSError: the folder fails.
    """
    target = root / relative
    try:
        _make_folder(root, target)
        try:
            os.link(drawn, target)
            return True
        except FileExistsError:
            has_links = True
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            has_links = False
        if _is_there(target) and not target.is_dir() and (yield from _is_same(drawn, target)):
            return True  # it was put there before a crash
        if _is_there(target) and (if_exists is not IfExists.REPLACE or target.is_dir()):
            if if_exists is IfExists.FAIL:
                raise _occupied(relative)
            return False
        temporary = target.with_name(f".{target.name}.part")
        temporary.unlink(missing_ok=True)
        if has_links:
            os.link(drawn, temporary)
        else:
            yield from _copy(drawn, temporary)
        temporary.replace(target)
    except OSError as error:
        _check_name(relative, error)
        raise
    return True


def _make_folder(root: Path, target: Path) -> None:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise SheetImpossible(f"{target.relative_to(root)}: a link leads out of the output folder: remove it")


def _is_there(path: Path) -> bool:
    """Whether anything has this name; unlike Path.exists(), what the folder refuses to tell is raised."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _occupied(relative: str) -> SheetImpossible:
    return SheetImpossible(
        f"{relative} is in the output folder already, and the profile says not to touch it: move the old file away and "
        "set the status again"
    )


def _check_name(relative: str, error: OSError) -> None:
    """Tell the one error of the folder that is the sheet's own: a name that it will never take."""
    if error.errno in _NEVER:
        why = error.strerror or error
        raise SheetImpossible(
            f"{relative}: the output folder does not take this name ({why}): shorten the profile's folder or file name"
        ) from error


def _is_same(drawn: Path, there: Path) -> Steps[bool]:
    if there.samefile(drawn):
        return True
    if there.stat().st_size != drawn.stat().st_size:
        return False
    with drawn.open("rb") as ours, there.open("rb") as theirs:
        while chunk := ours.read(CHUNK_BYTES):
            yield
            if theirs.read(CHUNK_BYTES) != chunk:
                return False
    return True


def _copy(drawn: Path, temporary: Path) -> Steps[None]:
    try:
        with drawn.open("rb") as source, temporary.open("wb") as copy:
            while chunk := source.read(CHUNK_BYTES):
                copy.write(chunk)
                yield
            copy.flush()
            os.fsync(copy.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
