"""The files under the store, and what they add up to: a chain that knows its end.

A *generation* N is a snapshot file (the whole state when N began) and a journal file (what was committed since). Both
are rows of frames. A journal begins with an *opening* (which store, which generation), then has a frame for each commit
with its number and the checksum of the commit before it, and at the end, once it is left for good, a *closing* (how far
it went, and the next generation where there is one). A snapshot says which commit it stands at, and that commit's
checksum. Beside the folder lies the *head*, with the number and checksum of the last commit (store/head).

So everything names what it continues, and the end is known from three places: later frames say how far commits were
durable when they were written, the closing, and the head. What is found at a start, and what follows:

* All commits up to the known end are there: the store opens. What lies behind the end was never acknowledged:
  - a *torn* frame, of which sectors were never written: cut away, with a note in the log.
  - a *garbled* or *cut* frame, which no power cut leaves: it may have been acknowledged in the last moments before
    one, SYNC_AFTER_S at most, of which the head did not hear any more. This is told as a doubt.
* Commits before the known end are there and unreadable: they are lost and reported, and all others, before and behind,
  are kept: a commit holds whole documents, so it stands by itself, and dropping everything behind one flipped bit would
  forget prints that were made.
* A file is missing, empty, cut, of another store or of another time than the rest: refused, because what would be
  opened is an older state than people were told. A person decides (`store repair`, a backup). Unless the head says that
  the store was closed where the rest ends: then nothing was in it, and it is made anew.
* Nothing is there, and never was: a new store. Nothing is there, but a head or pictures are: refused.
* The head is missing, or older than it can be: without a closing to stand in for it, this is told as a doubt.

What cannot be known: commits of the last SYNC_AFTER_S before the power went that left no trace, because the disk had
confirmed them and not written them, or the file was cut where a sector or a commit ends; and a data folder that was
replaced as a whole by an older copy.

Version 0.1 wrote no openings, closings, checksums of commits and heads. Its files are read by what they do say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.errors import StoreDamaged, StoreTooNew
from store.frames import Frame, Tail, frames_in, read_file, tail_of
from store.generations import FORMAT, file_of, generations, is_commit, is_opening, rows_of
from store.head import UNKNOWN, End, head_of, read_head
from store.snapshots import Row, Snapshot, read_snapshot

_HOW_TO_REPAIR = "in the box its recovery page does it, elsewhere `./printroom store repair`"


@dataclass
class JournalReport:
    """What a journal file holds."""

    path: Path
    generation: int
    opening: dict[str, Any] = field(default_factory=dict)  # empty where there is none
    commits: list[Frame] = field(default_factory=list)
    length_bytes: int = 0  # of the part that counts
    following: int | None = None  # the generation that a closing at its end names, 0 for none; None without a closing
    tail: Tail = Tail.NOTHING  # what lies behind all that
    tail_bytes: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)  # first and last number of commits that are damaged


@dataclass
class State:
    """What a folder's files add up to."""

    generation: int = 0  # the newest; 0 for an empty folder
    start: int = 0  # that of the snapshot below
    store: str = ""  # its id; '' where version 0.1 wrote it
    header: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)  # the snapshot's
    journals: list[JournalReport] = field(default_factory=list)  # to be applied in this order
    number: int = 0  # of the last commit that is known of
    checksum: int = 0  # its own; UNKNOWN when it cannot be read
    notes: list[str] = field(default_factory=list)  # harmless: what was cut or passed over, nothing acknowledged lost
    doubts: list[str] = field(default_factory=list)  # acknowledged commits that may be lost; nobody can know
    damage: list[str] = field(default_factory=list)  # acknowledged commits that are lost

    @property
    def schema(self) -> int:
        """Of the documents in the snapshot."""
        return int(self.header.get("schema", 1))

    @property
    def is_closed(self) -> bool:
        """Whether the newest journal ends as it was left by a clean stop."""
        last = self.journals[-1] if self.journals else None
        return last is not None and last.following == 0 and last.tail is Tail.NOTHING

    def all_rows(self) -> Iterator[Row]:
        """Every change in the order in which it is to be applied."""
        yield from self.rows
        for report in self.journals:
            for frame in report.commits:
                yield from rows_of(frame)


Signs = Callable[[bool], str]


def no_signs(of_orders: bool) -> str:
    """Where a store lies alone."""
    del of_orders
    return ""


def load(folder: Path, signs: Signs = no_signs) -> State:
    """Read the state that a folder holds. Changes nothing.

    Args:
        folder: with snapshots and journals; its head lies beside it.
        signs: what beside the folder shows that there was a store; or, with True, that something was in it. ''
            when nothing does.

    Raises:
        StoreDamaged: there are files, or were, but no way to a complete state from them; says what to do.
        StoreTooNew: a newer program wrote them.
    """
    return _Reader(folder, signs).state()


class _Reader:
    """Goes through the files of a folder once."""

    def __init__(self, folder: Path, signs: Signs) -> None:
        self._folder, self._signs = folder, signs
        self._snapshots, self._journals = generations(folder, "snapshot"), generations(folder, "journal")
        self._newest = max([0, *self._snapshots, *self._journals])
        self._head = read_head(folder)
        self._known = self._head.number if self._head else 0  # up to here commits were acknowledged
        self._has_head_commit = False  # whether the commit that the head knows was come across

    def state(self) -> State:
        if not self._snapshots and not any(map(_has_commits, self._journals.values())):
            self._refuse_if_used(State())
            return State(generation=self._newest, store=self._head.store if self._head else "")
        passed_over: list[str] = []
        refusal: StoreDamaged | None = None
        for start in sorted(self._snapshots, reverse=True):
            snapshot = read_snapshot(self._snapshots[start])
            why_not = self._why_not(snapshot, start)
            if why_not:
                passed_over.append(f"{self._snapshots[start].name} {why_not}")
                continue
            try:
                state = self._from(start, snapshot)
            except StoreDamaged as error:
                refusal = refusal or error
                continue
            if refusal is not None and (state.damage or state.doubts):
                break
            if refusal is not None:
                passed_over.append(str(refusal))
            state.notes[:0] = [f"{one}: the snapshot before it and its journal are used instead" for one in passed_over]
            self._refuse_if_used(state)
            return state
        raise refusal or StoreDamaged(
            f"no snapshot in {self._folder} can be read whole ({'; '.join(passed_over) or 'there is none'}). Repair "
            f"the store to keep what can still be read ({_HOW_TO_REPAIR}), or restore a backup into this folder"
        )

    def _refuse_if_used(self, state: State) -> None:
        """Nothing was ever committed, if what is there is all there was."""
        path = head_of(self._folder)
        signs = "" if state.number else self._signs(bool(self._snapshots))
        if not self._snapshots and path.exists() and (self._head is None or self._head.number):
            signs = f"{path.name} tells of {self._head.number if self._head else 'its'} commits"
        if signs:
            raise StoreDamaged(
                f"{self._folder} is empty, but it was in use: {signs}. Put its files back or restore a backup, or "
                f"repair the store to begin with an empty one ({_HOW_TO_REPAIR})"
            )

    def _why_not(self, snapshot: Snapshot, generation: int) -> str:
        """Why a snapshot is no beginning; '' when it is one."""
        header = snapshot.header
        if header.get("format", 1) > FORMAT:
            raise StoreTooNew(
                f"{self._folder} was written by a newer Printroom: install it again", header.get("schema", 0)
            )
        if header.get("store") and self._head is not None and header["store"] != self._head.store:
            return "belongs to another store"
        self._known = max(self._known, int(header.get("number", 0)))
        if not snapshot.is_whole:
            return "is damaged"
        if header.get("generation", generation) != generation:
            return f"is the one of generation {header['generation']}"
        return ""

    def _from(self, start: int, snapshot: Snapshot) -> State:
        header = snapshot.header
        state = State(
            generation=self._newest,
            start=start,
            store=header.get("store", ""),
            header=header,
            rows=snapshot.rows,
            number=int(header.get("number", 0)),
            checksum=header.get("checksum", UNKNOWN),
        )
        self._has_head_commit = False
        self._compare_with_head(self._snapshots[start], state)
        if self._head is not None and self._head.number < state.number:
            self._compare_with_head_below(self._head, start, state)
        contents = {n: read_file(path) for n, path in self._journals.items() if n >= start}
        frames = {n: list(frames_in(data)) for n, data in contents.items()}
        # Not by what lies in files of other stores: those are refused below.
        durable = max((frame.durable for some in frames.values() for frame in some), default=0)
        known = max(self._known, durable)
        for generation in range(start, self._newest + 1):
            if generation in frames:
                report = JournalReport(self._journals[generation], generation)
                self._follow(report, frames[generation], state, known)
                report.tail = tail_of(contents[generation], report.length_bytes)
                report.tail_bytes = len(contents[generation][report.length_bytes :].rstrip(b"\0"))
                self._refuse_if_empty(report, state)
                state.journals.append(report)
            elif generation < self._newest or not self._may_miss(state):
                raise StoreDamaged(self._missing(generation))
        if state.number < known:
            self._lose(state, known)
        self._look_at_the_end(state)
        for report in state.journals:
            _describe(report, state)
        return state

    def _follow(self, report: JournalReport, frames: list[Frame], state: State, known: int) -> None:
        """Take in what a journal has, as far as it continues the state.

        Args:
            report: of the journal; filled in.
            frames: in it.
            state: that it continues; moved on.
            known: up to here commits were acknowledged.
        """
        for frame in frames:
            is_next = frame.begins == report.length_bytes
            if is_opening(frame):
                self._take_opening(report, frame.payload, state)
                report.length_bytes = frame.ends
                continue
            is_old = isinstance(frame.payload, list)
            if is_old and state.store:
                raise self._unfitting(report.path, "it is no journal, or one of version 0.1")
            last = frame.number if not is_commit(frame) else frame.number - 1  # of the commits that come before it
            if last < state.number:
                if is_old:
                    continue  # a commit that the snapshot has already
                raise self._unfitting(report.path, f"it goes on from commit {last}, the rest from {state.number}")
            if not is_next and known <= state.number:
                break  # a write that the power cut short, and perhaps its later pages: none of it acknowledged
            if last > state.number:
                self._take_gap(report, state, last, is_next and not is_old)
            before = UNKNOWN if is_old else frame.payload["after" if is_commit(frame) else "closes_at"]
            if UNKNOWN not in (before, state.checksum) and before != state.checksum:
                raise self._unfitting(report.path, f"it goes on from another commit {state.number} than the rest has")
            state.checksum = state.checksum if before == UNKNOWN else before
            report.length_bytes = frame.ends
            report.following = None if is_commit(frame) else frame.payload["following"]
            if is_commit(frame):
                if report.opening.get("schema", state.schema) != state.schema:
                    raise self._unfitting(report.path, "what is in it has a newer shape than the snapshot before it")
                report.commits.append(frame)
                state.number, state.checksum = frame.number, frame.checksum
                self._compare_with_head(report.path, state)

    def _take_opening(self, report: JournalReport, opening: dict[str, Any], state: State) -> None:
        others = {state.store, self._head.store if self._head else ""} - {"", opening["store"]}
        if others:
            raise self._unfitting(report.path, "it belongs to another store")
        if opening["generation"] != report.generation:
            raise self._unfitting(report.path, f"it is the one of generation {opening['generation']}")
        report.opening, state.store = opening, opening["store"]

    def _compare_with_head(self, path: Path, state: State) -> None:
        """Whether the commit that the head knows is the one that is here, and not one of another time."""
        if self._head is not None and self._head.number == state.number:
            self._compare_checksums(path, self._head, state.checksum)

    def _compare_with_head_below(self, head: End, start: int, state: State) -> None:
        """The head did not get to the disk for a while: then the generations before lead from its commit to here."""
        following: dict[tuple[int, int], int] = {}  # checksums by number and the checksum before
        for generation, path in self._journals.items():
            for frame in frames_in(read_file(path)) if generation < start else ():
                if is_commit(frame):
                    before = UNKNOWN if isinstance(frame.payload, list) else frame.payload["after"]
                    following[frame.number, before] = frame.checksum
        number, checksum = head.number, head.checksum
        while number < state.number and (number + 1, checksum) in following:
            number, checksum = number + 1, following[number + 1, checksum]
        self._has_head_commit = (number, checksum) == (state.number, state.checksum)

    def _compare_checksums(self, path: Path, head: End, checksum: int) -> None:
        self._has_head_commit = True
        if UNKNOWN not in (head.checksum, checksum) and head.checksum != checksum:
            name = head_of(self._folder).name
            raise self._unfitting(path, f"its commit {head.number} is another one than {name} knows")

    def _take_gap(self, report: JournalReport, state: State, last: int, nothing_between: bool) -> None:
        """Commits from the state's on are not where they should be, up to `last`."""
        if nothing_between and not report.commits:
            self._lose(state, last)  # at the end of the journal before
        elif nothing_between:
            raise self._unfitting(report.path, f"commits {state.number + 1} to {last} were cut out of it")
        else:
            report.lost.append((state.number + 1, last))
            state.number, state.checksum = last, UNKNOWN

    def _lose(self, state: State, last: int) -> None:
        """Commits up to `last` were acknowledged, and the journal that was followed so far does not have them."""
        report = state.journals[-1] if state.journals else None
        if report is None or report.tail is not Tail.GARBLED:
            path = report.path if report else file_of(self._folder, "snapshot", state.generation)
            raise StoreDamaged(
                f"{path} ends too early: {commits_text(state.number + 1, last)} had been confirmed and is not in it. "
                f"{self._what_to_do('without them')}"
            )
        report.lost.append((state.number + 1, last))
        state.number, state.checksum = last, UNKNOWN

    def _is_at_the_end(self, state: State) -> bool:
        """Whether the store was closed where the state stands: there is nothing that could be missing."""
        return self._head is not None and self._head.is_closed and self._head.number == state.number

    def _refuse_if_empty(self, report: JournalReport, state: State) -> None:
        """A journal gets its opening before anything says that there is a journal."""
        if report.opening or report.commits or report.following is not None or not state.store:
            return
        is_named = report.generation in self._snapshots or self._newest_named(state) >= report.generation
        if is_named and not self._is_at_the_end(state):
            raise StoreDamaged(f"{report.path} is empty or cannot be read at all. {self._what_to_do('without it')}")

    def _newest_named(self, state: State) -> int:
        """The newest generation that head and closings say there is."""
        named = [report.following or 0 for report in state.journals]
        return max([0, self._head.generation if self._head else 0, *named])

    def _may_miss(self, state: State) -> bool:
        """Whether the newest journal may be missing, beside its snapshot."""
        if state.store:
            return self._is_at_the_end(state)
        # Version 0.1 left a snapshot without a journal where it had made a store anew, and never beside other files.
        return not self._journals and len(self._snapshots) == 1

    def _missing(self, generation: int) -> StoreDamaged:
        path = file_of(self._folder, "journal", generation)
        return StoreDamaged(
            f"{path} is missing, and has commits that nothing else has. {self._what_to_do('without it')}"
        )

    def _unfitting(self, path: Path, why: str) -> StoreDamaged:
        return StoreDamaged(f"{path} does not belong to the other files: {why}. {self._what_to_do('with what fits')}")

    def _what_to_do(self, how: str) -> str:
        return f"Put the right files back or restore a backup, or repair the store to go on {how} ({_HOW_TO_REPAIR})"

    def _look_at_the_end(self, state: State) -> None:
        """Whether anything behind the last commit is missing, or may be."""
        last = state.journals[-1] if state.journals else None
        is_at_the_end = self._is_at_the_end(state)
        if self._newest_named(state) > self._newest and not is_at_the_end:
            raise self._missing(self._newest_named(state))
        if last is None and state.store:
            state.notes.append(f"{file_of(self._folder, 'journal', self._newest).name} is missing; nothing was in it")
        elif last is not None and last.tail in (Tail.GARBLED, Tail.CUT) and not last.lost:
            what = f"{last.path.name}: {last.tail_bytes} bytes at the end cannot be read"
            if is_at_the_end:
                state.notes.append(f"{what}; no commit was in them")
            else:
                state.doubts.append(f"{what}. What was confirmed in the last moment before the power went may be lost")
        name, is_clean = head_of(self._folder).name, state.is_closed or is_at_the_end
        if not state.store:
            return  # version 0.1
        head = self._head
        if head is None:
            is_whole = is_clean or not any(report.commits for report in state.journals)
            what, why = f"{name} is missing", "the store was not closed"
        elif head.number < state.number and (head.is_closed or not self._has_head_commit):
            is_whole = is_clean and (self._has_head_commit or head.number == 0)
            what, why = f"{name} is older than the store", "the files may be of another time"
        else:
            return
        if is_whole:
            state.notes.append(f"{what}; the store is whole without it")
        else:
            state.doubts.append(f"{what}, and {why}: the newest commits may be lost")


def _has_commits(path: Path) -> bool:
    return any(is_commit(frame) for frame in frames_in(read_file(path)))


def commits_text(first: int, last: int) -> str:
    """For people."""
    return f"commit {first}" if first == last else f"commits {first} to {last}"


def _describe(report: JournalReport, state: State) -> None:
    if report.tail is Tail.TORN and not report.lost:
        state.notes.append(
            f"{report.path.name}: {report.tail_bytes} bytes at the end are not a whole commit: "
            "a write that was cut short before it was acknowledged"
        )
    for first, last in report.lost:
        state.damage.append(
            f"{report.path.name}: {commits_text(first, last)} cannot be read any more; all others were kept"
        )
