"""Results: status changes behind a cursor, waited for, acknowledged."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response, request
from pydantic import ValidationError

from store import outbox, records
from store.records import Scope
from store.tables import Store
from web import services
from web.errors import Problem, problems_of
from web.sync.door import answer, current_client, needs, pages
from web.sync.models import Acknowledged, Acknowledgement, Change, Changes

POLLS_OF_ONE = 8  # of one client at a time; each holds a thread
GATHER_S = 0.02  # many commits, one look


def as_change(change: records.Change) -> Change:
    """A change as desktops and webhooks get it."""
    fields: dict[str, Any] = {name: getattr(change, name) for name in Change.model_fields if name != "seq"}
    return Change(**{**fields, "kind": change.kind.value, "seq": change.id})


class Bell:
    """Wakes those who wait for a change. One of them watches the store for all, so that a commit wakes one thread."""

    def __init__(self, store: Store, is_stopping: Callable[[], bool]) -> None:
        self._store, self._is_stopping = store, is_stopping
        self._condition = threading.Condition()
        self._is_watched = False

    def wait_past(self, seq: int, timeout_s: float) -> None:
        """Return when there is a change behind `seq`, the time is up, or the box stops."""
        ends = time.monotonic() + timeout_s
        while self._newest() <= seq and not self._is_stopping() and (left := ends - time.monotonic()) > 0:
            with self._condition:
                if self._is_watched:
                    self._condition.wait(left)
                    continue
                self._is_watched = True
            try:
                self._watch(ends)
            finally:
                with self._condition:
                    self._is_watched = False
                    self._condition.notify_all()

    def _watch(self, ends: float) -> None:
        began_at = self._newest()
        while self._newest() == began_at and not self._is_stopping() and (left := ends - time.monotonic()) > 0:
            self._store.wait(self._store.version, min(0.5, left))
            time.sleep(min(GATHER_S, max(0.0, ends - time.monotonic())))

    def _newest(self) -> int:
        newest = self._store.changes.newest(1)
        return newest[0].id if newest else 0


class Polls:
    """How many wait at the same time: each holds a thread of the server."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._waiting: Counter[int] = Counter()

    @contextmanager
    def one_more(self, client_id: int) -> Iterator[None]:
        """Count a waiting request.

        Raises:
            Problem: there are too many, of this client or of all.
        """
        with self._lock:
            if self._waiting[client_id] >= POLLS_OF_ONE:
                raise Problem(429, "too-many-polls", "this client waits too often", "wait_s", "end other waits first")
            if self._waiting.total() >= self._most:
                raise Problem(503, "too-many-polls", "too many clients wait at once", "wait_s", "ask again later")
            self._waiting[client_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[client_id] -= 1


@pages.get("/changes")
@needs(Scope.FOLLOW)
def changes() -> Response:
    """Status changes behind a cursor; waits up to wait_s for the first one (long poll)."""
    parts = services()
    after = _number("after", default=current_client().acknowledged, highest=2**53 - 1)
    wait_s = min(parts.max_wait_s, _number("wait_s", default=0, highest=3600))
    found = outbox.changes_after(parts.store, after)
    if not found and wait_s:
        with parts.polls.one_more(current_client().id):
            parts.bell.wait_past(after, wait_s)
        found = outbox.changes_after(parts.store, after)
    listed = tuple(as_change(change) for change in found)
    return answer(Changes(changes=listed, next=found[-1].id if found else after))


@pages.post("/changes/acknowledge")
@needs(Scope.FOLLOW)
def acknowledge() -> Response:
    """Tell the box that every change up to a seq was taken over."""
    try:
        said = Acknowledgement.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        problem = problems_of(error)[0]
        hint = 'send {"seq": 12}, the seq of the last change taken'
        raise Problem(400, "invalid", problem["message"], problem["field"] or "seq", hint) from error
    client = outbox.acknowledge(services().store, current_client(), said.seq)
    return answer(Acknowledged(acknowledged=client.acknowledged))


def _number(name: str, default: int, highest: int) -> int:
    text = request.args.get(name, "")
    if name not in request.args:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 16 or int(text) > highest:
        raise Problem(400, "invalid", f"'{text[:40]}' is not a number from 0 to {highest}", name, "send a whole number")
    return int(text)
