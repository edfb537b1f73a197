"""Settling print jobs: the printer's last word, or that there is none, into the ledger."""

from __future__ import annotations

from ipp.attributes import JobState
from ipp.client import ListedJob
from ipp.ledger import Verdict
from ipp.watch import Watch
from store import progress
from store.records import Printer, PrintJob
from store.states import PrintJobState
from store.tables import Store


class Settling:
    """Writes how print jobs ended."""

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store, self._watch, self._clock = store, watch, store.clock

    def give_back(self, print_job: PrintJob, reason: str, is_orphaned: bool = False) -> None:
        """Nothing of it was printed: the sheet may go anywhere."""
        progress.settle_print_job(
            self._store, print_job, "cancel", self._clock.now(), reason=reason, is_orphaned=is_orphaned
        )

    def doubt(self, print_job: PrintJob, why: str, is_orphaned: bool = False) -> None:
        """Nobody can know: a person is asked. With `is_orphaned` the printer still has it, and is to let it go."""
        printer = self._store.printers.find(print_job.printer_id)
        reason = f"{why}: it cannot say whether the sheet came out of {printer.name if printer else 'the printer'}"
        progress.settle_print_job(
            self._store, print_job, "doubt", self._clock.now(), reason=reason, is_orphaned=is_orphaned
        )

    def without_printer(self, print_job: PrintJob) -> None:
        """Its printer was removed from the box."""
        if print_job.state in (PrintJobState.INTENDED, PrintJobState.CREATED):
            self.give_back(print_job, "the printer was removed")
        else:
            self.doubt(print_job, "the printer was removed")

    def settle(self, print_job: PrintJob, printer: Printer, listed: ListedJob | None, verdict: Verdict) -> None:
        """Take over the printer's last word on a job whose document it acknowledged."""
        now, done = self._clock.now(), listed.impressions_completed if listed else None
        if verdict is Verdict.COMPLETE:
            progress.settle_print_job(self._store, print_job, "complete", now, impressions_completed=done)
        elif verdict is Verdict.ABORT and listed is not None:
            why = listed.message or ", ".join(listed.reasons) or "no reason given"
            reason = f"{printer.name} {_word(listed)} the print ({why}): look at the printer"
            progress.settle_print_job(self._store, print_job, "abort", now, holds=True, reason=reason)
        elif listed is None:
            self.doubt(print_job, "the printer no longer lists the job")
        elif listed.state is JobState.COMPLETED:
            self.doubt(print_job, f"the printer says completed, and counted {done} of {print_job.copies} copies")
        else:
            self.doubt(print_job, f"the printer {_word(listed)} the print after {done} of {print_job.copies} copies")
        self._watch.soon(print_job.printer_id)

    def settle_withdrawn(
        self, print_job: PrintJob, printer: Printer, listed: ListedJob | None, verdict: Verdict
    ) -> None:
        """The same for a job that a person wanted back: what was canceled has as many copies as the printer counted."""
        if listed is None or listed.state not in (JobState.CANCELED, JobState.ABORTED):
            self.settle(print_job, printer, listed, verdict)
            return
        done = listed.impressions_completed
        progress.settle_print_job(
            self._store,
            print_job,
            "cancel",
            self._clock.now(),
            copies=min(done or 0, print_job.copies),
            impressions_completed=done,
            reason=print_job.withdrawal,
        )


def _word(listed: ListedJob) -> str:
    return "canceled" if listed.state is JobState.CANCELED else "aborted"
