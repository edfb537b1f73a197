"""What was printed: sheets by printer and paper, and what was printed again, and why. Pure reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from store.model import Model
from store.records import PrintJob, Sheet, Ticket
from store.states import PrintJobState
from store.tables import Store


class Line(Model):
    """Copies of one paper on one printer."""

    printer: str
    paper: str
    copies: int
    orders: int
    reprints: int  # of the copies, those that were printed again


class Report(Model):
    """From a moment until now; what has been archived is not in it."""

    since: datetime
    lines: tuple[Line, ...]
    reasons: dict[str, int]  # copies that were printed again, by reason
    doubts: int  # print jobs about which a person was asked


def report(store: Store, since: datetime) -> Report:
    """What was printed since a moment."""
    printers = {printer.id: printer.name for printer in store.printers.all()}
    sheets: Callable[[int], Sheet | None] = store.sheets.find
    tickets: Callable[[int], Ticket | None] = store.tickets.find
    copies: Counter[tuple[str, str]] = Counter()
    again: Counter[tuple[str, str]] = Counter()
    orders: dict[tuple[str, str], set[int]] = {}
    reasons: Counter[str] = Counter()
    doubts = 0
    with store.reading():
        for job in store.print_jobs.all():
            if job.changed_at < since:
                continue
            doubts += _was_doubted(job)
            sheet, ticket = sheets(job.sheet_id), tickets(job.ticket_id)
            if job.state is not PrintJobState.COMPLETED or sheet is None or ticket is None:
                continue
            paper = sheet.size.turned() if sheet.size.width_um > sheet.size.height_um else sheet.size
            key = (printers.get(job.printer_id, "a removed printer"), str(paper))
            copies[key] += job.copies
            orders.setdefault(key, set()).add(ticket.id)
            if ticket.reprint_reason is not None:
                again[key] += job.copies
                reasons[ticket.reprint_reason.value] += job.copies
    lines = tuple(
        Line(printer=key[0], paper=key[1], copies=count, orders=len(orders[key]), reprints=again[key])
        for key, count in sorted(copies.items())
    )
    return Report(since=since, lines=lines, reasons=dict(reasons.most_common()), doubts=doubts)


def _was_doubted(job: PrintJob) -> bool:
    return job.state is PrintJobState.UNSURE or job.reason.startswith("a person")
