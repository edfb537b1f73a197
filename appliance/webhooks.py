"""Calling webhooks: every change, signed, again and later while an address does not take it.

The form is that of Standard Webhooks (https://www.standardwebhooks.com, 1.0): headers webhook-id, webhook-timestamp
and webhook-signature, the signature an HMAC-SHA256 of "id.timestamp.body". The id stays the same when one is sent
again, so that a receiver may know what it has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

import structlog

from appliance.calling import Unanswered, post
from store import webhooks
from store.pulse import Items
from store.records import Change
from store.tables import Store
from store.webhooks import Delivery, Webhook
from web.sync.changes import as_change

log = structlog.get_logger("webhooks")

LOOK_EVERY_S = 2.0
PATIENCE_S = 0.2  # a round that takes longer goes on without being waited for
MOST_IN_A_ROUND = 200
LATER = (408, 425, 429)  # a refusal that means: not now. So does all from 500 on


class Refused(Exception):
    """An address did not take a change; `was_answered` tells a refusal from silence."""

    def __init__(self, why: str, was_answered: bool) -> None:
        self.was_answered = was_answered
        super().__init__(why)


class _Result(NamedTuple):
    """What became of a delivery."""

    delivery: Delivery
    refusal: Refused | None  # None: it was taken


class _Round:
    """What is due to one address, sent in a thread of its own: a slow address keeps no other waiting."""

    def __init__(
        self,
        webhook: Webhook,
        due: list[tuple[Delivery, Change]],
        now: Callable[[], datetime],
        may_go_on: Callable[[], bool],
    ) -> None:
        self.webhook, self._due, self._now, self._may_go_on = webhook, due, now, may_go_on
        self._results: list[_Result] = []
        self._taken = 0
        self.thread = threading.Thread(target=self._run, name=f"webhook {webhook.id}", daemon=True)
        self.thread.start()

    def news(self) -> list[_Result]:
        """What became of deliveries since this was asked last."""
        found = self._results[self._taken :]
        self._taken += len(found)
        return found

    def _run(self) -> None:
        for delivery, change in self._due:
            if not self._may_go_on():
                return
            refusal = self._refusal(change)
            self._results.append(_Result(delivery, refusal))
            if refusal is not None and not refusal.was_answered:
                return  # what is behind it would wait for the same silence

    def _refusal(self, change: Change) -> Refused | None:
        try:
            data = as_change(change).model_dump(mode="json")
            event = {"type": "record.changed", "timestamp": change.at.isoformat(), "data": data}
            body = json.dumps(event, ensure_ascii=False).encode(errors="replace")
            send(self.webhook, f"chg_{self.webhook.id}_{change.id}", body, self._now())
        except Refused as error:
            return error
        except Exception as error:  # of ours, with this one
            log.exception("webhook.fault", webhook=self.webhook.name, change=change.id, error=repr(error))
            return Refused(f"a fault in Printroom: send the support file ({repr(error)[:150]})", was_answered=True)
        return None


class Webhooks:
    """Follows the changes and calls. Addresses are called in threads; only the step writes down what became of it."""

    def __init__(
        self, store: Store, is_stopping: Callable[[], bool] = lambda: False, patience_s: float = PATIENCE_S
    ) -> None:
        """
        Args:
            store: the open store.
            is_stopping: whether the process is about to end.
            patience_s: how long a step waits for the rounds that are under way.
        """
        self._store, self._is_stopping, self._patience_s = store, is_stopping, patience_s
        self._rounds: dict[int, _Round] = {}  # by webhook
        # By webhook and delivery that failed: on the monotonic clock, when it is tried again.
        self._due_s: dict[int, dict[int, float]] = {}
        self._items = Items("webhook", store.clock.monotonic)

    def step(self, now: datetime) -> float:
        """Begin to send what is due, and note what became of what was sent."""
        webhooks.enlist(self._store, now)
        known = self._store.webhooks.all()
        for webhook in known:
            if not webhook.inactive and webhook.id not in self._rounds and self._items.may(webhook.id):
                with self._items.guard(webhook.id, webhook.name):
                    self._begin(webhook)
        patience_s = self._patience_s
        for one in list(self._rounds.values()):
            one.thread.join(patience_s)
            is_over = not one.thread.is_alive()
            with self._items.guard(one.webhook.id, one.webhook.name):
                self._note(one, now)
            if is_over:
                del self._rounds[one.webhook.id]
            else:
                patience_s = 0
        self._due_s = {webhook.id: self._due_s.get(webhook.id, {}) for webhook in known}
        return LOOK_EVERY_S

    def _begin(self, webhook: Webhook) -> None:
        now_s = self._store.clock.monotonic()
        again_s = self._due_s.setdefault(webhook.id, {})
        waiting = webhooks.waiting(self._store, webhook)
        due = [pair for pair in waiting if again_s.get(pair[0].id, now_s) <= now_s]
        if due:
            may_go_on = partial(self._may_go_on, webhook.id)
            self._rounds[webhook.id] = _Round(webhook, due[:MOST_IN_A_ROUND], self._store.clock.now, may_go_on)

    def _may_go_on(self, webhook_id: int) -> bool:
        known = self._store.webhooks.find(webhook_id)
        return known is not None and not known.inactive and not self._is_stopping()

    def _note(self, one: _Round, now: datetime) -> None:
        again_s = self._due_s.setdefault(one.webhook.id, {})
        for delivery, refusal in one.news():
            again_s.pop(delivery.id, None)
            if refusal is None:
                webhooks.delivered(self._store, delivery.id)
                continue
            was_answered = refusal.was_answered
            after = webhooks.failed(self._store, delivery, str(refusal), was_answered, now)
            log.warning("webhook.failed", webhook=one.webhook.name, change=delivery.change_id, error=str(refusal))
            if after.is_dead:
                log.error("webhook.given_up", webhook=one.webhook.name, change=delivery.change_id)
            else:
                again_s[delivery.id] = self._store.clock.monotonic() + webhooks.retry_s(after, was_answered)


def send(webhook: Webhook, message_id: str, body: bytes, now: datetime) -> None:
    """Send a signed message.

    Raises:
        Refused: it was not taken; says what was answered.
    """
    timestamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Printroom",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + sign(webhook.secret, message_id, timestamp, body),
    }
    try:
        status = post(webhook.url, headers, body)
    except Unanswered as error:
        raise Refused(f"it {error}", was_answered=False) from error
    if not 200 <= status < 300:
        is_later = status in LATER or status >= 500 or status < 200
        raise Refused(f"it answered {status}", was_answered=not is_later)


def try_to_send(webhook: Webhook, message_id: str, body: bytes, now: datetime) -> str:
    """Send a signed message; returns why it was refused, or ''."""
    try:
        send(webhook, message_id, body, now)
    except Refused as error:
        return str(error)
    return ""


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a message, in base64.

    Args:
        secret: whsec_ and base64.
        message_id: webhook-id.
        timestamp: webhook-timestamp, in seconds since the epoch.
        body: as it is sent.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
