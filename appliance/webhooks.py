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
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from store import webhooks
from store.records import Change
from store.tables import Store
from store.webhooks import Webhook
from web.sync.changes import as_change

log = structlog.get_logger("webhooks")

LOOK_EVERY_S = 2.0
ANSWER_LIMIT_S = 15.0


class Refused(Exception):
    """An address did not take a change; `was_answered` tells a refusal from silence."""

    def __init__(self, why: str, was_answered: bool) -> None:
        self.was_answered = was_answered
        super().__init__(why)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry signed data to where nobody configured it to go."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Webhooks:
    """Follows the changes and calls."""

    def __init__(self, store: Store, is_stopping: Callable[[], bool] = lambda: False) -> None:
        self._store, self._is_stopping = store, is_stopping
        self._opener = urllib.request.build_opener(_NoRedirects)

    def step(self, now: datetime) -> float:
        """Send what is due."""
        webhooks.enlist(self._store, now)
        for webhook in self._store.webhooks.all():
            for delivery, change in [] if webhook.inactive else webhooks.due(self._store, webhook, now):
                if self._is_stopping():
                    return LOOK_EVERY_S
                try:
                    self._call(webhook, change)
                except Refused as error:
                    after = webhooks.failed(self._store, delivery, str(error), error.was_answered, now)
                    log.warning("webhook.failed", webhook=webhook.name, change=change.id, error=str(error))
                    if after.is_dead:
                        log.error("webhook.given_up", webhook=webhook.name, change=change.id)
                    if not error.was_answered:
                        break  # what is behind it would wait for the same silence
                else:
                    with self._store.transaction():
                        self._store.deliveries.remove(delivery.id)
        return LOOK_EVERY_S

    def _call(self, webhook: Webhook, change: Change) -> None:
        data = as_change(change).model_dump(mode="json")
        event = {"type": "record.changed", "timestamp": change.at.isoformat(), "data": data}
        body = json.dumps(event, ensure_ascii=False).encode()
        send(webhook, f"chg_{webhook.id}_{change.id}", body, self._store.clock.now(), self._opener)


def send(
    webhook: Webhook, message_id: str, body: bytes, now: datetime, opener: urllib.request.OpenerDirector | None = None
) -> None:
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
        request = urllib.request.Request(webhook.url, body, headers)  # noqa: S310  (http(s) by its model)
        with (opener or urllib.request.build_opener(_NoRedirects)).open(request, timeout=ANSWER_LIMIT_S):
            pass
    except urllib.error.HTTPError as error:
        with error:
            is_later = error.code in (408, 425, 429) or error.code >= 500
            raise Refused(f"it answered {error.code}", was_answered=not is_later) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)  # urllib wraps what happened
        why = getattr(reason, "strerror", None) or reason
        raise Refused(f"it cannot be reached ({why})", was_answered=False) from error


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
