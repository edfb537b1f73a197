"""A machine whose clocks stand still until a test moves them."""

from __future__ import annotations

from datetime import datetime, timedelta

from store.clock import MachineTime
from tests.studio import NOW


class SetTime(MachineTime):
    def __init__(self, wall: datetime = NOW, is_synchronized: bool = False) -> None:
        self.wall_time, self.monotonic_s, self.synchronized = wall, 1000.0, is_synchronized

    def wall(self) -> datetime:
        return self.wall_time

    def monotonic(self) -> float:
        return self.monotonic_s

    def is_synchronized(self) -> bool:
        return self.synchronized

    def pass_s(self, seconds: float) -> None:
        """Time goes on."""
        self.monotonic_s += seconds
        self.wall_time += timedelta(seconds=seconds)

    def set_wall(self, wall: datetime) -> None:
        """Somebody, or a time server, sets the clock: no time passes."""
        self.wall_time = wall
