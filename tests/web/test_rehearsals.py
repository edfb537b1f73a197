"""Rehearsals in the panel: live preview of a profile, and what a render job would have done."""

from __future__ import annotations

import base64
import io
import json
from html import unescape

import pytest
from flask.testing import FlaskClient
from PIL import Image

from store import intake
from store.records import RenderJob
from store.tables import Store
from tests.studio import ERROR, FINISH, NOW, SELECT, cut_photo, photo, push
from tests.web.test_panel import PROFILE
from web import rehearsals


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


def test_a_sheet_that_cannot_be_drawn_is_named_beside_those_that_can(panel: FlaskClient, store: Store) -> None:
    panel.post("/profiles/new", data=PROFILE | {"destination": ""})
    fields = {"select_status": SELECT, "finish_status": FINISH, "error_status": ERROR, "inactive": True}
    store.render_jobs.add(RenderJob(name="Prints", kind="session", profile_ids=(1,), **fields))  # type: ignore[arg-type]
    intake.accept(store, push([cut_photo(store, 1), photo(store, 2)]), NOW)
    intake.accept(store, push(photo(store, 3), number="S-2"), NOW)
    answer = panel.post("/profiles/rehearse", data=PROFILE | {"record": "1"})
    assert answer.status_code == 200
    sheets = answer.get_json()["sheets"]
    assert [(sheet["file"], bool(sheet["preview"])) for sheet in sheets] == [
        ("S-1/0001_4x6.jpg", False),
        ("S-1/0002_4x6.jpg", True),
    ]
    assert sheets[0]["problem"].startswith("0001.jpg: the file is damaged or not complete")
    page = panel.get("/render-jobs/1/rehearse")
    assert page.status_code == 200
    words = unescape(page.data.decode())
    assert "S-1/0001_4x6.jpg: 0001.jpg: the file is damaged" in words
    assert "2 sheets, of which 1 cannot be drawn" in words and "1 sheet" in words


def test_whatever_the_drawing_raises_the_page_is_there(
    panel: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours: a plan that nobody can draw."""
    monkeypatch.setattr("render.rehearse.shrunk", lambda plan, _: plan.with_(width_px=-1))
    answer = panel.post("/profiles/rehearse", data=PROFILE | {"record": ""})
    assert answer.status_code == 200
    sheets = answer.get_json()["sheets"]
    assert len(sheets) == 4 and all("a fault in Printroom" in sheet["problem"] for sheet in sheets)


def test_things_with_one_reason_are_named_before_it() -> None:
    told = rehearsals._told([("the bleed is too large", f"{n}.jpg") for n in (1, 2, 2, 3, 4, 5)])
    assert told == ["1.jpg, 2.jpg, 3.jpg and 2 more: the bleed is too large"]
    assert rehearsals._told([("1.jpg: the file is empty", "1.jpg")]) == ["1.jpg: the file is empty"]


def test_the_layouts_are_shown_as_pictures(panel: FlaskClient) -> None:
    page = panel.get("/layouts/").data.decode()
    assert "Proof with watermark on 8x10" in page
    with panel.get("/static/layouts/8-wallets-on-8x10.jpg") as picture:
        assert picture.status_code == 200


OWN = {
    "name": "Our collage",
    "size": "8x10",
    "cells": [
        {
            "left_um": 10000,
            "top_um": 10000,
            "width_um": 90000,
            "height_um": 60000,
            "rotation_deg": 5,
            "border_um": 1000,
        },
        {"left_um": 100000, "top_um": 90000, "width_um": 90000, "height_um": 60000, "next_image": True},
    ],
    "texts": [{"left_um": 10000, "top_um": 230000, "width_um": 180000, "height_um": 10000, "text": "{client}"}],
}


def upload(panel: FlaskClient, layout: object):  # type: ignore[no-untyped-def]
    return panel.post("/layouts/", data={"file": (io.BytesIO(json.dumps(layout).encode()), "layout.json")})


def test_a_studio_uploads_a_layout_of_its_own_and_chooses_it(panel: FlaskClient, store: Store) -> None:
    assert upload(panel, OWN).status_code == 302
    answer = panel.post("/profiles/rehearse", data=PROFILE | {"layout": "Our collage"}).get_json()
    assert len(answer["sheets"]) == 5 and answer["sheets"][0]["preview"]
    panel.post("/profiles/new", data=PROFILE | {"layout": "Our collage"})
    assert upload(panel, OWN | {"size": "11x14"}).status_code == 302  # replaced, for what is chosen from now on
    assert len(store.studio_layouts) == 1
    panel.post("/layouts/1/remove")
    layout = store.render_profiles.get(1).layout
    assert len(store.studio_layouts) == 0 and layout is not None and str(layout.size) == "8x10"
    assert "Our collage" in panel.get("/profiles/1").data.decode()


def test_the_file_of_a_ready_made_layout_is_one_that_can_be_uploaded(panel: FlaskClient) -> None:
    layout = panel.get("/layouts/Proof with watermark on 8x10.json").get_json()
    assert upload(panel, layout).status_code == 422  # the name is taken
    assert upload(panel, layout | {"name": "Our proof"}).status_code == 302


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({}, "name: Field required"),
        (OWN | {"texts": [OWN["texts"][0] | {"text": "{nummer}"}]}, "there is no field {nummer}"),  # type: ignore[index,operator]
        (OWN | {"size": "4x6"}, "reaches over the edge of the 4x6 sheet"),
        (OWN | {"cells": [{"left_um": -5}]}, "cells[0].left_um: Input should be greater than or equal to 0"),
    ],
)
def test_what_is_wrong_with_a_layout_is_told_by_field(
    panel: FlaskClient, store: Store, layout: dict[str, object], words: str
) -> None:
    answer = upload(panel, layout)
    assert answer.status_code == 422 and words in unescape(answer.data.decode())
    assert len(store.studio_layouts) == 0
