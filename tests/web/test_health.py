"""Health, the log and the file for support; backup and restore in the panel."""

from __future__ import annotations

import io
import json
import zipfile

from flask.testing import FlaskClient

from store import intake, webhooks
from store.backups import MARKER
from store.pulse import Pulse
from store.records import Alert, AlertSettings, Fault, Printer
from store.tables import Store
from store.webhooks import Delivery
from tests.studio import NOW, add_render_job, photo, push
from web import Services

LOG = """ts=2026-11-22T10:00:00Z level=info event=ticket.moved id=1
ts=2026-11-22T10:00:01Z level=warning event=sheet.failed sheet=7
"""


def write_log(store: Store) -> None:
    folder = store.folder.root / "log"
    folder.mkdir()
    (folder / "printroom.log").write_text(LOG)


def test_the_facts_are_shown(panel: FlaskClient, store: Store) -> None:
    page = panel.get("/health/").data.decode()
    for words in ("Free", "Nothing is wrong with the box", "Commits so far", "Time by this machine", "Printroom"):
        assert words in page


def test_the_box_and_its_items_are_told_apart(panel: FlaskClient, store: Store) -> None:
    page = panel.get("/health/").data.decode()
    assert "Nothing is wrong with the box" in page and page.index("The box") < page.index("Items that need a look")
    webhook = webhooks.add(store, "Dashboard", "https://studio.example/hook", NOW)
    fields = {"webhook_id": webhook.id, "change_id": 1, "due_at": NOW, "first_at": NOW, "error": "it answered 500"}
    store.deliveries.add(Delivery.model_validate(fields))
    store.deliveries.add(Delivery.model_validate({**fields, "is_dead": True}))
    store.alerts.add(Alert(key="x", text="Load paper.", since=NOW, due_at=NOW, error="the webhook answered 404"))
    add_render_job(store)
    (ticket,) = intake.accept(store, push(photo(store)), NOW).opened
    store.tickets.put(ticket.with_(fault=Fault(at=NOW, where="drawing", error="ZeroDivisionError()")))
    page = panel.get("/health/").data.decode()
    assert "Nothing is wrong with the box" in page
    for words in (
        "Webhook Dashboard did not take 2 changes, 1 given up: it answered 500.",
        "Alerts do not get through: the webhook answered 404.",
        "Ticket 1 is held because of a fault in Printroom.",
    ):
        assert page.index("Items that need a look") < page.index(words)
    assert panel.get("/health/alive").status_code == 200
    parts: Services = panel.application.extensions["printroom"]
    pulse = Pulse("Hot folders", store.clock.monotonic)
    pulse.failed(ValueError("odd"))
    parts.loops = lambda: [pulse.state(is_running=True)]
    page = panel.get("/health/").data.decode()
    words = "Hot folders stopped because of a fault in Printroom and is started again and again"
    assert page.index("The box needs you") < page.index(words) < page.index("Items that need a look")
    assert panel.get("/health/alive").status_code == 503


def test_the_log_is_shown_newest_first_and_searched(panel: FlaskClient, store: Store) -> None:
    assert "Nothing has been logged yet" in panel.get("/health/log").data.decode()
    write_log(store)
    page = panel.get("/health/log").data.decode()
    assert page.index("sheet.failed") < page.index("ticket.moved")
    page = panel.get("/health/log?q=SHEET").data.decode()
    assert "sheet.failed" in page and "ticket.moved" not in page


def test_the_file_for_support_has_no_pictures_no_passwords_and_no_customers(panel: FlaskClient, store: Store) -> None:
    write_log(store)
    add_render_job(store)
    intake.accept(store, push(photo(store)), NOW)
    store.printers.add(Printer(name="DS620", username="root-user", password="geheim-1234"))
    store.alert_settings.add(AlertSettings(smtp_host="mail", smtp_password="mail-secret"))
    answer = panel.get("/health/support.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as bundle:
        content = b"".join(bundle.read(name) for name in bundle.namelist())
        assert json.loads(bundle.read("printers.json"))[0]["name"] == "DS620"
        assert b"sheet.failed" in bundle.read("log/printroom.log")
    for secret in (b"geheim-1234", b"root-user", b"mail-secret", b"Avery Lindqvist", b"$argon2", b"\xff\xd8\xff"):
        assert secret not in content


def test_a_backup_is_made_checked_and_put_into_place(panel: FlaskClient, store: Store) -> None:
    restarts: list[bool] = []
    parts: Services = panel.application.extensions["printroom"]
    parts.restart = lambda: restarts.append(True)
    store.set(studio_name="Lindqvist")
    assert "at least 8 characters" in panel.post("/backup/make", data={"passphrase": "short"}).data.decode()
    made = panel.post("/backup/make", data={"passphrase": "long enough"})
    assert made.status_code == 200 and "printroom-" in made.headers["Content-Disposition"]

    def checked(passphrase: str) -> str:
        form = {"file": (io.BytesIO(made.data), "b.zip"), "old_passphrase": passphrase}
        return panel.post("/backup/check", data=form).data.decode()

    assert "The passphrase is not the one" in checked("wrong one")
    assert "Choose the file" in panel.post("/backup/check", data={}).data.decode()
    assert "Restore this backup?" in checked("long enough") and not restarts
    panel.post("/backup/restore", data={"what": "forget"})
    assert panel.post("/backup/restore", data={"what": "restore"}).status_code == 409  # it was taken away
    checked("long enough")
    assert "The box starts anew" in panel.post("/backup/restore", data={"what": "restore"}).data.decode()
    assert restarts == [True] and (store.folder.root / MARKER).is_file()


def test_none_of_it_is_for_operators(panel: FlaskClient, operator: FlaskClient) -> None:
    for path in ("/health/", "/health/log", "/health/support.zip", "/backup/", "/settings/box"):
        assert operator.get(path).status_code == 403, path


def test_whether_the_box_works_is_told_to_everybody_and_nothing_else(anybody: FlaskClient, store: Store) -> None:
    answer = anybody.get("/health/alive")
    assert answer.status_code == 200 and answer.get_json() == {"healthy": True, "problems": [], "version": "0"}
    parts: Services = anybody.application.extensions["printroom"]
    pulse = Pulse("Drawing", store.clock.monotonic)
    parts.loops = lambda: [pulse.state(is_running=False), pulse.state(is_running=True)]
    answer = anybody.get("/health/alive")
    assert answer.status_code == 503 and answer.get_json()["problems"] == [
        "Drawing has ended: restart the box under Settings, The box"
    ]
