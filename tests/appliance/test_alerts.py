"""People who do not look at the panel hear of what needs them: once, and only what lasts."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from appliance.alerts import Alerts, message, send
from store import intake, progress
from store.alerts import AlertFailed, troubles
from store.hot_folders import HotFolder, HotFolderNotice
from store.pulse import LoopState
from store.records import Alert, AlertSettings, AlertWay, MailSecurity, PrinterPool
from store.tables import Store
from store.upgrade import step_back, upgrade
from tests import rude
from tests.ipp.test_sender import drawn_ticket
from tests.lab import free_port
from tests.machine_time import SetTime
from tests.rude import Manner
from tests.studio import NOW, add_render_job, photo, push

PAPER = "load 8x10 paper in Lab One"


def first(answer: bytes, each_s: float = 0) -> Manner:
    """Speaks first, as mail servers do, and hears nothing."""

    def manner(connection: socket.socket, over: threading.Event) -> None:
        for part in (bytes([one]) for one in answer) if each_s else [answer]:
            connection.sendall(part)
            over.wait(each_s)
        over.wait()

    return manner


class Hook:
    """A webhook's other end."""

    address = ""

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


@pytest.fixture
def store(timed_store: Store) -> Store:
    return timed_store


def waiting_ticket(store: Store) -> int:
    drawn_ticket(store, store.printer_pools.add(PrinterPool(name="Lab")), [1], size="8x10")
    with store.transaction():
        progress.explain_ticket(store, store.tickets.get(1), PAPER)
    return 1


class Teller:
    """The loop's steps, with time that passes when it is told to."""

    def __init__(self, store: Store, machine: SetTime, **settings: Any) -> None:
        self.store, self.machine = store, machine
        self.loops: list[LoopState] = []
        store.alert_settings.add(AlertSettings(**settings))
        self.restart()

    def restart(self) -> None:
        self.alerts = Alerts(self.store, loops=lambda: self.loops)

    def step(self, after_s: float = 0) -> None:
        self.machine.pass_s(after_s)
        self.alerts.step(self.store.clock.now())


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    with made.running() as made.address:
        yield made


def test_paper_that_is_missing_is_told_once_after_a_while_and_again_when_it_happens_again(
    store: Store, machine: SetTime, hook: Hook
) -> None:
    waiting_ticket(store)
    teller = Teller(store, machine, webhook_url=hook.address, after_s=60)
    teller.step()
    assert hook.bodies == []  # it may be over in a moment
    teller.step(60)
    teller.step(60)
    teller.restart()
    teller.step(60)
    assert [body["text"] for body in hook.bodies] == [f"Session S-1 of Avery Lindqvist (ticket 1) waits: {PAPER}."]
    with store.transaction():
        progress.explain_ticket(store, store.tickets.get(1), "")
    teller.step(60)
    assert store.alerts.all() == []
    with store.transaction():
        progress.explain_ticket(store, store.tickets.get(1), PAPER)
    for _ in range(3):
        teller.step(60)
    assert len(hook.bodies) == 2


def test_what_does_not_get_through_is_tried_again_later_and_later(store: Store, machine: SetTime, hook: Hook) -> None:
    waiting_ticket(store)
    hook.status = 500
    teller = Teller(store, machine, webhook_url=hook.address, after_s=0)
    for _ in range(24):
        teller.step()
        machine.pass_s(5)
    (alert,) = store.alerts.all()
    assert len(hook.bodies) == 4 and alert.tries == 4  # at 0, 15, 45 and 105 seconds
    assert "the webhook answered 500" in alert.error
    hook.status = 200
    teller.step(3600)
    (alert,) = store.alerts.all()
    assert alert.sent_at is not None and alert.error == ""


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(hours=-10), timedelta(hours=10), timedelta(days=5)])
def test_a_clock_that_jumps_makes_nothing_last_and_keeps_nothing_waiting(
    store: Store, machine: SetTime, hook: Hook, jump: timedelta
) -> None:
    waiting_ticket(store)
    hook.status = 500
    teller = Teller(store, machine, webhook_url=hook.address, after_s=60)
    teller.step()
    machine.set_wall(NOW + jump)
    teller.step()
    assert hook.bodies == [], "nothing has lasted a minute"
    teller.step(60)
    assert len(hook.bodies) == 1
    machine.set_wall(NOW)
    teller.step(14)
    assert len(hook.bodies) == 1
    hook.status = 200
    teller.step(1)
    assert len(hook.bodies) == 2


def test_what_lasts_goes_on_lasting_over_a_restart(tmp_path: Path, hook: Hook) -> None:
    """A box that is started again every hour tells of what lasts a day."""
    machine = SetTime()
    for hour in range(26):
        with contextlib.closing(Store(tmp_path / "data", machine=machine)) as store:
            if not hour:
                waiting_ticket(store)
                store.alert_settings.add(AlertSettings(webhook_url=hook.address, after_s=86_400))
            Alerts(store).step(store.clock.now())
            assert hook.bodies == [] or hour >= 24
            machine.pass_s(3600)
            store.remember_time()
    assert len(hook.bodies) == 1


def test_a_loop_that_fails_is_told_and_its_news_are_no_new_alert(store: Store, machine: SetTime, hook: Hook) -> None:
    teller = Teller(store, machine, webhook_url=hook.address, after_s=0)
    for minutes in (3, 4, 5):
        teller.loops = [LoopState("Drawing", True, True, f"Drawing has not moved for {minutes} min: look into the log")]
        teller.step(60)
    assert [body["text"] for body in hook.bodies] == ["Drawing has not moved for 3 min: look into the log."]
    (alert,) = store.alerts.all()
    assert alert.text == "Drawing has not moved for 5 min: look into the log."
    teller.loops = []
    teller.step(60)
    assert store.alerts.all() == []


def test_a_wrong_clock_is_one_trouble_however_it_goes_on(store: Store, machine: SetTime, hook: Hook) -> None:
    teller = Teller(store, machine, webhook_url=hook.address, after_s=60)
    machine.set_wall(NOW - timedelta(days=60))
    for _ in range(10):
        teller.step(60)
    assert len(hook.bodies) == 1 and "The clock of this box says" in hook.bodies[0]["text"]


def test_problems_of_a_hot_folder_are_told_and_those_of_another_day_too(
    store: Store, machine: SetTime, hook: Hook
) -> None:
    store.hot_folders.add(HotFolder(name="Lustre", profile_id=1))
    teller = Teller(store, machine, webhook_url=hook.address, after_s=0)
    for day, count in ((0, 1), (0, 2), (1, 3)):
        at = NOW + timedelta(days=day)
        why = "letter.docx is not a picture"
        store.hot_folder_notices.put(HotFolderNotice(id=1, problems=count, problem=why, problem_at=at, since=NOW))
        teller.step(60)
    assert [body["text"] for body in hook.bodies] == [
        "Hot folder Lustre: 1 file could not be taken (the last: letter.docx is not a picture): look into its folder "
        "Problems.",
        "Hot folder Lustre: 3 files could not be taken (the last: letter.docx is not a picture): look into its folder "
        "Problems.",
    ]


def test_what_one_way_took_is_not_told_there_again_because_another_did_not(
    store: Store, machine: SetTime, hook: Hook
) -> None:
    waiting_ticket(store)
    port = free_port()
    ways: dict[str, Any] = {"mail_to": "lab@studio.example", "smtp_host": "127.0.0.1", "smtp_port": port}
    teller = Teller(store, machine, webhook_url=hook.address, after_s=0, **ways)
    for _ in range(20):
        teller.step(60)
    (alert,) = store.alerts.all()
    assert len(hook.bodies) == 1 and alert.told_by == ("webhook",) and "the mail server 127.0.0.1" in alert.error
    with mail_server() as mails:
        store.alert_settings.put(store.alert_settings.get(1).with_(smtp_port=mails.port, smtp_security="none"))
        teller.step(3600)
    (alert,) = store.alerts.all()
    assert len(hook.bodies) == 1 and len(mails.got) == 1 and alert.error == ""


def test_a_fault_of_ours_with_one_way_keeps_no_other(store: Store, machine: SetTime, hook: Hook) -> None:
    waiting_ticket(store)

    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    ways: dict[str, Any] = {"mail_to": "lab@studio.example", "smtp_host": "127.0.0.1"}
    Teller(store, machine, webhook_url=hook.address, after_s=0, **ways)
    deliver = {AlertWay.WEBHOOK: faulty, AlertWay.MAIL: lambda _, text: told.append(text)}
    told: list[str] = []
    Alerts(store, deliver=deliver).step(NOW)
    (alert,) = store.alerts.all()
    assert len(told) == 1 and alert.error.startswith("a fault in Printroom (ZeroDivisionError")


class Mails:
    """A mail server's side."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.port = free_port()

    async def handle_DATA(self, *arguments: Any) -> str:  # noqa: N802
        self.got.append(arguments[-1])
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[Mails]:
    mails = Mails()
    server = Controller(mails, hostname="127.0.0.1", port=mails.port)
    server.start()
    try:
        yield mails
    finally:
        server.stop()


def by_mail(port: int, **more: Any) -> AlertSettings:
    fields: dict[str, Any] = {
        "mail_to": "owner@studio.example",
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_security": MailSecurity.NONE,
        **more,
    }
    return AlertSettings(**fields)


def test_mail_arrives_with_what_to_do_in_its_subject() -> None:
    with mail_server() as mails:
        settings = by_mail(mails.port, mail_to="owner@studio.example, lab@studio.example")
        send(settings, "Session S-7 waits: load 8x10 paper.\nAnother")
    (mail,) = mails.got
    assert mail.rcpt_tos == ["owner@studio.example", "lab@studio.example"]
    assert b"Subject: Printroom: Session S-7 waits: load 8x10 paper. (and 1 more)" in mail.content


HELLO = b"220 mail ESMTP\r\n"
RUDE_MAIL: dict[str, tuple[Manner, str]] = {
    "garbage": (first(b"\x00\xff\xfe HTTP/1.1 400\r\n"), "it said -1"),
    "silence": (rude.is_silent, "it did not answer in time"),
    "closes": (rude.closes, "it closed the connection"),
    "one byte after the other": (first(HELLO, each_s=0.2), "it did not answer in time"),
    "an answer without an end": (first(b"220-mail\r\n" * 10_000), "it answers without an end"),
    "a line without an end": (first(b"220 " + b"x" * 100_000), "it (said 500|answers without an end)"),
    "refuses": (first(b"554 go away\r\n"), "it said 554 o away|it said 554 go away"),
    "stops after its greeting": (first(HELLO), "it did not answer in time"),
}


@pytest.mark.parametrize("case", RUDE_MAIL)
def test_a_mail_server_that_answers_nonsense_is_told_in_time(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.mailing.ANSWER_LIMIT_S", 1.0)
    monkeypatch.setattr("appliance.mailing.CONNECT_LIMIT_S", 0.5)
    manner, told = RUDE_MAIL[case]
    with rude.rude(manner) as server, pytest.raises(AlertFailed, match=f"did not take the mail: ({told})"):
        send(by_mail(server.port), "x")


@pytest.mark.parametrize("security", [MailSecurity.TLS, MailSecurity.STARTTLS])
def test_tls_that_a_mail_server_does_not_speak_is_told(security: MailSecurity) -> None:
    with mail_server() as mails, pytest.raises(AlertFailed, match=r"does not speak TLS|cannot be spoken to"):
        send(by_mail(mails.port, smtp_security=security), "x")


@pytest.mark.parametrize(
    "fields",
    [
        {"mail_to": "müller@studio.example"},
        {"mail_to": "lab@stüdio.example"},
        {"mail_to": "no address at all"},
        {"mail_to": "a@b.example\r\nBcc: x@y.example"},
        {"mail_to": ",;,"},
        {"mail_to": "a:b"},
        {"mail_to": '"", <>'},
        {"mail_from": "Müller <müller@studio.example>"},
        {"smtp_host": "x" * 64 + ".example"},
        {"smtp_host": "..."},
        {"smtp_host": "mail.\u2603.invalid"},
        {"smtp_username": "müller", "smtp_password": "geheim"},
        {"smtp_username": "lab", "smtp_password": "gehäim"},
    ],
)
def test_settings_that_cannot_be_are_the_messages_trouble(fields: dict[str, str]) -> None:
    with mail_server() as mails, contextlib.suppress(AlertFailed):
        send(by_mail(mails.port, **fields), "x")
        assert len(mails.got) == 1, "or it is told"


def test_a_mail_that_is_taken_is_sent_whatever_becomes_of_the_farewell() -> None:
    class Rude(Mails):
        async def handle_QUIT(self, *_: Any) -> str:  # noqa: N802
            return "500 never"

    mails = Rude()
    server = Controller(mails, hostname="127.0.0.1", port=mails.port)
    server.start()
    try:
        send(by_mail(mails.port), "x")
    finally:
        server.stop()
    assert len(mails.got) == 1


def test_a_thousand_troubles_are_one_mail_that_can_be_read() -> None:
    alerts = [Alert(key=str(n), text=f"Trouble\n{n}.", since=NOW, due_at=NOW) for n in range(1000)]
    lines = message(alerts).splitlines()
    assert lines[:2] == ["Trouble 0.", "Trouble 1."] and len(lines) == 101 and lines[-1] == "And 900 more."


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


def test_what_was_told_before_an_update_is_not_told_again_and_goes_back_with_it(tmp_path: Path, hook: Hook) -> None:
    machine = SetTime()
    with contextlib.closing(Store(tmp_path / "data", machine=machine)) as store:
        waiting_ticket(store)
        teller = Teller(store, machine, webhook_url=hook.address, after_s=0)
        teller.step()
        (alert,) = store.alerts.all()
        document = alert.model_dump(mode="json")
        store.hot_folder_notices.put(HotFolderNotice(id=1, problems=1, since=NOW))
    tables: dict[str, Any] = {"alerts": {1: document}, "hot_folder_notices": {1: {}}}
    step_back(3, 2, tables)
    assert not {"told_by", "began_s"} & tables["alerts"][1].keys() and "hot_folder_notices" not in tables
    upgrade(2, tables)
    told = Alert.model_validate(tables["alerts"][1])
    assert set(told.told_by) == set(AlertWay)
