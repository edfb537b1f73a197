"""Telling people who do not look at the panel: e-mail and webhook, once for each trouble that lasts."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from appliance.calling import Unanswered, post
from appliance.mailing import send_mail
from store.alerts import AlertFailed, troubles
from store.pulse import Items, LoopState, pause_s
from store.records import Alert, AlertSettings, AlertWay
from store.tables import Store

log = structlog.get_logger("alerts")

LOOK_EVERY_S = 5.0
FIRST_RETRY_S, LAST_RETRY_S = 15.0, 3600.0
MOST_LINES = 100  # of a message

Deliver = Callable[[AlertSettings, str], None]


class Alerts:
    """Follows troubles from their beginning to their end."""

    def __init__(
        self,
        store: Store,
        min_free_bytes: int = 0,
        loops: Callable[[], Sequence[LoopState]] = tuple,
        deliver: Mapping[AlertWay, Deliver] | None = None,
    ) -> None:
        """
        Args:
            store: the open store.
            min_free_bytes: with less room on the disk it is told.
            loops: how each of the box's is.
            deliver: brings a text to people; raises AlertFailed.
        """
        self._store, self._min_free_bytes, self._loops = store, min_free_bytes, loops
        self._deliver = deliver or WAYS
        self._items = Items("alert_way", store.clock.monotonic, FIRST_RETRY_S, LAST_RETRY_S)

    def step(self, now: datetime) -> float:
        """Begin alerts for new troubles, end those that are over, send what is due."""
        settings = next(iter(self._store.alert_settings.all()), AlertSettings())
        if settings.ways:
            self._follow(now)
            for way in settings.ways:
                self._tell(settings, way, now)
        return LOOK_EVERY_S

    def _follow(self, now: datetime) -> None:
        current = troubles(self._store, now, self._min_free_bytes, self._loops())
        known = {alert.key: alert for alert in self._store.alerts.all()}
        if {key: alert.text for key, alert in known.items()} == current:
            return
        with self._store.transaction():
            for key in known.keys() - current.keys():
                self._store.alerts.remove(known[key].id)
            for key, text in current.items():
                if key not in known:
                    began_s = self._store.clock.running_s()
                    self._store.alerts.add(Alert(key=key, text=text, since=now, began_s=began_s, due_at=now))
                elif text != known[key].text:  # it is the same trouble, with other figures
                    self._store.alerts.put(known[key].with_(text=text))

    def _tell(self, settings: AlertSettings, way: AlertWay, now: datetime) -> None:
        """All that is due in one message; what does not get through is tried again, later and later. What one way does
        not take, another may have told: it is not told there again."""
        running_s = self._store.clock.running_s()
        waiting = [alert for alert in self._store.alerts.all() if way not in alert.told_by]
        due = [alert for alert in waiting if running_s - alert.began_s >= settings.after_s]
        if not due or not self._items.may(way):
            return
        error = "it was not tried"
        with self._items.guard(way, way.value):
            try:
                self._deliver[way](settings, message(due))
            except Exception as failed:
                is_known = isinstance(failed, AlertFailed)
                error = str(failed) if is_known else f"a fault in Printroom ({repr(failed)[:200]})"
                raise
            error = ""
        log.info("alerts.told" if not error else "alerts.not_told", way=way.value, count=len(due), error=error)
        again = now + timedelta(seconds=pause_s(self._items.failures(way), FIRST_RETRY_S, LAST_RETRY_S))
        with self._store.transaction():
            for alert in due:
                if error:
                    kept = alert.with_(tries=alert.tries + 1, due_at=again, error=error)
                else:
                    told_by = (*alert.told_by, way)
                    is_told = set(settings.ways) <= set(told_by)
                    last = "" if is_told else alert.error
                    kept = alert.with_(told_by=told_by, sent_at=alert.sent_at or now, error=last)
                self._store.alerts.put(kept)


def message(alerts: Sequence[Alert]) -> str:
    """A line for each, and no more than people read."""
    lines = [" ".join(alert.text.split()) for alert in alerts]
    more = [f"And {len(lines) - MOST_LINES} more."] if len(lines) > MOST_LINES else []
    return "\n".join(lines[:MOST_LINES] + more)


def send(settings: AlertSettings, text: str) -> None:
    """Send a text by every way that is set up.

    Raises:
        AlertFailed: one of them failed; says which.
    """
    problems = []
    for way in settings.ways:
        try:
            WAYS[way](settings, text)
        except AlertFailed as error:
            problems.append(str(error))
    if problems:
        raise AlertFailed("; ".join(problems))


def _post(settings: AlertSettings, text: str) -> None:
    body = json.dumps({"text": text, "box": socket.gethostname()}).encode()
    try:
        status = post(settings.webhook_url, {"Content-Type": "application/json", "User-Agent": "Printroom"}, body)
    except Unanswered as error:
        raise AlertFailed(f"the webhook {error}: check its address") from error
    if not 200 <= status < 300:
        raise AlertFailed(f"the webhook answered {status}: check its address")


WAYS: Mapping[AlertWay, Deliver] = {AlertWay.WEBHOOK: _post, AlertWay.MAIL: send_mail}
