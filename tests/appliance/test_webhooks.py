"""Webhooks: every change, signed, again and later until it is taken, and a list of what never was."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from appliance.webhooks import Webhooks, try_to_send
from store import intake, progress, webhooks
from store.housekeeping import Housekeeper, Retention
from store.records import ItemResult, Outcome
from store.tables import Store
from tests.studio import FINISH, NOW, add_render_job, photo, push


class Receiver(ThreadingHTTPServer):
    """A studio's own program."""

    def __init__(self) -> None:
        self.statuses: list[int] = []  # of the next answers; then 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.statuses.pop(0) if outer.statuses else 200
                if status == 200:
                    outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def finish(store: Store, number: str) -> None:
    digest = photo(store, 1, 60, 40)
    (ticket_id,) = intake.accept(store, push(digest, number=number), NOW).tickets
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        for event in ("start", "drawn"):
            ticket = progress.move_ticket(store, ticket, event, NOW)
        done = ItemResult(item="1", image="0001.jpg", profile="p", outcome=Outcome.DONE)
        progress.end_ticket(store, ticket, (done,), NOW)


def test_a_change_is_sent_signed_as_standard_webhooks_has_it(store: Store, receiver: Receiver) -> None:
    add_render_job(store)
    finish(store, "before")
    webhook = webhooks.add(store, "Dashboard", receiver.url, NOW)
    finish(store, "S-1")
    Webhooks(store).step(NOW)
    ((headers, body),) = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert hmac.compare_digest(headers["webhook-signature"], wanted)
    event = json.loads(body)
    assert (event["type"], event["data"]["number"], event["data"]["status"]) == ("record.changed", "S-1", FINISH)
    Webhooks(store).step(NOW)
    assert len(receiver.got) == 1 and len(store.deliveries) == 0


def test_what_is_not_taken_comes_again_later_and_with_the_same_id(store: Store, receiver: Receiver) -> None:
    add_render_job(store)
    webhooks.add(store, "Dashboard", receiver.url, NOW)
    finish(store, "S-1")
    finish(store, "S-2")
    receiver.statuses = [503]
    Webhooks(store).step(NOW)
    assert receiver.got == []  # nor was the second one tried behind it: they go in their order
    Webhooks(store).step(NOW + timedelta(seconds=1))
    assert [json.loads(body)["data"]["number"] for _, body in receiver.got] == ["S-2"]
    Webhooks(store).step(NOW + webhooks.FIRST_RETRY)
    assert [json.loads(body)["data"]["number"] for _, body in receiver.got] == ["S-2", "S-1"]
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"chg_1_1", "chg_1_2"}


def test_who_refuses_again_and_again_is_given_up_and_may_be_tried_again(store: Store, receiver: Receiver) -> None:
    add_render_job(store)
    webhooks.add(store, "Dashboard", receiver.url, NOW)
    finish(store, "S-1")
    receiver.statuses = [400] * webhooks.MAX_REFUSALS
    for hour in range(webhooks.MAX_REFUSALS + 2):
        Webhooks(store).step(NOW + timedelta(hours=hour))
    (dead,) = store.deliveries.all()
    assert dead.is_dead and dead.tries == webhooks.MAX_REFUSALS and dead.error == "it answered 400"
    webhooks.send_again(store, dead.id, NOW)
    Webhooks(store).step(NOW)
    assert len(receiver.got) == 1 and len(store.deliveries) == 0


def test_an_address_that_is_away_is_given_up_after_two_days(store: Store) -> None:
    add_render_job(store)
    webhooks.add(store, "Dashboard", "http://127.0.0.1:1/", NOW)
    finish(store, "S-1")
    now, tries = NOW, 0
    while not store.deliveries.all() or not store.deliveries.all()[0].is_dead:
        Webhooks(store).step(now)
        now, tries = store.deliveries.all()[0].due_at, tries + 1
    assert webhooks.GIVE_UP_AFTER <= now - NOW < webhooks.GIVE_UP_AFTER + timedelta(hours=3) and tries < 80


def test_a_redirect_is_not_followed(store: Store, receiver: Receiver) -> None:
    webhook = webhooks.add(store, "Dashboard", receiver.url, NOW)
    receiver.statuses = [302]
    assert try_to_send(webhook, "test_1", b"{}", NOW) == "it answered 302"
    assert try_to_send(webhook, "test_2", b"{}", NOW) == ""


def test_a_paused_webhook_gets_what_it_missed_when_it_goes_on(store: Store, receiver: Receiver) -> None:
    add_render_job(store)
    webhook = webhooks.add(store, "Dashboard", receiver.url, NOW)
    store.webhooks.put(webhook.with_(inactive=True))
    finish(store, "S-1")
    Webhooks(store).step(NOW)
    assert receiver.got == []
    store.webhooks.put(store.webhooks.get(1).with_(inactive=False))
    Webhooks(store).step(NOW)
    assert len(receiver.got) == 1


def test_changes_that_are_on_their_way_are_not_forgotten(store: Store) -> None:
    add_render_job(store)
    webhooks.add(store, "Dashboard", "http://127.0.0.1:1/", NOW)
    finish(store, "S-1")
    finish(store, "S-2")
    Webhooks(store).step(NOW)
    store.deliveries.remove(store.deliveries.all()[1].id)
    keeps_tickets = Retention(tickets=timedelta(days=500), archive=timedelta(days=900))
    Housekeeper(store, keeps_tickets).step(NOW + timedelta(days=300))
    assert [change.number for change in store.changes.all()] == ["S-1"]
