"""Webhooks: addresses that are called with every change, and what could not be delivered to them yet."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from store.model import Name, Stored
from store.pulse import pause_s
from store.records import Change

if TYPE_CHECKING:
    from store.tables import Store

# The clock may jump by days: what is waited for counts by tries, and by the time that really passes between them.
FIRST_RETRY_S, LAST_RETRY_S = 10.0, 3600.0
MAX_TRIES = 56  # of an address that cannot be reached: two days
# Of an address that answers, and does not want it: half a day. It may be only our clock that it does not like, or it
# is just being set up.
REFUSED_RETRIES_S = (60.0, 300.0, 1800.0, 7200.0, 36_000.0)
MAX_REFUSALS = len(REFUSED_RETRIES_S) + 1


class Webhook(Stored):
    """An address that is called."""

    name: Name
    url: str = Field(max_length=2000, pattern=r"^https?://[^\s/]+(/\S*)?$")
    secret: str  # whsec_ and base64; signs what is sent (Standard Webhooks)
    after: int = 0  # every change up to this one has its delivery, or had it
    inactive: bool = False
    created_at: datetime


class Delivery(Stored):
    """One change on its way to one address."""

    webhook_id: int
    change_id: int
    due_at: datetime  # not tried before; for people, and for the version before
    first_at: datetime  # when it could have been delivered first
    tries: int = 0  # that failed
    refusals: int = 0  # of them, those that were answered
    error: str = ""  # of the last one
    is_dead: bool = False  # given up; a person may send it again


def new_secret() -> str:
    """A key for signatures."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def add(store: Store, name: str, url: str, now: datetime) -> Webhook:
    """Call an address with every change from now on.

    Raises:
        pydantic.ValidationError: names the field that is wrong.
    """
    with store.transaction():
        newest = store.changes.newest(1)
        after = newest[0].id if newest else 0
        return store.webhooks.add(Webhook(name=name, url=url, secret=new_secret(), after=after, created_at=now))


def remove(store: Store, webhook_id: int) -> None:
    """Forget an address, with what was on its way to it."""
    with store.transaction():
        for delivery in store.deliveries.by("webhook", webhook_id):
            store.deliveries.remove(delivery.id)
        store.webhooks.remove(store.webhooks.get(webhook_id).id)


def enlist(store: Store, now: datetime) -> None:
    """Make a delivery of each change that a webhook has not seen."""
    for webhook in store.webhooks.all():
        found = [] if webhook.inactive else store.changes.after(webhook.after, 500)
        if found:
            with store.transaction():
                known = store.webhooks.find(webhook.id)
                if known is None:
                    continue  # it was removed this moment
                for change in found:
                    store.deliveries.add(Delivery(webhook_id=webhook.id, change_id=change.id, due_at=now, first_at=now))
                store.webhooks.put(known.with_(after=found[-1].id))


def waiting(store: Store, webhook: Webhook) -> list[tuple[Delivery, Change]]:
    """What is on its way to an address, oldest change first. What there is no change of any more is forgotten."""
    deliveries = [one for one in store.deliveries.by("webhook", webhook.id) if not one.is_dead]
    pairs = [(delivery, store.changes.find(delivery.change_id)) for delivery in deliveries]
    gone = [delivery for delivery, change in pairs if change is None]
    if gone:
        with store.transaction():
            for delivery in gone:
                store.deliveries.remove(delivery.id)
    return sorted(((d, change) for d, change in pairs if change is not None), key=lambda pair: pair[1].id)


def retry_s(delivery: Delivery, was_answered: bool) -> float:
    """In how many seconds a delivery that failed is tried again."""
    if was_answered:
        return REFUSED_RETRIES_S[min(delivery.refusals, len(REFUSED_RETRIES_S)) - 1]
    return pause_s(delivery.tries - delivery.refusals, FIRST_RETRY_S, LAST_RETRY_S)


def failed(store: Store, delivery: Delivery, error: str, was_answered: bool, now: datetime) -> Delivery:
    """Note a try that failed: later again, later and later, or never."""
    changed = delivery.with_(tries=delivery.tries + 1, refusals=delivery.refusals + was_answered, error=error[:300])
    is_dead = changed.refusals >= MAX_REFUSALS or changed.tries - changed.refusals >= MAX_TRIES
    changed = changed.with_(due_at=now + timedelta(seconds=retry_s(changed, was_answered)), is_dead=is_dead)
    with store.transaction():
        if store.deliveries.find(delivery.id) is not None:  # else the webhook was removed meanwhile
            store.deliveries.put(changed)
    return changed


def delivered(store: Store, delivery_id: int) -> None:
    """It was taken."""
    with store.transaction():
        if store.deliveries.find(delivery_id) is not None:
            store.deliveries.remove(delivery_id)


def send_again(store: Store, delivery_id: int, now: datetime) -> None:
    """Try one that was given up."""
    with store.transaction():
        delivery = store.deliveries.get(delivery_id)
        store.deliveries.put(delivery.with_(is_dead=False, tries=0, refusals=0, due_at=now, first_at=now))
