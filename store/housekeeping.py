"""What ages: finished tickets into the archive, archive months and pictures into nothing, by the studio's settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from store import downloads
from store.archive import ArchivedTicket
from store.clock import BUILT
from store.pushed import AT_THE_BOX
from store.records import ArchivedMonth, Scope
from store.states import ENDED_QUEUE_JOBS, ENDED_TICKETS, OPEN_PRINT_JOBS
from store.tables import Store

log = structlog.get_logger("housekeeping")

EVERY_S = 3600.0
TRIAL_S = 60.0
CLOCK_S = 60.0  # the clock may be set any moment
BATCH = 50  # tickets in one transaction
DOWNLOADS_REMEMBERED = timedelta(days=30)  # after their end, so that "expired" can be told from "never was"
ANSWERS_KEPT = timedelta(days=2)  # a desktop that is switched off over a night may still ask again
UPLOAD_GRACE = timedelta(days=1)  # a picture is uploaded before the record that needs it


@dataclass(frozen=True)
class Retention:
    """How long things are kept."""

    tickets: timedelta = timedelta(days=30)  # in the store, after their end; then in the archive
    archive: timedelta = timedelta(days=3 * 365)
    records: timedelta = timedelta(days=180)  # after their last change; and with them their uploaded pictures


class Housekeeper:
    """Ages things, a little at a time."""

    def __init__(self, store: Store, retention: Retention) -> None:
        self._store, self._retention, self._when = store, retention, store.clock.when
        self._has_looked = False  # whether the archive is whole

    def step(self, now: datetime) -> float:
        """Age what is due; returns the seconds until the next look. Nothing is judged by a clock that is not right."""
        if self._store.is_on_trial:  # the version before must find its files as they were
            return TRIAL_S
        if self._store.clock.trouble is not None:
            return CLOCK_S
        self._age(now)
        return EVERY_S

    def _age(self, now: datetime) -> None:
        is_news = not self._has_looked
        while self._archive_some(now - self._retention.tickets):
            is_news = True
        for month in self._store.archive.expire(now - self._retention.archive):
            log.info("archive.expired", month=month)
        self._forget_months(now - self._retention.archive)
        if is_news:
            for told in self._store.archive.missing(self._counts(), reads_all=False):
                log.error("archive.damaged", note=told)
            self._has_looked = True
        self._store.audit.expire(now - self._retention.archive)
        self._forget_queue_jobs(now - self._retention.tickets)
        self._delete_queued(now)
        self._forget_records(now - self._retention.records, now - self._retention.tickets)
        self._forget_changes(now - self._retention.records)
        self._forget_answers(now - ANSWERS_KEPT)
        self._delete_pictures(now)
        self._forget_downloads(now - DOWNLOADS_REMEMBERED)
        self._delete_assets(now)

    def _archive_some(self, before: datetime) -> bool:
        store = self._store
        due = [
            ticket
            for state in ENDED_TICKETS
            for ticket in store.tickets.by("state", state.value)
            if self._when(ticket.changed_at) < before and not self._is_printing(ticket.id)
        ][:BATCH]
        if not due:
            return False
        whole = [
            ArchivedTicket(
                ticket=ticket,
                instructions=store.instructions.get(ticket.id),
                sheets=tuple(sheets := store.sheets.by("ticket", ticket.id)),
                print_jobs=tuple(job for sheet in sheets for job in store.print_jobs.by("sheet", sheet.id)),
            )
            for ticket in due
        ]
        counts = store.archive.add(whole, self._counts())
        with store.transaction():
            for month, tickets in counts.items():
                store.archived_months.put(ArchivedMonth(id=_key(month), month=month, tickets=tickets))
            for one in whole:
                for job in one.print_jobs:
                    store.print_jobs.remove(job.id)
                for sheet in one.sheets:
                    store.sheets.remove(sheet.id)
                store.instructions.remove(one.ticket.id)
                store.tickets.remove(one.ticket.id)
        for one in whole:
            for sheet in one.sheets:
                for path in store.folder.sheets.glob(f"{sheet.id}.*"):  # the sheet, its thumbnail, other formats
                    path.unlink(missing_ok=True)
        log.info("tickets.archived", count=len(whole))
        return True

    def _counts(self) -> dict[str, int]:
        """How many tickets the archive got, by month."""
        return {one.month: one.tickets for one in self._store.archived_months.all()}

    def _forget_months(self, before: datetime) -> None:
        for one in self._store.archived_months.all():
            if one.month < f"{before:%Y-%m}":
                self._store.archived_months.remove(one.id)

    def _is_printing(self, ticket_id: int) -> bool:
        """A canceled ticket may still have a print job that a printer works on."""
        sheets = self._store.sheets.by("ticket", ticket_id)
        return any(
            job.state in OPEN_PRINT_JOBS for sheet in sheets for job in self._store.print_jobs.by("sheet", sheet.id)
        )

    def _forget_queue_jobs(self, before: datetime) -> None:
        for state in ENDED_QUEUE_JOBS:
            for job in self._store.queue_jobs.by("state", state.value):
                if self._when(job.completed_at or job.created_at) < before:
                    with self._store.transaction():
                        self._store.queue_jobs.remove(job.id)

    def _delete_queued(self, now: datetime) -> None:
        """Documents of print queues: those of jobs that ended a while ago, and those that never became a job."""
        ended_before = now - UPLOAD_GRACE
        needed = {
            document.token
            for job in self._store.queue_jobs.all()
            if job.completed_at is None or self._when(job.completed_at) >= ended_before
            for document in job.documents
        }
        for path in self._store.folder.queued.iterdir():
            if path.name not in needed and _is_old(path, now):
                path.unlink()

    def _forget_records(self, before: datetime, print_jobs_before: datetime) -> None:
        for record_id, record in self._store.records.documents():
            # Those that began at the box have no other use than their ticket.
            limit = print_jobs_before if record["kind"] in AT_THE_BOX else before
            if self._when(datetime.fromisoformat(record["changed_at"])) < limit:
                with self._store.transaction():
                    if not self._store.tickets.by("record", record_id):
                        self._store.records.remove(record_id)
                        log.info("record.expired", kind=record["kind"], number=record["number"])

    def _forget_changes(self, before: datetime) -> None:
        """Changes that every desktop client and webhook has taken, and that are old."""
        store = self._store
        listeners = [client.acknowledged for client in store.desktop_clients.all() if Scope.FOLLOW in client.scopes]
        listeners += [webhook.after for webhook in store.webhooks.all() if not webhook.inactive]
        taken = min(listeners, default=0)
        undelivered = {delivery.change_id for delivery in store.deliveries.all()}
        with store.transaction():
            for change in store.changes.all():
                if change.id <= taken and self._when(change.at) < before and change.id not in undelivered:
                    store.changes.remove(change.id)

    def _forget_answers(self, before: datetime) -> None:
        """Answers kept for repeated requests."""
        with self._store.transaction():
            for kept in self._store.kept_answers.all():
                if self._when(kept.at) < before:
                    self._store.kept_answers.remove(kept.id)

    def _delete_pictures(self, now: datetime) -> None:
        """Uploaded pictures that no record and no open ticket needs."""
        store = self._store
        # Tens of thousands of records are looked through, so as they are stored: reading them all takes a second.
        records = [record for _, record in store.records.documents()]
        records += [frozen["record"] for _, frozen in store.instructions.documents()]
        needed = {image.get("sha256") for record in records for image in record.get("images", ())}
        for path in store.folder.images.glob("*/*"):
            if path.name not in needed and _is_old(path, now):
                path.unlink()
                log.info("image.expired", sha256=path.name)
        for path in store.folder.incoming.iterdir():  # uploads that broke off
            if _is_old(path, now):
                path.unlink()

    def _forget_downloads(self, expired_before: datetime) -> None:
        for link in self._store.downloads.all():
            if downloads.expires_at(self._store, link) < expired_before:
                self._store.downloads.remove(link.id)

    def _delete_assets(self, now: datetime) -> None:
        """Colour profiles and overlays that were taken off the list and that no profile and no ticket needs."""
        store = self._store
        needed = {asset.sha256 for asset in store.assets.all()}
        profiles = [*store.render_profiles.all(), *(p for frozen in store.instructions.all() for p in frozen.profiles)]
        needed |= {asset.sha256 for profile in profiles for asset in profile.assets}
        for path in store.folder.assets.iterdir():
            if path.name not in needed and _is_old(path, now):
                path.unlink()
                log.info("asset.expired", sha256=path.name)


def _is_old(path: Path, now: datetime) -> bool:
    """Whether a file that nobody needs has lain there long enough. One that was written under a wrong clock is as old
    as this look."""
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if written < BUILT or written > now + UPLOAD_GRACE:
        os.utime(path, (now.timestamp(), now.timestamp()))
        return False
    return written < now - UPLOAD_GRACE


def _key(month: str) -> int:
    """The id of a month's row: 202611 for 2026-11."""
    return int(month.replace("-", ""))
