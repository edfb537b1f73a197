"""Webhooks: addresses that are called with every change, and what could not be delivered to them yet."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from store.model import Name, Stored
from store.records import Change

if TYPE_CHECKING:
    from store.tables import Store

FIRST_RETRY, LAST_RETRY = timedelta(seconds=10), timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=2)  # an address that cannot be reached
MAX_REFUSALS = 6  # of an address that answers, and does not want it


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
    due_at: datetime  # not tried before
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
                for change in found:
                    store.deliveries.add(Delivery(webhook_id=webhook.id, change_id=change.id, due_at=now, first_at=now))
                store.webhooks.put(store.webhooks.get(webhook.id).with_(after=found[-1].id))


def due(store: Store, webhook: Webhook, now: datetime) -> list[tuple[Delivery, Change]]:
    """What is to be sent to an address now, oldest change first."""
    waiting = [one for one in store.deliveries.by("webhook", webhook.id) if not one.is_dead and one.due_at <= now]
    pairs = ((delivery, store.changes.find(delivery.change_id)) for delivery in waiting)
    return sorted(((d, change) for d, change in pairs if change is not None), key=lambda pair: pair[1].id)


def failed(store: Store, delivery: Delivery, error: str, was_answered: bool, now: datetime) -> Delivery:
    """Note a try that failed: later again, later and later, or never."""
    refusals = delivery.refusals + was_answered
    wait = min(FIRST_RETRY * 2 ** min(delivery.tries, 20), LAST_RETRY)
    changed = delivery.with_(
        tries=delivery.tries + 1,
        refusals=refusals,
        error=error[:300],
        due_at=now + wait,
        is_dead=refusals >= MAX_REFUSALS or now - delivery.first_at >= GIVE_UP_AFTER,
    )
    with store.transaction():
        store.deliveries.put(changed)
    return changed


def send_again(store: Store, delivery_id: int, now: datetime) -> None:
    """Try one that was given up."""
    with store.transaction():
        delivery = store.deliveries.get(delivery_id)
        store.deliveries.put(delivery.with_(is_dead=False, refusals=0, due_at=now, first_at=now))
