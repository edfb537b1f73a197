"""The settings of the box in the panel: what is kept, what needs a new start, in which units the rest is shown."""

from __future__ import annotations

from html import unescape

import pytest
from flask import url_for
from flask.testing import FlaskClient

from store import intake
from store.records import Printer
from store.settings import Units
from store.sizes import parse_size
from store.tables import Store
from tests.studio import NOW, SELECT, add_render_job, photo, push
from tests.web.test_panel import PROFILE
from web import Services
from web.settings import ROOMS


def test_every_room_is_reached_from_the_settings(panel: FlaskClient) -> None:
    page = unescape(panel.get("/settings/").data.decode())
    for endpoint, title, _ in ROOMS:
        assert title in page
        with panel.application.test_request_context():
            address = url_for(endpoint)
        assert panel.get(address, follow_redirects=True).status_code == 200, address


def test_the_studio_is_kept_and_shown(panel: FlaskClient, store: Store) -> None:
    form = {
        "studio_name": "Lindqvist",
        "units": "centimetres",
        "time_zone": "Asia/Tokyo",
        "locations": "Uptown, Harbour",
    }
    form |= {"opens_at": "08:00", "closes_at": "18:30", "has_auto_start": "yes"}
    assert panel.post("/settings/box", data=form).status_code == 302
    kept = store.settings
    assert (kept.studio_name, kept.units, kept.locations) == ("Lindqvist", Units.CENTIMETRES, ("Uptown", "Harbour"))
    assert f"{kept.opens_at:%H:%M}" == "08:00" and not kept.auto_start
    assert "Lindqvist" in panel.get("/").data.decode()
    assert store.local(store.clock.now()).tzname() == "JST"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("time_zone", "Nowhere/Land", "is not a time zone: write it as in America/Chicago"),
        ("max_memory_mb", "12", "greater than or equal to 500"),
        ("opens_at", "09:00", "Hours of operation have a beginning and an end"),
        ("image_roots", "pictures", "begin it with /"),
        ("path_mappings", "S:", "is not PREFIX=/folder"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    panel: FlaskClient, store: Store, field: str, value: str, words: str
) -> None:
    answer = panel.post("/settings/box", data={"studio_name": "Typed", field: value})
    page = unescape(answer.data.decode())
    assert answer.status_code == 422 and words in page and "Typed" in page and value in page
    assert store.settings.studio_name == ""


def test_the_second_of_two_who_change_the_settings_is_told(panel: FlaskClient, store: Store) -> None:
    page = panel.get("/settings/box").data.decode()
    seen = page.split('name="seen" value="')[1].split('"')[0]
    store.set(studio_name="Somebody else’s")
    answer = panel.post("/settings/box", data={"studio_name": "Mine", "seen": seen})
    assert answer.status_code == 409 and "Somebody else has changed this" in answer.data.decode()
    assert store.settings.studio_name == "Somebody else’s"


def test_what_takes_effect_at_the_next_start_says_so_and_the_box_starts_anew(panel: FlaskClient) -> None:
    parts: Services = panel.application.extensions["printroom"]
    parts.engine = {"workers": 2, "max_memory_mb": 4000}
    parts.fixed = frozenset({"max_memory_mb"})
    restarts: list[bool] = []
    parts.restart = lambda: restarts.append(True)
    page = panel.get("/settings/box").data.decode()
    assert "Start anew now" not in page and "so it cannot be changed here" in page
    page = panel.post("/settings/box", data={"workers": "3"}, follow_redirects=True).data.decode()
    assert "Start anew now" in page
    assert "The box starts anew" in panel.post("/settings/restart").data.decode() and restarts == [True]


def test_sizes_and_lengths_are_in_the_studios_units(panel: FlaskClient, store: Store) -> None:
    store.set(units=Units.CENTIMETRES)
    add_render_job(store)
    intake.accept(store, push(photo(store), status=SELECT), NOW)
    assert "10.2x15.2 cm" in panel.get("/records/1").data.decode()
    form = PROFILE | {"bleed": "3", "size": "20x30", "only_sizes": "10x15, 8x10in"}
    assert panel.post("/profiles/new", data=form).status_code == 302
    profile = store.render_profiles.get(2)
    assert profile.bleed_um == 3_000 and profile.size == parse_size("20x30cm")
    assert profile.only_sizes == (parse_size("10x15cm"), parse_size("8x10"))
    page = panel.get("/profiles/2").data.decode()
    assert 'value="20x30cm"' in page and "Bleed (mm)" in page and 'value="10x15cm, 20.32x25.4cm"' in page
    store.printers.add(Printer(name="DS620"))
    panel.post("/printers/1", data={"name": "DS620", "allowable_print_sizes": "10x15"})
    assert store.printers.get(1).allowable_print_sizes == (parse_size("10x15cm"),)
    answer = panel.post("/profiles/rehearse", data=form).get_json()
    assert answer["sheets"][0]["size"] == "20x30 cm"
