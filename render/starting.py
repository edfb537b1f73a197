"""When a ticket may start, by its render job. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo

from store.clock import first_at
from store.records import RenderJob, Timing
from store.settings import is_between


def may_start(render_job: RenderJob, opened: datetime, now: datetime, zone: tzinfo | None) -> bool:
    """Whether a waiting ticket may start.

    Args:
        render_job: its.
        opened: when it was opened.
        now: the time.
        zone: the studio's.

    >>> from datetime import UTC, time
    >>> night = RenderJob(name="n", kind="order", select_status="a", profile_ids=(1,), timing=Timing.HOURS,
    ...     start_time=time(20), end_time=time(6), finish_status="b", error_status="c")
    >>> day = datetime(2026, 5, 1, tzinfo=UTC)
    >>> [may_start(night, day, day.replace(hour=hour), UTC) for hour in (23, 5, 12)]
    [True, True, False]
    >>> evening = night.with_(timing=Timing.AT_TIME)
    >>> [may_start(evening, day.replace(hour=12), day.replace(hour=hour), UTC) for hour in (13, 20, 23)]
    [False, True, True]
    >>> may_start(evening, day.replace(hour=21), day.replace(hour=23), UTC)
    False
    """
    if render_job.timing is Timing.BY_HAND:
        return False
    if render_job.timing is Timing.AT_ONCE:
        return True
    if render_job.timing is Timing.AT_TIME:
        return now >= first_at(opened, render_job.start_time, zone)
    return is_between(now.astimezone(zone).time(), render_job.start_time, render_job.end_time)


def why_waiting(render_job: RenderJob) -> str:
    """What a ticket that may not start waits for."""
    if render_job.timing is Timing.BY_HAND:
        return "waits for a person: press Start"
    if render_job.timing is Timing.AT_TIME:
        return f"waits until {render_job.start_time:%H:%M}"
    return f"waits until {render_job.start_time:%H:%M}, when this render job's hours begin"
