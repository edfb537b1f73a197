"""Taking jobs back from printers: for another printer, because a person wants them no more, or as what was left over.

That a printer agrees to cancel a job does not mean that no paper moves (RFC 8011 §4.3.3: it may be processing to its
stop point): a sheet goes elsewhere only when two looks in a row find its job canceled and unbegun.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto

import structlog

from ipp.attributes import ENDED_JOBS, JobState
from ipp.client import ListedJob, PrinterClient
from ipp.errors import JobGone, NotPossible, PrinterError, PrinterRefused
from ipp.ledger import Verdict, judge
from ipp.settling import Settling
from ipp.sight import Sight
from store import progress
from store.records import Printer, PrintJob
from store.states import OPEN_PRINT_JOBS, PrintJobState
from store.tables import Store

log = structlog.get_logger("sender")

LOOK_EVERY_S = 0.5
LOOKS = 10  # until a job that was canceled must have stopped
AGAIN_S = 10.0  # a person's wish is repeated: what has begun may be waiting again later


class Became(Enum):
    """What became of a job that the printer was asked to cancel."""

    UNPRINTED = auto()  # it is canceled, and nothing was printed
    ENDED = auto()  # it has ended otherwise: the list says how
    GOES_ON = auto()  # the printer has begun with it, or does not cancel
    UNKNOWN = auto()  # the printer does not list it any more


class Withdrawals:
    """Asks printers to let go."""

    def __init__(self, store: Store, sight: Sight, settling: Settling) -> None:
        self._store, self._sight, self._settling = store, sight, settling

    async def take_back(self, print_job: PrintJob, client: PrinterClient, listed: ListedJob, reason: str) -> None:
        """Withdraw a job that has not begun, so that another printer may have it.

        Args:
            print_job: the row.
            client: of its printer.
            listed: the job as it was seen just now.
            reason: why, for the row.
        """
        became = await self._cancel(print_job, client, listed)
        print_job = self._store.print_jobs.get(print_job.id)
        if became is Became.UNPRINTED:
            self._settling.give_back(print_job, reason)
        elif became is Became.UNKNOWN or print_job.state is PrintJobState.SENDING:
            self._settling.doubt(print_job, "the job was withdrawn and the printer does not tell whether it had begun")
        # Otherwise it may have begun: it is followed on, and taken back again when it still waits.

    async def take_out(self, print_job: PrintJob, printer: Printer, client: PrinterClient) -> None:
        """A person wants it no more: it is withdrawn as far as it has not begun, and settled by the printer's word."""
        if print_job.state is PrintJobState.CREATED:
            await self.let_go(print_job, client, print_job.withdrawal)
            return
        listed = await self._sight.look(print_job, printer, client)
        verdict = judge(print_job.state, listed, print_job.copies)
        if listed is None or verdict is not Verdict.FOLLOW:
            self._settling.settle_withdrawn(print_job, printer, listed, verdict)
            return
        became = await self._cancel(print_job, client, listed)
        print_job = self._store.print_jobs.get(print_job.id)
        if became is Became.UNPRINTED:
            self._settling.give_back(print_job, print_job.withdrawal)
        elif became is Became.UNKNOWN:
            self._settling.doubt(print_job, "the printer does not tell whether it had begun")
        elif became is Became.ENDED:
            listed = await self._sight.look(print_job, printer, client)
            verdict = judge(print_job.state, listed, print_job.copies)
            self._settling.settle_withdrawn(print_job, printer, listed, verdict)
        else:
            done = listed.impressions_completed or 0
            what = "it comes out" if print_job.copies == 1 else f"up to {print_job.copies - done} more copies come out"
            told = f"{printer.name} has begun with it: {what}"
            with self._store.transaction():
                print_job = self._store.print_jobs.get(print_job.id)
                if print_job.state in OPEN_PRINT_JOBS and print_job.reason != told:
                    self._store.print_jobs.put(print_job.with_(reason=told))
            await asyncio.sleep(AGAIN_S)

    async def let_go(
        self, print_job: PrintJob, client: PrinterClient, reason: str, event: str = "cancel", holds: bool = False
    ) -> None:
        """Give a job up of which the printer has no document. What it knows of it is canceled, now or when it can be.

        Args:
            print_job: the row.
            client: of its printer.
            reason: why.
            event: how the row ends.
            holds: see progress.settle_print_job().
        """
        is_orphaned = False
        if print_job.job_id is not None:
            try:
                await client.cancel_job(print_job.job_id)
            except (NotPossible, JobGone):
                pass  # it has ended by itself, without a document
            except PrinterError as error:
                log.warning("print_job.orphaned", id=print_job.id, error=str(error))
                is_orphaned = True
        print_job = self._store.print_jobs.get(print_job.id)
        if print_job.state in OPEN_PRINT_JOBS:
            now = self._store.clock.now()
            progress.settle_print_job(
                self._store, print_job, event, now, holds=holds, reason=reason, is_orphaned=is_orphaned
            )

    async def take_orphan(self, orphan: PrintJob, client: PrinterClient) -> None:
        """See that a job which was settled without its printer's word is not printed there any more.

        Raises:
            PrinterError: it is not known yet.
        """
        listed = self._sight.find(orphan, await client.jobs())
        if listed is not None and listed.state not in ENDED_JOBS:
            became = await self._cancel(orphan, client, listed)
            if became is Became.GOES_ON:
                return  # asked again
            listed = self._sight.find(orphan, await client.jobs())
        copies: int | None = None
        if listed is not None and listed.state in ENDED_JOBS:
            all_of_it = orphan.copies if listed.state is JobState.COMPLETED else 0
            copies = all_of_it if listed.impressions_completed is None else listed.impressions_completed
        orphan = self._store.print_jobs.get(orphan.id)
        progress.settle_orphan(self._store, orphan, copies, self._store.clock.now())

    async def _cancel(self, print_job: PrintJob, client: PrinterClient, listed: ListedJob) -> Became:
        """Ask the printer to cancel a job, and look until it has said what became of it."""
        try:
            await client.cancel_job(listed.job_id)
        except (NotPossible, JobGone, PrinterRefused) as error:
            log.info("print_job.not_canceled", id=print_job.id, error=str(error))
        seen = 0
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_EVERY_S)
            after = self._sight.find(print_job, await client.jobs())
            if after is None:
                return Became.UNKNOWN
            if after.state in (JobState.CANCELED, JobState.ABORTED):
                seen += 1
                if seen >= 2:
                    return Became.ENDED if after.impressions_completed else Became.UNPRINTED
            elif after.state in ENDED_JOBS:
                return Became.ENDED
            elif after.state is JobState.PROCESSING and "processing-to-stop-point" not in after.reasons:
                return Became.GOES_ON
        return Became.GOES_ON
