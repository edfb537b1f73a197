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
from typing import Any

import pytest

from appliance import calling
from appliance.webhooks import Webhooks, try_to_send
from store import intake, progress, webhooks
from store.housekeeping import Housekeeper, Retention
from store.records import Change, ItemResult, Outcome
from store.tables import Store
from store.webhooks import Delivery
from tests import rude
from tests.appliance.test_calling import MANNERS
from tests.lab import free_port, until
from tests.machine_time import SetTime
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


@pytest.fixture
def store(timed_store: Store) -> Store:
    add_render_job(timed_store)
    return timed_store


class Sender:
    """The loop's steps, with time that passes when it is told to."""

    def __init__(self, store: Store, machine: SetTime, patience_s: float = 30.0) -> None:
        self.store, self.machine, self.patience_s = store, machine, patience_s
        self.restart()

    def restart(self) -> None:
        self.webhooks = Webhooks(self.store, patience_s=self.patience_s)

    def step(self, after_s: float = 0) -> None:
        self.machine.pass_s(after_s)
        self.webhooks.step(self.store.clock.now())

    def dead(self) -> list[Delivery]:
        return [one for one in self.store.deliveries.all() if one.is_dead]


@pytest.fixture
def sender(store: Store, machine: SetTime) -> Sender:
    return Sender(store, machine)


def numbers(receiver: Receiver) -> list[str]:
    return [json.loads(body)["data"]["number"] for _, body in receiver.got]


def test_a_change_is_sent_signed_as_standard_webhooks_has_it(sender: Sender, receiver: Receiver) -> None:
    finish(sender.store, "before")
    webhook = webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    finish(sender.store, "S-1")
    sender.step()
    ((headers, body),) = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(webhook.secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert hmac.compare_digest(headers["webhook-signature"], wanted)
    event = json.loads(body)
    assert (event["type"], event["data"]["number"], event["data"]["status"]) == ("record.changed", "S-1", FINISH)
    sender.step()
    assert len(receiver.got) == 1 and len(sender.store.deliveries) == 0


def test_what_is_not_taken_comes_again_later_and_with_the_same_id(sender: Sender, receiver: Receiver) -> None:
    webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    finish(sender.store, "S-1")
    finish(sender.store, "S-2")
    receiver.statuses = [503]
    sender.step()
    assert receiver.got == []  # nor was the second one tried behind it: they go in their order
    sender.step(1)
    assert numbers(receiver) == ["S-2"]
    sender.step(webhooks.FIRST_RETRY_S)
    assert numbers(receiver) == ["S-2", "S-1"]
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"chg_1_1", "chg_1_2"}


def test_who_refuses_again_and_again_is_given_up_and_may_be_tried_again(sender: Sender, receiver: Receiver) -> None:
    webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    finish(sender.store, "S-1")
    receiver.statuses = [400] * webhooks.MAX_REFUSALS
    began_s = sender.machine.monotonic()
    while not sender.dead():
        sender.step(60)
    assert 10 * 3600 < sender.machine.monotonic() - began_s < 14 * 3600
    (dead,) = sender.dead()
    assert dead.tries == webhooks.MAX_REFUSALS and dead.error == "it answered 400"
    webhooks.send_again(sender.store, dead.id, NOW)
    sender.step()
    assert len(receiver.got) == 1 and len(sender.store.deliveries) == 0


def test_an_address_that_is_away_is_given_up_after_two_days(sender: Sender) -> None:
    webhooks.add(sender.store, "Dashboard", f"http://127.0.0.1:{free_port()}/", NOW)
    finish(sender.store, "S-1")
    began_s = sender.machine.monotonic()
    while not sender.dead():
        sender.step(60)
    hours = (sender.machine.monotonic() - began_s) / 3600
    (dead,) = sender.dead()
    assert 47 < hours < 52 and dead.tries == webhooks.MAX_TRIES
    webhooks.send_again(sender.store, dead.id, NOW)
    sender.step()
    assert not sender.dead(), "it has two days again"


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=-1), timedelta(hours=10), timedelta(days=30)])
def test_a_clock_that_jumps_neither_gives_up_nor_stalls(sender: Sender, receiver: Receiver, jump: timedelta) -> None:
    webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    finish(sender.store, "S-1")
    receiver.statuses = [503, 400, 503]
    sender.step()
    sender.machine.set_wall(sender.machine.wall() + jump)
    sender.step(webhooks.FIRST_RETRY_S)
    assert len(receiver.statuses) == 1, "it is tried when ten seconds have passed, whatever the clock says"
    sender.machine.set_wall(NOW)
    sender.step(webhooks.REFUSED_RETRIES_S[0])
    assert receiver.statuses == [] and not sender.dead()
    sender.step(webhooks.FIRST_RETRY_S * 2)
    assert numbers(receiver) == ["S-1"]


def test_after_a_restart_everything_is_due_at_once(sender: Sender, receiver: Receiver) -> None:
    webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    finish(sender.store, "S-1")
    receiver.statuses = [400] * 5
    for _ in range(5):
        sender.step(webhooks.LAST_RETRY_S * 10)
    sender.machine.set_wall(NOW - timedelta(days=1))  # a box without a battery
    sender.restart()
    sender.step()
    assert numbers(receiver) == ["S-1"]


def test_a_redirect_is_not_followed(store: Store, receiver: Receiver) -> None:
    webhook = webhooks.add(store, "Dashboard", receiver.url, NOW)
    receiver.statuses = [302]
    assert try_to_send(webhook, "test_1", b"{}", NOW) == "it answered 302"
    assert try_to_send(webhook, "test_2", b"{}", NOW) == ""


def test_a_paused_webhook_gets_what_it_missed_when_it_goes_on(sender: Sender, receiver: Receiver) -> None:
    store = sender.store
    webhook = webhooks.add(store, "Dashboard", receiver.url, NOW)
    store.webhooks.put(webhook.with_(inactive=True))
    finish(store, "S-1")
    sender.step()
    assert receiver.got == []
    store.webhooks.put(store.webhooks.get(1).with_(inactive=False))
    sender.step()
    assert len(receiver.got) == 1


def test_changes_that_are_on_their_way_are_not_forgotten(sender: Sender) -> None:
    store = sender.store
    webhooks.add(store, "Dashboard", f"http://127.0.0.1:{free_port()}/", NOW)
    finish(store, "S-1")
    finish(store, "S-2")
    sender.step()
    store.deliveries.remove(store.deliveries.all()[1].id)
    keeps_tickets = Retention(tickets=timedelta(days=500), archive=timedelta(days=900))
    Housekeeper(store, keeps_tickets).step(NOW + timedelta(days=300))
    assert [change.number for change in store.changes.all()] == ["S-1"]


def test_what_there_is_no_change_of_any_more_is_forgotten(sender: Sender, receiver: Receiver) -> None:
    webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    finish(sender.store, "S-1")
    receiver.statuses = [503]
    sender.step()
    sender.store.changes.remove(1)
    sender.step()
    assert len(sender.store.deliveries) == 0


@pytest.mark.parametrize("case", ["garbage", "half a head", "closes at once", "silence", "continue for ever"])
def test_an_address_that_answers_nonsense_is_its_own_trouble(
    sender: Sender, receiver: Receiver, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "ANSWER_LIMIT_S", 1.0)
    store = sender.store
    with rude.rude(MANNERS[case][0]) as server:
        webhooks.add(store, "Rude", f"http://127.0.0.1:{server.port}/", NOW)
        webhooks.add(store, "Dashboard", receiver.url, NOW)
        finish(store, "S-1")
        finish(store, "S-2")
        sender.step()
        assert numbers(receiver) == ["S-1", "S-2"]
        (failed, waits) = store.deliveries.all()
        assert (failed.tries, failed.refusals, waits.tries) == (1, 0, 0) and failed.error.startswith("it ")
        assert server.calls == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://[::1/", f"http://{'x' * 64}.example/"])
def test_an_address_that_is_none_is_its_own_trouble(sender: Sender, receiver: Receiver, url: str) -> None:
    webhooks.add(sender.store, "None", url, NOW)
    webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    finish(sender.store, "S-1")
    sender.step()
    (failed,) = sender.store.deliveries.all()
    assert numbers(receiver) == ["S-1"] and "has an address that cannot be used" in failed.error


def test_silent_addresses_keep_neither_the_step_nor_the_others_waiting(
    store: Store, machine: SetTime, receiver: Receiver
) -> None:
    sender = Sender(store, machine, patience_s=0.05)
    with rude.rude(rude.is_silent) as server:
        for number in range(20):
            webhooks.add(store, f"Silent {number}", f"http://127.0.0.1:{server.port}/{number}", NOW)
        webhooks.add(store, "Dashboard", receiver.url, NOW)
        for number in range(3):
            finish(store, f"S-{number}")
            until(lambda wanted=number + 1: sender.step(2) or len(receiver.got) == wanted, "the other has it")
        until(lambda: server.calls == 20, "all are called")
        assert server.calls == 20, "one call for each at a time"
    until(
        lambda: sender.step() or all(one.tries for one in store.deliveries.all() if one.change_id == 1), "it is noted"
    )


def test_a_fault_of_ours_with_one_change_is_that_changes(
    sender: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance import webhooks as ours

    real = ours.as_change

    def faulty(change: Change) -> Any:
        if change.number == "S-1":
            raise RuntimeError("a fault")
        return real(change)

    monkeypatch.setattr(ours, "as_change", faulty)
    webhooks.add(sender.store, "Dashboard", receiver.url, NOW)
    for number in range(3):
        finish(sender.store, f"S-{number}")
    sender.step()
    (failed,) = sender.store.deliveries.all()
    assert numbers(receiver) == ["S-0", "S-2"] and "a fault in Printroom" in failed.error


def test_a_webhook_that_is_removed_while_it_is_called_leaves_nothing(store: Store, machine: SetTime) -> None:
    sender = Sender(store, machine, patience_s=0)
    with rude.rude(rude.is_silent) as server:
        webhook = webhooks.add(store, "Silent", f"http://127.0.0.1:{server.port}/", NOW)
        finish(store, "S-1")
        sender.step()
        until(lambda: server.calls, "it is called")
        webhooks.remove(store, webhook.id)
    until(lambda: not any(one.name == "webhook 1" for one in threading.enumerate()), "the call has ended")
    sender.step(2)
    assert len(store.deliveries) == 0
