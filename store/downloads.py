"""Download links: who has one may fetch a ticket's files, for as long as the render profile says."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from store.errors import NotFound
from store.records import Download, Ticket
from store.tables import Store

PREFIX = "/d/"


def open_link(store: Store, ticket: Ticket, now: datetime) -> str:
    """Make the link of a ticket that ended, where a profile wants one; returns its path on the box, or ''."""
    instructions = store.instructions.get(ticket.id)
    days = {profile.name: profile.download_days for profile in instructions.profiles if profile.download_days}
    files = tuple(dict.fromkeys(file for result in ticket.results if result.profile in days for file in result.files))
    if not files:
        return ""
    link = store.downloads.add(
        Download(
            ticket_id=ticket.id,
            token=secrets.token_urlsafe(24),
            files=files,
            created_at=now,
            expires_at=now + timedelta(days=max(days.values())),
        )
    )
    return PREFIX + link.token


def expires_at(store: Store, link: Download) -> datetime:
    """When a link ends: so many days after it was made, by a time that may have been estimated."""
    return store.clock.when(link.created_at) + (link.expires_at - link.created_at)


def find_link(store: Store, token: str, now: datetime) -> Download:
    """The link with this token.

    Raises:
        NotFound: there is none, it has expired or was revoked; says which.
    """
    found = store.downloads.by("token", token)
    if not found:
        raise NotFound("this link is not known: check that it was copied completely")
    if found[0].revoked:
        raise NotFound("this link was withdrawn: ask the studio for a new one")
    if expires_at(store, found[0]) <= now:
        raise NotFound("this link has expired: ask the studio for a new one")
    return found[0]


def count_download(store: Store, link: Download, now: datetime) -> None:
    """Somebody began to download."""
    with store.transaction():
        current = store.downloads.get(link.id)
        store.downloads.put(current.with_(count=current.count + 1, last_at=now))


def revoke(store: Store, download_id: int) -> Download:
    """Withdraw a link; whoever is downloading finishes."""
    with store.transaction():
        link = store.downloads.get(download_id).with_(revoked=True)
        store.downloads.put(link)
        return link
