"""Health, the log and the file for support; backup and restore in the panel."""

from __future__ import annotations

import io
import json
import zipfile

from flask.testing import FlaskClient

from store import intake
from store.backups import MARKER
from store.pulse import Pulse
from store.records import AlertSettings, Printer
from store.tables import Store
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
