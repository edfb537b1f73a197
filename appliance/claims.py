"""A hot folder on the disk: what is taken out of it, and where it goes.

    .taken/DROP/     what was taken, with claim.json; DROP names it among all, and its records remember that name
    Done/DROP/       what is printed, or on its way there
    Problems/        what cannot be taken, each with a text that says why

A claim is written down before anything is moved. So a crash at any point is gone on with: what was claimed and has no
ticket gets one, what has one is only put aside.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from datetime import datetime
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import AfterValidator, Field, ValidationError

from appliance import strangers
from appliance.job_tickets import Line
from appliance.names import UNNAMED, fit_file, readable
from appliance.strangers import Unfit, is_nobodys
from store.folder import sync_folder
from store.model import Model

log = structlog.get_logger("hot_folders")

TAKEN, DONE, PROBLEMS = ".taken", "Done", "Problems"
OWN = (TAKEN, DONE, PROBLEMS)
CLAIM = "claim.json"
WHY = " - why.txt"
MOST_CLAIM_BYTES = 32_000_000
MOST_COUNTED = 10_000  # problems
_BAD_NAME = frozenset({errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG})  # this file system takes fewer letters


def encoded(name: str) -> str:
    """A name of the file system as JSON can hold it: one that is not UTF-8 in hex behind a NUL, which no name has."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "\0" + os.fsencode(name).hex()
    return name


def decoded(name: str) -> str:
    """The name again."""
    return os.fsdecode(bytes.fromhex(name[1:])) if name.startswith("\0") else name


# Whoever may write into a hot folder may also write a claim: it must not lead out of it.
def _plain(name: str) -> str:
    real = decoded(name)
    if real in ("", ".", "..", *OWN) or real.casefold() == CLAIM or "/" in real or "\0" in real:
        raise ValueError("not the plain name of something in the hot folder")
    return name


def _plain_path(path: str) -> str:
    for step in decoded(path).split("/"):
        if step in ("", ".", "..") or "\0" in step:
            raise ValueError("not a path below the hot folder")
    return path


PlainName = Annotated[str, AfterValidator(_plain)]
PlainPath = Annotated[str, AfterValidator(_plain_path)]


class Wanted(Model):
    """A record to be."""

    number: str
    client: str = ""
    lines: tuple[Line, ...]


class Claim(Model):
    """What is taken away, and what it is to become; lies beside it, and is whole or not there."""

    moves: tuple[PlainName, ...]  # in the hot folder; encoded()
    records: tuple[Wanted, ...]
    # By image's name, where that is not the file's: its path below what is taken; encoded().
    files: dict[str, PlainPath] = Field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of what is taken, in the file system."""
        return [decoded(name) for name in self.moves]


class PlaceFailed(Exception):
    """The hot folder as a whole cannot be used; says why."""


class Place:
    """One hot folder's own folders."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: of the hot folder.
        """
        self.path = path
        self._unmade = ""  # a DROP that could not be made whole, nor taken away: used again instead of many of them

    def prepare(self) -> None:
        """See that it is there, and that nothing else lies where its own folders belong.

        Raises:
            OSError: it cannot be made, or something in the way cannot be moved.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for own in OWN:
            # A link would lead out of the hot folder; whatever it is, it is then put aside as any other drop.
            if os.path.lexists(self.path / own) and not _is_folder(self.path / own):
                with contextlib.suppress(FileNotFoundError):
                    (self.path / own).rename(self.path / f"{own.strip('.')} {secrets.token_hex(2)}")

    def is_own(self, name: str) -> bool:
        """Whether a folder is one of the box's: under any name that the file system takes for it."""
        if name in OWN:
            return True
        for own in OWN:
            if name.casefold() == own.casefold():
                with contextlib.suppress(OSError):
                    return (self.path / own).samefile(self.path / name)
        return False

    def _own(self, name: str) -> Path:
        (self.path / name).mkdir(exist_ok=True)
        return self.path / name

    # -- problems -------------------------------------------------------------------------------------------------

    def put_aside(self, path: Path, why: str) -> None:
        """Move something to where the problems lie, with a text that says why.

        Args:
            path: where it lies.
            why: a sentence, with its name.

        Raises:
            OSError: it cannot be moved; it lies where it lay.
        """
        aside = self._own(PROBLEMS)
        text = _explained(aside, readable(path.name) or UNNAMED, f"{why}\n\nCorrect it and drop it again.\n")
        try:
            path.rename(_free(aside, path.name))
        except OSError:
            text.unlink(missing_ok=True)
            raise
        log.warning("hot_folder.refused", folder=self.path.name, why=why)

    def problems(self) -> int:
        """How many things were put aside and still lie there."""
        count = 0
        try:
            with os.scandir(self.path / PROBLEMS) as entries:
                for entry in entries:
                    count += not entry.name.endswith(WHY) and not is_nobodys(entry.name)
                    if count >= MOST_COUNTED:
                        break
        except FileNotFoundError:
            return 0
        return count

    # -- taking ---------------------------------------------------------------------------------------------------

    def claim(self, claim: Claim, now: datetime) -> str:
        """Write down what is to be taken; from then on it is gone on with, whatever happens. Returns DROP.

        Raises:
            PlaceFailed: nothing can be written there.
        """
        drop = self._unmade or f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        self._unmade = drop
        try:
            taken = self._own(TAKEN) / drop
            taken.mkdir(exist_ok=True)
            partial = taken / f"{CLAIM}.part"
            with partial.open("w", encoding="utf-8") as file:
                json.dump(claim.model_dump(mode="json", exclude_defaults=True), file)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(taken / CLAIM)
            _sync(taken)
            _sync(taken.parent)
        except OSError as error:
            raise PlaceFailed(f"cannot be written to ({strangers.why(error)}): let Printroom write there") from error
        self._unmade = ""
        log.info("hot_folder.claimed", folder=self.path.name, drop=drop, files=len(claim.moves))
        return drop

    def pending(self) -> list[str]:
        """Each DROP that was claimed and is not at its end."""
        try:
            names = os.listdir(self.path / TAKEN)  # noqa: PTH208  (names, not paths)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if not is_nobodys(name))

    def read(self, drop: str) -> Claim | None:
        """What was claimed. None: it never counted, so nothing was taken away yet, or somebody wrote it by hand; what
        lies there is put aside.

        Raises:
            OSError: the folder does not take or give.
        """
        try:
            return Claim.model_validate_json(self._written(drop))
        except (Unfit, ValidationError):
            self._discard(drop)
            return None
        except OSError as error:
            if error.errno not in strangers.ITS_OWN:
                raise
            self._discard(drop)
            return None

    def _written(self, drop: str) -> bytes:
        return strangers.beginning(self.path, f"{TAKEN}/{drop}/{CLAIM}", MOST_CLAIM_BYTES)

    def _discard(self, drop: str) -> None:
        taken = self.path / TAKEN / drop
        if _is_folder(taken):
            names = set(os.listdir(taken))  # noqa: PTH208
            if names <= {CLAIM, f"{CLAIM}.part"} and not any(_is_folder(taken / name) for name in names):
                for name in names:
                    (taken / name).unlink()
                taken.rmdir()
                return
        self.put_aside(taken, f"{readable(drop)}: the box has lost what it was to become")

    def take(self, drop: str, claim: Claim) -> list[str]:
        """Move what was claimed out of people's way; returns the names of what is there.

        Raises:
            OSError: something of it cannot be moved; then all of it lies where it lay, and the claim is withdrawn, as
                far as the file system lets us.
        """
        taken, moved = self.path / TAKEN / drop, []
        for name in claim.names:
            try:
                if not os.path.lexists(taken / name):
                    (self.path / name).rename(taken / name)
                    moved.append(name)
            except FileNotFoundError:
                continue  # somebody took it back
            except OSError:
                self._withdraw(taken, moved, claim)
                raise
        return [name for name in claim.names if os.path.lexists(taken / name)]

    def _withdraw(self, taken: Path, moved: list[str], claim: Claim) -> None:
        for name in moved:
            if not os.path.lexists(self.path / name):
                (taken / name).rename(self.path / name)
        if not any(os.path.lexists(taken / name) for name in claim.names):
            (taken / CLAIM).unlink()
            taken.rmdir()

    def forget(self, drop: str) -> None:
        """Nothing is left of what was claimed."""
        (self.path / TAKEN / drop / CLAIM).unlink(missing_ok=True)
        (self.path / TAKEN / drop).rmdir()

    def refuse(self, drop: str, claim: Claim, why: str) -> None:
        """Put aside all that was taken."""
        taken = self.path / TAKEN / drop
        for name in claim.names:
            if os.path.lexists(taken / name):
                self.put_aside(taken / name, why)
        self.forget(drop)

    def finish(self, drop: str, claim: Claim, keeps_files: bool) -> None:
        """All of it has its tickets: keep it where people see it, or delete it."""
        taken = self.path / TAKEN / drop
        if keeps_files:
            done = self._own(DONE) / drop
            taken.rename(done)
            with contextlib.suppress(OSError):
                (done / CLAIM).unlink()
            return
        for name in claim.names:  # the claim is the last to go: without it nobody knows that these are printed
            _delete(taken / name)
        self.forget(drop)


def _sync(folder: Path) -> None:
    """Names to the disk, where the file system knows of that: some shares do not, for folders."""
    try:
        sync_folder(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _delete(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _explained(folder: Path, name: str, text: str) -> Path:
    """Write why something lies in a folder; returns where."""
    path = _free(folder, name, WHY)
    try:
        with path.open("x", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        if name == UNNAMED or error.errno not in _BAD_NAME:
            raise
        return _explained(folder, UNNAMED, text)
    return path


def _free(folder: Path, name: str, behind: str = "") -> Path:
    """A path in a folder under which nothing lies."""
    path = folder / fit_file(name, behind)
    while os.path.lexists(path):
        path = folder / fit_file(f"{secrets.token_hex(2)} {name}", behind)
    return path
