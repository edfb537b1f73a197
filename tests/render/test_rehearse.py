"""Rehearsals: what would be made, without making it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from render.ready_made import READY_MADE
from render.rehearse import PREVIEW_PX, Rehearser, sample_record, shrunk
from render.samples import sample_photo
from render.sources import ImageFolders
from store.folder import DataFolder
from store.profiles import RenderProfile
from store.pushed import RecordPush
from tests import help_pictures
from tests.render.test_compose import planned


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data")


@pytest.fixture
def rehearser(folder: DataFolder, tmp_path: Path) -> Iterator[Rehearser]:
    made = Rehearser(folder, ImageFolders((tmp_path,)), 50_000_000)
    yield made
    made.stop()


def everything(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


def test_a_rehearsal_shows_sheets_counts_and_paper_and_writes_nothing(rehearser: Rehearser, folder: DataFolder) -> None:
    before = everything(folder.root)
    profiles = [RenderProfile(name="Prints", printer_id=1), RenderProfile(name="Web", sizing="longest edge")]  # type: ignore[arg-type]
    rehearsal = rehearser.rehearse(None, profiles)
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
    rehearsal = rehearser.rehearse(RecordPush.model_validate(fields), [RenderProfile(name="p")])
    assert [sheet.file for sheet in rehearsal.sheets] == ["orders/7/7_good_4x6_good.jpg.jpg"]
    assert [failure.item for failure in rehearsal.failures] == ["bad.jpg", "gone.jpg"]


def test_a_preview_is_the_sheet_only_smaller(rehearser: Rehearser) -> None:
    profile = RenderProfile(
        name="p", paper="11x14", crop_marks=True, slug="{number}", bleed_um=3_000, dpi=100, min_dpi=0  # type: ignore[arg-type]
    )  # fmt: skip
    record = sample_record()
    small = rehearser.rehearse(None, [profile], previews=1).sheets[0]
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
    rehearser = Rehearser(folder, ImageFolders((root,)), 50_000_000)
    now = help_pictures.drawn(rehearser, record, READY_MADE[name])
    rehearser.stop()
    with Image.open(help_pictures.file_of(name)) as kept, Image.open(io.BytesIO(now)) as drawn:
        assert kept.size == drawn.size
        difference = ImageChops.difference(kept.convert("RGB").reduce(8), drawn.convert("RGB").reduce(8))
        assert max(ImageStat.Stat(difference).mean) < 2
