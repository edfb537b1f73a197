"""Whether print jobs get on: since when nothing has been seen to happen with one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


@dataclass
class _Job:
    moved_s: float
    signs: dict[str, Hashable] = field(default_factory=dict)


class Movement:
    """What was seen of print jobs and devices last, and when it last changed."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._jobs: dict[int, _Job] = {}
        self._devices: dict[str, float] = {}  # when anything on it last moved

    def saw(self, print_job_id: int, device: str, what: str, sign: Hashable) -> None:
        """Take down how something about a print job is now; another sign than before is movement.

        Args:
            print_job_id: of our row.
            device: that has it.
            what: of its signs: "ours" for what we did, "theirs" for what the printer shows.
            sign: compared only.
        """
        known = self._jobs.setdefault(print_job_id, _Job(self._monotonic()))
        if known.signs.get(what) != sign:
            known.signs[what] = sign
            known.moved_s = self._devices[device] = self._monotonic()

    def sign(self, print_job_id: int, what: str) -> Hashable:
        """As it was seen last; None when it never was."""
        known = self._jobs.get(print_job_id)
        return known.signs.get(what) if known is not None else None

    def quiet_s(self, print_job_id: int, device: str, waits_behind_others: bool) -> float:
        """Seconds for which nothing was seen to move.

        Args:
            print_job_id: of our row.
            device: that has it.
            waits_behind_others: it is not its turn: what moves on the device counts, too.
        """
        known = self._jobs.get(print_job_id)
        moved_s = known.moved_s if known is not None else self._monotonic()
        if waits_behind_others:
            moved_s = max(moved_s, self._devices.get(device, moved_s))
        return self._monotonic() - moved_s

    def forget(self, print_job_id: int) -> None:
        """It has ended."""
        self._jobs.pop(print_job_id, None)
