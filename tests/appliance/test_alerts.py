"""People who do not look at the panel hear of what needs them: once, and only what lasts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from appliance.alerts import Alerts, send
from store import intake, progress
from store.alerts import AlertFailed, troubles
from store.records import AlertSettings, MailSecurity, PrinterPool
from store.tables import Store
from tests.ipp.test_sender import drawn_ticket
from tests.lab import free_port
from tests.studio import NOW, add_render_job, photo, push

MINUTE = timedelta(minutes=1)
PAPER = "load 8x10 paper in Lab One"


class Hook:
    """A webhook's other end."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200

    @contextmanager
    def running(self) -> Iterator[str]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def waiting_ticket(store: Store) -> int:
    drawn_ticket(store, store.printer_pools.add(PrinterPool(name="Lab")), [1], size="8x10")
    with store.transaction():
        progress.explain_ticket(store, store.tickets.get(1), PAPER)
    return 1


def test_paper_that_is_missing_is_told_once_after_a_while_and_again_when_it_happens_again(store: Store) -> None:
    waiting_ticket(store)
    hook = Hook()
    with hook.running() as address:
        store.alert_settings.add(AlertSettings(webhook_url=address, after_s=60))
        alerts = Alerts(store)
        alerts.step(NOW)
        assert hook.bodies == []  # it may be over in a moment
        alerts.step(NOW + MINUTE)
        alerts.step(NOW + 2 * MINUTE)
        Alerts(store).step(NOW + 3 * MINUTE)  # after a restart
        assert [body["text"] for body in hook.bodies] == [f"Session S-1 of Avery Lindqvist (ticket 1) waits: {PAPER}."]
        with store.transaction():
            progress.explain_ticket(store, store.tickets.get(1), "")
        alerts.step(NOW + 4 * MINUTE)
        assert store.alerts.all() == []
        with store.transaction():
            progress.explain_ticket(store, store.tickets.get(1), PAPER)
        for minute in (5, 6, 7):
            alerts.step(NOW + minute * MINUTE)
        assert len(hook.bodies) == 2


def test_what_does_not_get_through_is_tried_again_later_and_later(store: Store) -> None:
    waiting_ticket(store)
    hook = Hook()
    hook.status = 500
    with hook.running() as address:
        store.alert_settings.add(AlertSettings(webhook_url=address, after_s=0))
        alerts = Alerts(store)
        for second in range(0, 120, 5):
            alerts.step(NOW + timedelta(seconds=second))
        (alert,) = store.alerts.all()
        assert len(hook.bodies) == 4 and alert.tries == 4  # at 0, 15, 45 and 105 seconds
        assert "the webhook answered 500" in alert.error
        hook.status = 200
        alerts.step(NOW + timedelta(hours=1))
    assert store.alerts.all()[0].sent_at is not None


def test_mail_arrives_with_what_to_do_in_its_subject() -> None:
    class Box:
        mails: list[Any] = []  # noqa: RUF012

        async def handle_DATA(self, *arguments: Any) -> str:  # noqa: N802
            self.mails.append(arguments[-1])
            return "250 OK"

    server = Controller(Box(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        settings = AlertSettings(
            mail_to="owner@studio.example, lab@studio.example",
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_security=MailSecurity.NONE,
        )
        send(settings, "Session S-7 waits: load 8x10 paper.\nAnother")
    finally:
        server.stop()
    (mail,) = Box.mails
    assert mail.rcpt_tos == ["owner@studio.example", "lab@studio.example"]
    assert b"Subject: Printroom: Session S-7 waits: load 8x10 paper. (and 1 more)" in mail.content


def test_what_cannot_be_reached_says_what_to_correct() -> None:
    port = free_port()
    with pytest.raises(AlertFailed, match=r"webhook cannot be reached .* mail server 127.0.0.1 did not take"):
        send(
            AlertSettings(
                webhook_url=f"http://127.0.0.1:{port}/", mail_to="a@b.example", smtp_host="127.0.0.1", smtp_port=port
            ),
            "x",
        )
    with pytest.raises(ValueError, match="mails need a mail server"):
        AlertSettings(mail_to="a@b.example")


def test_several_tickets_that_wait_for_the_same_are_one_trouble_and_failures_are_named(store: Store) -> None:
    add_render_job(store)
    for number in ("S-1", "S-2", "S-3"):
        intake.accept(store, push(photo(store), number=number), NOW)
    with store.transaction():
        for ticket in store.tickets.all():
            progress.move_ticket(store, ticket, "start", NOW, PAPER)
        progress.move_ticket(store, store.tickets.get(3), "fail", NOW, "0001.jpg: the file is empty")
    told = troubles(store, NOW)
    assert told[f"waiting {PAPER}"] == f"Session S-1 of Avery Lindqvist (ticket 1) and 1 more wait: {PAPER}."
    assert told["failed 3"].endswith("(ticket 3) failed: 0001.jpg: the file is empty.")
    assert "failed 3" not in troubles(store, NOW + timedelta(days=2))
