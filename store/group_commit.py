"""Many threads, one fsync: whoever comes first writes for all that wait, then hands the lead to one of the rest.

A thread that finds nobody writing leads at once and pays no context switch; others sleep, each at a gate of its own,
and are woken once: with their commit on disk, or to lead the next write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise


class Pending:
    """A commit on its way to the disk. An empty one (no frame) only waits for those before it."""

    __slots__ = ("checksum", "error", "frame", "gate", "is_settled", "next_gate", "number", "undo")

    def __init__(
        self, number: int = 0, frame: bytes = b"", checksum: int = 0, undo: Callable[[], None] | None = None
    ) -> None:
        self.number, self.frame, self.checksum, self.undo = number, frame, checksum, undo
        self.gate: threading.Lock | None = None
        self.is_settled = False
        self.error: Exception | None = None
        self.next_gate: threading.Lock | None = None  # which this one's thread opens once it is awake

    def has_settled(self) -> bool:
        """Whether it is on disk or was taken back; asked again after sleeping."""
        return self.is_settled


class GroupCommit:
    """The queue of pending commits and the lead over it."""

    def __init__(
        self,
        memory: threading.Lock,
        write: Callable[[bytes, int, int], None],
        on_failure: Callable[[OSError, list[Pending]], Exception],
    ) -> None:
        """
        Args:
            memory: guards the queue; the caller holds it while it calls enqueue().
            write: brings frames to the disk, durably, or raises OSError; given the last one's number and checksum.
            on_failure: called with `memory` held and everything that has to be taken back, oldest first; returns what
                their threads shall raise.
        """
        self._memory, self._write, self._on_failure = memory, write, on_failure
        self._queue: list[Pending] = []
        self._is_led = False
        self.durable = 0  # number of the last commit that is on disk
        self.checksum = 0  # of its frame
        self.changed = threading.Condition(memory)
        self.listeners = 0  # threads that wait for `changed`

    def enqueue(self, pending: Pending) -> None:
        """Queue a commit; the caller holds `memory`."""
        self._queue.append(pending)

    def settle(self, pending: Pending) -> None:
        """Return when a queued commit is on disk.

        Raises:
            Exception: what on_failure made of the disk's refusal; the commit was taken back.
        """
        if self._take_lead(pending):
            self._flush()
            self._pass_lead()
        if pending.error is not None:
            raise pending.error

    def barrier(self) -> None:
        """Return when everything that was queued before is on disk or taken back."""
        pending = Pending()
        with self._memory:
            self._queue.append(pending)
        if self._take_lead(pending):
            self._flush()
            self._pass_lead()

    def exclusively(self, action: Callable[[], bool]) -> bool:
        """Call action with the lead, the queue written and `memory` held; returns what it returned.

        Nothing is written meanwhile; action must be quick.
        """
        while True:
            pending = Pending()
            with self._memory:
                self._queue.append(pending)
            if not self._take_lead(pending):
                continue  # somebody else's write took us along
            try:
                while True:
                    self._flush()
                    with self._memory:
                        if not self._queue:
                            return action()
            finally:
                self._pass_lead()

    def _take_lead(self, pending: Pending) -> bool:
        """Wait until the commit is settled (False) or this thread has the lead (True)."""
        with self._memory:
            if pending.is_settled:
                return False
            if not self._is_led:
                self._is_led = True
                return True
            gate = threading.Lock()
            gate.acquire()
            pending.gate = gate
        gate.acquire()
        if not pending.has_settled():
            pending.gate = None  # awake already, and now the leader
            return True
        if pending.next_gate is not None:
            pending.next_gate.release()
        return False

    def _flush(self) -> None:
        with self._memory:
            batch, self._queue = self._queue, []
        data = b"".join(pending.frame for pending in batch)
        last = next((pending for pending in reversed(batch) if pending.frame), None)
        error: OSError | None = None
        if last is not None:
            try:
                self._write(data, last.number, last.checksum)
            except OSError as caught:
                error = caught
        with self._memory:
            if error is not None:
                batch += self._queue  # they build on what is taken back now
                self._queue = []
                failure = self._on_failure(error, batch)
                for pending in batch:
                    pending.error = failure if pending.frame else None
            elif last is not None:
                self.durable, self.checksum = last.number, last.checksum
            asleep = [pending for pending in batch if pending.gate is not None]
            for pending, following in pairwise(asleep):
                pending.next_gate = following.gate
            for pending in batch:
                pending.is_settled = True
            if self.listeners:
                self.changed.notify_all()
        # One opens the next one's gate: woken all at once they would only queue for the interpreter's lock.
        if asleep and asleep[0].gate is not None:
            asleep[0].gate.release()

    def _pass_lead(self) -> None:
        with self._memory:
            heir = next((pending for pending in self._queue if pending.gate is not None), None)
            if heir is None:
                self._is_led = False
        if heir is not None and heir.gate is not None:
            heir.gate.release()
