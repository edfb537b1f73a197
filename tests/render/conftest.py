"""Fixtures of the tests of the render loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from render.workers import Workers
from store.tables import Store
from tests.machine_time import SetTime
from tests.render.room import Room


@pytest.fixture
def room(timed_store: Store, machine: SetTime) -> Iterator[Room]:
    made = Room(timed_store, machine)
    yield made
    made.loop.stop()


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[object], None], int], None]:
    """Lets so many tasks of one kind that have a picture named 0001.jpg do something else."""
    submit = Workers.submit

    def patch(kind: str, function: Callable[[object], None], times: int) -> None:
        left = [times]

        def submit_instead(self: Workers, wanted: Callable[..., Any], task: Any) -> Any:
            names = [task.name] if kind == "measure" == wanted.__name__ else []
            if kind == "draw" == wanted.__name__:
                names = [source.name for source in task.sources]
            if "0001.jpg" in names and left[0]:
                left[0] -= 1
                return submit(self, function, task)
            return submit(self, wanted, task)

        monkeypatch.setattr(Workers, "submit", submit_instead)

    return patch
