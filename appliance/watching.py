"""One hot folder's look: what lies there, what is to become of it, and doing that, one drop after the other.

All of it runs in the folder's own thread, as a generator that yields between calls that a share may keep waiting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from pydantic import ValidationError

from appliance import job_tickets, strangers
from appliance.claims import TAKEN, Claim, Place, PlaceFailed, Wanted
from appliance.drops import SETTLE_S, Decision, Drop, Found, Settling, Taken, decide, is_left_alone
from appliance.job_tickets import JobTicket, JobTicketWrong
from appliance.keeping import Limits, NotNow, Unsettled, keep
from appliance.names import UNNAMED, readable
from appliance.strangers import Kind, Thing, Unfit
from store.errors import NotFound, StoreUnavailable
from store.hot_folders import ARRIVED, HotFolder
from store.pulse import Items
from store.pushed import ImageRef, Item, RecordKind, RecordPush
from store.reach import Steps
from store.records import Ticket
from store.tables import Store

log = structlog.get_logger("hot_folders")

MOST_AT_ONCE = 100  # drops in one look: others want their turn, too
MOST_UNSETTLED = 60  # times that a file changed while it was read, an hour's; then it is put aside
COUNT_EVERY_S = 60.0  # what lies in Problems, unless we put something there

Accept = Callable[[HotFolder, RecordPush, str], Ticket]


class Ended(Exception):
    """The process is ending: nothing more is taken; what was claimed is gone on with at the next start."""


@dataclass
class Findings:
    """What people should know after a look."""

    trouble: str = ""  # with the folder as a whole
    problems: int | None = None  # that lie in Problems; None: not counted
    problem: str = ""  # the newest one of this look
    left: dict[str, str] = field(default_factory=dict)  # by name: why it lies there
    has_more: bool = False  # that could be taken at once


class Watch:
    """Looks into one hot folder."""

    def __init__(
        self,
        store: Store,
        place: Place,
        accept: Accept,
        limits: Limits,
        is_ending: Callable[[], bool] = lambda: False,
        settle_s: float = SETTLE_S,
    ) -> None:
        """
        Args:
            store: the open store.
            place: the hot folder.
            accept: makes a record and a ticket of a drop, once.
            limits: on pictures.
            is_ending: whether to stop between two drops.
            settle_s: how long a file must have stayed the same.
        """
        self.place, self._store, self._accept, self._limits = place, store, accept, limits
        self._is_ending, self._settle_s = is_ending, settle_s
        self._settling = Settling()
        self._items = Items("hot_folder_drop", store.clock.monotonic)
        self._left: dict[str, str] = {}  # by name, or DROP
        self._tried: set[str] = set()  # in this look
        self._claims: dict[str, Claim] = {}  # by DROP, of what is not at its end
        self._tickets: dict[str, tuple[Hashable, list[JobTicket] | JobTicketWrong]] = {}  # as they looked when read
        self._problem = ""
        self._counted_s: float | None = None

    def look(self, hot_folder: HotFolder) -> Steps[Findings]:
        """Look once.

        Raises:
            PlaceFailed, OSError: the folder cannot be used.
            StoreUnavailable: the box's disk takes nothing.
        """
        yield
        self._problem = ""
        self._tried.clear()
        if self._store.render_profiles.find(hot_folder.profile_id) is None:
            raise PlaceFailed("has no render profile: choose one for it under Settings, Hot folders")
        self.place.prepare()
        # What is claimed is gone on with first: it must not be claimed twice.
        pending = self.place.pending()
        for drop in pending[:MOST_AT_ONCE]:
            if self._is_ending():
                break
            yield from self._attempt(drop, self._resume(hot_folder, drop))
        claimed = yield from self._claimed()
        found = yield from self._found(claimed)
        found.sort(key=lambda one: self._items.failures(one.name))  # what failed before does not keep the others
        decision = decide(hot_folder, found, self._read, self._settle_s, self._items.may, MOST_AT_ONCE)
        yield from self._do(hot_folder, decision)
        self._forget({*(one.name for one in found), *self.place.pending()})
        return Findings(
            problems=self._count(),
            problem=self._problem,
            left={self._shown(name): why for name, why in (self._left | decision.waits).items()},
            has_more=decision.has_more or len(pending) > MOST_AT_ONCE,
        )

    def _claimed(self) -> Steps[set[str]]:
        """Names of what is to be taken, and could not be yet."""
        pending = self.place.pending()
        for drop in pending:
            yield
            with suppress(OSError):  # that one has been named
                self._claim_of(drop)
        self._claims = {drop: claim for drop, claim in self._claims.items() if drop in pending}
        return {name for claim in self._claims.values() for name in claim.names}

    def _claim_of(self, drop: str) -> Claim | None:
        claim = self._claims.get(drop) or self.place.read(drop)
        if claim is not None:
            self._claims[drop] = claim
        return claim

    def _shown(self, key: str) -> str:
        claim = self._claims.get(key)
        name = claim.names[0] if claim and claim.names else key
        return readable(name) or UNNAMED

    def _do(self, hot_folder: HotFolder, decision: Decision) -> Steps[None]:
        """What was decided."""
        for name, error in decision.faults.items():
            yield from self._attempt(name, _raising(error))
        for one in decision.drops:
            if self._is_ending():
                break
            yield from self._attempt(one.name, self._drop(hot_folder, one))

    def _attempt(self, key: str, steps: Steps[None]) -> Steps[None]:
        """Do something about one drop. What it raises stays with it, but for what is wrong with the folder."""
        if not self._items.may(key):
            return
        self._tried.add(key)
        failed: PlaceFailed | Ended | None = None
        with self._items.guard(key, readable(key)):
            try:
                yield from steps
            except StoreUnavailable:
                raise
            except (PlaceFailed, Ended) as error:
                failed = error
            except Exception as error:
                self._left[key] = _words(error)
                raise
            else:
                self._left.pop(key, None)
        if failed is not None:
            raise failed

    def _forget(self, there: set[str]) -> None:
        for name in list(self._left):
            if name not in there or (name not in self._tried and self._items.may(name)):
                del self._left[name]
                self._items.forget(name)
        for name in self._tickets.keys() - there:
            if name.split("/")[0] not in there:
                del self._tickets[name]

    def _count(self) -> int | None:
        now_s = self._store.clock.monotonic()
        if not self._problem and self._counted_s is not None and now_s - self._counted_s < COUNT_EVERY_S:
            return None
        self._counted_s = now_s
        return self.place.problems()

    # -- what lies there ------------------------------------------------------------------------------------------

    def _found(self, claimed: set[str]) -> Steps[list[Found]]:
        things = yield from strangers.listed(self.place.path)
        self._settling.begin()
        found: list[Found] = []
        for thing in things:
            if thing.path in claimed or is_left_alone(thing.path):
                continue
            inside: tuple[Thing, ...] = ()
            flaw = ""
            if thing.kind is Kind.FOLDER:
                if self.place.is_own(thing.path):
                    continue
                try:
                    inside = tuple((yield from strangers.inside(self.place.path, thing.path)))
                except Unfit as error:
                    flaw = str(error)
                except FileNotFoundError:
                    continue  # it was taken away between two calls
                except OSError as error:
                    thing = thing._replace(kind=Kind.UNSEEN, flaw=f"cannot be looked into ({strangers.why(error)})")
            looks = hash((thing, inside, flaw))
            quiet_s, here_s = self._settling.seen(thing.path, looks, self._store.clock.monotonic())
            found.append(Found(thing, quiet_s, here_s, inside, flaw))
            if quiet_s >= self._settle_s:  # read here, where others get their turn in between
                for ticket in (one for one in (thing, *inside) if one.ending in job_tickets.ENDINGS):
                    yield
                    with suppress(JobTicketWrong):
                        self._read(ticket.path)
        return found

    def _read(self, path: str) -> list[JobTicket]:
        """The records that a job ticket asks for; read once, as long as it looks the same.

        Raises:
            JobTicketWrong: it cannot be read, or says what cannot be.
        """
        known = self._tickets.get(path)
        try:
            seen = os.lstat(self.place.path / path)
        except OSError as error:
            raise _unreadable(path, error) from error
        looks = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
        if known is None or known[0] != looks:
            self._tickets[path] = known = (looks, self._read_now(path))
        if isinstance(known[1], JobTicketWrong):
            raise known[1]
        return known[1]

    def _read_now(self, path: str) -> list[JobTicket] | JobTicketWrong:
        shown = readable(path)
        try:
            content = strangers.beginning(self.place.path, path, job_tickets.MAX_BYTES + 1)
            return job_tickets.read(path.rpartition("/")[2], content)
        except JobTicketWrong as error:
            return error
        except Unfit as error:
            return JobTicketWrong(f"{shown} {error}")
        except OSError as error:
            return _unreadable(path, error)
        except Exception as error:  # a fault of ours with this one
            log.exception("hot_folder.unread", name=shown, error=repr(error))
            return JobTicketWrong(f"{shown} {_words(error)}")

    # -- taking ---------------------------------------------------------------------------------------------------

    def _drop(self, hot_folder: HotFolder, drop: Drop) -> Steps[None]:
        yield
        if drop.claim is None:
            self._refuse(drop.name, drop.why)
            return
        name = self.place.claim(drop.claim, self._store.clock.now())
        yield from self._go_on(hot_folder, name, drop.claim)

    def _refuse(self, path: str, why: str) -> None:
        try:
            self.place.put_aside(self.place.path / path, why)
        except FileNotFoundError:
            return  # somebody took it away
        self._problem = why

    def _resume(self, hot_folder: HotFolder, drop: str) -> Steps[None]:
        yield
        claim = self._claim_of(drop)
        if claim is not None:
            yield from self._go_on(hot_folder, drop, claim)

    def _go_on(self, hot_folder: HotFolder, drop: str, claim: Claim) -> Steps[None]:
        """Bring a claimed drop to its end, from wherever it was left."""
        open_numbers = [wanted.number for at, wanted in enumerate(claim.records) if self._is_known(drop, at)]
        there = claim.names
        if len(open_numbers) < len(claim.records):
            there = self.place.take(drop, claim)
            if not there and not open_numbers:
                self.place.forget(drop)  # somebody took all of it back
                return
        try:
            taken = yield from self._taken(drop, claim, there)
            if len(open_numbers) < len(claim.records):
                yield from self._print(hot_folder, drop, claim, taken)
        except (Unfit, ValidationError) as error:
            self._give_up(drop, claim, open_numbers, readable(str(error), 500))
            return
        except Unsettled:
            if self._items.failures(drop) < MOST_UNSETTLED:
                raise
            self._give_up(drop, claim, open_numbers, "does not stop changing: drop it again when it is whole")
            return
        for thing, why in taken.left_over():
            yield
            self._refuse(f"{TAKEN}/{drop}/{thing.path}", why)
        self.place.finish(drop, claim, hot_folder.keeps_files)

    def _is_known(self, drop: str, position: int) -> bool:
        return bool(self._store.records.by("drop", f"{drop}/{position}"))

    def _give_up(self, drop: str, claim: Claim, open_numbers: list[str], why: str) -> None:
        shown = ", ".join(readable(name, 80) for name in claim.names[:5])
        already = (
            f". Printed already: {', '.join(open_numbers[:20])}; drop only the others again" if open_numbers else ""
        )
        self.place.refuse(drop, claim, f"{shown} {why}{already}")
        self._problem = f"{shown} {why}"

    def _taken(self, drop: str, claim: Claim, names: list[str]) -> Steps[Taken]:
        """All that was taken, as it lies there now."""
        below = self.place.path / TAKEN / drop
        things: list[Thing] = []
        for one in (yield from strangers.listed(below)):
            if one.path not in names:
                continue  # the claim itself
            if one.kind is Kind.FOLDER:
                things += yield from strangers.inside(below, one.path)
            else:
                things.append(one)
        return Taken(claim, things)

    def _print(self, hot_folder: HotFolder, drop: str, claim: Claim, taken: Taken) -> Steps[None]:
        """Make records and tickets of what has none; not before all of it is read."""
        pushes: list[tuple[str, RecordPush]] = []
        digests: dict[str, str] = {}
        for position, wanted in enumerate(claim.records):
            if not self._is_known(drop, position):
                push = yield from self._push(hot_folder, drop, wanted, taken, digests)
                pushes.append((f"{drop}/{position}", push))
        for name, push in pushes:
            yield
            try:
                ticket = self._accept(hot_folder, push, name)
            except NotFound as error:
                raise PlaceFailed("has no render profile: choose one for it under Settings, Hot folders") from error
            log.info("hot_folder.ticket", folder=self.place.path.name, drop=name, ticket=ticket.id)

    def _push(
        self, hot_folder: HotFolder, drop: str, wanted: Wanted, taken: Taken, digests: dict[str, str]
    ) -> Steps[RecordPush]:
        images: list[ImageRef] = []
        for name in dict.fromkeys(line.image for line in wanted.lines):
            path = taken.path(name)
            if path is None:
                raise Unfit(f"cannot be printed: {name} was taken away before it could be read")
            if path not in digests:
                digests[path] = yield from keep(
                    self._store.folder, self.place.path, f"{TAKEN}/{drop}/{path}", name, self._limits
                )
            images.append(ImageRef(name=name, sha256=digests[path]))
        return RecordPush(
            kind=RecordKind.HOT_FOLDER,
            number=wanted.number,
            revision=1,
            status=ARRIVED,
            client_name=wanted.client,
            images=tuple(images),
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


def _raising(error: Exception) -> Steps[None]:
    yield
    raise error


def _unreadable(path: str, error: OSError) -> JobTicketWrong:
    if error.errno not in strangers.ITS_OWN:
        raise error
    return JobTicketWrong(f"{readable(path)} cannot be read ({strangers.why(error)}): let everybody read it")


def _words(error: Exception) -> str:
    """Why something still lies there, after its name."""
    if isinstance(error, NotNow):
        return str(error)
    if isinstance(error, OSError):
        return f"cannot be moved or read ({strangers.why(error)}): let Printroom move and delete files there"
    return f"met a fault in Printroom ({repr(error)[:200]}): send the support file from Health and log"
