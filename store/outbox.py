"""Status changes on their way back to the desktops, and each desktop client's place in them."""

from __future__ import annotations

from store.errors import NotFound
from store.records import Change, DesktopClient
from store.tables import Store

PAGE = 500  # changes in one answer


def changes_after(store: Store, after: int) -> list[Change]:
    """The changes behind a cursor, oldest first, at most PAGE of them."""
    return store.changes.after(after, PAGE)


def acknowledge(store: Store, client: DesktopClient, seq: int) -> DesktopClient:
    """Remember that a desktop client has taken every change up to `seq`, and so what its desktop now shows.

    Raises:
        NotFound: there is no change with that number yet.
    """
    with store.transaction():
        client = store.desktop_clients.get(client.id)
        if seq <= client.acknowledged:
            return client
        if store.changes.find(seq) is None:
            raise NotFound(f"there is no change {seq} yet: acknowledge the seq of a change that was received")
        for change in store.changes.after(client.acknowledged, seq - client.acknowledged):
            record = store.records.find(change.record_id)
            if change.id <= seq and record is not None and record.status == change.status:
                store.records.put(record.with_(pushed_status=change.status))
        client = client.with_(acknowledged=seq)
        store.desktop_clients.put(client)
        return client
