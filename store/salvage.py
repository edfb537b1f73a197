"""What can still be read of files that do not lead to a complete state."""

from __future__ import annotations

from pathlib import Path

from store.frames import frames_in, read_file
from store.generations import generations, is_commit, is_opening
from store.head import UNKNOWN, read_head
from store.journal import JournalReport, State, commits_text
from store.snapshots import Snapshot, read_snapshot

_NOTHING = Snapshot({}, [], is_whole=False)


def salvage(folder: Path) -> State:
    """The newest whole snapshot, or else the fullest part of one, and every whole commit behind it, of one store.

    Files of other stores are left out; when the head's store is not among them, the newest snapshot says which it is.
    """
    snapshots = [read_snapshot(path) for _, path in sorted(generations(folder, "snapshot").items())]
    journals = [_read(path, number) for number, path in sorted(generations(folder, "journal").items())]
    head = read_head(folder)
    ids = [one["store"] for one in (*(j.opening for j in journals), *(s.header for s in snapshots)) if "store" in one]
    state = State(store=head.store if head and head.store in ids else ids[-1] if ids else "")
    known = head.number if head and head.store == state.store else 0

    ours = [one for one in snapshots if one.header.get("store", "") in ("", state.store)]
    best = max(ours, key=_worth, default=_NOTHING)
    state.header, state.rows, state.number = best.header, best.rows, int(best.header.get("number", 0))
    state.checksum = UNKNOWN
    behind: dict[int, JournalReport] = {}  # by the number of a commit: where it is taken from
    for report in journals:
        if report.opening.get("store", "") in ("", state.store):
            state.journals.append(report)
            behind |= {frame.number: report for frame in report.commits if frame.number > state.number}
            known = max([known, *(frame.durable for frame in report.commits)])
    for report in state.journals:
        report.commits = [frame for frame in report.commits if behind.get(frame.number) is report]
    known = max([known, *behind, *(int(one.header.get("number", 0)) for one in ours)])
    _tell_gaps(state, sorted(behind), known)
    state.number = known
    named = [head.generation if head else 0, *(report.generation for report in journals)]
    state.generation = max([*named, *generations(folder, "snapshot"), 0])
    return state


def _worth(snapshot: Snapshot) -> tuple[bool, int]:
    return snapshot.is_whole, int(snapshot.header["number"]) if snapshot.is_whole else len(snapshot.rows)


def _read(path: Path, generation: int) -> JournalReport:
    report = JournalReport(path, generation)
    for frame in frames_in(read_file(path)):
        if is_commit(frame):
            report.commits.append(frame)
        elif is_opening(frame):
            report.opening = frame.payload
    return report


def _tell_gaps(state: State, found: list[int], known: int) -> None:
    before = state.number
    for number in [*found, known + 1]:
        if number > before + 1:
            state.damage.append(f"{commits_text(before + 1, number - 1)} cannot be found any more")
        before = number
