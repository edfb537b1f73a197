"""Debian's Chromium, as a fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.lab import find_program


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in Debian's Chromium; errors of the page itself fail the test."""
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_program("chromium"),
            args=[*quiet, "--disable-component-update", "--disable-sync", "--no-first-run"],
        )
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.set_default_timeout(15_000)
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on(
            "console",
            lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None,
        )
        yield opened
        browser.close()
    assert errors == []
