"""What time it is, and how long things take. Nothing else in the product asks the machine.

Three times are told apart:

* *Wall time* (`now`) is for people and calendars. The machine's may be wrong: a box without a battery starts in 1970, a
  bad time server says 2038. While it is not credible, `now` is the newest credible time plus what has passed since, and
  `trouble` says what is wrong; whoever deletes by age waits until it is gone.
* *Monotonic time* is for every duration within one run of the process.
* *Running time* is for the few durations that outlive a process (a login, say): seconds for which this store was open.
  A wrong clock does not touch it, and a night in which the box is off does not count.
"""

from __future__ import annotations

import ctypes
import threading
import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from enum import StrEnum
from functools import cache

from store.model import Model

BUILT = datetime(2026, 11, 1, tzinfo=UTC)  # no clock that says less is right; moved on with each release
FAR = timedelta(days=7)  # a step of the clock, or a time for which the box was off, that somebody has to confirm
SYNCHRONIZES_WITHIN_S = 3600.0  # a box that found no time server for so long tells a person
MOST_ESTIMATES = 50  # that are remembered
AGREES_S = 60.0  # the kernel's clock and ours, when both are the same clock


class ClockTrouble(StrEnum):
    """Why the machine's clock is not believed."""

    BEFORE_BUILD = "before build"  # earlier than this program was made
    BEHIND = "behind"  # far before the newest time that the store has seen
    AHEAD = "ahead"  # far behind it: the box was off for long, or the clock is wrong
    NOT_SYNCHRONIZED = "not synchronized"  # a box that has not heard of a time server since its start


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), 64 bits."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("before", ctypes.c_long * 4),  # offset, freq, maxerror, esterror
        ("status", ctypes.c_int),
        ("between", ctypes.c_long * 3),  # constant, precision, tolerance
        ("seconds", ctypes.c_long),
        ("fraction", ctypes.c_long),
        ("behind", ctypes.c_long * 32),
    )


_STA_UNSYNC = 0x0040


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # what this process has loaded


class MachineTime:
    """The machine's clocks. Tests and simulations have their own."""

    def wall(self) -> datetime:
        """What the machine takes for the time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; only differences mean something."""
        return time.monotonic()

    def is_synchronized(self) -> bool:
        """Whether the kernel says that a time server sets its clock, and that clock is the one we see."""
        told = _Timex()
        if _c_library().adjtimex(ctypes.byref(told)) < 0 or told.status & _STA_UNSYNC:
            return False
        return bool(abs(told.seconds - self.wall().timestamp()) < AGREES_S)


class Estimate(Model):
    """A while in which the machine's clock was not believed: what was dated in it is younger than it says."""

    began: datetime  # of the estimated time
    ended: datetime
    really: datetime  # when the right time was known again


class Marks(Model):
    """What the store remembers of the clock from one run to the next."""

    newest: datetime | None = None  # the newest time that was given out; None: none
    is_known: bool = False  # it, or one before it, was the machine's and believed
    ran_s: float = 0.0  # running time
    is_trusted: bool = False  # a person said that this machine's clock is right although no time server sets it
    estimating_since: datetime | None = None  # while the machine's clock is not believed
    estimates: tuple[Estimate, ...] = ()


class Clock:
    """The one clock of a store; any thread may ask."""

    def __init__(
        self, machine: MachineTime | None = None, marks: Marks | None = None, expects_time_server: bool = False
    ) -> None:
        """
        Args:
            machine: the machine's clocks.
            marks: what the store remembers.
            expects_time_server: whether only a synchronized clock counts, or one that a person confirmed: in a box
                without a battery, whose clock begins anywhere.
        """
        self._machine, marks = machine or MachineTime(), marks or Marks()
        self._expects_time_server, self._is_trusted = expects_time_server, marks.is_trusted
        self._lock = threading.Lock()
        self._began_s = self._machine.monotonic()
        self._ran_before_s = marks.ran_s
        self._newest, self._estimates, self._estimating_since = marks.newest, marks.estimates, marks.estimating_since
        # The last time that was believed, and when: from there on the monotonic clock counts.
        self._anchor, self._anchor_s = marks.newest or BUILT, self._began_s
        self._is_known = marks.is_known  # a time that was believed, and not only estimates from when we were built
        self._was_synchronized = False
        self._trouble: ClockTrouble | None = None

    # -- durations ------------------------------------------------------------------------------------------------

    def monotonic(self) -> float:
        """Seconds, for differences within this process."""
        return self._machine.monotonic()

    def running_s(self) -> float:
        """Seconds for which this store has been open, in all its processes; what a crash forgets is minutes."""
        return self._ran_before_s + self._machine.monotonic() - self._began_s

    # -- wall time ------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The best that is known of the time, in UTC."""
        with self._lock:
            return self._look()

    @property
    def trouble(self) -> ClockTrouble | None:
        """Why the machine's clock is not believed; None while it is. Nothing may be deleted by its age meanwhile."""
        with self._lock:
            self._look()
            if self._trouble is None and self._expects_time_server and not self._is_set():
                return ClockTrouble.NOT_SYNCHRONIZED
            return self._trouble

    @property
    def is_told(self) -> bool:
        """Whether a person should hear of the trouble: a time server gets an hour to mend it by itself."""
        trouble = self.trouble
        if trouble is ClockTrouble.NOT_SYNCHRONIZED:
            return self._machine.monotonic() - self._began_s > SYNCHRONIZES_WITHIN_S
        return trouble is not None

    def when(self, moment: datetime) -> datetime:
        """When something happened that the store dates so: what was dated while the time was estimated happened, at the
        latest, when the right one was known again."""
        return next((one.really for one in self._estimates if one.began <= moment <= one.ended), moment)

    def machine_time(self) -> datetime:
        """What the machine's clock says, right or wrong: to be shown to somebody who compares."""
        return self._machine.wall()

    def confirm(self) -> None:
        """A person looked at a clock: what the machine says is right."""
        with self._lock:
            wall = self._machine.wall()
            if wall < BUILT:
                return  # it cannot be
            self._is_trusted = True
            self._newest = None  # what was taken for newer was wrong
            self._believe(wall)

    @property
    def marks(self) -> Marks:
        """What the store is to remember."""
        with self._lock:
            self._look()
            return Marks(
                newest=self._newest,
                is_known=self._is_known,
                ran_s=self.running_s(),
                is_trusted=self._is_trusted,
                estimating_since=self._estimating_since,
                estimates=self._estimates,
            )

    def _look(self) -> datetime:
        wall, expected = self._machine.wall(), self._expected()
        trouble = self._judge(wall, expected)
        if trouble is not None and wall >= BUILT and self._machine.is_synchronized():
            self._newest, trouble = None, None  # what was taken for newer was wrong
        self._trouble = trouble
        if trouble is None:
            self._believe(wall)
            return wall
        if self._estimating_since is None:
            self._estimating_since = expected
        self._newest = max(expected, self._newest) if self._newest else expected
        return expected

    def _expected(self) -> datetime:
        return self._anchor + timedelta(seconds=self._machine.monotonic() - self._anchor_s)

    def _judge(self, wall: datetime, expected: datetime) -> ClockTrouble | None:
        if wall < BUILT - timedelta(days=1):  # whoever builds may live west of who runs
            return ClockTrouble.BEFORE_BUILD
        if not self._is_known:
            return None  # there is nothing that it could be far from
        if wall < expected - FAR:
            return ClockTrouble.BEHIND
        if wall > expected + FAR:
            return ClockTrouble.AHEAD
        return None

    def _believe(self, wall: datetime) -> None:
        if self._estimating_since is not None:
            known = Estimate(began=self._estimating_since, ended=self._expected(), really=wall)
            if known.really > known.ended:
                self._estimates = (*self._estimates[-MOST_ESTIMATES:], known)
            self._estimating_since = None
        self._anchor, self._anchor_s, self._is_known = wall, self._machine.monotonic(), True
        self._newest = max(wall, self._newest) if self._newest else wall

    def _is_set(self) -> bool:
        """Whether a time server has set the clock since the start, or a person vouches for it."""
        self._was_synchronized = self._was_synchronized or self._machine.is_synchronized()
        return self._was_synchronized or self._is_trusted


def at_local(day: date, wanted: time_of_day, zone: tzinfo | None) -> datetime:
    """A time of day on a day in a zone, in UTC; in the hour that a change of clocks leaves out, that much later.

    Args:
        day: in the zone.
        wanted: hours and minutes there.
        zone: None for the machine's.

    >>> from zoneinfo import ZoneInfo
    >>> at_local(date(2026, 3, 8), time_of_day(6), ZoneInfo("America/Chicago")).isoformat()
    '2026-03-08T11:00:00+00:00'
    """
    naive = datetime.combine(day, wanted)
    return (naive.replace(tzinfo=zone) if zone is not None else naive).astimezone(UTC)


def first_at(after: datetime, wanted: time_of_day, zone: tzinfo | None) -> datetime:
    """The first moment at or after another that has a time of day in a zone, in UTC.

    >>> from zoneinfo import ZoneInfo
    >>> night = datetime(2026, 3, 8, 4, tzinfo=UTC)  # 22:00 in Chicago, before the night in which clocks go forward
    >>> first_at(night, time_of_day(6), ZoneInfo("America/Chicago")).isoformat()
    '2026-03-08T11:00:00+00:00'
    """
    day = after.astimezone(zone).date()
    found = at_local(day, wanted, zone)
    return found if found >= after else at_local(day + timedelta(days=1), wanted, zone)
