"""The work that was given to drawing processes, here and in the cluster: what fits, and what is tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

import structlog

from render import memory
from render.blame import Blame, blame
from render.draw import DrawTask, draw
from render.errors import RenderError
from render.fetching import Fetched
from render.pictures import MeasureTask, measure
from render.workers import Cluster, Workers
from store.pulse import pause_s
from store.records import Sheet

log = structlog.get_logger("render")

MOST_KILLS = 6  # by the system, before a person is asked
MOST_CRASHES = 2


@dataclass(eq=False)
class Work:
    """One task of a ticket."""

    ticket_id: int
    images: tuple[str, ...]  # that it needs, by name
    task: MeasureTask | DrawTask
    sheets: tuple[Sheet, ...] = ()
    needs_bytes: int = 0
    pictures: Fetched = field(default_factory=Fetched)  # copies that are removed when it is done
    is_remote: bool = False  # in the cluster
    kills: int = 0
    crashes: int = 0
    not_before_s: float = 0.0  # when it is tried again, alone


class Processes:
    """Gives work to processes, as far as there is room, and takes back what comes of it."""

    def __init__(self, workers: Workers, cluster: Cluster, max_bytes: int, monotonic: Callable[[], float]) -> None:
        """
        Args:
            workers: the drawing processes of this machine.
            cluster: draws instead of the workers, while it is there.
            max_bytes: what all drawing processes may take together.
            monotonic: the clock's.
        """
        self._workers, self._cluster, self._max_bytes, self._monotonic = workers, cluster, max_bytes, monotonic
        self._running: dict[Future[Any], Work] = {}
        self._again: list[Work] = []  # alone, each when its time has come
        self._alone: Work | None = None
        self._in_cluster = 0  # how many tasks it takes, when it was asked last: an answer may take its time

    # -- room -----------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Of this machine."""
        return self._workers.count

    @property
    def budget_bytes(self) -> int:
        """For pictures and sheets, beside what the processes take when they do nothing."""
        return max(100_000_000, self._max_bytes - self._workers.count * memory.WORKER_BYTES)

    @property
    def works(self) -> Sequence[Work]:
        """What was given away, and what is to be tried again."""
        return (*self._running.values(), *self._again)

    @property
    def futures(self) -> list[Future[Any]]:
        """Whose end is news."""
        return list(self._running)

    @property
    def is_remote(self) -> bool:
        """Whether the next sheets are drawn in the cluster."""
        return self._in_cluster > 0

    def has_room(self) -> bool:
        """Whether another task may be given away: the next one waits ready, so that no worker is idle."""
        if self._alone is not None or self._due() is not None:
            return False  # what is tried again works alone, so that its end is its own
        return len(self._running) < 2 * (self._in_cluster or self._workers.count)

    def has_memory(self, needs_bytes: int) -> bool:
        """Whether a task fits beside those that run here. One alone always does: it was checked against the limit."""
        if self.is_remote:
            return True
        running = [work.needs_bytes for work in self._running.values() if not work.is_remote]
        # Of those that were given away, only as many as there are workers are under way at the same time.
        busiest = sorted([*running, needs_bytes], reverse=True)[: self._workers.count]
        return not running or sum(busiest) <= self.budget_bytes

    # -- work -----------------------------------------------------------------------------------------------------

    def give(self, work: Work) -> None:
        """Give work to a process.

        Raises:
            OSError: one of its files cannot be read, to be sent to the cluster.
        """
        work.is_remote = isinstance(work.task, DrawTask) and self.is_remote
        self._submit(work)

    def _submit(self, work: Work) -> None:
        if isinstance(work.task, MeasureTask):
            future: Future[Any] = self._workers.submit(measure, work.task)
        else:
            future = (work.is_remote and self._sent(work, work.task)) or self._workers.submit(draw, work.task)
        self._running[future] = work

    def _sent(self, work: Work, task: DrawTask) -> Future[Any] | None:
        """What comes of a task in the cluster; None where that has just gone away."""
        portable = task.portable()
        try:
            return self._cluster.submit(draw, portable)
        except Exception as error:
            log.warning("cluster.lost", error=repr(error))
            work.is_remote, self._in_cluster = False, 0
            return None

    def take(self) -> list[tuple[Work, Any]]:
        """What has ended: each work with its result, or what it raised."""
        self._in_cluster = self._cluster.count
        self._take_back_what_is_lost()
        ended: list[tuple[Work, Any]] = []
        for future in [future for future in self._running if future.done()]:
            work = self._running.pop(future)
            if work is self._alone:
                self._alone = None
            error = CancelledError() if future.cancelled() else future.exception()
            if work.is_remote and error is not None and not isinstance(error, RenderError):
                # The cluster went away, or gave the task up after it had killed several workers: it is tried here,
                # alone, where its end hurts nobody else.
                log.warning("cluster.task_lost", ticket=work.ticket_id, images=work.images, error=repr(error))
                work.is_remote, work.not_before_s = False, self._monotonic()
                self._again.append(work)
                continue
            ended.append((work, future.result() if error is None else error))
        return ended

    def _take_back_what_is_lost(self) -> None:
        if any(work.is_remote for work in self._running.values()) and not self._in_cluster:
            # Nobody draws there any more, and nobody says so: what was given away is drawn here.
            for future, work in [(future, work) for future, work in self._running.items() if work.is_remote]:
                del self._running[future]
                log.warning("cluster.task_lost", ticket=work.ticket_id, images=work.images)
                work.is_remote = False
                self._submit(work)

    def try_again(self, work: Work, error: BaseException) -> bool:
        """Try work again, alone, whose process ended; returns whether there is any use in that."""
        if blame(error) is Blame.MEMORY:
            work.kills += 1
            has_use, wait_s = work.kills < MOST_KILLS, pause_s(work.kills)
        else:
            work.crashes += 1
            has_use, wait_s = work.crashes < MOST_CRASHES, 0.0
        if has_use:
            work.not_before_s = self._monotonic() + wait_s
            self._again.append(work)
        return has_use

    def go_on(self) -> bool:
        """Begin what is tried again, when its time has come and nothing else runs; returns whether something began."""
        due = self._due()
        if due is None or self._running:
            return False
        self._again.remove(due)
        self._alone = due
        self._submit(due)
        return True

    def _due(self) -> Work | None:
        now_s = self._monotonic()
        return next((work for work in self._again if work.not_before_s <= now_s), None)

    def drop(self, is_wanted: Callable[[Work], bool]) -> None:
        """Forget what would be tried again and nobody wants any more."""
        for work in [work for work in self._again if not is_wanted(work)]:
            self._again.remove(work)
            work.pictures.remove()

    def stop(self) -> None:
        """End the drawing processes, and let go of the cluster."""
        self._workers.stop()
        self._cluster.stop()
