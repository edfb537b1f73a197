"""Separator slips: when an order was divided over a pool, a slip on each printer says what is where. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store.records import Printer, Sheet
from store.sizes import PrintSize

SLIP_DPI = 300
MOST_LINES = 15  # that can be read on a 4x6
_NAMES_A_LINE = 4


@dataclass(frozen=True)
class Slip:
    """A slip that is to be drawn."""

    target: Path
    size: PrintSize  # of its paper
    words: tuple[str, ...]  # lines, the first one large


def words_by_printer(title: str, portions: Sequence[tuple[Printer, Sequence[Sheet]]]) -> dict[int, tuple[str, ...]]:
    """What the slip of each printer says.

    Args:
        title: whose order it is.
        portions: the printers in turn, with the sheets that each has.
    """
    return {
        printer.id: (
            title,
            f"Here, on {printer.name}: {_counted(sheets)}",
            *_names(sheets, MOST_LINES - 1 - len(portions)),
            *(f"On {other.name}: {_counted(theirs)}" for other, theirs in portions if other.id != printer.id),
        )
        for printer, sheets in portions
    }


def _counted(sheets: Sequence[Sheet]) -> str:
    copies = sum(sheet.quantity for sheet in sheets)
    return f"{copies} print{'s' * (copies != 1)}"


def _names(sheets: Sequence[Sheet], most_lines: int) -> list[str]:
    """The pictures in lines of a few; what does not fit is counted."""
    names = [f"{s.image or 'cover'} {s.size}{f' × {s.quantity}' if s.quantity > 1 else ''}" for s in sheets]
    lines = [", ".join(names[at : at + _NAMES_A_LINE]) for at in range(0, len(names), _NAMES_A_LINE)]
    if len(lines) <= most_lines:
        return lines
    kept = max(0, most_lines - 1)
    return [*lines[:kept], f"and {len(names) - kept * _NAMES_A_LINE} more"]
