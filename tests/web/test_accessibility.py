"""Every screen, light and narrow, dark and wide, as axe-core sees it: WCAG 2.2 A and AA. The pictures of the manual are
taken on the way (make help-screens)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.appliance.conftest import Appliance
from tests.appliance.conftest import appliance as appliance
from tests.lab import until
from tests.web.browser import page as page
from tests.web.conftest import PASSWORD
from tests.web.screens import FOLDER, SCREENS, WIDTHS, keep_picture, studio

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
LARGEST_BYTES = 150_000  # of what a page loads beside the studio's pictures


def wait_for_pictures(page: Page) -> None:
    """Until everything that is drawn for a page is on it."""
    whole = "[...document.images].every(one => one.complete || one.getBoundingClientRect().top > 900)"
    until(lambda: page.evaluate(whole), "the pictures are there")
    if page.locator("#rehearsal, #preview").count():
        page.wait_for_selector("#rehearsal img, #preview img")


@pytest.mark.unannounced
@pytest.mark.timeout(600)
def test_no_screen_keeps_anybody_out(page: Page, appliance: Callable[..., Appliance], tmp_path: Path) -> None:
    made = studio(tmp_path / "data")
    box = appliance(made.data)
    axe = Axe()
    found: list[str] = []
    loaded: dict[str, int] = {}

    def look(path: str, what: str) -> None:
        page.goto(box.url + path)
        for violation in axe.run(page, options=RULES).response["violations"]:
            where = [node["target"] for node in violation["nodes"][:3]]
            found.append(f"{path} ({what}): {violation['id']}: {violation['help']}: {where}")

    look("/login", "light, 1440")
    page.fill("[name=name]", "kim")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    desktop = made.desktop(box)
    until(lambda: desktop.ticket(1)["state"] == "printing", "the first ticket is printed")
    until(lambda: desktop.ticket(2)["state"] == "held", "the second asks")
    page.goto(box.url + "/clients/")
    page.fill("[name=name]", "Front desk")
    page.get_by_role("button", name="Show a pairing code").click()
    if FOLDER:  # both widths in the light, for the manual
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            for name, path in SCREENS.items():
                page.goto(box.url + path)
                wait_for_pictures(page)
                keep_picture(page, name)
    page.on("response", lambda one: loaded.update({one.url: int(one.headers.get("content-length") or 0)}))
    # What a theme changes (colours) does not depend on the width, nor the other way round.
    for theme, width in (("light", 390), ("dark", 1440)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        for path in SCREENS.values():
            loaded.clear()
            look(path, f"{theme}, {width}")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{path} ({theme}, {width}): wider than the screen")
            assets = [url for url in loaded if "/static/" in url and not url.endswith((".jpg", ".webp"))]
            weight = sum(loaded[url] for url in assets)
            if weight > LARGEST_BYTES:
                found.append(f"{path}: {weight} bytes of assets")
    assert not found, "\n".join(found)
