"""Keeping sight of our jobs at printers: which of a printer's jobs is ours, and whether it gets on."""

from __future__ import annotations

import structlog

from ipp.client import CreatedJob, ListedJob, PrinterClient
from ipp.errors import PrinterError
from ipp.ledger import find
from ipp.movement import Movement
from store.clock import Clock
from store.records import JobIdentity, Printer, PrintJob

log = structlog.get_logger("sender")


class Sight:
    """What is known of jobs beyond their rows; on one event loop."""

    def __init__(self, clock: Clock, movement: Movement) -> None:
        self._clock, self._movement = clock, movement
        self._keeps_names: dict[int, bool] = {}  # by printer, as it was seen
        self._steady: set[int] = set()  # print jobs that were never out of sight since the printer took them

    async def identity(
        self, print_job: PrintJob, printer: Printer, client: PrinterClient, created: CreatedJob
    ) -> JobIdentity | None:
        """What a job is known by besides its name; asked for where the printer does not keep names as they are."""
        self._steady.add(print_job.id)
        if self._keeps_names.get(printer.id):
            return JobIdentity(uuid=created.uuid) if created.uuid else None
        try:
            listed = await client.job(created.job_id)
        except PrinterError as error:  # the name will have to do
            log.info("print_job.not_described", id=print_job.id, error=str(error))
            listed = None
        if listed is None:
            return JobIdentity(uuid=created.uuid) if created.uuid else None
        self._keeps_names[printer.id] = listed.name == print_job.job_name
        if not self._keeps_names[printer.id]:
            log.warning("printer.changes_names", name=printer.name, sent=print_job.job_name, shown=listed.name)
        uuid = created.uuid or listed.uuid
        return JobIdentity(uuid=uuid, name=listed.name, made_s=listed.made_s, made_at=self._clock.now())

    async def look(self, print_job: PrintJob, printer: Printer, client: PrinterClient) -> ListedJob | None:
        """The job as the printer shows it now; None when it lists none of ours."""
        listed: ListedJob | None = None
        if print_job.job_id is not None:
            shown = await client.job(print_job.job_id)
            if shown is not None and (print_job.id in self._steady or self.find(print_job, [shown])):
                listed = shown
        if listed is None:
            self.lost(print_job.id)
            listed = self.find(print_job, await client.jobs())
        if listed is not None:
            done = (listed.impressions_completed, listed.k_octets_processed)
            self._movement.saw(print_job.id, printer.device, "state", listed.state)
            self._movement.saw(print_job.id, printer.device, "done", done)
        return listed

    def find(self, print_job: PrintJob, jobs: list[ListedJob]) -> ListedJob | None:
        """The job among a printer's; see ledger.find()."""
        made_at = print_job.identity.made_at if print_job.identity else None
        return find(print_job, jobs, (self._clock.now() - made_at).total_seconds() if made_at else None)

    def lost(self, print_job_id: int) -> None:
        """It was out of sight: the printer may have been started anew meanwhile."""
        self._steady.discard(print_job_id)

    def forget(self, print_job_id: int) -> None:
        """It has ended."""
        self._steady.discard(print_job_id)
        self._movement.forget(print_job_id)
