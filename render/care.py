"""What goes wrong with one ticket stays with it: it waits and is tried again, or it is parked."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import structlog

from render.blame import Blame, blame, why_it_waits
from render.errors import PictureUnsettled
from render.patience import Patience
from store import progress
from store.errors import StoreUnavailable
from store.states import ENDED_TICKETS
from store.tables import Store

log = structlog.get_logger("render")

WHERE = "drawing"  # for people


class Care:
    """Looks after tickets, one at a time."""

    def __init__(self, store: Store, let_go: Callable[[int], None]) -> None:
        """
        Args:
            store: the open store.
            let_go: forgets what is under way of a ticket.
        """
        self._store, self._let_go = store, let_go
        self.patience = Patience(store.clock.monotonic, store.reach)

    @contextmanager
    def of(self, ticket_id: int, now: datetime) -> Iterator[None]:
        """Around all work on a ticket. A store that takes nothing is everybody's, and is raised."""
        try:
            yield
        except StoreUnavailable:
            raise
        except Exception as error:
            self._let_go(ticket_id)
            self.patience.put_off(ticket_id, error)  # also where it is parked, should that fail
            if isinstance(error, OSError) and blame(error) is Blame.PLACE:
                self.explain(ticket_id, why_it_waits(error))
                self._mend_folders(ticket_id, error)
            elif isinstance(error, PictureUnsettled):
                self.explain(ticket_id, str(error))
            else:
                self.park(ticket_id, error, now)

    def park(self, ticket_id: int, error: BaseException, now: datetime, reason: str = "") -> None:
        """Leave a ticket alone until a person lets it go on; see progress.park_ticket()."""
        try:
            progress.park_ticket(self._store, ticket_id, WHERE, error, now, reason)
        except StoreUnavailable:
            raise
        except Exception as another:  # then it waits only as long as this process lives
            log.exception("ticket.not_parked", id=ticket_id, error=repr(another))

    def explain(self, ticket_id: int, reason: str) -> None:
        """Say why a ticket waits; '' when it gets on."""
        with self._store.transaction():
            ticket = self._store.tickets.find(ticket_id)
            if ticket is not None and ticket.state not in ENDED_TICKETS and not ticket.is_stopped:
                progress.explain_ticket(self._store, ticket, reason)

    def _mend_folders(self, ticket_id: int, error: OSError) -> None:
        """Make the folders of the data folder again, where somebody removed one."""
        log.warning("ticket.put_off", id=ticket_id, error=repr(error))
        if error.errno == errno.ENOENT:
            with suppress(OSError):
                self._store.folder.make()
