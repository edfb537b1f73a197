"""Watching hot folders: what has stopped growing is taken, becomes a record and a ticket, and is put aside.

A drop is claimed by renaming it into `.taken/DROP/`, where DROP names it among all; its record remembers that name. So
a crash at any point is gone on with: what was claimed and has no ticket gets one, what has one is only put aside.
Shares do not tell of changes on them, so folders are looked at again and again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import AfterValidator, ValidationError

from appliance import job_tickets
from appliance.job_tickets import JobTicket, JobTicketWrong, Line
from store import intake
from store.errors import NotFound
from store.folder import sync_folder
from store.hot_folders import ARRIVED, HotFolder
from store.model import Model
from store.pushed import ImageRef, Item, RecordKind, RecordPush
from store.tables import Store

log = structlog.get_logger("hot_folders")

LOOK_EVERY_S = 1.0
SETTLE_S = 3.0  # a file that grew or was renamed more recently may not be whole yet
WAIT_FOR_PICTURES_S = 3600.0  # a job ticket waits so long for the pictures that it names
EMPTY_LIMIT_S = 120.0
PICTURES = frozenset({".jpg", ".jpeg", ".tif", ".tiff", ".png", ".heic", ".heif", ".psd", ".webp"})
TAKEN, DONE, PROBLEMS = ".taken", "Done", "Problems"
_OWN = frozenset({DONE.lower(), PROBLEMS.lower()})
_NOT_FILES = frozenset({"thumbs.db", "desktop.ini"})  # which Windows leaves everywhere


# Whoever may write into a hot folder may also write a claim: it must not lead out of it.
def _plain(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError("not the plain name of something in the hot folder")
    return name


PlainName = Annotated[str, AfterValidator(_plain)]
UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR})


class Wanted(Model):
    """A record to be."""

    number: str
    client: str = ""
    lines: tuple[Line, ...]


class Claim(Model):
    """What is taken away, and what it is to become; lies beside it, and is whole or not there."""

    moves: tuple[PlainName, ...]  # in the hot folder
    records: tuple[Wanted, ...]


CLAIM = "claim.json"


@dataclass(frozen=True)
class Seen:
    """A file as it was at one look."""

    path: Path
    size: int
    mtime_ns: int
    since: float  # when it was first seen so, on the monotonic clock


class HotFolders:
    """Looks into every hot folder."""

    def __init__(self, store: Store, root: Path, settle_s: float = SETTLE_S) -> None:
        """
        Args:
            store: the open store.
            root: below it each hot folder has its own.
            settle_s: how long a file must have stayed the same.
        """
        self._store, self._root, self._settle_s = store, root, settle_s
        self._seen: dict[Path, Seen] = {}
        self._told: dict[int, str] = {}  # by hot folder, the failure that was logged and lasts

    def step(self, now: datetime) -> float:
        """One look into each."""
        self._look_everywhere(now)
        return LOOK_EVERY_S

    def _look_everywhere(self, now: datetime) -> None:
        before, self._seen = self._seen, {}
        for hot_folder in self._store.hot_folders.all():
            if hot_folder.inactive:
                continue
            place = self._root / hot_folder.name
            try:
                place.mkdir(parents=True, exist_ok=True)
                for own in (TAKEN, DONE, PROBLEMS):
                    if (place / own).is_symlink():
                        raise OSError(f"{place / own} is a link: the box follows none out of a hot folder")
                # What is claimed is taken away before anybody looks: it must not be claimed twice.
                for claimed in sorted((place / TAKEN).iterdir()) if (place / TAKEN).is_dir() else ():
                    self._go_on(hot_folder, place, claimed, now)
                self._look(hot_folder, place, before)
                self._told.pop(hot_folder.id, None)
            except OSError as error:  # a share that went away, say; the other folders are not harmed
                if self._told.get(hot_folder.id) != str(error):
                    self._told[hot_folder.id] = str(error)
                    log.error("hot_folder.failed", name=hot_folder.name, error=str(error))

    # -- looking --------------------------------------------------------------------------------------------------

    def _look(self, hot_folder: HotFolder, place: Path, before: dict[Path, Seen]) -> None:
        files: list[Path] = []
        folders: list[Path] = []
        for path in sorted(place.iterdir()):
            if path.name.startswith((".", "~")) or path.name.lower() in _OWN | _NOT_FILES or path.is_symlink():
                continue
            (folders if path.is_dir() else files).append(path)
        quiet = {path for path in files if self._is_quiet(path, before)}
        for path in files:
            seen = self._seen.get(path)
            if seen is not None and seen.size == 0 and self._store.clock.monotonic() - seen.since > EMPTY_LIMIT_S:
                self._refuse(place, [path], f"{path.name} is empty: drop it again")
        named: set[str] = set()
        slips = [path for path in files if path.suffix.lower() in job_tickets.ENDINGS]
        for path in slips:
            named |= self._job_ticket(place, path, quiet)
        if any(path not in quiet and path.exists() for path in slips if path in self._seen):
            return  # a job ticket is just being written: it may name any of what lies here
        for path in sorted(quiet):
            if not path.exists() or path.name.casefold() in named or path.suffix.lower() in job_tickets.ENDINGS:
                continue
            if path.suffix.lower() not in PICTURES:
                why = f"{path.name} is not a picture that the box can print: send JPEG, TIFF or PNG"
                self._refuse(place, [path], why)
            elif not hot_folder.needs_job_ticket:
                one = Wanted(number=path.stem, lines=(Line(image=path.name),))
                self._claim(place, Claim(moves=(path.name,), records=(one,)))
        for folder in folders:
            self._subfolder(hot_folder, place, folder, before)

    def _is_quiet(self, path: Path, before: dict[Path, Seen]) -> bool:
        """Whether a file has stayed the same for a while, as far as we have seen."""
        try:
            stat = path.stat()
        except OSError:
            return False
        old = before.get(path)
        is_same = old is not None and (old.size, old.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        now_s = self._store.clock.monotonic()
        since = old.since if old is not None and is_same else now_s
        self._seen[path] = Seen(path, stat.st_size, stat.st_mtime_ns, since)
        return now_s - since >= self._settle_s and stat.st_size > 0

    def _job_ticket(self, place: Path, path: Path, quiet: set[Path]) -> set[str]:
        """Take a job ticket whose pictures are all here, from `quiet` too; returns the names that are its own."""
        if path not in quiet:
            return set()
        try:
            tickets = _read(path)
        except JobTicketWrong as error:
            self._refuse(place, [path], str(error))
            return set()
        here = {one.name.casefold(): one for one in quiet}
        wanted = {line.image.casefold(): line.image for ticket in tickets for line in ticket.items}
        missing = [name for folded, name in wanted.items() if folded not in here]
        if missing:
            if self._store.clock.monotonic() - self._seen[path].since > WAIT_FOR_PICTURES_S:
                self._refuse(place, [path], f"{path.name} names pictures that did not come: {', '.join(missing[:5])}")
            return set(wanted)
        used = [here[folded].name for folded in wanted]
        self._claim(place, Claim(moves=(*used, path.name), records=_wanted(tickets, path.stem, here)))
        quiet -= {here[folded] for folded in wanted}
        return set(wanted)

    def _subfolder(self, hot_folder: HotFolder, place: Path, folder: Path, before: dict[Path, Seen]) -> None:
        """A folder with pictures is one record, once all in it has stopped growing; or what a job ticket in it says."""
        inside = [
            path
            for path in sorted(folder.rglob("*"))
            if not path.is_symlink() and path.is_file() and not path.name.startswith((".", "~"))
        ]
        inside = [path for path in inside if path.name.lower() not in _NOT_FILES]
        quiet = [path for path in inside if self._is_quiet(path, before)]
        if not inside or len(quiet) < len(inside):
            return
        pictures = [path for path in inside if path.suffix.lower() in PICTURES]
        slips = [path for path in inside if path.suffix.lower() in job_tickets.ENDINGS]
        try:
            if len({path.name.casefold() for path in pictures}) < len(pictures):
                raise JobTicketWrong(f"{folder.name}: two pictures in it have the same name: give each its own")
            if slips:
                tickets = [one for slip in slips for one in _read(slip)]
            elif hot_folder.needs_job_ticket:
                return
            else:
                if not pictures:
                    raise JobTicketWrong(f"{folder.name}: there is no picture in it that the box can print")
                tickets = [JobTicket(items=tuple(Line(image=path.name) for path in pictures))]
            here = {path.name.casefold(): path for path in pictures}
            missing = [line.image for one in tickets for line in one.items if line.image.casefold() not in here]
            if missing:
                if self._store.clock.monotonic() - max(self._seen[path].since for path in inside) < WAIT_FOR_PICTURES_S:
                    return
                raise JobTicketWrong(f"{folder.name}: pictures that are named did not come: {', '.join(missing[:5])}")
        except JobTicketWrong as error:
            self._refuse(place, [folder], str(error))
            return
        self._claim(place, Claim(moves=(folder.name,), records=_wanted(tickets, folder.name, here)))

    # -- taking ---------------------------------------------------------------------------------------------------

    def _claim(self, place: Path, claim: Claim) -> None:
        """Write down what is to be taken; from then on it is gone on with, whatever happens."""
        drop = f"{self._store.clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        taken = place / TAKEN / drop
        taken.mkdir(parents=True)
        partial = taken / f"{CLAIM}.part"
        with partial.open("w") as file:
            file.write(claim.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        partial.rename(taken / CLAIM)
        sync_folder(taken)
        sync_folder(taken.parent)
        log.info("hot_folder.claimed", folder=place.name, drop=drop, files=len(claim.moves))

    def _go_on(self, hot_folder: HotFolder, place: Path, taken: Path, now: datetime) -> None:
        """Bring a claimed drop to its end, from wherever it was left."""
        if taken.is_symlink():
            taken.unlink()
            return
        try:
            claim = Claim.model_validate_json((taken / CLAIM).read_bytes())
        except (OSError, ValidationError):  # cut off before it counted: nothing was taken away yet
            (taken / CLAIM).unlink(missing_ok=True)
            (taken / f"{CLAIM}.part").unlink(missing_ok=True)
            taken.rmdir()
            return
        for name in claim.moves:
            if not (taken / name).exists() and (place / name).exists():
                (place / name).rename(taken / name)
        files = {path.name: path for path in taken.rglob("*") if path.is_file() and not path.is_symlink()}
        for position, wanted in enumerate(claim.records):
            drop = f"{taken.name}/{position}"
            if self._store.records.by("drop", drop):
                continue
            try:
                push = self._push(hot_folder, wanted, files)
                ticket = intake.accept_drop(self._store, hot_folder, push, drop, now)
            except (ValidationError, NotFound, KeyError, OSError) as error:
                if isinstance(error, OSError) and error.errno not in UNREADABLE:
                    raise  # a full disk, say: it is gone on with later
                self._refuse(place, [taken], f"{wanted.number}: cannot be printed: {error}")
                return
            log.info("hot_folder.ticket", folder=place.name, drop=drop, ticket=ticket.id)
        if hot_folder.keeps_files:
            (place / DONE).mkdir(exist_ok=True)
            taken.rename(place / DONE / taken.name)
            (place / DONE / taken.name / CLAIM).unlink(missing_ok=True)
        else:
            shutil.rmtree(taken)

    def _push(self, hot_folder: HotFolder, wanted: Wanted, files: dict[str, Path]) -> RecordPush:
        names = list(dict.fromkeys(line.image for line in wanted.lines))
        return RecordPush(
            kind=RecordKind.HOT_FOLDER,
            number=wanted.number,
            revision=1,
            status=ARRIVED,
            client_name=wanted.client,
            images=tuple(ImageRef(name=name, sha256=self._keep(files[name])) for name in names),
            items=tuple(
                Item(
                    id=str(position),
                    image=line.image,
                    size=line.size or hot_folder.size,
                    quantity=line.quantity or hot_folder.quantity,
                    crop=line.crop,
                    product=line.product,
                )
                for position, line in enumerate(wanted.lines, 1)
            ),
        )

    def _keep(self, path: Path) -> str:
        """Bring a picture among the uploaded ones, durably; returns its digest."""
        folder = self._store.folder
        partial = folder.incoming / f"hot-{secrets.token_hex(8)}"
        # A link would lead out of the hot folder: whoever put one there after we looked gets an error.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as source, partial.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        with partial.open("r+b") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        folder.keep_image(partial, digest)
        return digest

    def _refuse(self, place: Path, paths: list[Path], why: str) -> None:
        """Put aside what cannot be printed, with a text that says why."""
        aside = place / PROBLEMS
        aside.mkdir(exist_ok=True)
        for path in paths:
            name = path.name
            while (aside / name).exists():
                name = f"{secrets.token_hex(2)} {path.name}"
            path.rename(aside / name)
            (aside / f"{name} - why.txt").write_text(f"{why}\n\nCorrect it and drop it again.\n")
        log.warning("hot_folder.refused", folder=place.name, why=why)


def _read(path: Path) -> list[JobTicket]:
    """The records that a job ticket asks for.

    Raises:
        JobTicketWrong: it cannot be read, or says what cannot be.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        if error.errno not in UNREADABLE:
            raise
        raise JobTicketWrong(f"{path.name} cannot be read ({error.strerror}): let everybody read it") from error
    return job_tickets.read(path.name, content)


def _wanted(tickets: Iterable[JobTicket], name: str, here: Mapping[str, Path]) -> tuple[Wanted, ...]:
    """The records of job tickets, with the pictures' names as they are spelt on the disk."""
    return tuple(
        Wanted(
            number=ticket.number or name,
            client=ticket.client,
            lines=tuple(line.model_copy(update={"image": here[line.image.casefold()].name}) for line in ticket.items),
        )
        for ticket in tickets
    )
