"""The manual: every screen leads to a page of it, every page is there with its pictures."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.help_screens import FOLDER, used
from tests.web.screens import SCREENS
from web.help import _PAGE_OF, MANUAL, page_for


def test_every_page_of_the_manual_is_there(panel: FlaskClient) -> None:
    contents = panel.get("/help/").data.decode()
    for address, title in MANUAL.items():
        assert f"/help/{address}" in contents
        page = panel.get(f"/help/{address}")
        assert page.status_code == 200 and f"<title>{title}" in page.data.decode().replace("&#39;", "'"), address


def test_every_screen_leads_to_a_page_of_the_manual(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        assert page_for(rule.endpoint) in MANUAL, rule.endpoint
    named = {rule.endpoint.split(".")[0] for rule in app.url_map.iter_rules()}
    assert named - {"static", "sync", "events"} <= {_part(app, name) for name in named}


def _part(app: Flask, name: str) -> str:
    """A part of the panel that the manual explains on a page of its own choice, not just on the first one."""
    return name if name in _PAGE_OF else ""


def test_every_picture_of_the_manual_is_there_at_both_widths_and_small() -> None:
    assert used() <= set(SCREENS), "pictures of screens that are not taken"
    for name in used():
        for width in (1440, 390):
            path = FOLDER / f"{name}-{width}.webp"
            assert path.is_file(), f"make help-screens: {path.name} is missing"
            assert path.stat().st_size < 120_000
    assert {path.name for path in FOLDER.iterdir()} == {
        f"{name}-{width}.webp" for name in used() for width in (1440, 390)
    }


@pytest.mark.parametrize(
    ("page", "screen", "words"),
    [
        ("people", "/people/1", "Log this person out everywhere"),
        ("printers", "/printers/", "Add a printer by its address"),
        ("today", "/", "Pause processing"),
        ("settings", "/settings/box", "Begin to work by itself"),
        ("trouble", "/health/", "Save a file for support"),
        ("layouts", "/layouts/", "Make my own of it"),
    ],
)
def test_the_manual_calls_things_as_the_panel_does(panel: FlaskClient, page: str, screen: str, words: str) -> None:
    assert words in panel.get(screen).data.decode()
    assert words.split(" by ")[0].lower() in panel.get(f"/help/{page}").data.decode().lower()
