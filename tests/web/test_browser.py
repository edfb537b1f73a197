"""The panel in a real browser: set up by hand, watched live while it prints."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from appliance.desktop_client import DesktopClient
from render.samples import sample_photo
from tests.appliance.conftest import Appliance, wait_for_change
from tests.appliance.conftest import appliance as appliance
from tests.lab import VirtualPrinterProcess
from tests.web.browser import page as page

SCREENSHOTS = os.environ.get("PRINTROOM_SCREENSHOTS")


def shot(page: Page, name: str) -> None:
    """Keep a screenshot where PRINTROOM_SCREENSHOTS says, for looking at and for the README."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def test_a_studio_sets_itself_up_and_watches_its_first_session_print(
    tmp_path: Path,
    page: Page,
    appliance: Callable[..., Appliance],
    virtual_printer: Callable[..., VirtualPrinterProcess],
) -> None:
    printers = [virtual_printer(name, "--seconds-per-sheet", "0.6") for name in ("Front printer", "Back printer")]
    box = appliance(tmp_path / "data", PRINTROOM_DISCOVERY="true")

    # First run
    code = re.search(r"First-run code: (\d{8})", box.log())
    assert code
    page.goto(box.url)
    page.get_by_label("First-run code").fill(code[1])
    page.get_by_label("Your name").fill("kim")
    page.get_by_label("Password").fill("wedding prints")
    page.get_by_role("button", name="Begin").click()

    # Both printers appear by themselves, while the page is open.
    expect(page.get_by_role("region", name="Printers").get_by_text("idle")).to_have_count(2)
    shot(page, "first-run-done")

    # A pool, a profile, a render job, a client
    page.get_by_role("link", name="Printers", exact=True).click()
    page.get_by_role("link", name="New pool").click()
    page.get_by_label("Name").fill("Lab")
    for printer in printers:
        page.get_by_label(printer.name).check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Render profiles", exact=True).click()
    page.get_by_role("link", name="New profile").click()
    page.get_by_label("Name", exact=True).fill("Lustre")
    page.get_by_label("Print on").select_option(label="Pool Lab")
    page.get_by_label("Bleed (mm)").fill("three")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("form").get_by_text("Write it in millimetres")).to_be_visible()
    expect(page.get_by_text("Bleed (mm): Write it in millimetres")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Lustre")
    page.get_by_label("Bleed (mm)").fill("3.175")
    # The preview follows what is typed: the sample order's sheets, then those of a layout.
    preview = page.get_by_role("complementary", name="Preview")
    expect(preview.get_by_text("4 sheets; paper: 3 × 4x6, 6 × 5x7, 1 × 8x10")).to_be_visible()
    expect(preview.locator("img")).to_have_count(4)
    shot(page, "profile-form")
    page.get_by_label("Layout").select_option("8 wallets on 8x10")
    expect(preview.get_by_text("4 sheets; paper: 10 × 8x10")).to_be_visible()
    shot(page, "profile-form-layout")
    page.get_by_label("Layout").select_option("")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Render jobs", exact=True).click()
    page.get_by_role("link", name="New render job").click()
    page.get_by_label("Name").fill("Print sessions")
    page.get_by_label("Select status").fill("Sold")
    page.get_by_label("Lustre").check()
    page.get_by_label("Finish status").fill("Printed")
    page.get_by_label("Error status").fill("Trouble")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Desktop clients", exact=True).click()
    page.get_by_label("Name").fill("Front desk")
    page.get_by_role("button", name="Make a token by hand").click()
    token = page.locator("code.token").inner_text()

    # The desktop pushes while somebody watches Today: nothing is reloaded.
    page.get_by_role("link", name="Today", exact=True).click()
    page.evaluate("window.wasNotReloaded = true")
    desktop = DesktopClient(box.url, token)
    images, items = [], []
    for seed in range(4):
        path = tmp_path / f"{seed:04d}.jpg"
        path.write_bytes(sample_photo(seed, 1800, 1200))
        images.append({"name": path.name, "sha256": desktop.upload(path)})
        items.append({"id": str(seed), "image": path.name, "size": "4x6", "quantity": 2})
    record = {"kind": "session", "number": "S-1", "revision": 1, "status": "Sold", "client_name": "Avery Lindqvist"}
    desktop.push({**record, "images": images, "items": items})
    tickets = page.get_by_role("region", name="Tickets")
    expect(tickets.get_by_text("Session S-1 · Avery Lindqvist")).to_be_visible()
    expect(tickets.locator(".badge", has_text="printing")).to_be_visible()
    expect(tickets.locator(".strip img").first).to_be_visible()
    expect(page.get_by_role("region", name="Printers").locator(".badge", has_text="processing").first).to_be_visible()
    shot(page, "today-printing")
    expect(tickets.locator(".badge", has_text="finished")).to_be_visible(timeout=30_000)
    assert page.evaluate("window.wasNotReloaded") is True
    assert wait_for_change(desktop, "S-1")["status"] == "Printed"

    # The ticket: its sheets as pictures that really load, its way from status to paper.
    page.get_by_role("link", name="Session S-1").click()
    expect(page.locator("figure img")).to_have_count(4)
    assert (
        page.evaluate(
            "Promise.all([...document.querySelectorAll('figure img')].map(i => i.decode().then(() => i.naturalWidth)))"
        )
        == [480] * 4
    )
    expect(page.get_by_text("finish → finished")).to_be_visible()
    shot(page, "ticket")
    assert sum(len(printer.printed()) for printer in printers) == 8 + 2  # a slip on each of the two

    # On a phone nothing is wider than the screen.
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (
        "/",
        "/tickets/1",
        "/profiles/1",
        "/layouts/",
        "/assets/",
        "/render-jobs/1/rehearse",
        "/render-jobs/1",
        "/printers/",
        "/clients/",
        "/webhooks/",
        "/hot-folders/",
        "/help/sync",
        "/help/hot-folders",
    ):
        page.goto(box.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    shot(page, "phone")
