"""Finding pictures without waiting for folders that hang: each root is asked in its own thread, all at once."""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from render.errors import PictureMissing
from render.sources import FoundFile, ImageFolders, find_below, has_something
from store.folder import DataFolder
from store.pushed import ImageRef
from store.reach import OutOfReach, Reach, Steps


@dataclass
class Looked:
    """What a look at pictures found out."""

    uploaded: dict[str, Path] = field(default_factory=dict)  # in the data folder, by name
    found: dict[str, FoundFile] = field(default_factory=dict)  # below image folders
    missing: dict[str, PictureMissing] = field(default_factory=dict)
    unknown: dict[str, OSError] = field(
        default_factory=dict
    )  # a folder in which they may lie does not answer, or fails

    @property
    def trouble(self) -> OSError | None:
        """Of a folder, for which it is not known where all pictures are."""
        return next(iter(self.unknown.values()), None)


class Look:
    """One look at where pictures lie."""

    def __init__(
        self,
        images: Sequence[ImageRef],
        folder: DataFolder,
        folders: ImageFolders,
        reach: Reach,
        were_there: bool = False,
    ) -> None:
        """
        Args:
            images: the record's references.
            folder: the data folder, for uploaded pictures.
            folders: below which paths are allowed.
            reach: the folders that may hang.
            were_there: at an earlier look; a folder in which there is nothing at all now has gone away.
        """
        self._folders, self._reach = folders, reach
        self._known = Looked()
        self._wanted: list[ImageRef] = []
        for image in images:
            self._sort(image, folder)
        self._answers: dict[Path, Future[dict[str, FoundFile]]] = {}
        self._errors: dict[Path, OSError] = {}
        for root, paths in self._by_root().items():
            try:
                self._answers[root] = reach.begin(root, _find(root, paths, were_there))
            except OutOfReach as error:
                self._errors[root] = error

    def result(self) -> Looked | None:
        """What was found; None while it is not known yet. A folder that does not answer is not waited for."""
        if any(not answer.done() and not self._reach.is_silent(root) for root, answer in self._answers.items()):
            return None
        return self._result()

    def wait(self) -> Looked:
        """What was found in the time that one look may take; what is not known then counts as out of reach."""
        wait(self._answers.values(), self._reach.limit_s)
        return self._result()

    @property
    def futures(self) -> list[Future[dict[str, FoundFile]]]:
        """Whose end is news."""
        return list(self._answers.values())

    def _sort(self, image: ImageRef, folder: DataFolder) -> None:
        if image.sha256 is None:
            if self._folders:
                self._wanted.append(image)
            else:
                why = f"{image.name}: the box has no image folders; set PRINTROOM_IMAGE_ROOTS or upload it"
                self._known.missing[image.name] = PictureMissing(why)
        elif (path := folder.image(image.sha256)).is_file():
            self._known.uploaded[image.name] = path
        else:
            why = f"{image.name}: no picture with this digest was uploaded; PUT it first, then push again"
            self._known.missing[image.name] = PictureMissing(why)

    def _by_root(self) -> dict[Path, list[tuple[str, str]]]:
        paths: dict[Path, list[tuple[str, str]]] = defaultdict(list)
        for image in self._wanted:
            for root, rest in self._folders.candidates(image.path or ""):
                paths[root].append((image.name, rest))
        return paths

    def _result(self) -> Looked:
        found: dict[Path, dict[str, FoundFile]] = {}
        for root, answer in self._answers.items():
            try:
                found[root] = answer.result(0) if answer.done() else {}
                if not answer.done():
                    self._errors[root] = OutOfReach(root)
            except OSError as error:
                self._errors[root] = _of(root, error)
        for image in self._wanted:
            self._settle(image, found)
        return self._known

    def _settle(self, image: ImageRef, found: dict[Path, dict[str, FoundFile]]) -> None:
        """Where it is, in the first folder that has it. One that does not answer keeps nobody waiting whose picture
        lies in another."""
        roots = [root for root, _ in self._folders.candidates(image.path or "")]
        here = next((file for root in roots if (file := found.get(root, {}).get(image.name))), None)
        trouble = next((self._errors[root] for root in roots if root in self._errors), None)
        if here is not None:
            self._known.found[image.name] = here
        elif trouble is not None:
            self._known.unknown[image.name] = trouble
        else:
            why = f"{image.name}: no file '{image.path}' below the image folders ({self._folders})"
            self._known.missing[image.name] = PictureMissing(why)


def _find(root: Path, paths: Sequence[tuple[str, str]], were_there: bool) -> Steps[dict[str, FoundFile]]:
    """Which of (name, path) a root has."""
    found: dict[str, FoundFile] = {}
    for name, path in paths:
        file = find_below(root, path) if name not in found else None
        if file is not None:
            found[name] = file
        yield
    if were_there and not found and not has_something(root):
        raise FileNotFoundError(errno.ENOENT, "the folder is empty or not there", str(root))
    return found


def _of(root: Path, error: OSError) -> OSError:
    """An error with the root's name in it: people know that."""
    return OSError(error.errno or errno.EIO, error.strerror or str(error), str(root))
