"""Printers that took nothing lately, and what they refused: others get it meanwhile. A restart forgets it all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

BUSY_FIRST_S, BUSY_LONGEST_S = 2.0, 15.0
REFUSED_FIRST_S, REFUSED_LONGEST_S = 2.0, 60.0
MOST_REFUSALS = 3  # of the same thing: then it is no accident

Kind = Hashable  # what is refused: profile and size


@dataclass(frozen=True)
class Refusal:
    """What a printer said to sheets of one kind."""

    words: str
    count: int
    is_final: bool  # asked again, it would say the same
    not_before_s: float

    @property
    def is_settled(self) -> bool:
        """Whether there is no use in asking this printer again."""
        return self.is_final or self.count >= MOST_REFUSALS


@dataclass(frozen=True)
class _Busy:
    words: str
    count: int
    not_before_s: float


class Shuns:
    """What is remembered, on one event loop."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._busy: dict[int, _Busy] = {}
        self._refusals: dict[int, dict[Kind, Refusal]] = {}

    def note_busy(self, printer_id: int, words: str) -> None:
        """A printer said "later"."""
        known = self._busy.get(printer_id)
        count = known.count + 1 if known else 1
        wait_s = min(BUSY_FIRST_S * 2 ** min(count - 1, 10), BUSY_LONGEST_S)
        self._busy[printer_id] = _Busy(words, count, self._monotonic() + wait_s)

    def note_refusal(self, printer_id: int, kind: Kind, words: str, is_final: bool = False) -> None:
        """A printer would not print sheets of a kind."""
        known = self._refusals.setdefault(printer_id, {}).get(kind)
        count = known.count + 1 if known else 1
        wait_s = min(REFUSED_FIRST_S * 2 ** min(count - 1, 10), REFUSED_LONGEST_S)
        self._refusals[printer_id][kind] = Refusal(words, count, is_final, self._monotonic() + wait_s)

    def note_taken(self, printer_id: int, kind: Kind) -> None:
        """It took one."""
        self._busy.pop(printer_id, None)
        self._refusals.get(printer_id, {}).pop(kind, None)

    def forget(self, printer_id: int) -> None:
        """Its paper or its state has changed: it may take now what it refused before."""
        self._busy.pop(printer_id, None)
        self._refusals.pop(printer_id, None)

    def forget_kind(self, kind: Kind) -> None:
        """A person wants it tried again."""
        for refusals in self._refusals.values():
            refusals.pop(kind, None)

    def busy(self, printer_id: int) -> str:
        """What it said when it takes nothing now; '' when it may be asked."""
        known = self._busy.get(printer_id)
        return known.words if known is not None and self._monotonic() < known.not_before_s else ""

    def refusals(self, printer_id: int) -> Mapping[Kind, Refusal]:
        """What it refused, and should not be asked for now."""
        now_s = self._monotonic()
        known = self._refusals.get(printer_id, {})
        return {kind: one for kind, one in known.items() if one.is_settled or now_s < one.not_before_s}
