"""Finished tickets, aged into monthly files that stay searchable.

An archive file holds one frame for each ticket: the ticket, its frozen instructions, its sheets and print jobs. Beside
it lies an index with a line for each, which search reads; it is made anew when it is missing or behind. A ticket is
written here, durably, before it leaves the store: after a crash in between it is in both, and counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from store.disk import Disk
from store.frames import Frame, FrameFile, encode_frame, frame_at, frames_in
from store.model import Model
from store.pushed import RecordKind
from store.records import Instructions, PrintJob, Sheet, Ticket
from store.states import TicketState

_MONTH = re.compile(r"^(\d{4}-\d{2})\.prj$")


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
    offset: int  # of its frame in the month's file


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
        folder.mkdir(mode=0o700, exist_ok=True)

    def add(self, tickets: list[ArchivedTicket]) -> None:
        """Keep tickets; durable when this returns. One that is here already is left as it is."""
        by_month: dict[str, list[ArchivedTicket]] = {}
        for one in tickets:
            by_month.setdefault(f"{one.ticket.changed_at:%Y-%m}", []).append(one)
        for month, some in by_month.items():
            known = {entry.ticket_id for entry in self.entries(month)}
            frames = [encode_frame(one.model_dump(mode="json")) for one in some if one.ticket.id not in known]
            path = self._folder / f"{month}.prj"
            self._append(path, b"".join(frames))
            self._catch_up(month)
        self._disk.sync_folder(self._folder)

    def _append(self, path: Path, data: bytes) -> None:
        whole = max((frame.ends for frame in _frames(path)), default=0)
        file = FrameFile(path, self._disk, whole)
        try:
            file.append(data)
            file.trim()
        finally:
            file.close()

    def _catch_up(self, month: str) -> None:
        """Bring a month's index to what its file holds."""
        path, index = self._folder / f"{month}.prj", self._folder / f"{month}.index"
        indexed = {int(frame.payload["offset"]) for frame in _frames(index)}
        lines = []
        for frame in _frames(path):
            if frame.begins in indexed:
                continue
            ticket = frame.payload["ticket"]
            entry = {
                "ticket_id": ticket["id"],
                **{name: ticket[name] for name in ("kind", "number", "client_name", "state")},
                "ended_at": ticket["changed_at"],
                "sheets": len(frame.payload["sheets"]),
                "month": month,
                "offset": frame.begins,
            }
            lines.append(encode_frame(entry))
        if lines:
            self._append(index, b"".join(lines))

    def months(self) -> list[str]:
        """The months that have tickets, newest first."""
        found = (_MONTH.match(path.name) for path in self._folder.iterdir())
        return sorted((match[1] for match in found if match), reverse=True)

    def entries(self, month: str) -> Iterator[Entry]:
        """A month's index, newest first."""
        index = self._folder / f"{month}.index"
        if not index.exists() and (self._folder / f"{month}.prj").exists():
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
        """One ticket of a month, or None."""
        if not re.fullmatch(r"\d{4}-\d{2}", month):
            return None
        for entry in self.entries(month):
            if entry.ticket_id == ticket_id:
                frame = frame_at((self._folder / f"{month}.prj").read_bytes(), entry.offset)
                return ArchivedTicket.model_validate(frame.payload) if frame else None
        return None

    def expire(self, before: datetime) -> list[str]:
        """Delete the months that ended before a moment; returns them."""
        gone = [month for month in self.months() if month < f"{before:%Y-%m}"]
        for month in gone:
            (self._folder / f"{month}.prj").unlink(missing_ok=True)
            (self._folder / f"{month}.index").unlink(missing_ok=True)
        return gone


def _frames(path: Path) -> list[Frame]:
    data: Any = path.read_bytes() if path.exists() else b""
    return list(frames_in(data))
