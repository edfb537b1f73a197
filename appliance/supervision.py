"""The threads of the box: each does one thing again and again, and is begun again when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from store.errors import StoreUnavailable
from store.pulse import LoopState, Pulse
from store.tables import Store

log = structlog.get_logger("loops")

DISK_PAUSE_S = 5.0  # the disk takes nothing: that is told elsewhere
SLICE_S = 0.5  # who waits for the store hears no other call: it looks so often whether to stop
GATHER_S = 0.01  # one look at the store is enough for several commits


class Loop:
    """A thread around a step."""

    def __init__(
        self,
        name: str,
        store: Store,
        step: Callable[[datetime], float],
        wakes_on_change: bool = False,
        rest: Callable[[int, float], None] | None = None,
        end: Callable[[], None] | None = None,
        stuck_after_s: float | None = None,
    ) -> None:
        """
        Args:
            name: for people.
            store: the open store.
            step: does what can be done now; returns the seconds until it wants to look again.
            wakes_on_change: whether a change of the store ends the rest.
            rest: waits in a way of its own, for something to happen after a version of the store, at most so many
                seconds.
            end: called in the thread when it has been told to stop.
            stuck_after_s: how long a step may take before people are told; None for the usual.
        """
        self._store, self._step, self._wakes_on_change = store, step, wakes_on_change
        self._rest, self._end = rest, end
        limit = {} if stuck_after_s is None else {"stuck_after_s": stuck_after_s}
        self.pulse = Pulse(name, store.clock.monotonic, **limit)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name.lower(), daemon=True)

    @property
    def state(self) -> LoopState:
        """How it is."""
        return self.pulse.state(self._thread.is_alive())

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Let it end after the step that it takes; see join()."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            version = self._store.version
            try:
                with self.pulse.step():
                    wait_s = self._step(self._store.clock.now())
            except StoreUnavailable as error:
                log.error("loop.store_unavailable", loop=self.pulse.name, error=str(error))
                self._stopping.wait(DISK_PAUSE_S)
                continue
            except Exception as error:  # a fault of ours: the thread goes on
                wait_s = self.pulse.failed(error)
                log.exception("loop.failed", loop=self.pulse.name, error=repr(error), again_in_s=wait_s)
                self._stopping.wait(wait_s)
                continue
            self._wait(version, wait_s)
        if self._end is not None:
            self._end()

    def _wait(self, version: int, wait_s: float) -> None:
        if self._rest is not None and wait_s > 0:
            self._rest(version, wait_s)
        elif self._wakes_on_change and wait_s > 0:
            monotonic = self._store.clock.monotonic
            ends_s = monotonic() + wait_s
            while self._store.version == version and not self._stopping.is_set() and monotonic() < ends_s:
                self._store.wait(version, min(SLICE_S, wait_s))
            self._stopping.wait(GATHER_S)
        else:
            self._stopping.wait(wait_s)
