"""Pictures of folders that may hang are copied before anybody reads them: a drawing process that hangs draws nothing.

The copying is done in the folder's own thread (store/reach), a little at a time. A file on the data folder's own file
system is linked instead.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from render.blame import named, what_fails
from render.errors import PictureMissing, PictureUnreadable, PictureUnsettled, RenderError
from render.looking import Look, Looked
from render.sources import FoundFile, ImageFolders
from store.folder import DataFolder
from store.pushed import ImageRef
from store.reach import OutOfReach, Reach, Steps

CHUNK_BYTES = 1 << 20


@dataclass
class Fetched:
    """Pictures on this machine's own disk."""

    files: dict[str, Path] = field(default_factory=dict)  # by name
    folder: Path | None = None  # with copies, which are removed afterwards

    @property
    def are_gone(self) -> bool:
        """Whether somebody removed the copies."""
        return self.folder is not None and not self.folder.is_dir()

    def remove(self) -> None:
        """They are not needed any more."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class Fetcher:
    """Brings pictures to where they can be read."""

    def __init__(self, folder: DataFolder, folders: ImageFolders, reach: Reach, purpose: str) -> None:
        """
        Args:
            folder: the data folder.
            folders: below which records may name pictures.
            reach: the folders that may hang.
            purpose: names this fetcher's place for copies; nobody else uses it. What a process before left is removed.
        """
        self._folder, self._folders, self._reach = folder, folders, reach
        self._scratch = folder.scratch / purpose
        self._numbers = itertools.count(1)  # any thread may ask
        shutil.rmtree(self._scratch, ignore_errors=True)

    def look(self, images: Sequence[ImageRef], were_there: bool = False) -> Look:
        """Begin to look where pictures lie."""
        return Look(images, self._folder, self._folders, self._reach, were_there)

    def bring(
        self, images: Sequence[ImageRef], looked: Looked | None = None, head_bytes: int | None = None
    ) -> Bringing:
        """Begin to bring pictures.

        Args:
            images: the record's references.
            looked: what a look found just now; None for pictures that were there before: they are looked for again.
            head_bytes: so much is enough of each, in a file of its whole length; None: all.
        """
        place = self._scratch / str(next(self._numbers))
        look = None if looked else self.look(images, were_there=True)
        return Bringing([image.name for image in images], looked, look, place, self._reach, head_bytes)

    @contextmanager
    def here(
        self, images: Sequence[ImageRef], looked: Looked, head_bytes: int | None = None
    ) -> Iterator[Mapping[str, Path]]:
        """Pictures where they can be read, by name, for somebody who waits; see bring().

        Raises:
            RenderError: one of them is not there, or its folder does not answer.
        """
        try:
            fetched = self.bring(images, looked, head_bytes).wait()
        except OSError as error:
            raise RenderError(f"{named(tuple(image.name for image in images))}: {what_fails(error)}") from error
        try:
            yield fetched.files
        finally:
            fetched.remove()

    def roots(self, images: Sequence[ImageRef]) -> set[Path]:
        """The folders in which pictures may lie."""
        return {root for image in images if image.path for root, _ in self._folders.candidates(image.path)}


class Bringing:
    """Some pictures on their way: looked for, then copied."""

    def __init__(
        self,
        names: Sequence[str],
        looked: Looked | None,
        look: Look | None,
        place: Path,
        reach: Reach,
        head_bytes: int | None,
    ) -> None:
        self._names, self._looked, self._look, self._place = names, looked, look, place
        self._reach, self._head_bytes = reach, head_bytes
        self._copies: list[tuple[Path, Future[None]]] | None = None  # with their roots
        self._fetched = Fetched()
        self._is_dropped = False

    @property
    def futures(self) -> list[Future[Any]]:
        """What it waits for."""
        waits: list[Future[Any]] = [future for _, future in self._copies or ()]
        if self._look is not None and self._copies is None:
            waits += self._look.futures
        return [future for future in waits if not future.done()]

    def poll(self) -> Fetched | None:
        """The pictures; None while they are on their way.

        Raises:
            RenderError: one of them cannot be used.
            OSError: a folder does not answer, or fails; or there is no room for copies.
        """
        if self._copies is None:
            looked = self._looked or (self._look.result() if self._look else None)
            if looked is None:
                return None
            self._copies = []
            self._begin(looked)
        for root, future in self._copies:
            if future.done():
                future.result()
            elif self._reach.is_silent(root):
                raise OutOfReach(root)
        return self._fetched if all(future.done() for _, future in self._copies) else None

    def wait(self) -> Fetched:
        """The pictures, for somebody who waits as long as they get on; raises as poll() does."""
        try:
            while (fetched := self.poll()) is None:
                wait(self.futures, self._reach.limit_s / 5, FIRST_COMPLETED)
        except BaseException:
            self.drop()
            raise
        return fetched

    def drop(self) -> None:
        """Nobody wants them any more."""
        self._is_dropped = True
        self._fetched.remove()

    def _begin(self, looked: Looked) -> None:
        for name in self._names:
            if name in looked.unknown:
                raise looked.unknown[name]
            if name in looked.missing:
                raise looked.missing[name]
            if name in looked.uploaded:
                self._fetched.files[name] = looked.uploaded[name]
                continue
            file = looked.found[name]
            if self._fetched.folder is None:
                self._place.mkdir(mode=0o700, parents=True)
                self._fetched.folder = self._place
            target = self._place / str(len(self._fetched.files))
            self._fetched.files[name] = target
            steps = _copy(file, name, target, self._head_bytes, lambda: self._is_dropped)
            self._copies = [*(self._copies or ()), (file.root, self._reach.begin(file.root, steps))]


def _copy(
    file: FoundFile, name: str, target: Path, head_bytes: int | None, is_dropped: Callable[[], bool]
) -> Steps[None]:
    """Bring one file here; in its root's thread.

    Raises:
        RenderError: it is not there any more, may not be read, or changed meanwhile.
        OSError: the root fails, or there is no room here.
    """
    yield
    if is_dropped() or _linked(file, target):
        return
    with _opened(file, name) as source:
        before = os.fstat(source.fileno())
        with target.open("wb") as copy:
            left = before.st_size + 1 if head_bytes is None else head_bytes
            while left > 0 and (chunk := source.read(min(CHUNK_BYTES, left))):
                copy.write(chunk)
                left -= len(chunk)
                yield
                if is_dropped():
                    break
            copied = copy.tell()
            if head_bytes is not None:
                copy.truncate(before.st_size)
        after = os.fstat(source.fileno())
    if is_dropped():
        target.unlink(missing_ok=True)
    elif (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or (
        head_bytes is None and copied != before.st_size
    ):
        raise PictureUnsettled(f"waits until {name} is completely copied")


def _linked(file: FoundFile, target: Path) -> bool:
    try:
        os.link(file.path, target, follow_symlinks=False)
    except OSError:
        return False
    if stat.S_ISREG(target.lstat().st_mode) and os.access(target, os.R_OK):
        return True
    target.unlink()
    return False


def _opened(file: FoundFile, name: str) -> io.FileIO:
    try:
        # No link, which would lead out of the root, and nothing that waits for somebody to write into it.
        handle = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise PictureUnreadable(
                f"{name}: the box may not read the file: allow it, and set the status again"
            ) from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            raise _gone(name) from error
        raise
    source = io.FileIO(handle)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        source.close()
        raise _gone(name)
    return source


def _gone(name: str) -> PictureMissing:
    return PictureMissing(f"{name}: the file is no longer where it was: put it back and set the status again")
