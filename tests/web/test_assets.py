"""Colour profiles and overlays: taken when they are what they are said to be."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient
from PIL import Image

from render.colour import adobe_rgb_profile, srgb_profile
from store.tables import Store
from tests.web.test_panel import PROFILE


def png(mode: str, colour: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (30, 20), colour).save(buffer, "PNG")  # type: ignore[arg-type]
    return buffer.getvalue()


def upload(panel: FlaskClient, kind: str, data: bytes, name: str = "", file: str = "lustre.icc"):  # type: ignore[no-untyped-def]
    return panel.post("/assets/", data={"kind": kind, "name": name, "file": (io.BytesIO(data), file)})


def test_a_colour_profile_is_kept_by_its_content_and_offered_in_profiles(panel: FlaskClient, store: Store) -> None:
    assert upload(panel, "colour profile", adobe_rgb_profile(), "Lustre paper").status_code == 302
    (asset,) = store.assets.all()
    assert store.folder.asset(asset.sha256).read_bytes() == adobe_rgb_profile()
    assert "Lustre paper" in panel.get("/profiles/new").data.decode()
    panel.post("/profiles/new", data=PROFILE | {"colour_profile": "1", "colour_intent": "perceptual"})
    colour = store.render_profiles.get(1).colour
    assert colour.profile is not None and (colour.profile.sha256, colour.intent) == (asset.sha256, "perceptual")
    assert '<option value="1" selected>Lustre paper' in panel.get("/profiles/1").data.decode()


def test_an_overlay_is_offered_as_one(panel: FlaskClient, store: Store) -> None:
    assert upload(panel, "overlay", png("RGBA", (255, 0, 0, 90)), "Frame").status_code == 302
    panel.post("/profiles/new", data=PROFILE | {"overlay": "1"})
    overlay = store.render_profiles.get(1).overlay
    assert overlay is not None and overlay.name == "Frame"


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("colour profile", b"no profile", "not an ICC profile that works"),
        ("colour profile", srgb_profile()[:300], "not an ICC profile that works"),
        ("overlay", b"no png", "not a PNG"),
        ("overlay", png("RGB", "red"), "nothing in it is transparent"),
        ("overlay", b"", "Choose a file"),
        ("script", b"x", "is not a valid AssetKind"),
    ],
)
def test_what_it_is_not_is_refused_with_the_reason(
    panel: FlaskClient, store: Store, kind: str, data: bytes, words: str
) -> None:
    answer = upload(panel, kind, data)
    assert answer.status_code == 422 and words in answer.data.decode()
    assert len(store.assets) == 0 and not list(store.folder.assets.iterdir())


def test_one_that_a_profile_uses_is_not_removed(panel: FlaskClient, store: Store) -> None:
    upload(panel, "colour profile", adobe_rgb_profile(), "Lustre")
    panel.post("/profiles/new", data=PROFILE | {"colour_profile": "1"})
    answer = panel.post("/assets/1/remove")
    assert answer.status_code == 409 and "The render profiles 8x10 lustre use Lustre" in answer.data.decode()
    panel.post("/profiles/1/remove")
    panel.post("/assets/1/remove")
    assert len(store.assets) == 0
