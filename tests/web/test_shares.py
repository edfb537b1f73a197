"""Pages and pushes while a share hangs: they answer, and say what does not."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from render.rehearse import Rehearser
from render.samples import sample_photo
from render.sources import ImageFolders
from store import intake
from store.reach import Reach
from store.records import Download, Sheet
from store.sizes import parse_size
from store.states import SheetState, TicketState
from store.tables import Store
from tests.lab import until
from tests.share import Share
from tests.studio import NOW, add_render_job, push
from tests.web.conftest import Desktop

TOKEN = "t" * 32


@pytest.fixture
def lan(app: Flask, store: Store, share: Share) -> Share:
    """The share has the pictures of sessions."""
    store.reach = Reach(store.clock, 0.5)
    parts, folders = app.extensions["printroom"], ImageFolders((share.mount,))
    parts.rehearser.stop()
    parts.image_folders, parts.rehearser = folders, Rehearser(store.folder, folders, 10**8, store.reach)
    for name in ("a.jpg", "b.jpg"):
        (share.server / name).write_bytes(sample_photo(1, 900, 600))
    return share


def session(number: str = "S-1", *names: str) -> dict[str, Any]:
    names = names or ("a.jpg", "b.jpg")
    return push([], []).model_dump(mode="json", exclude_none=True) | {
        "number": number,
        "images": [{"name": name, "path": name} for name in names],
        "items": [{"id": name, "image": name, "size": "4x6"} for name in names],
    }


def test_a_push_is_taken_while_the_share_hangs(desktop: Desktop, store: Store, lan: Share) -> None:
    add_render_job(store)
    (first,) = desktop.post("/statuses", {"records": [session("S-1", "a.jpg", "c.jpg")]}).get_json()["results"]
    assert (first["answer"], first["missing"]) == ("accepted", ["c.jpg"])
    lan.hang()
    body = {"records": [session(f"S-{number}") for number in range(2, 50)]}
    results = desktop.post("/statuses", body).get_json()["results"]
    assert {result["answer"] for result in results} == {"accepted"}
    assert all(result["missing"] == ["a.jpg", "b.jpg"] for result in results) and len(store.tickets) == 49
    lan.go_on()
    until(lambda: not store.reach.silent(), "the share answers")
    (again,) = desktop.post("/statuses", {"records": [session("S-99")]}).get_json()["results"]
    assert again["missing"] == []


def test_a_records_page_and_a_rehearsal_name_what_does_not_answer(panel: FlaskClient, store: Store, lan: Share) -> None:
    add_render_job(store)
    intake.accept(store, push([]).model_validate(session()), NOW)
    assert panel.get("/records/1/pictures/0.jpg").status_code == 200
    lan.hang()
    for number in (0, 1):
        picture = panel.get(f"/records/1/pictures/{number}.jpg")
        assert picture.status_code == 404 and b"does not answer" in picture.data
    assert panel.get("/records/1").status_code == 200
    rehearsed = panel.application.extensions["printroom"].rehearser.rehearse(
        store.records.get(1).pushed(), store.render_profiles.all(), NOW
    )
    assert [
        failure.reason.startswith(f"{failure.image}: the folder {lan.mount} does not answer")
        for failure in rehearsed.failures
    ] == [True, True]
    assert str(lan.mount) in panel.get("/health/").data.decode()
    lan.go_on()


@pytest.fixture
def output(store: Store, lan: Share) -> Share:
    """The output folder lies on the share, with a ticket's files."""
    store.folder.output.rmdir()
    store.folder.output.symlink_to(lan.mount)
    add_render_job(store)
    intake.accept(store, push([]).model_validate(session()), NOW)
    with store.transaction():
        store.tickets.put(store.tickets.get(1).with_(state=TicketState.FINISHED))
        for name in ("a.jpg", "b.jpg"):
            store.sheets.add(_sheet(name))
    now = datetime.now(UTC)
    fields = {"ticket_id": 1, "token": TOKEN, "files": ("a.jpg", "b.jpg"), "created_at": now}
    store.downloads.add(Download.model_validate(fields | {"expires_at": now + timedelta(days=1)}))
    return lan


def _sheet(file: str) -> Sheet:
    return Sheet(
        ticket_id=1, profile_id=1, item=file, image=file, size=parse_size("4x6"), quantity=1, state=SheetState.DRAWN,
        file=file,
    )  # fmt: skip


PAGES = ["/tickets/1/files.zip", f"/d/{TOKEN}", f"/d/{TOKEN}/all.zip", f"/d/{TOKEN}/1"]


@pytest.mark.parametrize("page", PAGES)
def test_files_of_an_output_folder_that_hangs_are_not_waited_for(panel: FlaskClient, output: Share, page: str) -> None:
    assert panel.get(page).status_code == 200
    output.hang()
    answer = panel.get(page)
    assert answer.status_code == 503 and b"does not answer" in answer.data
    output.go_on()


def test_files_of_a_share_are_whole_and_come_in_parts(panel: FlaskClient, output: Share) -> None:
    whole = (output.server / "a.jpg").read_bytes()
    answer = panel.get(f"/d/{TOKEN}/0", headers={"Range": "bytes=100-199"})
    assert (answer.status_code, answer.data) == (206, whole[100:200])
    assert panel.get(f"/d/{TOKEN}/0").data == whole
    with zipfile.ZipFile(io.BytesIO(panel.get("/tickets/1/files.zip").data)) as archive:
        assert archive.testzip() is None and archive.read("a.jpg") == whole


def test_an_output_folder_that_fails_is_no_error_of_the_server(panel: FlaskClient, output: Share) -> None:
    output.vanish()
    for page in PAGES:
        answer = panel.get(page)
        assert answer.status_code == 503 and b"the output folder cannot be read" in answer.data, page
