"""Profiles to begin with, copies, and profiles as files for other boxes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from render.colour import srgb_profile
from render.draw import save
from render.ready_made import PROFILES
from store import intake
from store.profiles import AssetRef, OutputColour, RenderProfile
from store.records import Asset, AssetKind
from store.tables import Store
from tests.studio import NOW, photo, push, upload
from tests.web.test_layout_editor import fields


def with_profile(store: Store) -> RenderProfile:
    """A profile that has an ICC profile of the studio."""
    content = srgb_profile()
    digest = hashlib.sha256(content).hexdigest()
    save(content, store.folder.asset(digest))
    store.assets.add(Asset(kind=AssetKind.COLOUR_PROFILE, name="Lustre", sha256=digest, added_at=NOW))
    colour = OutputColour(profile=AssetRef(name="Lustre", sha256=digest))
    return store.render_profiles.add(RenderProfile(name="8x10 lustre", dpi=240, colour=colour, pool_id=7))


def send(panel: FlaskClient, told: object) -> Any:
    return panel.post("/profiles/import", data={"file": (io.BytesIO(json.dumps(told).encode()), "p.json")})


@pytest.mark.parametrize("name", list(PROFILES))
def test_every_ready_made_profile_can_be_saved_as_it_is(panel: FlaskClient, store: Store, name: str) -> None:
    page = panel.get(f"/profiles/new?like={name}").data.decode()
    assert panel.post("/profiles/new", data=fields(page)).status_code == 302
    assert store.render_profiles.get(1).with_(id=0) == PROFILES[name][1]


def test_a_copy_is_the_same_under_another_name(panel: FlaskClient, store: Store) -> None:
    original = with_profile(store)
    form = fields(panel.get("/profiles/new?copy=1").data.decode())
    assert form["name"] == "8x10 lustre (2)"
    assert panel.post("/profiles/new", data=form | {"destination": "pool:7"}).status_code == 302
    assert store.render_profiles.get(2).with_(id=1, name="8x10 lustre") == original


def test_a_profile_goes_to_another_box_with_its_files(panel: FlaskClient, store: Store, tmp_path: Path) -> None:
    original = with_profile(store)
    told = panel.get("/profiles/1.json").get_json()
    assert "pool_id" not in told["profile"]
    store.render_profiles.remove(1)
    store.assets.remove(1)
    (digest,) = told["files"]
    store.folder.asset(digest).unlink()
    answer = send(panel, told)
    assert answer.status_code == 302
    taken = store.render_profiles.all()[0]
    assert taken.with_(id=1) == original.with_(pool_id=None)
    assert store.folder.asset(digest).read_bytes() == srgb_profile() and len(store.assets) == 1
    send(panel, told)
    assert {one.name for one in store.render_profiles.all()} == {"8x10 lustre", "8x10 lustre (2)"}
    assert len(store.assets) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: [],
        lambda _: {"profile": {}},
        lambda told: told | {"files": {}},
        lambda told: told | {"files": {name: base64.b64encode(b"x").decode() for name in told["files"]}},
        lambda told: told | {"profile": told["profile"] | {"file_name": "{nothing}"}},
        lambda told: told | {"profile": told["profile"] | {"folder": "../.."}},
        lambda told: told | {"profile": told["profile"] | {"dpi": 1}},
    ],
)
def test_what_is_no_profile_is_refused_and_nothing_is_kept(panel: FlaskClient, store: Store, spoil: Any) -> None:
    with_profile(store)
    answer = send(panel, spoil(panel.get("/profiles/1.json").get_json()))
    assert answer.status_code == 422 and "export it again" in unescape(answer.data.decode())
    assert len(store.render_profiles) == 1


def test_a_record_shows_its_pictures_small(panel: FlaskClient, store: Store) -> None:
    intake.accept(store, push([photo(store), upload(store, b"no picture")]), NOW)
    answer = panel.get("/records/1/pictures/0.jpg")
    assert answer.data[:3] == b"\xff\xd8\xff" and len(answer.data) < 60_000
    assert panel.get("/records/1/pictures/1.jpg").status_code == 404
    assert panel.get("/records/1/pictures/2.jpg").status_code == 404
