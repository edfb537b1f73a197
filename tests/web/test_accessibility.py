"""Every screen, light and narrow, dark and wide, as axe-core sees it: WCAG 2.2 A and AA. The pictures of the manual are
taken on the way (make help-screens)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from store import backups
from store.tables import Store
from tests.appliance.box.test_bundle import Publisher
from tests.appliance.box.test_bundle import made as made_bundle
from tests.appliance.conftest import Appliance
from tests.appliance.conftest import appliance as appliance
from tests.lab import until
from tests.machine import Machine
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
def test_no_screen_keeps_anybody_out(
    page: Page, appliance: Callable[..., Appliance], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made = studio(tmp_path / "data")
    publisher = Publisher()
    machine = Machine(tmp_path / "box", made.data, publisher.public)
    request.addfinalizer(machine.stop)
    box = appliance(made.data, PRINTROOM_BOX=str(machine.root))
    axe = Axe()
    found: list[str] = []
    loaded: dict[str, int] = {}

    def look(path: str, what: str) -> None:
        page.goto(box.url + path)
        for violation in axe.run(page, options=RULES).response["violations"]:
            where = [node["target"] for node in violation["nodes"][:3]]
            found.append(f"{path} ({what}): {violation['id']}: {violation['help']}: {where}")

    look("/login", "light, 1440")
    look("/reset-password", "light, 1440")
    page.goto(box.url + "/login")
    page.fill("[name=name]", "kim")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    desktop = made.desktop(box)
    until(lambda: desktop.ticket(1)["state"] == "printing", "the first ticket is printed")
    until(lambda: desktop.ticket(2)["state"] == "held", "the second asks")
    page.goto(box.url + "/clients/")
    page.fill("[name=name]", "Front desk")
    page.get_by_role("button", name="Show a pairing code").click()
    page.goto(box.url + "/box/")
    page.set_input_files("[name=file]", made_bundle(tmp_path, publisher))
    page.get_by_role("button", name="Upload and check it").click()
    page.get_by_role("button", name="Install it").wait_for()
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


@pytest.mark.unannounced
def test_the_recovery_page_keeps_nobody_out(page: Page, appliance: Callable[..., Appliance], tmp_path: Path) -> None:
    data, machine = tmp_path / "data", tmp_path / "box"
    store = Store(data)
    backups.keep_before_update(store, "0.1.0", datetime.now(UTC))
    store.close()
    (machine / "panel").mkdir(parents=True)
    for snapshot in (data / "store").glob("snapshot-*"):
        snapshot.write_bytes(b"nothing of a store")
    box = appliance(data, PRINTROOM_BOX=str(machine))
    code = re.search(r"Recovery code: (\d{8})", box.log())
    assert code
    found: list[str] = []

    def look(what: str) -> None:
        for theme, width in (("light", 390), ("dark", 1440)):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 900})
            found.extend(f"{what}: {one['id']}" for one in Axe().run(page, options=RULES).response["violations"])
            keep_picture(page, f"{what}-{theme}")

    page.goto(box.url)
    look("recovery")
    page.fill("[name=code]", code[1])
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Check the store").click()
    page.locator("pre").wait_for()
    look("recovery-entered")
    assert not found, found
