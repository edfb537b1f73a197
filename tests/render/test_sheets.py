"""Pixels beside plain pictures: straightened crops, turned cells, overlays, texts, inks in the output's colours."""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat

from render.colour import Look, Photo, adobe_rgb_profile
from render.draw import DrawTask, Source, draw
from render.errors import PictureMissing
from render.sheets import Overlay, Placement, SheetPlan, TextLine
from store.profiles import AssetRef, OutputColour
from tests.render.test_draw import CELL_PX, MAX_PIXELS, grid_picture, plan_of, saved


def drawn(tmp_path: Path, image: Image.Image, plan: SheetPlan, *assets: bytes) -> Image.Image:
    path = saved(tmp_path, image)
    given_assets = tuple((hashlib.sha256(data).hexdigest(), data) for data in assets)
    plan = plan.with_(output_format="png")
    (one,) = draw(DrawTask((Source("a.jpg", path),), MAX_PIXELS, ((plan, None, None),), given_assets))
    return Image.open(io.BytesIO(one.sheet))


def placed(plan: SheetPlan, **changes: object) -> SheetPlan:
    return plan.with_(placements=(plan.placements[0].with_(**changes),))


# -- straightening ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("angle", [-30.0, -7.5, 3.0, 12.0, 45.0])
def test_a_straightened_crop_is_the_picture_turned_around_the_crops_centre(tmp_path: Path, angle: float) -> None:
    """Against turning the whole picture and cutting the crop out of it."""
    picture = Image.radial_gradient("L").resize((600, 400)).convert("RGB")
    ImageDraw.Draw(picture).line((60, 330, 520, 90), fill=(250, 40, 40), width=9)
    box = (180.0, 120.0, 420.0, 280.0)
    sheet = drawn(tmp_path, picture, placed(plan_of(box, 240, 160), straighten_deg=angle))
    whole = picture.rotate(-angle, Image.Resampling.BICUBIC, center=(300, 200)).crop((180, 120, 420, 280))
    difference = ImageChops.difference(sheet.convert("RGB"), whole)
    assert max(ImageStat.Stat(difference).mean) < 3


def test_a_slope_becomes_level(tmp_path: Path) -> None:
    picture = Image.new("RGB", (800, 600), "white")
    rise = 400 * math.tan(math.radians(8))
    ImageDraw.Draw(picture).line((0, 300 + rise, 800, 300 - rise), fill="black", width=6)
    sheet = drawn(tmp_path, picture, placed(plan_of((200, 150, 600, 450), 400, 300), straighten_deg=8))
    dark = [y for x in (5, 200, 394) for y in range(300) if sheet.convert("L").getpixel((x, y)) < 80]  # type: ignore[operator]
    assert min(dark) >= 145 and max(dark) <= 155


@settings(max_examples=40, deadline=None)
@given(st.floats(-45, 45), st.integers(20, 600), st.integers(20, 600))
def test_no_straightened_corner_is_empty(angle: float, width: int, height: int) -> None:
    """What lies outside of the picture is its mirror image, also for slivers."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 150, 100)).save(buffer, "PNG")
    plan = placed(plan_of((0, 0, width, height), 90, 60), straighten_deg=angle).with_(output_format="png")
    (one,) = draw(DrawTask((Source("a.jpg", buffer.getvalue()),), MAX_PIXELS, ((plan, None, None),)))
    with Image.open(io.BytesIO(one.sheet)) as sheet:
        assert all(abs(low - wanted) <= 2 for (low, _), wanted in zip(sheet.getextrema(), (200, 150, 100), strict=True))  # type: ignore[misc,operator]


# -- cells ------------------------------------------------------------------------------------------------------


def test_a_cell_turned_by_a_quarter_is_exactly_that(tmp_path: Path) -> None:
    placement = Placement(
        image="a.jpg", source_box=(0, 0, 80, 40), shown_px=(80, 40), at_px=(60, 80), rotation_deg=90
    )  # fmt: skip
    plan = plan_of((0, 0, 80, 40), 200, 200).with_(placements=(placement,))
    sheet = drawn(tmp_path, grid_picture(["RG"]), plan)
    assert sheet.getpixel((100, 70)) == (30, 160, 60) and sheet.getpixel((100, 130)) == (200, 30, 30)
    assert sheet.getpixel((70, 100)) == (255, 255, 255)


@pytest.mark.parametrize("angle", [5.0, 30.0, 200.0])
def test_a_tilted_cell_keeps_its_centre_and_size(tmp_path: Path, angle: float) -> None:
    placement = Placement(
        image="a.jpg", source_box=(0, 0, 40, 40), shown_px=(100, 60), at_px=(50, 70), rotation_deg=angle
    )  # fmt: skip
    sheet = drawn(tmp_path, grid_picture(["R"]), plan_of((0, 0, 40, 40), 200, 200).with_(placements=(placement,)))
    ink = sheet.convert("RGB").getchannel("G").point(lambda v: 255 * (v < 140))
    area = ImageStat.Stat(ink).sum[0] / 255
    assert area == pytest.approx(100 * 60, rel=0.03)
    left, top, right, bottom = ink.getbbox() or (0, 0, 0, 0)
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((100, 100), abs=1.5)


def test_a_border_lies_inside_the_pictures_edge(tmp_path: Path) -> None:
    plan = placed(plan_of((0, 0, 40, 40), 100, 100), border_px=5, border_colour="#000000")
    sheet = drawn(tmp_path, grid_picture(["W"]), plan)
    row = [sheet.getpixel((x, 50)) for x in range(100)]
    assert row == [(0, 0, 0)] * 5 + [(255, 255, 255)] * 90 + [(0, 0, 0)] * 5


# -- overlays and texts -----------------------------------------------------------------------------------------


def overlay_png() -> bytes:
    """Left half solid blue, right half half-transparent red."""
    image = Image.new("RGBA", (20, 10), (0, 0, 255, 255))
    image.paste((255, 0, 0, 128), (10, 0, 20, 10))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def reference(data: bytes) -> AssetRef:
    return AssetRef(name="Frame", sha256=hashlib.sha256(data).hexdigest())


def test_an_overlays_transparency_lets_the_picture_through(tmp_path: Path) -> None:
    data = overlay_png()
    overlay = Overlay(image=reference(data), box_px=(0, 0, 200, 100))
    plan = plan_of((0, 0, 2 * CELL_PX, CELL_PX), 200, 100).with_(overlays=(overlay,))
    sheet = drawn(tmp_path, grid_picture(["WW"]), plan, data)
    assert sheet.getpixel((40, 50)) == (0, 0, 255)
    assert sheet.getpixel((160, 50)) == pytest.approx((255, 127, 127), abs=2)


def test_an_overlay_may_lie_behind_the_pictures(tmp_path: Path) -> None:
    data = overlay_png()
    overlay = Overlay(image=reference(data), box_px=(0, 0, 200, 100), is_behind=True)
    placement = Placement(image="a.jpg", source_box=(0, 0, 40, 40), shown_px=(40, 40), at_px=(10, 10))
    plan = plan_of((0, 0, 40, 40), 200, 100).with_(placements=(placement,), overlays=(overlay,))
    sheet = drawn(tmp_path, grid_picture(["G"]), plan, data)
    assert sheet.getpixel((30, 30)) == (30, 160, 60)
    assert sheet.getpixel((80, 80)) == pytest.approx((0, 0, 255), abs=9)  # enlarged: Lanczos swings a little


def test_an_upright_overlay_is_turned_for_a_wide_sheet(tmp_path: Path) -> None:
    with Image.open(io.BytesIO(overlay_png())) as image:
        buffer = io.BytesIO()
        image.transpose(Image.Transpose.ROTATE_270).save(buffer, "PNG")
    data = buffer.getvalue()
    plan = plan_of((0, 0, 80, 40), 200, 100).with_(overlays=(Overlay(image=reference(data), box_px=(0, 0, 200, 100)),))
    assert drawn(tmp_path, grid_picture(["WW"]), plan, data).getpixel((40, 50)) == (0, 0, 255)


def test_a_removed_overlay_fails_by_name(tmp_path: Path) -> None:
    overlay = Overlay(image=reference(b"gone"), box_px=(0, 0, 9, 9))
    with pytest.raises(PictureMissing, match="the file 'Frame' that the render profile uses was removed"):
        drawn(tmp_path, grid_picture(["W"]), plan_of((0, 0, 40, 40), 50, 50).with_(overlays=(overlay,)))


def test_borders_and_texts_are_in_the_sheets_colours_too(tmp_path: Path) -> None:
    """sRGB red is another number in Adobe RGB; paint that was not converted would be too strong."""
    data = adobe_rgb_profile()
    dot = Image.new("RGB", (1, 1), "#c81e1e")
    wanted = Photo(dot, "dot").looking(dot, Look(output=data)).getpixel((0, 0))
    placement = Placement(image="a.jpg", source_box=(0, 0, 40, 40), shown_px=(40, 40), at_px=(10, 10))
    plan = plan_of((0, 0, 40, 40), 200, 100).with_(
        placements=(placement,),
        background="#c81e1e",
        texts=(TextLine(text="█████", box_px=(60, 10, 130, 80), colour="#c81e1e"),),
        colour=OutputColour(profile=reference(data)),
    )
    sheet = drawn(tmp_path, grid_picture(["R"]), plan, data)
    assert wanted != (200, 30, 30)
    assert sheet.getpixel((5, 95)) == wanted and sheet.getpixel((125, 50)) == wanted
    assert sheet.getpixel((30, 30)) == pytest.approx(wanted, abs=2)
    assert sheet.info["icc_profile"] == data


def test_the_profile_is_left_out_where_the_render_profile_says_so(tmp_path: Path) -> None:
    plan = plan_of((0, 0, 40, 40), 50, 50).with_(colour=OutputColour(embed=False))
    assert "icc_profile" not in drawn(tmp_path, grid_picture(["R"]), plan).info


def test_equal_placements_with_different_borders_are_different(tmp_path: Path) -> None:
    first = Placement(image="a.jpg", source_box=(0, 0, 40, 40), shown_px=(40, 40), at_px=(0, 0))
    second = first.with_(at_px=(50, 0), border_px=40)
    plan = plan_of((0, 0, 40, 40), 100, 40).with_(placements=(first, second))
    sheet = drawn(tmp_path, grid_picture(["R"]), plan)
    assert sheet.getpixel((20, 20)) == (200, 30, 30) and sheet.getpixel((70, 20)) == (0, 0, 0)
