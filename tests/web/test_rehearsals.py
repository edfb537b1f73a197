"""Rehearsals in the panel: live preview of a profile, and what a render job would have done."""

from __future__ import annotations

import base64
import io

from flask.testing import FlaskClient
from PIL import Image

from store import intake
from store.records import RenderJob
from store.tables import Store
from tests.studio import ERROR, FINISH, NOW, SELECT, photo, push
from tests.web.test_panel import PROFILE


def test_a_profile_is_rehearsed_before_it_is_saved(panel: FlaskClient, store: Store) -> None:
    answer = panel.post("/profiles/rehearse", data=PROFILE | {"record": "", "layout": "8 wallets on 8x10"}).get_json()
    assert [sheet["size"] for sheet in answer["sheets"]] == ["8x10"] * 4 and answer["failures"] == []
    kind, data = answer["sheets"][0]["preview"].split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (448, 560)
    assert len(store.render_profiles) == len(store.tickets) == 0 and not list(store.folder.output.iterdir())


def test_what_is_wrong_in_the_form_is_told_by_field(panel: FlaskClient) -> None:
    answer = panel.post("/profiles/rehearse", data=PROFILE | {"dpi": "9", "slug": "{nummer}"})
    assert answer.status_code == 422
    assert set(answer.get_json()["errors"]) == {"dpi", "slug"}


def test_a_real_record_is_rehearsed_with_its_pictures(panel: FlaskClient, store: Store) -> None:
    intake.accept(store, push(photo(store)), NOW)
    (sheet,) = panel.post("/profiles/rehearse", data=PROFILE | {"record": "1"}).get_json()["sheets"]
    assert (sheet["file"], sheet["quantity"]) == ("S-1/0001_4x6.jpg", 1)
    assert panel.post("/profiles/rehearse", data=PROFILE | {"record": "77"}).status_code == 404


def test_what_a_render_job_would_have_done_to_the_last_records(panel: FlaskClient, store: Store) -> None:
    panel.post("/profiles/new", data=PROFILE)
    fields = {"select_status": SELECT, "finish_status": FINISH, "error_status": ERROR, "inactive": True}
    store.render_jobs.add(RenderJob(name="Prints", kind="session", profile_ids=(1,), **fields))  # type: ignore[arg-type]
    intake.accept(store, push(photo(store)), NOW)
    intake.accept(store, push(photo(store, 2), number="S-2", status="Booked"), NOW)
    page = panel.get("/render-jobs/1/rehearse").data.decode()
    assert "What “Prints” would have done" in page and page.count("1 sheet<") == 2
    rows = panel.get("/render-jobs/1/rehearse?format=json").get_json()["records"]
    assert [(row["number"], row["is_selected"]) for row in rows] == [("S-2", False), ("S-1", True)]
    assert len(store.tickets) == 0


def test_the_layouts_are_shown_as_pictures(panel: FlaskClient) -> None:
    page = panel.get("/profiles/layouts").data.decode()
    assert "Proof with watermark on 8x10" in page
    with panel.get("/static/layouts/8-wallets-on-8x10.jpg") as picture:
        assert picture.status_code == 200
