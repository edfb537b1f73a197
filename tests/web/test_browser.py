"""The panel in a real browser: a studio sets itself up, watches prints come out, answers, prints again, lets a program
in and out; and draws a layout by mouse."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from appliance.desktop_client import DesktopClient, SyncError, pair
from render.samples import sample_photo
from store import intake
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio, wait_for_change
from tests.appliance.conftest import appliance as appliance
from tests.lab import EvePrinter, until
from tests.studio import NOW, cut_photo, photo, push
from tests.web.browser import page as page
from tests.web.conftest import PASSWORD
from tests.web.screens import keep_picture


def heading(page: Page, name: str) -> Locator:
    return page.get_by_role("heading", name=name, exact=True, level=1)


def menu(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()


def go_on(page: Page, button: str = "Save and go on") -> None:
    page.get_by_role("button", name=button).click()


def session(desktop: DesktopClient, folder: Path, number: str, status: str, pixels: int = 1800) -> None:
    """A session of three photos, two 4x6 of each."""
    images, items = [], []
    for seed in range(3):
        path = folder / f"{number}-{seed:04d}.jpg"
        path.write_bytes(sample_photo(seed, pixels, pixels * 2 // 3))
        images.append({"name": path.name, "sha256": desktop.upload(path)})
        items.append({"id": str(seed), "image": path.name, "size": "4x6", "quantity": 2})
    record = {
        "kind": "session",
        "number": number,
        "revision": 1,
        "status": status,
        "client_name": f"Client of {number}",
    }
    desktop.push({**record, "images": images, "items": items})


@pytest.mark.timeout(240)
def test_a_studio_from_the_first_run_to_prints_in_the_hand(
    tmp_path: Path, page: Page, appliance: Callable[..., Appliance], eve_printer: Callable[..., EvePrinter]
) -> None:
    printers = [eve_printer(f"{name} printer", announced=True, seconds=0.6) for name in ("Front", "Back")]
    box = appliance(tmp_path / "data", PRINTROOM_DISCOVERY="true")

    # The first run, and the set-up that follows it.
    code = re.search(r"First-run code: (\d{8})", box.log())
    assert code
    page.goto(box.url)
    page.get_by_label("First-run code").fill(code[1])
    page.get_by_label("Your name").fill("kim")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    expect(heading(page, "The studio")).to_be_visible()
    page.get_by_label("Name of the studio").fill("Lindqvist Studio")
    page.get_by_label("Time zone").fill("America/Chicago")
    go_on(page)
    go_on(page, "Skip")  # image folders
    # It can be left, and Today leads back to where it was left.
    menu(page, "Today")
    page.get_by_role("link", name="Go on with the set-up").click()
    expect(heading(page, "Printers")).to_be_visible()
    # Both printers appear by themselves while the page is open, and print a test page each.
    for printer in printers:
        row = page.get_by_role("article").filter(has_text=printer.name)
        expect(row.get_by_text("idle")).to_be_visible()
        with page.expect_popup() as popup:
            row.get_by_role("button", name=f"Print a test page on {printer.name}").click()
        expect(popup.value.get_by_role("heading", level=1)).to_contain_text("Test page")
        expect(popup.value.get_by_text("finish → finished")).to_be_visible(timeout=30_000)
        popup.value.close()
        assert len(printer.printed()) == 1
    go_on(page, "Go on")
    page.get_by_label("Name", exact=True).fill("Lab")
    for printer in printers:
        page.get_by_label(printer.name).check()
    go_on(page, "Make it and go on")
    page.get_by_label("Lab prints", exact=False).first.check()
    go_on(page, "Make it and go on")
    page.get_by_label("Select status").fill("Sold")
    page.get_by_label("Finish status").fill("Printed")
    page.get_by_label("Error status").fill("Trouble")
    go_on(page, "Make it and go on")
    # The first desktop client: the code is shown here, typed there.
    page.get_by_label("Name of the program").fill("Front desk")
    page.get_by_role("button", name="Show a pairing code").click()
    digits = page.locator("code.token").inner_text()
    kept = pair(box.url, digits)
    expect(page.get_by_text("may push and follow")).to_be_visible()  # the page hears of it by itself
    go_on(page, "Go on")
    expect(page.get_by_text("The box is ready")).to_be_visible()

    # The desktop pushes while somebody watches Today: nothing is reloaded.
    menu(page, "Today")
    page.evaluate("window.wasNotReloaded = true")
    desktop = DesktopClient(box.url, kept.token)
    session(desktop, tmp_path, "S-1", "Sold")
    tickets = page.get_by_role("region", name="Tickets")
    first = tickets.get_by_role("article").filter(has_text="Session S-1 · Client of S-1")
    expect(first).to_be_visible()
    expect(first.locator(".badge", has_text="printing")).to_be_visible()
    expect(first.locator(".strip img").first).to_be_visible()
    expect(page.get_by_role("region", name="Printers").locator(".badge", has_text="processing").first).to_be_visible()
    keep_picture(page, "today-printing")
    expect(first.locator(".badge", has_text="finished")).to_be_visible(timeout=30_000)
    assert page.evaluate("window.wasNotReloaded") is True
    assert wait_for_change(desktop, "S-1")["status"] == "Printed"

    # The ticket: its sheets as pictures that really load, its way from status to paper, a sheet at 100 %.
    page.get_by_role("link", name="Session S-1").click()
    expect(page.locator("figure img")).to_have_count(3)
    decoded = (
        "Promise.all([...document.querySelectorAll('figure img')].map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert page.evaluate(decoded) == [480] * 3
    expect(page.get_by_text("finish → finished")).to_be_visible()
    page.locator("figure a").first.click()
    page.locator("[data-zoom] img").click()
    width = page.evaluate("document.querySelector('[data-zoom] img').getBoundingClientRect().width")
    assert width == page.evaluate("document.querySelector('[data-zoom] img').naturalWidth") == 1200

    # A profile and a render job made by hand: what is wrong is said, the preview follows what is typed.
    menu(page, "Render profiles")
    page.get_by_role("link", name="New profile").click()
    page.get_by_label("Name", exact=True).fill("Only sharp ones")
    page.get_by_label("Print on").select_option(label="Pool Lab")
    page.get_by_label("Bleed (in)").fill("three")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("form").get_by_text("Write it in inches")).to_be_visible()
    expect(page.get_by_text("Bleed (in): Write it in inches")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Only sharp ones")
    page.get_by_label("Bleed (in)").fill("0")
    page.get_by_label("A picture with fewer pixels").select_option(label="Hold the print until a person decides")
    preview = page.get_by_role("complementary", name="Preview")
    expect(preview.get_by_text("3 sheets; paper: 6 × 4x6")).to_be_visible()  # of the studio's last record
    preview.get_by_label("What it would make of").select_option("Sample photos")
    expect(preview.get_by_text("4 sheets; paper: 3 × 4x6, 6 × 5x7, 1 × 8x10")).to_be_visible()
    expect(preview.locator("img")).to_have_count(4)
    page.get_by_label("Layout").select_option("8 wallets on 8x10")
    expect(preview.get_by_text("4 sheets; paper: 10 × 8x10")).to_be_visible()
    page.get_by_label("Layout").select_option("")
    page.get_by_role("button", name="Save").click()
    menu(page, "Render jobs")
    page.get_by_role("link", name="New render job").click()
    page.get_by_label("Name").fill("Proofs")
    page.get_by_label("Select status").fill("Proof")
    page.get_by_label("Only sharp ones").check()
    page.get_by_label("Finish status").fill("Proofed")
    page.get_by_label("Error status").fill("Trouble")
    with page.expect_popup() as popup:  # rehearsed before it is saved
        page.get_by_role("button", name="Rehearse on the last records").click()
    expect(popup.value.get_by_text("S-1 Client of S-1")).to_be_visible()
    popup.value.close()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("no desktop has ever sent a session with the status “Proof”", exact=False)).to_be_visible()

    # Pictures with too few pixels are held; Today says so on top, and a person answers.
    menu(page, "Today")
    session(desktop, tmp_path, "S-2", "Proof", pixels=400)
    need = page.get_by_role("region", name="What needs you")
    expect(need.get_by_text("Client of S-2: 3 sheets wait for your word")).to_be_visible()
    keep_picture(page, "today-asks")
    need.get_by_role("link").first.click()
    for left in (3, 2, 1):
        expect(page.get_by_role("button", name="Print it", exact=True)).to_have_count(left)
        page.get_by_role("button", name="Print it" if left > 1 else "Do not print it", exact=True).first.click()
    expect(page.get_by_text("fail → failed")).to_be_visible(timeout=30_000)  # partly: one was not wanted
    change = wait_for_change(desktop, "S-2")
    assert (change["status"], change["outcome"]) == ("Trouble", "partly")

    # A sheet once more, three copies, on the other printer.
    came_out = [sum(one.copies for one in printer.printed()) for printer in printers]
    page.goto(box.url + "/history/")
    page.get_by_role("link", name="Session S-1").click()
    page.get_by_label("Print again").first.fill("3")
    heading(page, "Session S-1 · Client of S-1").click()  # elsewhere: what was typed stays although the page is live
    page.wait_for_timeout(1000)
    page.get_by_label("Why").select_option("damaged or soiled")
    page.get_by_label("Where").select_option(label="Printer Back printer")
    page.get_by_role("button", name="Print again").click()
    expect(page.get_by_text("Prints again what")).to_be_visible()
    expect(page.get_by_text("finish → finished")).to_be_visible(timeout=30_000)
    now = [sum(one.copies for one in printer.printed()) for printer in printers]
    assert now == [came_out[0], came_out[1] + 3]

    # The program is not let in any more, at once.
    menu(page, "Settings")
    page.get_by_role("link", name="Desktop clients").click()
    page.get_by_role("button", name="Revoke Front desk").click()
    expect(page.get_by_text("No client yet")).to_be_visible()
    with pytest.raises(SyncError):
        desktop.ticket(1)


def box_with_a_person(made: Studio, page: Page, appliance: Callable[..., Appliance]) -> Appliance:
    box = appliance(made.data)
    page.goto(box.url + "/login")
    page.fill("[name=name]", "kim")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    return box


def test_a_layout_is_drawn_by_mouse_and_keys(tmp_path: Path, page: Page, appliance: Callable[..., Appliance]) -> None:
    box = box_with_a_person(Studio(tmp_path / "data", {}), page, appliance)
    page.goto(box.url + "/layouts/new?like=Two 5x7 on 7x10")
    preview = page.locator("#preview img")
    expect(preview).to_be_visible()
    drawn = preview.get_attribute("src")

    def measures() -> list[float]:
        return [float(page.locator(f"#cells-1-{side}").input_value()) for side in ("left", "top", "width", "height")]

    assert measures() == [0, 5, 7, 5]
    cell = page.locator("[data-row=cells-1] rect")
    place = cell.bounding_box()
    assert place
    inch = place["width"] / 7

    def drag(x: float, y: float, right: float, down: float) -> None:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + right * inch / 2, y + down * inch / 2)
        page.mouse.move(x + right * inch, y + down * inch)
        page.mouse.up()

    # Its lower right corner makes it smaller; then there is room to move it.
    drag(place["x"] + place["width"] - 3, place["y"] + place["height"] - 3, -2, -1)
    assert measures() == pytest.approx([0, 5, 5, 4], abs=0.07)
    drag(place["x"] + 20, place["y"] + 20, 1, 0.5)
    assert measures() == pytest.approx([1, 5.5, 5, 4], abs=0.07)
    drag(place["x"] + inch + 20, place["y"] + inch, 9, 9)  # never over the edge
    assert measures()[0] + measures()[2] <= 7.001 and measures()[1] + measures()[3] <= 10.001
    left = measures()[0]
    page.locator("[data-row=cells-1]").press("ArrowLeft")
    assert measures()[0] == pytest.approx(left - 1 / 25.4, abs=0.001)
    expect(preview).not_to_have_attribute("src", drawn or "")  # drawn anew by the box

    page.get_by_label("Left of cell 1").fill("nine")
    expect(page.locator("#preview").get_by_text("Write it in inches")).to_be_visible()
    page.get_by_label("Left of cell 1").fill("0")
    page.get_by_label("Name", exact=True).fill("Stairs")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Stairs")).to_be_visible()
    page.goto(box.url + "/profiles/new")
    page.get_by_label("Layout").select_option("Stairs")


def test_a_preview_names_what_cannot_be_drawn_beside_what_can(
    tmp_path: Path, page: Page, appliance: Callable[..., Appliance]
) -> None:
    made = Studio(tmp_path / "data", {})
    store = Store(made.data)
    intake.accept(store, push([cut_photo(store, 1), photo(store, 2)], status="Booked"), NOW)
    store.close()
    box = box_with_a_person(made, page, appliance)
    page.goto(box.url + "/profiles/1")
    preview = page.get_by_role("complementary", name="Preview")
    expect(preview.get_by_text("2 sheets, of which 1 cannot be drawn; paper: 1 × 4x6")).to_be_visible()
    expect(preview.locator("figure")).to_have_count(2)
    expect(preview.locator("figure").first).to_contain_text("Cannot be drawn: 0001.jpg: the file is damaged")
    expect(preview.locator("img")).to_have_count(1)


def test_the_sample_studio_prints_while_one_watches_and_goes_away(
    tmp_path: Path, page: Page, appliance: Callable[..., Appliance]
) -> None:
    box = box_with_a_person(Studio(tmp_path / "data", {}), page, appliance)
    page.goto(box.url + "/setup/studio")
    page.get_by_role("button", name="Load the sample studio").click()
    printers = page.get_by_role("region", name="Printers")
    expect(printers.locator(".badge", has_text="processing").first).to_be_visible(timeout=30_000)
    expect(page.get_by_role("region", name="What needs you").get_by_text("Imani Okafor")).to_be_visible()
    expect(page.locator(".ticket", has_text="SAMPLE-1").locator(".badge", has_text="finished")).to_be_visible(
        timeout=40_000
    )
    box.kill_worker()  # its printers end with it, and the next one has two again
    until(lambda: processes().count("virtual-printer\0Sample printer") == 2, "there are two of them, and not four")
    page.goto(box.url + "/setup/done")
    page.get_by_role("button", name="Remove the sample studio").click()
    expect(page.get_by_text("Two virtual printers and three sessions with sample photos")).to_be_visible()
    page.goto(box.url)
    expect(page.get_by_text("SAMPLE-1")).to_have_count(0)
    until(lambda: "Sample printer" not in processes(), "their processes are ended")


def processes() -> str:
    found: list[Any] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(found).decode(errors="replace")


def test_a_restored_backup_takes_the_stores_place_and_waits_for_a_person(
    tmp_path: Path, page: Page, appliance: Callable[..., Appliance]
) -> None:
    made = Studio(tmp_path / "data", {})
    box = box_with_a_person(made, page, appliance)
    session(made.desktop(box), tmp_path, "S-kept", "Ready to print")
    page.goto(box.url + "/backup/")
    page.locator("#passphrase").fill("long enough")
    with page.expect_download() as download:
        page.get_by_role("button", name="Make and download it").click()
    file = tmp_path / "backup.zip"
    download.value.save_as(file)
    session(made.desktop(box), tmp_path, "S-later", "Ready to print")
    page.get_by_label("File").set_input_files(file)
    page.locator("#old_passphrase").fill("long enough")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_text("Restore this backup?")).to_be_visible()
    keep_picture(page, "restore")
    page.get_by_role("button", name="Replace everything with it").click()
    expect(page.get_by_text("The box starts anew")).to_be_visible()
    # The page goes on by itself when the box is back; nobody has to log in again, for the keys are the same.
    expect(page.get_by_text("This box was restored from a backup")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("S-kept")).to_be_visible()
    expect(page.get_by_text("S-later")).to_have_count(0)
    page.get_by_role("button", name="Start processing").click()
    expect(page.get_by_text("This box was restored")).to_have_count(0)


def test_what_matters_works_without_javascript(tmp_path: Path, page: Page, appliance: Callable[..., Appliance]) -> None:
    box = appliance(Studio(tmp_path / "data", {}).data)
    assert page.context.browser
    plain = page.context.browser.new_context(java_script_enabled=False).new_page()
    plain.set_default_timeout(15_000)
    plain.goto(box.url)
    plain.get_by_label("Name").fill("kim")
    plain.get_by_label("Password").fill(PASSWORD)
    plain.get_by_role("button", name="Log in").click()
    plain.goto(box.url + "/setup/studio")
    plain.get_by_role("button", name="Load the sample studio").click()
    expect(plain.get_by_text("Session SAMPLE-1")).to_be_visible()

    def asks() -> bool:
        plain.reload()
        return plain.get_by_role("link", name="Open ticket 2").count() == 1

    until(asks, "the held sheet is told of")
    plain.get_by_role("link", name="Open ticket 2").click()
    plain.locator("figure a").first.click()
    expect(plain.locator("[data-zoom] img")).to_be_visible()
    plain.go_back()
    plain.get_by_role("button", name="Do not print it").click()
    expect(plain.get_by_text("not printed, as a person decided").first).to_be_visible()
    plain.goto(box.url + "/layouts/new")
    plain.get_by_role("button", name="Add a text").click()
    plain.get_by_label("Name", exact=True).fill("By hand")
    plain.get_by_label("Words of text 1").fill("{number}")
    plain.get_by_role("button", name="Preview").click()
    expect(plain.locator("#preview img")).to_be_visible()
    plain.get_by_role("button", name="Save").click()
    expect(plain.get_by_role("link", name="By hand")).to_be_visible()
    plain.goto(box.url + "/profiles/new?like=Lab prints")
    plain.get_by_role("button", name="Save").click()
    expect(plain.get_by_role("link", name="Lab prints (2)", exact=True)).to_be_visible()
