"""The open files of a store: the journal that commits are appended to, its head, and the next generation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from store.disk import Disk
from store.frames import FrameFile
from store.generations import begin_journal, encode_closing, file_of, generations, header_of, new_id
from store.head import End, Head, read_head
from store.journal import State
from store.snapshots import Row, write_snapshot

log = structlog.get_logger("store")


class StoreFiles:
    """What a running store writes. One thread at a time appends; another may begin the next generation meanwhile."""

    def __init__(self, folder: Path, schema: int, disk: Disk, state: State) -> None:
        """
        Args:
            folder: of the store.
            schema: of the documents that are written.
            disk: the operating system.
            state: that was found in the folder.
        """
        self._folder, self._schema, self._disk = folder, schema, disk
        self._store = state.store or new_id()
        self._generation, self._good = state.generation, state.start
        self._at = state.number, state.checksum
        self._head = Head(folder, disk)
        self._is_closed = False  # whether the journal has its closing
        self._file: FrameFile
        self.snapshot_bytes = 0  # size of the newest one

    def resume(self, state: State) -> None:
        """Go on with the journal that is there."""
        (report,) = state.journals
        self._file = FrameFile(report.path, self._disk, report.length_bytes)
        self._is_closed = state.is_closed
        self.snapshot_bytes = file_of(self._folder, "snapshot", self._generation).stat().st_size
        self._disk.sync_folder(self._folder)

    def begin(self, next_ids: dict[str, int], rows: Iterator[Row]) -> None:
        """Write the state as a new generation, and go on with its journal."""
        self._generation += 1
        header = header_of(self._store, self._generation, self._schema, self._at, next_ids)
        self._file = begin_journal(self._folder, header, self._disk)
        self._write_snapshot(self._generation, header["number"], header["checksum"], next_ids, rows)

    @property
    def journal_bytes(self) -> int:
        """Length of the journal that is being written."""
        return self._file.length_bytes

    @property
    def head_failed(self) -> str:
        """Why the head cannot be written; '' while all is well."""
        return self._head.failed

    def append(self, data: bytes, number: int, checksum: int) -> None:
        """Bring commits to the disk, durably.

        Args:
            data: their frames.
            number: of the last of them.
            checksum: of its frame.

        Raises:
            OSError: see FrameFile.append. A head that cannot be written is only noted.
        """
        if not self._head.is_begun:  # nothing may be acknowledged while it says that the store is closed
            self._head.begin(End(self._store, self._generation, *self._at))
        self._file.append(data)
        self._at, self._is_closed = (number, checksum), False
        self._head.note(self._generation, number, checksum)

    def fold(
        self,
        exclusively: Callable[[Callable[[], bool]], bool],
        picture: Callable[[], tuple[dict[str, int], Iterator[Row]] | None],
    ) -> None:
        """Write the state as a new snapshot and begin a new journal; commits go on meanwhile.

        Args:
            exclusively: calls a function while nothing is appended, with everything appended that was committed.
            picture: next ids and rows as they are when it is called, to be read later; None when nothing is to be done.

        Raises:
            OSError: the disk refused; the journals that are there have everything.
        """
        generation = self._generation + 1
        header = header_of(self._store, generation, self._schema, self._at, {})
        new, old = begin_journal(self._folder, header, self._disk), self._file
        taken: list[tuple[tuple[int, int], dict[str, int], Iterator[Row]]] = []

        def switch() -> bool:
            found = picture()
            if found is not None:
                taken.append((self._at, *found))
                self._file, self._generation = new, generation
            return found is not None

        if self._head.failed:  # it may have been a full disk
            self._head.begin(End(self._store, self._generation, *self._at))
        if not exclusively(switch):
            new.close()
            return
        at, next_ids, rows = taken[0]
        self._leave(old, at, generation)
        self._write_snapshot(generation, *at, next_ids, rows)
        log.info("store.folded", generation=generation, bytes=self.snapshot_bytes)

    def _write_snapshot(
        self, generation: int, number: int, checksum: int, next_ids: dict[str, int], rows: Iterator[Row]
    ) -> None:
        header = header_of(self._store, generation, self._schema, (number, checksum), next_ids)
        path = file_of(self._folder, "snapshot", generation)
        self.snapshot_bytes = write_snapshot(path, header, rows, self._disk)
        # The last good snapshot stays, with all journals since, in case this one rots.
        for kind in ("snapshot", "journal"):
            for stale, path in generations(self._folder, kind).items():
                if stale < self._good:
                    self._disk.remove(path)
        self._good = generation

    def _leave(self, file: FrameFile, at: tuple[int, int], following: int) -> None:
        """Say at a journal's end that it is one. It has everything without that, so the disk may refuse."""
        try:
            file.append(encode_closing(*at, following), room_bytes=0)
        except OSError as error:
            log.error("store.closing_failed", error=str(error))
        try:
            file.trim()
        except OSError as error:
            log.error("store.closing_failed", error=str(error))
        if following:
            file.close()

    def close(self, is_clean: bool) -> None:
        """Close the files; with a mark of the end where everything is on the disk and may be marked."""
        end = End(self._store, self._generation, *self._at, is_closed=True)
        if is_clean and not self._is_closed:
            self._leave(self._file, self._at, following=0)
        if is_clean and read_head(self._folder) != end:
            self._head.close(end)
        else:
            self._head.close()
        self._file.close()
