"""What in a hot folder belongs together, and what is to become of it: taken, put aside, or waited for. Pure.

A picture is a drop by itself; so is a folder with pictures, and a job ticket with the pictures that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from appliance import job_tickets
from appliance.claims import CLAIM, Claim, Wanted, decoded, encoded
from appliance.job_tickets import JobTicket, JobTicketWrong, Line
from appliance.names import MOST_NUMBER, fit, folded, readable, split, unique
from appliance.strangers import Kind, Thing, is_nobodys
from store.hot_folders import HotFolder

SETTLE_S = 3.0  # a file that grew or was renamed more recently may not be whole yet
WAIT_FOR_PICTURES_S = 3600.0  # a job ticket waits so long for the pictures that it names
WAIT_FOR_TICKET_S = 600.0  # pictures wait so long for a job ticket that does not stop growing
EMPTY_LIMIT_S = 120.0
PARTIAL_LIMIT_S = 3600.0  # of what a transfer has not finished
CHANGING_S = 3600.0  # what has not stopped changing by then is told
PICTURES = frozenset({".jpg", ".jpeg", ".tif", ".tiff", ".png", ".heic", ".heif", ".psd", ".webp"})
PARTIAL = frozenset({".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp"})  # as transfers call them
_SIDECARS = frozenset({".xmp", ".aae", ".thm"})  # what cameras and programs lay beside pictures


class Settling:
    """Since when each thing has been there, and has looked the same, on the monotonic clock."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Hashable, float, float]] = {}
        self._now: dict[str, tuple[Hashable, float, float]] = {}

    def begin(self) -> None:
        """A new look: what is not seen in it is forgotten."""
        self._before, self._now = self._now, {}

    def seen(self, name: str, looks: Hashable, now_s: float) -> tuple[float, float]:
        """For how many seconds something has looked the same, and has been there."""
        looked, since_s, first_s = self._before.get(name, (None, now_s, now_s))
        if looked != looks:
            since_s = now_s
        self._now[name] = (looks, since_s, first_s)
        return now_s - since_s, now_s - first_s


class Found(NamedTuple):
    """Something in a hot folder."""

    thing: Thing
    quiet_s: float  # it has looked the same for so long
    here_s: float
    inside: tuple[Thing, ...] = ()  # of a folder
    flaw: str = ""  # why that cannot be told, after its name

    @property
    def name(self) -> str:
        """In the file system."""
        return self.thing.path

    @property
    def shown(self) -> str:
        """Its name for people."""
        return readable(self.thing.path) or repr(self.thing.path)


@dataclass(frozen=True)
class Drop:
    """What belongs together."""

    name: str  # of one of its things, in the file system
    claim: Claim | None = None  # None: it is put aside
    why: str = ""


@dataclass
class Decision:
    """What is to become of what lies there; of what is not named, nothing now."""

    may: Callable[[str], bool] = lambda _: True  # whether something's turn has come, by its name
    most: int = 1_000_000
    has_more: bool = False
    drops: list[Drop] = field(default_factory=list)
    waits: dict[str, str] = field(default_factory=dict)  # by name: what people should know
    faults: dict[str, Exception] = field(default_factory=dict)  # by name: of ours, with one of them

    def has_room(self, one: Found) -> bool:
        """Whether something is to be seen to in this look."""
        if not self.may(one.name):
            return False
        self.has_more = self.has_more or len(self.drops) >= self.most
        return len(self.drops) < self.most

    def put_aside(self, one: Found, why: str) -> None:
        """Something cannot be taken."""
        if self.has_room(one):
            self.drops.append(Drop(one.name, None, why))

    @contextmanager
    def about(self, one: Found) -> Iterator[None]:
        """Around what is decided of one thing: a fault of ours in it does not keep the others."""
        try:
            yield
        except Exception as error:
            self.faults[one.name] = error


def is_left_alone(name: str) -> bool:
    """Whether it is nobody's drop: what programs leave around while they work."""
    ending = split(name)[1].lower()
    return is_nobodys(name) or (name.startswith("~") and ending not in (*PICTURES, *job_tickets.ENDINGS))


def decide(
    hot_folder: HotFolder,
    found: Sequence[Found],
    read: Callable[[str], list[JobTicket]],
    settle_s: float = SETTLE_S,
    may: Callable[[str], bool] = lambda _: True,
    most: int = 1_000_000,
) -> Decision:
    """What to do about everything in a hot folder.

    Args:
        hot_folder: whose it is.
        found: all that lies in it and is somebody's.
        read: the records of the job ticket at a path; raises JobTicketWrong.
        settle_s: for how long something must have looked the same.
        may: whether the turn of something has come, by its name.
        most: drops; what comes first in `found` comes first.
    """
    decision = Decision(may, most)
    files = [one for one in found if one.thing.kind is Kind.FILE]
    quiet = {one.name: one for one in files if one.quiet_s >= settle_s and one.thing.size > 0}
    for one in found:
        if one.name.casefold() == CLAIM:
            quiet.pop(one.name, None)
        with decision.about(one):
            _thing(decision, hot_folder, one, read, settle_s)
    named: set[str] = set()
    tickets = [one for one in files if one.thing.ending in job_tickets.ENDINGS]
    whole = [one for one in tickets if one.name in quiet]
    if whole:
        here = _Pictures(one.thing for one in quiet.values() if one.thing.ending not in job_tickets.ENDINGS)
        for one in whole:
            with decision.about(one):
                named |= _job_ticket(decision, one, here, quiet, read)
    if decision.has_more or any(one.name not in quiet and one.here_s < WAIT_FOR_TICKET_S for one in tickets):
        return decision  # a job ticket waits, or is just being written: it may name any of what lies here
    for one in quiet.values():
        if one.thing.ending not in job_tickets.ENDINGS and not (named and folded(one.name) in named):
            with decision.about(one):
                _file(decision, hot_folder, one)
    return decision


def _thing(
    decision: Decision,
    hot_folder: HotFolder,
    one: Found,
    read: Callable[[str], list[JobTicket]],
    settle_s: float,
) -> None:
    """What can be told of something by itself."""
    if one.name.casefold() == CLAIM:
        decision.put_aside(one, f"{one.shown} is a name that the box itself uses: give it another one")
    elif one.thing.kind is Kind.LINK:
        decision.put_aside(one, f"{one.shown} is a link: drop the file itself")
    elif one.thing.kind is Kind.UNSEEN:
        decision.waits[one.name] = one.thing.flaw
    elif one.thing.kind is Kind.OTHER:
        decision.put_aside(one, f"{one.shown} is not a file")
    elif one.thing.kind is Kind.FOLDER:
        _folder(decision, hot_folder, one, read, settle_s)
    elif one.thing.size == 0 and one.quiet_s > EMPTY_LIMIT_S:
        decision.put_aside(one, f"{one.shown} is empty: drop it again")
    elif one.quiet_s < settle_s and one.here_s > CHANGING_S:
        decision.waits[one.name] = "has not stopped changing for more than an hour"


def _file(decision: Decision, hot_folder: HotFolder, one: Found) -> None:
    if one.thing.ending in PICTURES:
        if not hot_folder.needs_job_ticket and decision.has_room(one):
            tickets = [JobTicket.model_construct(items=(Line.model_construct(image=one.name),))]
            decision.drops.append(_taken(one.name, (one.name,), tickets, _stem(one), _Pictures([one.thing])))
    elif one.thing.ending not in PARTIAL:
        decision.put_aside(one, f"{one.shown} is not a picture that the box can print: send JPEG, TIFF or PNG")
    elif one.quiet_s > PARTIAL_LIMIT_S:
        decision.put_aside(one, f"{one.shown} is not whole: its transfer broke off; drop it again")


def _job_ticket(
    decision: Decision,
    one: Found,
    here: _Pictures,
    quiet: dict[str, Found],
    read: Callable[[str], list[JobTicket]],
) -> set[str]:
    """Take a job ticket whose pictures are all here, and these with it; returns the names that it keeps for itself,
    folded."""
    try:
        tickets = read(one.name)
        missing = here.missing(tickets)
    except JobTicketWrong as error:
        decision.put_aside(one, str(error))
        return set()
    if missing:
        if one.quiet_s > WAIT_FOR_PICTURES_S:
            decision.put_aside(one, f"{one.shown} names pictures that did not come: {_some(missing)}")
        return {folded(line.image) for ticket in tickets for line in ticket.items}
    used = here.paths(tickets)
    if decision.has_room(one):
        decision.drops.append(_taken(one.name, (*used, one.name), tickets, _stem(one), here))
    for path in used:
        del quiet[path]
        here.forget(path)
    return set()


def _folder(
    decision: Decision,
    hot_folder: HotFolder,
    one: Found,
    read: Callable[[str], list[JobTicket]],
    settle_s: float,
) -> None:
    """A folder with pictures is one record, once all in it has stopped changing; or what a job ticket in it says."""
    if one.quiet_s < settle_s:
        if one.here_s > CHANGING_S:
            decision.waits[one.name] = "has not stopped changing for more than an hour"
        return
    if one.flaw:
        decision.put_aside(one, f"{one.shown} {one.flaw}")
        return
    unseen = [thing for thing in one.inside if thing.kind is Kind.UNSEEN]
    if unseen:
        decision.waits[one.name] = f"has {readable(unseen[0].name)} in it, which {unseen[0].flaw}"
        return
    inside = [thing for thing in one.inside if not is_left_alone(thing.name)]
    files = [thing for thing in inside if thing.kind is Kind.FILE]
    pictures = [thing for thing in files if thing.ending in PICTURES]
    slips = [thing for thing in files if thing.ending in job_tickets.ENDINGS]
    empty = [thing for thing in (*pictures, *slips) if thing.size == 0]
    is_partial = any(thing.ending in PARTIAL for thing in files)
    if not inside or (hot_folder.needs_job_ticket and not slips) or (is_partial and one.quiet_s < PARTIAL_LIMIT_S):
        return
    if empty:
        if one.quiet_s > EMPTY_LIMIT_S:
            decision.put_aside(one, f"{one.shown}: {_some([thing.name for thing in empty])} in it is empty")
        return
    here = _Pictures(pictures)
    try:
        if slips:
            tickets = [ticket for slip in slips for ticket in read(slip.path)]
        elif pictures:
            lines = tuple(Line.model_construct(image=thing.path) for thing in pictures)
            tickets = [JobTicket.model_construct(items=lines)]
        else:
            raise JobTicketWrong(f"{one.shown}: there is no picture in it that the box can print")
        missing = here.missing(tickets)
        if missing and one.quiet_s > WAIT_FOR_PICTURES_S:
            raise JobTicketWrong(f"{one.shown}: pictures that are named did not come: {_some(missing)}")
    except JobTicketWrong as error:
        decision.put_aside(one, str(error))
        return
    if not missing and decision.has_room(one):
        decision.drops.append(_taken(one.name, (one.name,), tickets, fit(one.name, MOST_NUMBER), here))


class _Pictures:
    """What job tickets may name: as it is spelt on the disk, or in a way that people take for the same."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._paths: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = {}
        self._by_folded: dict[str, list[str]] = {}
        for thing in things:
            self._paths[thing.path] = thing.name
            self._by_name.setdefault(readable(thing.name), []).append(thing.path)
            self._by_folded.setdefault(folded(thing.name), []).append(thing.path)

    def forget(self, path: str) -> None:
        """It is another's."""
        name = self._paths.pop(path)
        self._by_name[readable(name)].remove(path)
        self._by_folded[folded(name)].remove(path)

    def find(self, name: str) -> str | None:
        """Where a picture lies.

        Raises:
            JobTicketWrong: there are several that it could be.
        """
        if name in self._paths:
            return name
        alike = self._by_name.get(readable(name)) or self._by_folded.get(folded(name)) or []
        if len(alike) > 1:
            raise JobTicketWrong(f"{readable(name)}: there are {len(alike)} pictures of that name: give each its own")
        return alike[0] if alike else None

    def missing(self, tickets: Iterable[JobTicket]) -> list[str]:
        """The names of pictures that are not here."""
        wanted = dict.fromkeys(line.image for ticket in tickets for line in ticket.items)
        return [name for name in wanted if self.find(name) is None]

    def paths(self, tickets: Iterable[JobTicket]) -> list[str]:
        """Where the pictures lie that are named, each once; those that are missing are left out."""
        found = (self.find(line.image) for ticket in tickets for line in ticket.items)
        return list(dict.fromkeys(path for path in found if path is not None))

    def is_plain(self, path: str, image: str) -> bool:
        """Whether a picture is found again by its name in the record alone."""
        name = self._paths[path]
        return name == image and self._by_name.get(readable(name)) == [path]


def _taken(name: str, moves: Sequence[str], tickets: Sequence[JobTicket], number: str, here: _Pictures) -> Drop:
    """A drop that becomes records: their pictures have names that are fit, each its own."""
    paths = here.paths(tickets)
    images = dict(zip(paths, unique(path.rpartition("/")[2] for path in paths), strict=True))
    records = tuple(
        Wanted(
            number=ticket.number or number,
            client=ticket.client,
            lines=tuple(
                line.model_copy(update={"image": images[here.find(line.image) or ""]}) for line in ticket.items
            ),
        )
        for ticket in tickets
    )
    files = {image: encoded(path) for path, image in images.items() if not here.is_plain(path, image)}
    return Drop(name, Claim(moves=tuple(encoded(one) for one in moves), records=records, files=files))


def _stem(one: Found) -> str:
    return fit(split(one.name)[0], MOST_NUMBER)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(readable(name, 80) for name in names[:5]) + more


class Taken:
    """What was taken, as it lies there, and where in it the records' pictures are."""

    def __init__(self, claim: Claim, things: Sequence[Thing]) -> None:
        """
        Args:
            claim: what it is to become.
            things: all of it.
        """
        self._claim, self._things = claim, things
        files = [thing for thing in things if thing.kind is Kind.FILE]
        self._paths = {thing.path for thing in files}
        self._by_name: dict[str, str] = {}
        for thing in files:
            self._by_name.setdefault(thing.name, thing.path)

    def path(self, image: str) -> str | None:
        """Of a record's picture; None when it is gone."""
        path = decoded(self._claim.files[image]) if image in self._claim.files else self._by_name.get(image)
        return path if path in self._paths else None

    def left_over(self) -> list[tuple[Thing, str]]:
        """What is in no record, with why."""
        used = {self.path(line.image) for wanted in self._claim.records for line in wanted.lines}
        found = []
        for thing in self._things:
            is_ticket = thing.ending in job_tickets.ENDINGS
            if thing.path in used or is_ticket or is_left_alone(thing.name) or thing.ending in _SIDECARS:
                continue
            shown = readable(thing.path)
            if thing.kind is not Kind.FILE:
                found.append((thing, f"{shown} is a link, or no file: drop the file itself"))
            elif thing.ending in PICTURES:
                found.append((thing, f"{shown}: no line of its job ticket names it"))
            else:
                found.append((thing, f"{shown} is not a picture that the box can print: send JPEG, TIFF or PNG"))
        return found
