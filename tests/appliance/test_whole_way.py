"""From a status pushed by a desktop to paper in two real printers, and back; also through crashes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from appliance.desktop_client import DesktopClient
from render.colour import srgb_profile
from render.samples import sample_photo
from tests.appliance.conftest import Appliance, Studio, wait_for_change
from tests.lab import EvePrinter, VirtualPrinterProcess, until
from tests.studio import ERROR, FINISH, SELECT

StartEve = Callable[..., EvePrinter]
StartVirtual = Callable[..., VirtualPrinterProcess]
StartAppliance = Callable[..., Appliance]


def session(desktop: DesktopClient, folder: Path, orders: list[dict[str, Any]], number: str = "S-7") -> dict[str, Any]:
    """Upload a photo for each order and make the record."""
    images, items = [], []
    for seed, order in enumerate(orders):
        path = folder / f"{seed:04d}.jpg"
        path.write_bytes(order.pop("photo", None) or sample_photo(seed, 1800, 1200, 6 if seed % 2 else 1))
        images.append({"name": path.name, "sha256": desktop.upload(path)})
        items.append({"id": f"line-{seed}", "image": path.name, "size": "4x6", **order})
    return {
        "kind": "session",
        "number": number,
        "revision": 1,
        "status": SELECT,
        "client_name": "Avery Lindqvist",
        "images": images,
        "items": items,
    }


def test_a_status_becomes_paper_on_two_real_printers(
    tmp_path: Path, eve_printer: StartEve, appliance: StartAppliance
) -> None:
    """Every sheet once, right pixel size, dpi, copies, profile; the desktop hears of it, item by item."""
    eves = [eve_printer("Lab One", seconds=0.4), eve_printer("Lab Two", seconds=0.4)]
    studio = Studio(tmp_path / "data", {eve.name: eve.uri for eve in eves}, bleed_um=3_175)
    desktop = studio.desktop(appliance(studio.data))
    crop = {"left": 0.1, "top": 0.1, "width": 0.6, "height": 0.6}
    orders: list[dict[str, Any]] = [{"quantity": 1}, {"quantity": 3}, {"crop": crop}, {"quantity": 2}, {}, {}]
    record = session(desktop, tmp_path, orders)
    (answer,) = desktop.push(record)
    (again,) = desktop.push(record)
    assert (answer["answer"], len(answer["tickets"]), again["tickets"]) == ("accepted", 1, [])

    change = wait_for_change(desktop, "S-7")
    assert (change["status"], change["outcome"]) == (FINISH, "done")
    copies = {result["item"]: result["copies"] for result in change["results"]}
    assert copies == {"line-0": 1, "line-1": 3, "line-2": 1, "line-3": 2, "line-4": 1, "line-5": 1}

    received = [printed for eve in eves for printed in eve.printed()]
    assert all(eve.printed() for eve in eves), "both printers of the pool had work"
    assert len(received) == len({printed.job_name for printed in received}) == 6
    assert sorted(printed.copies for printed in received) == [1, 1, 1, 1, 2, 3]
    files = {path.read_bytes() for path in (studio.data / "output").rglob("*.jpg")}
    assert {printed.document.read_bytes() for printed in received} == files and len(files) == 6
    for content in files:
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (1275, 1875)  # (4 + 2/8) × (6 + 2/8) in at 300 dpi, upright as the paper lies
            assert image.info["dpi"] == (300, 300) and image.info["icc_profile"] == srgb_profile()
    desktop.acknowledge(change["seq"])
    assert desktop.changes() == []


def test_bad_pictures_become_the_error_status_with_a_reason_each_and_the_rest_is_printed(
    tmp_path: Path, eve_printer: StartEve, appliance: StartAppliance
) -> None:
    eve = eve_printer("Lab One")
    studio = Studio(tmp_path / "data", {eve.name: eve.uri})
    desktop = studio.desktop(appliance(studio.data))
    whole = sample_photo(9, 1800, 1200)
    orders = [{}, {"photo": whole[: len(whole) // 2]}, {"photo": b"this is not a picture"}]
    desktop.push(session(desktop, tmp_path, orders))
    change = wait_for_change(desktop, "S-7")
    assert (change["status"], change["outcome"]) == (ERROR, "partly")
    results = {result["item"]: result for result in change["results"]}
    assert results["line-0"]["outcome"] == "done" and results["line-0"]["printers"] == ["Lab One"]
    assert "0001.jpg: the file is damaged or not complete" in results["line-1"]["reason"]
    assert "0002.jpg: not a picture" in results["line-2"]["reason"]
    assert len(eve.printed()) == 1


@pytest.mark.parametrize("how", ["the worker is killed", "the plug is pulled"])
def test_a_crash_in_the_middle_prints_nothing_twice_and_loses_nothing(
    tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance, how: str
) -> None:
    """Killed while sheets are drawn, sent and printed; what the printers did is compared with what was ordered."""
    printers = [virtual_printer(name, "--seconds-per-sheet", "0.3") for name in ("Lab One", "Lab Two")]
    studio = Studio(tmp_path / "data", {printer.name: printer.uri for printer in printers})
    box = appliance(studio.data)
    desktop = studio.desktop(box)
    orders: list[dict[str, Any]] = [{"quantity": 1 + n % 3} for n in range(10)]
    (answer,) = desktop.push(session(desktop, tmp_path, orders))

    def out() -> int:
        return sum(len(printer.printed()) for printer in printers)

    for pages in (2, 8, 13):
        until(lambda pages=pages: out() >= pages, f"{pages} pages are out")  # type: ignore[misc]
        if how == "the worker is killed":
            box.kill_worker()
        else:
            box.kill()
            box = appliance(studio.data)
            desktop = studio.desktop(box)

    ticket = until(
        lambda: (t := desktop.ticket(answer["tickets"][0])) and t["state"] in ("finished", "held", "failed") and t,
        "the ticket is settled",
    )
    assert isinstance(ticket, dict)
    printed = [line["job_name"] for printer in printers for line in printer.printed()]
    sheets_of = {str(name).split("-")[2] for name in printed}
    by_sheet = {sheet: sum(1 for name in printed if str(name).split("-")[2] == sheet) for sheet in sheets_of}
    ordered = sorted(1 + n % 3 for n in range(10))
    if ticket["state"] == "finished":
        assert sorted(by_sheet.values()) == ordered
    else:  # a kill fell into an upload: asked about, and never more copies than ordered
        assert ticket["state"] == "held", ticket
        assert all(a <= b for a, b in zip(sorted(by_sheet.values(), reverse=True), ordered[::-1], strict=False))


def test_images_by_path_under_a_configured_root(
    tmp_path: Path, virtual_printer: StartVirtual, appliance: StartAppliance
) -> None:
    pictures = tmp_path / "studio pictures"
    (pictures / "S-8").mkdir(parents=True)
    (pictures / "S-8" / "a.jpg").write_bytes(sample_photo(1, 1800, 1200))
    (tmp_path / "private.jpg").write_bytes(sample_photo(2, 1800, 1200))
    printer = virtual_printer("Lab")
    studio = Studio(tmp_path / "data", {"Lab": printer.uri})
    desktop = studio.desktop(appliance(studio.data, PRINTROOM_IMAGE_ROOTS=str(pictures)))
    record = {
        "kind": "session",
        "number": "S-8",
        "revision": 1,
        "status": SELECT,
        "images": [{"name": "a.jpg", "path": "S-8/a.jpg"}],
        "items": [{"id": "1", "image": "a.jpg", "size": "4x6"}],
    }
    outside = {**record, "number": "S-9", "images": [{"name": "a.jpg", "path": "../private.jpg"}]}
    found, not_found = desktop.push(record, outside)
    assert found["missing"] == [] and not_found["missing"] == ["a.jpg"]  # as if there were no such file
    assert wait_for_change(desktop, "S-8")["status"] == FINISH
    assert len(printer.printed()) == 1
