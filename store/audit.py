"""Who did what in the panel: a line for each change, in monthly files that are only appended to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from store.model import Model


class Entry(Model):
    """One change by one person."""

    at: datetime
    person: str
    address: str
    what: str  # in words


class Audit:
    """The files; any thread may write."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        folder.mkdir(mode=0o700, exist_ok=True)

    def add(self, entry: Entry) -> None:
        """Write an entry down.

        Raises:
            OSError: the disk did not take it.
        """
        line = entry.model_dump_json() + "\n"
        with self._lock, (self._folder / f"{entry.at:%Y-%m}.jsonl").open("a") as file:
            file.write(line)

    def newest(self, limit: int) -> list[Entry]:
        """The last entries, newest first."""
        return list(islice(self._backwards(), limit))

    def _backwards(self) -> Iterator[Entry]:
        for path in sorted(self._folder.glob("*.jsonl"), reverse=True):
            for line in reversed(path.read_text(errors="replace").splitlines()):
                try:
                    yield Entry.model_validate_json(line)
                except ValidationError:  # cut off by a crash
                    continue

    def expire(self, before: datetime) -> None:
        """Delete the months that lie wholly before a time."""
        for path in self._folder.glob("*.jsonl"):
            if path.stem < f"{before:%Y-%m}":
                path.unlink()
