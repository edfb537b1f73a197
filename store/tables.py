"""The only door to what is true: typed tables, each operation whole, transactions over several.

with store.transaction():
    ticket = store.tickets.add(Ticket(…))
    store.records.put(record.with_(status="Printing"))
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Generic, TypeVar

from store.archive import Archive
from store.audit import Audit
from store.clock import Clock, ClockTrouble, MachineTime, Marks
from store.database import Document
from store.disk import Disk
from store.errors import Conflict, NotFound, StoreUnavailable
from store.folder import DataFolder, FolderLock, signs_of_use
from store.hot_folders import HotFolder, HotFolderNotice
from store.model import Stored
from store.profiles import RenderProfile, StudioLayout
from store.queues import PrintQueue, QueueJob
from store.reach import Reach
from store.records import (
    Alert,
    AlertSettings,
    ArchivedMonth,
    Asset,
    Change,
    ClockMarks,
    DesktopClient,
    Download,
    Instructions,
    KeptAnswer,
    Person,
    Printer,
    PrinterPool,
    PrinterStatus,
    PrintJob,
    Record,
    RenderJob,
    Sheet,
    Ticket,
)
from store.settings import BoxSettings
from store.states import SETTLED_SHEETS, SheetState
from store.tinydb_tables import Database
from store.upgrade import SCHEMA, upgrade
from store.webhooks import Delivery, Webhook

M = TypeVar("M", bound=Stored)
_NEW_BOX = BoxSettings(id=1)
MARK_EVERY_S, MARK_IDLE_S = 600.0, 3600.0


class Shelf(Generic[M]):
    """One table of one model. What it hands out is frozen; changing means putting a changed copy."""

    def __init__(
        self, database: Database, table: str, model: type[M], /, **indexes: Callable[[Document], Hashable]
    ) -> None:
        self._storage, self._name, self._model = database.journal, table, model
        self._parsed: dict[int, tuple[Document, M]] = {}
        for index_name, key in indexes.items():
            self._storage.add_index(table, index_name, key)

    def _model_of(self, doc_id: int, document: Document) -> M:
        known = self._parsed.get(doc_id)
        if known is not None and known[0] is document:
            return known[1]
        thing = self._model.model_validate({**document, "id": doc_id})
        self._parsed[doc_id] = (document, thing)
        return thing

    @property
    def name(self) -> str:
        """Of the table."""
        return self._name

    def find(self, doc_id: int) -> M | None:
        """The thing with this id, or None."""
        document = self._storage.document(self._name, doc_id)
        return None if document is None else self._model_of(doc_id, document)

    def get(self, doc_id: int) -> M:
        """The thing with this id.

        Raises:
            NotFound: there is none.
        """
        thing = self.find(doc_id)
        if thing is None:
            raise NotFound(f"there is no {self._model.__name__} with id {doc_id}")
        return thing

    def all(self) -> list[M]:
        """Everything in the table, by id. For small tables; elsewhere use by()."""
        return [self._model_of(i, d) for i, d in sorted(self._storage.table_now(self._name).items())]

    def documents(self) -> list[tuple[int, Document]]:
        """(id, document) of everything as it is stored, for looking through large tables; not to be changed."""
        return list(self._storage.table_now(self._name).items())

    def after(self, doc_id: int, limit: int) -> list[M]:
        """At most `limit` things with ids above one, by id; costs what it returns."""
        return [self._model_of(i, d) for i, d in self._storage.after(self._name, doc_id, limit)]

    def newest(self, limit: int) -> list[M]:
        """The things that were added last, newest first; costs what it returns."""
        return [self._model_of(i, d) for i, d in self._storage.newest(self._name, limit)]

    def by(self, index: str, key: Any, settled: bool = True) -> list[M]:
        """What an index has under a key, by id. Keys are compared as stored: enums by their value.

        Unless `settled`, also what is only on its way to the disk, without waiting for it.
        """
        return [self._model_of(i, d) for i, d in self._storage.lookup(self._name, index, key, settled)]

    def count(self, index: str, key: Any) -> int:
        """How many an index has under a key, without reading them."""
        return self._storage.count_of(self._name, index, key)

    def new_id(self) -> int:
        """An id for a new thing, that no other gets."""
        return self._storage.reserve_id(self._name)

    def add(self, thing: M) -> M:
        """Keep a new thing; returned with its id. A thing that already has an id keeps it."""
        doc_id = thing.id or self.new_id()
        with self._storage.transaction():
            if self._storage.document(self._name, doc_id) is not None:
                raise Conflict(f"there already is a {self._model.__name__} with id {doc_id}")
            kept = thing.model_copy(update={"id": doc_id})
            self.put(kept)
        return kept

    def put(self, thing: M) -> None:
        """Keep a thing in place of the one with its id."""
        document = thing.model_dump(mode="json", exclude={"id"}, exclude_defaults=True)
        self._storage.put(self._name, thing.id, document)

    def remove(self, doc_id: int) -> None:
        """Take a thing away."""
        self._storage.put(self._name, doc_id, None)
        self._parsed.pop(doc_id, None)

    def __len__(self) -> int:
        return self._storage.count(self._name)


def _is_open(sheet: Document) -> bool:
    """Whether something is still to be done about a sheet."""
    is_done = sheet["state"] in SETTLED_SHEETS or (sheet["state"] == SheetState.DRAWN and not sheet.get("prints"))
    return not is_done


class Store:
    """The open store of a data folder. One process has it; all its threads may use it."""

    def __init__(
        self,
        root: Path,
        disk: Disk | None = None,
        on_trial: Callable[[], bool] = lambda: False,
        machine: MachineTime | None = None,
        expects_time_server: bool = False,
    ) -> None:
        """Take the folder and open its store.

        Args:
            root: the data folder.
            disk: the operating system's, or a test's unreliable one.
            on_trial: whether this version may still be given up for the one before; see JournalStorage.
            machine: its clocks, or a test's; see Clock.
            expects_time_server: see Clock.

        Raises:
            StoreLocked, StoreDamaged, StoreTooNew: with what to do.
        """
        self._lock = FolderLock(root)
        self._free_bytes, self._free_seen_s = 0, -inf
        try:
            self.folder = DataFolder(root)
            signs = partial(signs_of_use, root)
            self._database = Database(self.folder.store, SCHEMA, disk, upgrade, on_trial, signs)
            self.archive = Archive(self.folder.archive, disk)
            self.audit = Audit(self.folder.root / "audit")
        except BaseException:
            self._lock.release()
            raise
        db = self._database
        self.records = Shelf(
            db, "records", Record, number=lambda d: (d["kind"], d["number"]), drop=lambda d: d.get("drop", "")
        )
        self.render_profiles = Shelf(db, "render_profiles", RenderProfile)
        self.studio_layouts = Shelf(db, "studio_layouts", StudioLayout)
        self.render_jobs = Shelf(db, "render_jobs", RenderJob)
        self.printers = Shelf(db, "printers", Printer, uuid=lambda d: d.get("uuid", ""))
        self.printer_status = Shelf(db, "printer_status", PrinterStatus)
        self.printer_pools = Shelf(db, "printer_pools", PrinterPool)
        self.tickets = Shelf(db, "tickets", Ticket, state=lambda d: d["state"], record=lambda d: d["record_id"])
        self.instructions = Shelf(db, "instructions", Instructions)
        self.sheets = Shelf(
            db,
            "sheets",
            Sheet,
            ticket=lambda d: d["ticket_id"],
            ticket_state=lambda d: (d["ticket_id"], d["state"]),
            # What decides where a ticket goes, so that the end of a sheet costs the same among ten and ten thousand.
            open=lambda d: d["ticket_id"] if _is_open(d) else 0,
            held=lambda d: d["ticket_id"] if d["state"] == SheetState.DRAWN and d.get("hold") else 0,
            was_sent=lambda d: d["ticket_id"] if d.get("print_job_id") else 0,
        )
        self.print_jobs = Shelf(
            db,
            "print_jobs",
            PrintJob,
            sheet=lambda d: d["sheet_id"],
            printer_state=lambda d: (d["printer_id"], d["state"]),
            orphaned=lambda d: bool(d.get("is_orphaned")),
            stuck=lambda d: bool(d.get("stuck")),
        )
        self.print_queues = Shelf(db, "print_queues", PrintQueue, path=lambda d: d["path"])
        self.queue_jobs = Shelf(
            db,
            "queue_jobs",
            QueueJob,
            queue=lambda d: d["queue_id"],
            queue_state=lambda d: (d["queue_id"], d["state"]),
            state=lambda d: d["state"],
            ticket=lambda d: d.get("ticket_id") or 0,
        )
        self.changes = Shelf(db, "changes", Change)
        self.downloads = Shelf(db, "downloads", Download, token=lambda d: d["token"], ticket=lambda d: d["ticket_id"])
        self.assets = Shelf(db, "assets", Asset)
        self.desktop_clients = Shelf(db, "desktop_clients", DesktopClient, token=lambda d: d["token_sha256"])
        self.kept_answers = Shelf(db, "kept_answers", KeptAnswer, key=lambda d: (d["client_id"], d["key"]))
        self.webhooks = Shelf(db, "webhooks", Webhook)
        self.deliveries = Shelf(db, "deliveries", Delivery, webhook=lambda d: d["webhook_id"])
        self.hot_folders = Shelf(db, "hot_folders", HotFolder)
        self.hot_folder_notices = Shelf(db, "hot_folder_notices", HotFolderNotice)
        self.alert_settings = Shelf(db, "alert_settings", AlertSettings)
        self.alerts = Shelf(db, "alerts", Alert)
        self.box_settings = Shelf(db, "box_settings", BoxSettings)
        self.people = Shelf(db, "people", Person, name=lambda d: d["name"])
        self.archived_months = Shelf(db, "archived_months", ArchivedMonth)
        self.clock_marks = Shelf(db, "clock_marks", ClockMarks)
        self.clock = Clock(machine, self._marks(), expects_time_server)
        self.reach = Reach(self.clock)
        self._marked_s, self._marked_version = self.clock.monotonic(), self.version
        if not self.is_on_trial:
            with suppress(StoreUnavailable):  # a full disk: nothing is dated, either
                self.remember_time()  # before anything is dated: what an estimated time is must be known

    def shelves(self) -> list[Shelf[Any]]:
        """Every table."""
        return [shelf for shelf in vars(self).values() if isinstance(shelf, Shelf)]

    def transaction(self) -> AbstractContextManager[None]:
        """Keep all changes made inside, or none."""
        return self._database.journal.transaction()

    def reading(self) -> AbstractContextManager[None]:
        """Everything read inside belongs to one moment."""
        return self._database.journal.reading()

    @property
    def version(self) -> int:
        """Grows with every commit; for wait()."""
        return self._database.journal.version

    def wait(self, version: int, timeout_s: float) -> int:
        """Sleep until something was committed after `version`, or the time is up; returns the version now."""
        return self._database.journal.wait(version, timeout_s)

    @property
    def settings(self) -> BoxSettings:
        """What people set for the whole box."""
        return self.box_settings.find(1) or _NEW_BOX

    def set(self, **changes: Any) -> BoxSettings:
        """Change some of the settings.

        Raises:
            pydantic.ValidationError: one of them is wrong.
        """
        with self.transaction():
            settings = self.settings.with_(**changes)
            self.box_settings.put(settings)
        return settings

    # -- time -----------------------------------------------------------------------------------------------------

    def local(self, moment: datetime) -> datetime:
        """A moment in the studio's time zone."""
        return moment.astimezone(self.settings.zone)

    def _marks(self) -> Marks:
        kept = self.clock_marks.find(1)
        if kept is not None:
            return kept
        # Written by a version that kept none: the newest thing that happened tells.
        happened = [thing.changed_at for shelf in (self.tickets, self.records) for thing in shelf.newest(20)]
        return Marks(newest=max(happened, default=None), is_known=bool(happened))

    def remember_time(self) -> None:
        """Keep what the next start must know of the clock; writes seldom, and hardly ever while nothing happens."""
        waited_s = self.clock.monotonic() - self._marked_s
        kept, marks = self.clock_marks.find(1), self.clock.marks
        is_news = kept is None or (kept.estimates, kept.estimating_since) != (marks.estimates, marks.estimating_since)
        if is_news or waited_s >= (MARK_EVERY_S if self.version != self._marked_version else MARK_IDLE_S):
            self._mark()

    def confirm_clock(self) -> None:
        """A person says that the machine's clock is right."""
        self.clock.confirm()
        self._mark()

    def _mark(self) -> None:
        self.clock_marks.put(ClockMarks(id=1, **dict(self.clock.marks)))
        self._marked_s, self._marked_version = self.clock.monotonic(), self.version

    # -- the box as a whole ---------------------------------------------------------------------------------------

    def is_resting(self, now: datetime) -> bool:
        """Whether nothing is to be started, drawn or given to printers: people paused it, or it is out of hours."""
        settings = self.settings
        return settings.is_paused or not settings.is_open(self.local(now))

    def pause(self, is_paused: bool) -> None:
        """Pause all processing, or let it go on."""
        self.set(is_paused=is_paused, **({} if is_paused else {"restored_from": ""}))

    @property
    def is_on_trial(self) -> bool:
        """Whether nothing is taken yet, because the version before may still come back."""
        return self._database.journal.is_on_trial

    @property
    def next_ids(self) -> dict[str, int]:
        """By table: the id that its next thing gets."""
        return self._database.journal.next_ids

    @property
    def damage(self) -> list[str]:
        """What was found damaged when the store was opened."""
        return list(self._database.journal.damage)

    @property
    def doubts(self) -> list[str]:
        """What may have been lost before the store was opened; nobody can know."""
        return list(self._database.journal.doubts)

    def failures(self) -> list[str]:
        """Why the box as a whole does not work, in sentences; empty while it does."""
        return [self._database.journal.failed] if self._database.journal.failed else []

    def troubles(self, min_free_bytes: int) -> list[str]:
        """What is wrong with the clock, what the store lies on and the folders that it needs, in sentences that say
        what to do; empty while all is well."""
        journal = self._database.journal
        kept = self.folder.store / "damaged"
        found = [f"{note}. The files as they were lie in {kept}. Compare prints with orders" for note in journal.damage]
        found += [f"{doubt}. If something is missing, enter or send it again" for doubt in journal.doubts]
        found += [f"{one}. Put the file back, or restore a backup that has it" for one in self.archive.damage]
        if journal.head_failed:
            found.append(
                f"The disk refuses store.head ({journal.head_failed}): should the power fail now, nobody could say "
                "whether the newest changes are missing. Check the disk"
            )
        if journal.failed:
            found.append(journal.failed)
        elif not self.has_room(min_free_bytes):
            free_mb = shutil.disk_usage(self.folder.root).free // 1_000_000
            found.append(
                f"The disk is nearly full ({free_mb} MB free): no new records or pictures are taken until there is "
                "room. What was accepted goes on. Delete old files from the output folder"
            )
        found += [
            f"The folder {silence.root} has not answered since {self.local(silence.since):%H:%M}: look whether the "
            "server or the disk that it lies on is there. What needs it waits, and goes on by itself"
            for silence in self.reach.silent()
        ]
        return [*found, self._clock_trouble()] if self.clock.is_told else found

    def _clock_trouble(self) -> str:
        said = f"{self.local(self.clock.machine_time()):%B %-d, %Y, %H:%M}"
        rests = "Until then nothing is archived or deleted"
        match self.clock.trouble:
            case ClockTrouble.BEFORE_BUILD:
                return (
                    f"The clock of this box says {said}, which cannot be. Set it, or connect the box to a time server. "
                    f"{rests}, and times are estimates"
                )
            case ClockTrouble.NOT_SYNCHRONIZED:
                return (
                    f"This box has not reached a time server since it started; its clock says {said}. If that is "
                    f"right, say so under Health and log. {rests}"
                )
            case _:
                newest = self.local(self.clock.marks.newest or self.clock.now())
                return (
                    f"The clock of this box says {said}, far from the last time that it knows of, "
                    f"{newest:%B %-d, %Y, %H:%M}. If it is right, say so under Health and log; if not, set it. {rests}"
                )

    def has_room(self, min_free_bytes: int) -> bool:
        """Whether there is room, and a disk, for new work; what is accepted needs what is left.

        The disk is asked once a second at most: thousands of pushes do not fill it meanwhile.
        """
        now_s = self.clock.monotonic()
        if now_s - self._free_seen_s > 1.0:
            self._free_bytes, self._free_seen_s = shutil.disk_usage(self.folder.root).free, now_s
        return not self._database.journal.failed and self._free_bytes >= min_free_bytes

    def close(self) -> None:
        """Everything to the disk, and the folder free for another process."""
        if self.version != self._marked_version:
            with suppress(StoreUnavailable):  # a full disk: the mark before stands
                self._mark()
        self._database.close()
        self._lock.release()
