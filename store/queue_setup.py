"""Offering a pool or a render profile as a print queue."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from uuid import uuid4

from store.queues import PrintQueue
from store.tables import Store


def path_of(name: str, taken: set[str]) -> str:
    """The end of a queue's URI, from its name.

    >>> path_of("Größen & Lustre", set()), path_of("Lab", {"lab"}), path_of("!?", set())
    ('groen-lustre', 'lab-2', 'queue')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    path = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-") or "queue"
    number = 1
    while (candidate := path if number == 1 else f"{path}-{number}") in taken:
        number += 1
    return candidate


def offer(
    store: Store, name: str, now: datetime, pool_id: int | None = None, profile_id: int | None = None
) -> PrintQueue:
    """Make a new print queue, open to the LAN."""
    with store.transaction():
        taken = {queue.path for queue in store.print_queues.all()}
        return store.print_queues.add(
            PrintQueue(
                name=name,
                path=path_of(name, taken),
                uuid=str(uuid4()),
                pool_id=pool_id,
                profile_id=profile_id,
                changed_at=now,
                state_changed_at=now,
            )
        )
