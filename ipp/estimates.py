"""When tickets will be done, from what waits and how fast the printers were lately. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ipp.pool import why_not_ready
from ipp.waiting import paces
from store.records import Printer, PrinterStatus, PrintJob

Target = tuple[str, int]  # ("pool", its id) or ("printer", its id)


@dataclass(frozen=True)
class Wanted:
    """What is left to print of one ticket."""

    ticket_id: int
    copies: Mapping[Target, int]


def rates(
    printers: Iterable[Printer], statuses: Mapping[int, PrinterStatus], newest: Iterable[PrintJob]
) -> dict[Target, float]:
    """Copies a second of every pool and printer that prints now and has printed lately.

    Args:
        printers: all of them.
        statuses: by printer.
        newest: print jobs, those that were made last.
    """
    pace, found = paces(newest), dict[Target, float]()
    for printer in printers:
        status = statuses.get(printer.id)
        if printer.inactive or printer.id not in pace or status is None or why_not_ready(printer, status):
            continue
        for target in (("printer", printer.id), ("pool", printer.pool_id)):
            if target[1] is not None:
                found[target[0], target[1]] = found.get((target[0], target[1]), 0.0) + 1 / pace[printer.id]
    return found


def estimates(wanted: Sequence[Wanted], known: Mapping[Target, float]) -> dict[int, float]:
    """By ticket: seconds until it is done, where that can be told.

    Args:
        wanted: in the order in which they are printed.
        known: copies a second, by where they are printed.

    >>> first, second = Wanted(1, {("pool", 1): 10}), Wanted(2, {("pool", 1): 5, ("printer", 7): 1})
    >>> estimates([first, second], {("pool", 1): 0.5})
    {1: 20.0}
    """
    before: dict[Target, int] = {}
    found: dict[int, float] = {}
    for one in wanted:
        for target, copies in one.copies.items():
            before[target] = before.get(target, 0) + copies
        targets = [target for target, copies in one.copies.items() if copies]
        if targets and all(target in known for target in targets):
            found[one.ticket_id] = max(before[target] / known[target] for target in targets)
    return found
