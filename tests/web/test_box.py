"""The page of the machine, on the box's own agent behind its socket; what only systemd can do is seen in the emulator
(make image-test)."""

from __future__ import annotations

import http.server
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from appliance.box import agent
from appliance.box.agent import Agent
from appliance.box.link import Link
from store import backups
from store.tables import Store
from tests.appliance.box.test_bundle import Publisher, made
from tests.lab import until
from tests.machine import VERSION, Machine
from web import Services, services
from web.updates import BoxRefused, Updates


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def link(tmp_path: Path, store: Store, publisher: Publisher) -> Iterator[Link]:
    machine = Machine(tmp_path / "machine", store.folder.root, publisher.public)
    yield Link(machine.address)
    machine.stop()


@pytest.fixture
def box(app: Flask, panel: FlaskClient, store: Store, link: Link) -> FlaskClient:
    """Somebody at the panel of a box."""
    parts: Services = app.extensions["printroom"]
    parts.box, parts.architecture, parts.version = link, "amd64", VERSION
    parts.updates = Updates(store, link, VERSION)
    return panel


def settled(box: FlaskClient) -> str:
    def page() -> str:
        text = box.get("/box/").data.decode()
        return "" if "looks again every two seconds" in text else re.sub(r"\s+", " ", text)

    return until(page, "nothing is under way")


def upload(box: FlaskClient, content: bytes) -> str:
    box.post("/box/upload", data={"file": (io.BytesIO(content), "one.update")})
    return settled(box)


def test_a_checkout_says_that_the_machine_is_not_its_own(panel: FlaskClient) -> None:
    page = panel.get("/box/").data.decode()
    assert "runs from a checkout" in page and "Factory reset" not in page
    assert panel.post("/box/do/restart").status_code == 404 and panel.post("/box/install").status_code == 404


def test_the_box_says_what_is_on_it(box: FlaskClient) -> None:
    page = box.get("/box/").data.decode()
    assert "Printroom 1.1.0" in page and "Go to version 1.0.0" in page and "Switch the share on" in page


def test_an_update_is_checked_and_its_notes_are_shown_before_anything_happens(
    box: FlaskClient, publisher: Publisher, tmp_path: Path
) -> None:
    page = upload(box, made(tmp_path, publisher).read_bytes())
    assert "<strong>1.2.0</strong>" in page and "Better." in page and "Install it" in page
    box.post("/box/forget")
    assert "Upload and check it" in settled(box)


@pytest.mark.parametrize(
    ("version", "is_stranger", "words"),
    [
        ("1.2.0", True, "nobody whom"),
        ("1.1.0", False, "1.1.0 runs already"),
        ("1.0.9", False, "go back"),
    ],
)
def test_what_must_not_be_installed_is_refused_with_the_reason(
    box: FlaskClient, publisher: Publisher, tmp_path: Path, version: str, is_stranger: bool, words: str
) -> None:
    page = upload(box, made(tmp_path, Publisher() if is_stranger else publisher, version).read_bytes())
    assert words in page and "was not installed" in page and "Install it" not in page


def test_a_link_in_the_update_s_place_is_not_followed(link: Link, store: Store, tmp_path: Path) -> None:
    (store.folder.root / "updates").mkdir()
    (store.folder.root / "updates" / "bundle").symlink_to(tmp_path / "machine" / "keys" / "publisher.pem")
    with pytest.raises(BoxRefused, match="refused"):
        link.ask("check")


@pytest.mark.parametrize("line", ["", "no json", "[]", '{"do": "rm -rf"}', '{"do": ["state"]}', '{"done": 1}'])
def test_the_agent_does_only_what_it_knows(line: str) -> None:
    out = io.StringIO()
    Agent(out).serve(line)
    assert json.loads(out.getvalue())["error"].startswith("the panel asked for something")


def test_an_agent_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BoxRefused, match="restart the box"):
        Link(tmp_path / "none").ask("state")


def test_the_newest_version_of_a_channel_is_fetched(box: FlaskClient, publisher: Publisher, tmp_path: Path) -> None:
    published = tmp_path / "published"
    published.mkdir()
    bundle = made(published, publisher, root=bytes(1 << 19))
    (published / "beta-amd64.json").write_text(json.dumps({"version": "1.2.0", "file": bundle.name, "notes": ""}))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _serving(published)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        box.post("/box/fetch", data={"update_url": address, "update_channel": "stable"})
        assert "nothing is published" in settled(box)
        box.post("/box/fetch", data={"update_url": address, "update_channel": "beta"})
        assert "<strong>1.2.0</strong>" in settled(box)
        box.post("/box/forget")
        (published / "beta-amd64.json").write_text(json.dumps({"version": "1.2.0", "file": "../../etc/passwd"}))
        box.post("/box/fetch", data={"update_url": address, "update_channel": "beta"})
        assert "names a file outside" in settled(box)
        (published / "beta-amd64.json").write_text(json.dumps({"version": "1.1.0", "file": bundle.name}))
        box.post("/box/fetch", data={"update_url": address, "update_channel": "beta"})
        assert "is up to date" in settled(box)
        server.shutdown()


def _serving(folder: Path) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


@pytest.mark.parametrize("address", ["file:///etc", "ftp://one", "", "printroom.example"])
def test_only_the_web_publishes_updates(box: FlaskClient, address: str) -> None:
    box.post("/box/fetch", data={"update_url": address, "update_channel": "stable"})
    assert "begins with https://" in settled(box)


def test_a_copy_of_the_store_is_kept_before_an_update_and_the_newest_stay(
    box: FlaskClient, publisher: Publisher, tmp_path: Path, store: Store
) -> None:
    for version in ("1.2.0", "1.3.0", "1.4.0"):
        upload(box, made(tmp_path, publisher, version).read_bytes())
        box.post("/box/install")
        settled(box)  # no systemd here: it fails after the copy was made
        box.post("/box/forget")
    copies = backups.copies_before_updates(store.folder.root)
    assert copies and len(copies) <= backups.COPIES
    assert copies[0] in box.get("/box/").data.decode()
    box.post(f"/box/copies/{copies[0]}/forget")
    box.post("/box/copies/store/forget")  # is none
    assert copies[0] not in backups.copies_before_updates(store.folder.root) and store.folder.store.is_dir()


def test_a_factory_reset_takes_the_word(box: FlaskClient) -> None:
    answer = box.post("/box/do/reset", data={"sure": "yes"})
    assert answer.status_code == 422 and "type the word everything" in answer.data.decode()


def test_operators_have_no_business_here(box: FlaskClient, operator: FlaskClient) -> None:
    assert operator.get("/box/").status_code == 403 and operator.post("/box/do/restart").status_code == 403


def test_safe_mode_is_from_the_next_start_on(app: Flask, panel: FlaskClient, store: Store) -> None:
    restarts: list[bool] = []
    with app.app_context():
        services().restart = lambda: restarts.append(True)
    panel.post("/box/safe-mode", data={"on": "yes"})
    assert (store.folder.root / "safe-mode").exists() and restarts == [True]
    with app.app_context():
        services().is_safe = True
    assert "Leave safe mode" in panel.get("/box/").data.decode() and "Safe mode:" in panel.get("/").data.decode()
    panel.post("/box/safe-mode")
    assert not (store.folder.root / "safe-mode").exists()


def test_a_version_whose_schema_has_no_way_back_is_not_gone_to(
    box: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "about_slot", lambda _: {"version": "1.0.0", "schema": 0})
    answer = box.post("/box/do/go-back")
    assert answer.status_code == 409 and "there is no way back" in answer.data.decode()


def test_the_panel_has_its_answer_before_going_back_ends_it(box: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    turned: list[bool] = []
    monkeypatch.setattr(Agent, "_turn_back", lambda _: turned.append(True))
    assert "starts anew" in box.post("/box/do/go-back").data.decode()
    until(lambda: turned == [True], "it is done afterwards")


def test_what_went_wrong_afterwards_is_told(box: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "failed").write_text("Going to version 1.0.0 did not work, nothing was changed: no space")
    monkeypatch.setattr(agent, "FAILED", tmp_path / "failed")
    assert "did not work, nothing was changed: no space" in box.get("/box/").data.decode()


def test_a_version_that_was_given_up_is_told_on_today(box: FlaskClient, tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    (machine / "labels" / "printroom_1.0.0").rename(machine / "labels" / "printroom_1.2.0")
    (machine / "kernels" / "printroom_1.0.0.efi").rename(machine / "kernels" / "printroom_1.2.0+0-3.efi")
    page = box.get("/").data.decode()
    assert "Version 1.2.0 did not work, and the box went back to 1.1.0 by itself" in page and "Open The box" in page
    assert "It was given up" in box.get("/box/").data.decode()


def test_one_that_somebody_went_back_from_is_no_news(box: FlaskClient, tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    (machine / "labels" / "printroom_1.0.0").rename(machine / "labels" / "printroom_1.2.0")
    (machine / "kernels" / "printroom_1.0.0.efi").rename(machine / "kernels" / "printroom_1.2.0+0.efi")
    assert "did not work" not in box.get("/").data.decode()
    assert "Somebody went back from it" in box.get("/box/").data.decode()


def test_nothing_that_restarts_the_box_is_offered_while_an_update_is_written(app: Flask, box: FlaskClient) -> None:
    updates = app.extensions["printroom"].updates
    updates._begin("Writing to the idle slot")
    page = box.get("/box/").data.decode()
    assert "Writing to the idle slot" in page and "Restart the box" not in page and "safe mode" not in page
    updates._fail("the disk is full")
    assert "Restart the box" in box.get("/box/").data.decode()
