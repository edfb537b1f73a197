"""A render loop with real processes, whose clock goes on as it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from render.loop import RenderLoop
from render.sources import ImageFolders
from render.workers import Workers
from store.records import Ticket
from store.states import ENDED_TICKETS, SheetState, TicketState
from store.tables import Store
from tests.lab import until
from tests.machine_time import SetTime
from tests.studio import NOW


class Room:
    """A store whose clock goes on with each look of its render loop."""

    def __init__(self, store: Store, machine: SetTime, folders: ImageFolders | None = None) -> None:
        self.store, self.machine = store, machine
        self._folders = folders or ImageFolders()
        self.image_wait = timedelta(0)
        self.begin()

    def begin(self) -> None:
        self.workers = Workers(2)
        self.loop = RenderLoop(self.store, self.workers, self._folders, 50_000_000, image_wait=self.image_wait)

    def restart(self) -> None:
        """As after a crash: nothing is known but what the store says."""
        self.loop.stop()
        self.begin()

    def ticket(self, ticket_id: int = 1) -> Ticket:
        return self.store.tickets.get(ticket_id)

    def until(self, question: Callable[[], Any], what: str, passes_s: float = 0.05) -> None:
        def ask() -> Any:
            self.loop.step(NOW)
            self.machine.pass_s(passes_s)
            return question()

        until(ask, what, within_s=60, every_s=0.01)

    def until_ended(self, *ticket_ids: int, passes_s: float = 0.05) -> None:
        ids = ticket_ids or (1,)
        self.until(lambda: all(self.ticket(one).state in ENDED_TICKETS for one in ids), f"the end of {ids}", passes_s)

    def until_it_waits(self, words: str, ticket_id: int = 1) -> None:
        self.until(lambda: words in self.ticket(ticket_id).reason, f"a ticket that waits: {words}")
        assert self.ticket(ticket_id).state is TicketState.RENDERING
        assert not self.store.sheets.by("ticket_state", (ticket_id, SheetState.FAILED.value))

    def files(self) -> list[str]:
        root = self.store.folder.output
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
