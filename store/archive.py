"""Finished tickets, aged into monthly files that stay searchable.

An archive file holds one frame for each ticket: the ticket, its frozen instructions, its sheets and print jobs. Beside
it lies an index with a line for each, which search reads; it is made anew when it is missing or behind. A ticket is
written here, durably, before it leaves the store: after a crash in between it is in both, and counts once.

The index is written after the file. So what it has and the file has not was lost: its line stays, marked as lost, and
`missing` tells. The store itself remembers how many tickets a month has, so that a month that is gone, or both of its
files cut, is told too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from store.disk import Disk
from store.frames import Frame, FrameFile, encode_frame, frame_at, frames_in, has_frame_at, read_file
from store.model import Model
from store.pushed import RecordKind
from store.records import Instructions, PrintJob, Sheet, Ticket
from store.states import TicketState

_MONTH = re.compile(r"^(\d{4}-\d{2})\.(prj|index)$")
LOST = -1  # where a ticket lies that cannot be read any more
_NAMED = 5  # tickets by their number in a sentence
_NONE: Mapping[str, int] = {}


class Entry(Model):
    """A line of the index."""

    ticket_id: int
    kind: RecordKind
    number: str
    client_name: str
    state: TicketState
    ended_at: datetime
    sheets: int
    month: str
    offset: int  # of its frame in the month's file; LOST where there is none any more


class ArchivedTicket(Model):
    """A ticket with all that belonged to it."""

    ticket: Ticket
    instructions: Instructions
    sheets: tuple[Sheet, ...] = ()
    print_jobs: tuple[PrintJob, ...] = ()


class Archive:
    """The archive files of a data folder. One thread writes; any may read."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder, self._disk = folder, disk or Disk()
        self.damage: list[str] = []  # what `missing` found when it was looked for last
        folder.mkdir(mode=0o700, exist_ok=True)

    def add(self, tickets: list[ArchivedTicket], counts: Mapping[str, int] = _NONE) -> dict[str, int]:
        """Keep tickets; durable when this returns. One that is here already is left as it is.

        Args:
            tickets: to be kept.
            counts: how many tickets a month had, as far as that is known.

        Returns:
            by month that got some: how many tickets it has, or should have, now.
        """
        should_have = {}
        by_month: dict[str, list[ArchivedTicket]] = {}
        for one in tickets:
            by_month.setdefault(f"{one.ticket.changed_at:%Y-%m}", []).append(one)
        for month, some in by_month.items():
            path = self._file(month)
            gone = max(0, counts.get(month, 0) - self._count(month))
            known = {frame.payload["ticket"]["id"] for frame in _frames(path)}
            frames = [encode_frame(one.model_dump(mode="json")) for one in some if one.ticket.id not in known]
            self._append(path, b"".join(frames))
            self._catch_up(month)
            should_have[month] = self._count(month) + gone
        self._disk.sync_folder(self._folder)
        return should_have

    def _append(self, path: Path, data: bytes) -> None:
        """Behind everything that is there, readable or not: nothing that somebody may want back is written over."""
        if not data:
            return
        file = FrameFile(path, self._disk, len(_content(path).rstrip(b"\0")))
        try:
            file.append(data)
            file.trim()
        finally:
            file.close()

    def _catch_up(self, month: str) -> None:
        """Bring a month's index to what its file holds; what it has and the file has not stays as lost."""
        index = self._index(month)
        lines = [frame.payload for frame in _frames(index)]
        found = {frame.begins: _entry(frame, month) for frame in _frames(self._file(month))}
        here = {entry["ticket_id"] for entry in found.values()}
        right = [one for one in lines if found.get(one["offset"]) == one]
        lost = {one["ticket_id"]: {**one, "offset": LOST} for one in lines if one["ticket_id"] not in here}
        if len(right) + len([one for one in lines if one in lost.values()]) == len(lines):
            indexed = {one["offset"] for one in right}
            self._append(index, b"".join(encode_frame(one) for begins, one in found.items() if begins not in indexed))
            return
        partial = index.with_suffix(".part")
        partial.unlink(missing_ok=True)
        self._append(partial, b"".join(map(encode_frame, [*lost.values(), *found.values()])))
        self._disk.rename(partial, index)
        self._disk.sync_folder(self._folder)

    def months(self) -> list[str]:
        """The months that have tickets, newest first."""
        found = (_MONTH.match(path.name) for path in self._folder.iterdir())
        return sorted({match[1] for match in found if match}, reverse=True)

    def entries(self, month: str) -> Iterator[Entry]:
        """A month's index, newest first."""
        index = self._index(month)
        if not index.exists() and self._file(month).exists():
            self._catch_up(month)
        for frame in reversed(list(_frames(index))):
            yield Entry.model_validate(frame.payload)

    def search(self, text: str, limit: int) -> list[Entry]:
        """Tickets whose record number or client's name contains a text, whatever its case; newest first."""
        wanted = text.casefold().strip()
        found: list[Entry] = []
        for month in self.months():
            for entry in self.entries(month):
                if wanted in entry.number.casefold() or wanted in entry.client_name.casefold():
                    found.append(entry)
                    if len(found) >= limit:
                        return found
        return found

    def get(self, month: str, ticket_id: int) -> ArchivedTicket | None:
        """One ticket of a month, or None when it is not there or cannot be read."""
        if not re.fullmatch(r"\d{4}-\d{2}", month):
            return None
        content = _content(self._file(month))
        for entry in self.entries(month):
            frame = frame_at(content, entry.offset) if entry.ticket_id == ticket_id and entry.offset != LOST else None
            if frame is not None and frame.payload["ticket"]["id"] == ticket_id:
                return ArchivedTicket.model_validate(frame.payload)
        return None

    def missing(self, counts: Mapping[str, int], reads_all: bool) -> list[str]:
        """What was archived and is not there any more, in sentences; kept as `damage`. Changes nothing.

        Args:
            counts: how many tickets a month had, as far as that is known.
            reads_all: whether every ticket is read; without it, only whether its file is long enough.
        """
        told = []
        for month in sorted({*self.months(), *counts}):
            path, entries = self._file(month), {entry.ticket_id: entry for entry in self._known(month)}
            is_there = self._whole(path) if reads_all else self._long_enough(path, entries.values())
            lost = [one.number for one in entries.values() if one.offset not in is_there]
            if lost:
                names = ", ".join(lost[:_NAMED]) + (", …" if len(lost) > _NAMED else "")
                told.append(f"{path}: {len(lost)} of {len(entries)} archived tickets cannot be read any more ({names})")
            if len(entries) < counts.get(month, 0):
                gone = counts[month] - len(entries)
                told.append(f"{path}: {gone} of {counts[month]} archived tickets are missing")
        self.damage = told
        return told

    def _count(self, month: str) -> int:
        return len({entry.ticket_id for entry in self._known(month)})

    def _known(self, month: str) -> list[Entry]:
        """What the index has, or should have; changes nothing."""
        lines = [frame.payload for frame in _frames(self._index(month))]
        if not self._index(month).exists():
            lines = [_entry(frame, month) for frame in _frames(self._file(month))]
        return [Entry.model_validate(line) for line in lines]

    def _whole(self, path: Path) -> set[int]:
        return {frame.begins for frame in _frames(path)}

    def _long_enough(self, path: Path, entries: Iterable[Entry]) -> set[int]:
        if not path.exists():
            return set()
        with path.open("rb") as file:
            return {one.offset for one in entries if one.offset != LOST and has_frame_at(file, one.offset)}

    def expire(self, before: datetime) -> list[str]:
        """Delete the months that ended before a moment; returns them."""
        gone = [month for month in self.months() if month < f"{before:%Y-%m}"]
        for month in gone:
            self._file(month).unlink(missing_ok=True)
            self._index(month).unlink(missing_ok=True)
        return gone

    def _file(self, month: str) -> Path:
        return self._folder / f"{month}.prj"

    def _index(self, month: str) -> Path:
        return self._folder / f"{month}.index"


def _entry(frame: Frame, month: str) -> dict[str, object]:
    ticket = frame.payload["ticket"]
    return {
        "ticket_id": ticket["id"],
        **{name: ticket[name] for name in ("kind", "number", "client_name", "state")},
        "ended_at": ticket["changed_at"],
        "sheets": len(frame.payload["sheets"]),
        "month": month,
        "offset": frame.begins,
    }


def _content(path: Path) -> bytes:
    return read_file(path) if path.exists() else b""


def _frames(path: Path) -> list[Frame]:
    return list(frames_in(_content(path)))
