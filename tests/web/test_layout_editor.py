"""The layout editor without its script: a form of numbers, whose buttons add rows and show the sheet."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from render.ready_made import READY_MADE
from store.settings import Units
from store.tables import Store
from web import layout_form


def fields(page: str) -> dict[str, str]:
    """What a browser would send of the editor's form."""
    form: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", page):
        name, kind = re.search(r'name="([^"]*)"', tag), re.search(r'type="([^"]*)"', tag)
        if name and not (kind and kind[1] in ("checkbox", "file") and " checked" not in tag):
            value = re.search(r'value="([^"]*)"', tag)
            form[name[1]] = unescape(value[1]) if value else "on"
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options)
        form[name] = unescape(chosen[1]) if chosen else ""
    return form


@pytest.mark.parametrize("units", list(Units))
@pytest.mark.parametrize("name", list(READY_MADE))
def test_a_layout_goes_through_the_form_unchanged(units: Units, name: str) -> None:
    template, errors = layout_form.parse(layout_form.typed(READY_MADE[name], units), units, [])
    assert not errors and template == READY_MADE[name]


def test_a_studio_makes_its_own_of_a_ready_made_one(panel: FlaskClient, store: Store) -> None:
    form = fields(panel.get("/layouts/new?like=Two 5x7 on 7x10").data.decode())
    assert form["name"] == "Two 5x7 on 7x10 (own)" and form["cells-1-height"] == "5"
    form = fields(panel.post("/layouts/new", data=form | {"what": "texts"}).data.decode())
    assert form["texts-0-text"] == "{client}"
    page = panel.post("/layouts/new", data=form | {"what": "preview"}).data.decode()
    assert "data:image/jpeg;base64," in page and not len(store.studio_layouts)
    form = fields(page) | {
        "cells-1-remove": "on",
        "name": "One and a line",
        "cells-0-left": "1/2",
        "cells-0-width": "6",
    }
    assert panel.post("/layouts/new", data=form | {"what": "save"}).status_code == 302
    template = store.studio_layouts.get(1).template
    assert len(template.cells) == 1 and template.cells[0].left_um == 12_700 and template.texts[0].text == "{client}"
    page = panel.get("/layouts/1").data.decode()
    assert 'viewBox="0 0 1778.0 2540.0"' in page and fields(page)["cells-0-left"] == "0.5"


def test_a_layout_that_cannot_be_drawn_says_why_in_its_preview(panel: FlaskClient) -> None:
    form = fields(panel.get("/layouts/new?like=Two 5x7 on 7x10").data.decode())
    form |= {"name": "Thin", "cells-0-width": "0.001"}
    page = panel.post("/layouts/new", data=form | {"what": "preview"})
    assert page.status_code == 200 and "cell 1 of the layout 'Thin' is 0.025 x 127 mm" in unescape(page.data.decode())
    told = panel.post("/layouts/preview", data=form).get_json()
    assert told["preview"] == "" and "cell 1 of the layout 'Thin'" in told["errors"][""]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "8 wallets on 8x10"}, "is a ready-made layout: give yours another name"),
        ({"size": "large"}, "is not a print size"),
        ({"cells-0-left": "far"}, "Write it in inches"),
        ({"cells-0-width": "20"}, "reaches over the edge"),
        ({"cells-0-rotation_deg": "400"}, "less than 360"),
        ({"cells-0-caption": "{nobody}"}, "there is no field {nobody}"),
        ({"background": "white"}, "should match pattern"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    panel: FlaskClient, store: Store, changes: dict[str, str], words: str
) -> None:
    form = fields(panel.get("/layouts/new").data.decode()) | {"name": "Mine"} | changes
    answer = panel.post("/layouts/new", data=form | {"what": "save"})
    page = unescape(answer.data.decode())
    assert answer.status_code == 422 and words in page and not len(store.studio_layouts)
    assert fields(page) | changes == fields(page)  # what was typed is kept
    assert panel.post("/layouts/preview", data=form).status_code == 422


def test_two_of_a_name_would_be_mistaken_for_each_other(panel: FlaskClient, store: Store) -> None:
    form = fields(panel.get("/layouts/new").data.decode()) | {"name": "Mine", "what": "save"}
    assert panel.post("/layouts/new", data=form).status_code == 302
    assert "Another layout of yours" in panel.post("/layouts/new", data=form).data.decode()
    assert panel.post("/layouts/1", data=form).status_code == 302  # itself


def test_the_second_of_two_editors_is_told(panel: FlaskClient, store: Store) -> None:
    form = fields(panel.get("/layouts/new").data.decode()) | {"name": "Mine", "what": "save"}
    panel.post("/layouts/new", data=form)
    mine = fields(panel.get("/layouts/1").data.decode()) | {"what": "save"}
    panel.post("/layouts/1", data=mine | {"cells-0-left": "1"})
    assert panel.post("/layouts/1", data=mine | {"cells-0-left": "2"}).status_code == 409
    assert store.studio_layouts.get(1).template.cells[0].left_um == 25_400
