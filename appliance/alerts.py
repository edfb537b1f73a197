"""Telling people who do not look at the panel: e-mail and webhook, once for each trouble that lasts."""

from __future__ import annotations

import json
import smtplib
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage

import structlog

from store.alerts import AlertFailed, troubles
from store.records import Alert, AlertSettings, MailSecurity
from store.tables import Store

log = structlog.get_logger("alerts")

LOOK_EVERY_S = 5.0
ANSWER_LIMIT_S = 15.0
_FIRST_RETRY, _LAST_RETRY = timedelta(seconds=15), timedelta(hours=1)


class Alerts:
    """Follows troubles from their beginning to their end."""

    def __init__(
        self, store: Store, min_free_bytes: int = 0, deliver: Callable[[AlertSettings, str], None] | None = None
    ) -> None:
        self._store, self._min_free_bytes = store, min_free_bytes
        self._deliver = deliver or send

    def step(self, now: datetime) -> float:
        """Begin alerts for new troubles, end those that are over, send what is due."""
        self._look(now)
        return LOOK_EVERY_S

    def _look(self, now: datetime) -> None:
        settings = next(iter(self._store.alert_settings.all()), AlertSettings())
        if not settings.is_on:
            return
        current = troubles(self._store, now, self._min_free_bytes)
        known = {alert.key: alert for alert in self._store.alerts.all()}
        if current.keys() != known.keys():
            with self._store.transaction():
                for key in known.keys() - current.keys():
                    self._store.alerts.remove(known.pop(key).id)
                for key in current.keys() - known.keys():
                    known[key] = self._store.alerts.add(Alert(key=key, text=current[key], since=now, due_at=now))
        lasting = timedelta(seconds=settings.after_s)
        due = [a for a in known.values() if a.sent_at is None and a.due_at <= now and now - a.since >= lasting]
        if due:
            self._send(settings, due, now)

    def _send(self, settings: AlertSettings, due: list[Alert], now: datetime) -> None:
        """All that is due in one message; what does not get through is tried again, later and later."""
        try:
            self._deliver(settings, "\n".join(alert.text for alert in due))
        except AlertFailed as error:
            log.warning("alerts.not_sent", count=len(due), error=str(error))
            with self._store.transaction():
                for alert in due:
                    wait = min(_FIRST_RETRY * 2**alert.tries, _LAST_RETRY)
                    later = alert.with_(tries=alert.tries + 1, due_at=now + wait, error=str(error))
                    self._store.alerts.put(later)
            return
        log.info("alerts.sent", count=len(due))
        with self._store.transaction():
            for alert in due:
                self._store.alerts.put(alert.with_(sent_at=now, error=""))


def send(settings: AlertSettings, text: str) -> None:
    """Send a text by every way that is set up.

    Raises:
        AlertFailed: one of them failed; says which.
    """
    problems = []
    for is_set, way in ((settings.webhook_url, _post), (settings.mail_to, _mail)):
        try:
            if is_set:
                way(settings, text)
        except AlertFailed as error:
            problems.append(str(error))
    if problems:
        raise AlertFailed("; ".join(problems))


def _post(settings: AlertSettings, text: str) -> None:
    body = json.dumps({"text": text, "box": socket.gethostname()}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "Printroom"}
    request = urllib.request.Request(settings.webhook_url, body, headers)  # noqa: S310  (http(s) by its model)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT_S):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        raise AlertFailed(f"the webhook answered {error.code}: check its address") from error
    except (OSError, ValueError) as error:
        raise AlertFailed(f"the webhook cannot be reached ({error}): check its address") from error


def _mail(settings: AlertSettings, text: str) -> None:
    message = EmailMessage()
    lines = text.splitlines()
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    message["Subject"] = f"Printroom: {lines[0][:150]}{more}"
    message["From"] = settings.mail_from or f"printroom@{socket.gethostname()}"
    message["To"] = settings.mail_to
    message.set_content(f"{text}\n\nOpen the panel of {socket.gethostname()} to see more.\n")
    kind = smtplib.SMTP_SSL if settings.smtp_security is MailSecurity.TLS else smtplib.SMTP
    try:
        with kind(settings.smtp_host, settings.smtp_port, timeout=ANSWER_LIMIT_S) as server:
            if settings.smtp_security is MailSecurity.STARTTLS:
                server.starttls()
            if settings.smtp_username:
                server.login(settings.smtp_username, settings.smtp_password)
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise AlertFailed(
            f"the mail server {settings.smtp_host} did not take the mail ({error}): check host, port and password"
        ) from error
