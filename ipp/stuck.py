"""When a person should hear that a print job does not get on. Pure."""

from __future__ import annotations

from datetime import datetime

from ipp.pool import what_it_wants, why_not_ready
from store.records import Printer, PrinterState, PrinterStatus, PrintJob, Stuck, StuckReason
from store.states import PrintJobState

# Seconds without movement, by why. A printer that says what it wants is believed at once; a slow one gets time.
AFTER_S = {
    StuckReason.STOPPED: 15.0,
    StuckReason.WISHES: 60.0,  # it may be about what comes next
    StuckReason.UNREACHABLE: 120.0,
    StuckReason.BUSY: 120.0,
    StuckReason.SILENT: 300.0,
}
PACES = 5  # times of what a copy usually takes, for a printer that is slower than that


def stuck(
    print_job: PrintJob,
    printer: Printer,
    status: PrinterStatus | None,
    quiet_s: float,
    words: str,
    seconds_per_copy: float,
    now: datetime,
) -> Stuck | None:
    """What is told of a print job; None while it gets on.

    Args:
        print_job: the row.
        printer: that has it.
        status: its.
        quiet_s: for which nothing was seen to move.
        words: what kept our requests from going on, last; '' when nothing did.
        seconds_per_copy: that the printer takes, as measured.
        now: the time.
    """
    is_gone = status is not None and status.state is PrinterState.UNREACHABLE
    if is_gone:
        reason, told = StuckReason.UNREACHABLE, status.message if status else ""
    elif status is not None and (why := why_not_ready(printer, status)):
        reason, told = StuckReason.STOPPED, why
    elif status is not None and (wish := what_it_wants(printer, status)):
        reason, told = StuckReason.WISHES, wish
    elif words or print_job.state is not PrintJobState.SENT:
        reason, told = StuckReason.BUSY, words
    else:
        reason, told = StuckReason.SILENT, status.message if status else ""
    limit_s = AFTER_S[reason]
    if reason in (StuckReason.SILENT, StuckReason.WISHES):
        limit_s = max(limit_s, PACES * seconds_per_copy)
    if quiet_s < limit_s:
        return None
    known = print_job.stuck
    if known is not None and known.reason is reason:
        return known
    waits_until_s = known.waits_until_s if known is not None else 0.0
    return Stuck(reason=reason, since=known.since if known else now, told=told[:300], waits_until_s=waits_until_s)
