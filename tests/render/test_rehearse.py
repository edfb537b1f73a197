"""Rehearsals: what would be made, without making it."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

import render.compose
from render.draw import Drawn, DrawTask, draw
from render.frames import Frame, Picture, print_frame
from render.pictures import MeasureTask, measure
from render.ready_made import READY_MADE, grid
from render.rehearse import PREVIEW_PX, Rehearser, sample_record, shrunk
from render.samples import sample_photo
from render.sources import ImageFolders
from store.clock import Clock
from store.folder import DataFolder
from store.profiles import RenderProfile
from store.pushed import RecordPush
from store.reach import Reach
from tests import help_pictures
from tests.render.test_compose import planned
from tests.share import Share
from tests.studio import NOW


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


@pytest.fixture
def rehearser(folder: DataFolder, tmp_path: Path) -> Iterator[Rehearser]:
    made = Rehearser(folder, ImageFolders((tmp_path,)), 50_000_000, Reach(Clock()))
    yield made
    made.stop()


def everything(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


def test_a_rehearsal_shows_sheets_counts_and_paper_and_writes_nothing(rehearser: Rehearser, folder: DataFolder) -> None:
    before = everything(folder.root)
    profiles = [RenderProfile(name="Prints", printer_id=1), RenderProfile(name="Web", sizing="longest edge")]  # type: ignore[arg-type]
    rehearsal = rehearser.rehearse(None, profiles, NOW)
    assert len(rehearsal.sheets) == 8 and rehearsal.failures == ()
    assert rehearsal.paper == {"8x10": 1, "5x7": 6, "4x6": 3}
    shown = [sheet for sheet in rehearsal.sheets if sheet.preview]
    assert len(shown) == 6
    with Image.open(io.BytesIO(shown[0].preview)) as image:
        assert image.size == (PREVIEW_PX, PREVIEW_PX * 8 // 10)
    assert everything(folder.root) == before


def test_a_rehearsal_of_a_real_record_shows_its_pictures_and_what_is_wrong(
    rehearser: Rehearser, tmp_path: Path
) -> None:
    (tmp_path / "good.jpg").write_bytes(sample_photo(4, 900, 600))
    (tmp_path / "bad.jpg").write_bytes(b"nothing")
    images = [{"name": name, "path": name} for name in ("good.jpg", "bad.jpg", "gone.jpg")]
    items = [{"id": image["name"], "image": image["name"], "size": "4x6"} for image in images]
    fields = {"kind": "order", "number": "7", "revision": 1, "status": "x", "images": images, "items": items}
    rehearsal = rehearser.rehearse(RecordPush.model_validate(fields), [RenderProfile(name="p")], NOW)
    assert [sheet.file for sheet in rehearsal.sheets] == ["orders/7/7_good_4x6_good.jpg.jpg"]
    assert [failure.item for failure in rehearsal.failures] == ["bad.jpg", "gone.jpg"]


# -- what cannot be drawn ---------------------------------------------------------------------------------------


def order(root: Path, *names: str) -> RecordPush:
    """A 4x6 of each picture."""
    for seed, name in enumerate(names):
        (root / name).write_bytes(sample_photo(seed, 900, 600))
    images = [{"name": name, "path": name} for name in names]
    items = [{"id": name, "image": name, "size": "4x6"} for name in names]
    fields = {"kind": "order", "number": "7", "revision": 1, "status": "x", "images": images, "items": items}
    return RecordPush.model_validate(fields)


def draw_fussily(task: DrawTask) -> list[Drawn]:
    """What goes wrong in a worker, by the picture's name; runs there."""
    (source,) = task.sources
    with (Path(os.environ["TRIES"]) / source.name).with_suffix(".tries").open("a") as tries:
        tries.write("x")
    match source.name:
        case "kills.jpg":
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory ends
        case "hangs.jpg":
            time.sleep(300)
        case "large.jpg":
            before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (1, before[1]))
            try:
                bytearray(500_000_000)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
        case "fault.jpg":
            raise ZeroDivisionError("ours")
        case "share.jpg":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
    return draw(task)


def test_a_sheet_that_cannot_be_drawn_is_told_by_name_beside_those_that_can(
    folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a.jpg", "kills.jpg", "b.jpg", "hangs.jpg", "large.jpg", "fault.jpg", "share.jpg", "c.jpg")
    record = order(tmp_path, *names)
    monkeypatch.setattr("render.rehearse.draw", draw_fussily)
    monkeypatch.setenv("TRIES", str(tmp_path))
    rehearser = Rehearser(folder, ImageFolders((tmp_path,)), 50_000_000, Reach(Clock()), limit_s=5)
    profiles = [RenderProfile(name="p", printer_id=1), RenderProfile(name="q", printer_id=1)]
    rehearsal = rehearser.rehearse(record, profiles, NOW, previews=100)
    rehearser.stop()
    assert (
        rehearsal.failures == () and [sheet.file.split("_")[1] + ".jpg" for sheet in rehearsal.sheets] == [*names] * 2
    )
    words = {
        "kills.jpg": "kills.jpg: the program that draws was ended at it: it took longer than 5 s or more memory",
        "hangs.jpg": "hangs.jpg: the program that draws was ended at it: it took longer than 5 s or more memory",
        "large.jpg": "large.jpg: the box has not enough free memory",
        "fault.jpg": "a fault in Printroom (ZeroDivisionError), not in fault.jpg",
        "share.jpg": "share.jpg: the disk or share fails (Input/output error)",
    }
    for sheet, name in zip(rehearsal.sheets, [*names] * 2, strict=True):
        assert bool(sheet.preview) == (name not in words)
        assert sheet.problem.startswith(words.get(name, "")) and bool(sheet.problem) == (name in words)
    assert rehearsal.paper == {"4x6": 6}
    tried = {name: (tmp_path / name).with_suffix(".tries").stat().st_size for name in names}
    assert tried == dict.fromkeys(names, 2) | {"kills.jpg": 1, "hangs.jpg": 1}, "nobody waits for a hang twice"


def measure_fussily(task: MeasureTask) -> Picture:
    if task.name == "fault.jpg":
        raise KeyError("ours")
    if task.name == "kills.jpg":
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(task)


def test_a_picture_that_cannot_be_measured_is_told_by_name(
    rehearser: Rehearser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("render.rehearse.measure", measure_fussily)
    record = order(tmp_path, "a.jpg", "fault.jpg", "kills.jpg", "b.jpg")
    rehearsal = rehearser.rehearse(record, [RenderProfile(name="p")], NOW)
    assert [bool(sheet.preview) for sheet in rehearsal.sheets] == [True, True]
    assert [failure.image for failure in rehearsal.failures] == ["fault.jpg", "kills.jpg"]
    assert "a fault in Printroom (KeyError), not in fault.jpg" in rehearsal.failures[0].reason


def test_a_share_that_fails_is_told_and_not_called_a_missing_picture(folder: DataFolder, share: Share) -> None:
    rehearser = Rehearser(folder, ImageFolders((share.mount,)), 50_000_000, Reach(Clock()))
    record = order(share.server, "a.jpg")
    share.vanish()
    (failure,) = rehearser.rehearse(record, [RenderProfile(name="p")], NOW).failures
    rehearser.stop()
    assert f"a.jpg: transport endpoint is not connected ({share.mount})" in failure.reason


@pytest.mark.parametrize("how", [{}, {"selection": "all images", "size": "5x7"}])
def test_a_fault_while_planning_is_told_by_line_beside_what_can_be_planned(
    rehearser: Rehearser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    names = ("a.jpg", "fault.jpg", "b.jpg")
    record = order(tmp_path, *names)
    (tmp_path / "fault.jpg").write_bytes(sample_photo(1, 901, 600))

    def planned_fussily(profile: RenderProfile, *rest: Any) -> Frame:
        if rest[-1].width_px == 901:
            raise ZeroDivisionError("ours")
        return print_frame(profile, *rest)

    monkeypatch.setattr(render.compose, "print_frame", planned_fussily)
    profiles = [RenderProfile(name="p", **how), RenderProfile(name="web", sizing="longest edge")]  # type: ignore[arg-type]
    rehearsal = rehearser.rehearse(record, profiles, NOW)
    assert [Path(sheet.file).name.split("_")[1] for sheet in rehearsal.sheets] == ["a", "b", "a", "fault", "b"]
    assert [(failure.profile, failure.image) for failure in rehearsal.failures] == [("p", "fault.jpg")]
    assert "a fault in Printroom (ZeroDivisionError)" in rehearsal.failures[0].reason


def test_dates_on_sheets_are_the_studios(rehearser: Rehearser) -> None:
    profile = RenderProfile(name="p", file_name="{image}_{date}")
    sheets = rehearser.rehearse(None, [profile], datetime.fromisoformat("2031-05-06T23:30:00-08:00"), previews=0).sheets
    assert sheets[0].file.endswith("0001_2031-05-06.jpg")


# -- previews ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dpi", [150, 301, 600])
def test_cells_that_touch_on_a_sheet_touch_in_its_preview(dpi: int) -> None:
    (whole,), _ = planned([{"size": "4x6"}], {"layout": grid("g", "210x297mm", "41x59mm", 5, 5), "dpi": dpi})
    small = shrunk(whole, PREVIEW_PX)
    edges = {(one.at_px[axis], one.at_px[axis] + one.lying_px[axis]) for one in small.placements for axis in (0, 1)}
    begins, ends = {begin for begin, _ in edges}, {end for _, end in edges}
    assert len(begins - ends) <= 2 and len(ends - begins) <= 2, "only the first begin and the last end alone"


def test_a_preview_is_the_sheet_only_smaller(rehearser: Rehearser) -> None:
    profile = RenderProfile(
        name="p", paper="11x14", crop_marks=True, slug="{number}", bleed_um=3_000, dpi=100, min_dpi=0  # type: ignore[arg-type]
    )  # fmt: skip
    record = sample_record()
    small = rehearser.rehearse(None, [profile], NOW, previews=1).sheets[0]
    (whole, *_), _ = planned([{"size": "8x10"}], profile.model_dump(exclude={"id", "name"}))
    assert (small.pixels, record.items[0].quantity) == ((whole.width_px, whole.height_px), 1)
    plan = shrunk(whole, PREVIEW_PX)
    scale = PREVIEW_PX / max(whole.width_px, whole.height_px)
    assert plan.placements[0].at_px == pytest.approx([at * scale for at in whole.placements[0].at_px], abs=1)
    assert plan.placements[0].source_box == whole.placements[0].source_box


def test_a_small_sheet_is_not_enlarged_for_its_preview() -> None:
    (whole, *_), _ = planned([{"size": "4x6"}], {"dpi": 60})
    assert shrunk(whole, PREVIEW_PX).width_px == whole.width_px


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RecordPush]:
    root = tmp_path_factory.mktemp("studio")
    return root, help_pictures.studio(root)


@pytest.mark.parametrize("name", list(READY_MADE))
def test_every_ready_made_layout_has_a_picture_in_the_help_as_it_is_drawn_today(
    session: tuple[Path, RecordPush], folder: DataFolder, name: str
) -> None:
    """When this fails because a layout was changed on purpose: `make help-pictures`. The photos' grain is random."""
    root, record = session
    rehearser = Rehearser(folder, ImageFolders((root,)), 50_000_000, Reach(Clock()))
    now = help_pictures.drawn(rehearser, record, READY_MADE[name])
    rehearser.stop()
    with Image.open(help_pictures.file_of(name)) as kept, Image.open(io.BytesIO(now)) as drawn:
        assert kept.size == drawn.size
        difference = ImageChops.difference(kept.convert("RGB").reduce(8), drawn.convert("RGB").reduce(8))
        assert max(ImageStat.Stat(difference).mean) < 2
