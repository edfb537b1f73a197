"""From instructions to sheets: geometry down to the pixel, names, and what cannot be planned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render.errors import PictureUnreadable
from render.frames import Picture
from render.plan import SheetPlan, plan
from render.units import length_px, sheet_px
from store.profiles import RenderProfile
from store.records import ItemResult
from tests.studio import NOW, instructions, push

WIDE = Picture(width_px=6000, height_px=4000)
TALL = Picture(width_px=4000, height_px=6000)


def planned(
    picture: Picture | PictureUnreadable, item: dict[str, Any] | None = None, **profile: Any
) -> tuple[list[SheetPlan], list[ItemResult]]:
    items = [{"id": "7", "image": "0001.jpg", "size": "8x10", **(item or {})}]
    frozen = instructions(push("0" * 64, items), RenderProfile(id=1, name="Lab", **profile), ticket_id=3)
    return plan(frozen, {"0001.jpg": picture}, NOW)


@pytest.mark.parametrize(
    ("size", "bleed_um", "dpi", "pixels"),
    [
        ("8x10", 0, 300, (2400, 3000)),
        ("8x10", 3_175, 300, (2475, 3075)),
        ("4x6", 0, 300, (1200, 1800)),
        ("5x7", 3_000, 254, (1330, 1838)),
        ("20x30cm", 0, 300, (2362, 3543)),
    ],
)
def test_the_pixels_of_a_sheet(size: str, bleed_um: int, dpi: int, pixels: tuple[int, int]) -> None:
    (sheet,), _ = planned(TALL, {"size": size}, bleed_um=bleed_um, dpi=dpi)
    assert (sheet.width_px, sheet.height_px) == pixels


def test_a_wide_picture_turns_the_sheet_and_a_tall_one_does_not() -> None:
    (wide,), _ = planned(WIDE)
    (tall,), _ = planned(TALL)
    assert (wide.width_px, wide.height_px) == (3000, 2400)
    assert (tall.width_px, tall.height_px) == (2400, 3000)


def test_without_a_crop_the_largest_centred_area_is_shown() -> None:
    (sheet,), _ = planned(WIDE)
    assert sheet.placements[0].source_box == (500, 0, 5500, 4000)


def test_the_crop_maps_to_the_trim_box_and_bleed_shows_its_neighbourhood() -> None:
    crop = {"left": 0.25, "top": 0.25, "width": 0.5, "height": 0.5}
    (sheet,), _ = planned(Picture(width_px=8000, height_px=10000), {"crop": crop}, bleed_um=25_400)
    assert sheet.placements[0].source_box == (
        1500,
        2000,
        6500,
        8000,
    )  # 4000 × 5000 pixels for 8 × 10 in, 1 in more on each side


def test_a_crop_of_another_shape_keeps_its_centre_and_is_not_stretched() -> None:
    crop = {"left": 0.0, "top": 0.0, "width": 0.5, "height": 1.0}
    (sheet,), _ = planned(WIDE, {"crop": crop})
    left, top, right, bottom = sheet.placements[0].source_box
    assert (right - left) / (bottom - top) == pytest.approx(sheet.size.width_um / sheet.size.height_um)
    assert ((left + right) / 2, (top + bottom) / 2) == (1500, 2000)


def test_few_pixels_are_flagged_before_paper_is_spent() -> None:
    (sheet,), _ = planned(Picture(width_px=800, height_px=1000))
    assert "only 100 pixels per inch at 8x10" in sheet.flags[0]


def test_one_bad_picture_fails_its_item_with_the_reason() -> None:
    sheets, (failure,) = planned(PictureUnreadable("0001.jpg: the file is empty: copy it again"))
    assert sheets == [] and failure.item == "7" and "the file is empty" in failure.reason


def test_a_bleed_larger_than_the_print_fails_the_item() -> None:
    sheets, (failure,) = planned(TALL, {"size": "40x50mm"}, bleed_um=25_400)
    assert sheets == [] and "more than half of a 40x50mm print" in failure.reason


def test_a_record_without_items_says_so() -> None:
    sheets, (failure,) = plan(instructions(push([], []), RenderProfile(id=1, name="Lab")), {}, NOW)
    assert sheets == [] and "no ordered items for the profile 'Lab'" in failure.reason


def test_names_come_from_the_templates() -> None:
    (sheet,), _ = planned(TALL, folder="{kind}s/{number} {client}", file_name="{image}_{size}_{item}_{ticket}")
    assert sheet.file == "sessions/S-1 Avery Lindqvist/0001_8x10_7_3.jpg"


sides_um = st.integers(20_000, 1_000_000)


@given(sides_um, sides_um, st.integers(0, 5_000), st.integers(36, 1200))
def test_pixels_are_rounded_once(width_um: int, height_um: int, bleed_um: int, dpi: int) -> None:
    for pixels, length_um in zip(sheet_px(width_um, height_um, bleed_um, dpi), (width_um, height_um), strict=True):
        assert abs(pixels - (length_um + 2 * bleed_um) * dpi / 25_400) <= 0.5


def test_an_eighth_of_an_inch_is_exact() -> None:
    assert length_px(25_400 // 8, 800) == 100


def test_fit_shows_all_of_the_picture_inside_the_trim() -> None:
    (sheet,), _ = planned(WIDE, {"size": "8x8"}, fit="fit", dpi=100, bleed_um=2_540)
    assert (sheet.width_px, sheet.height_px) == (820, 820)
    assert sheet.placements[0].shown_px == (800, 533) and sheet.placements[0].source_box == (0, 0, 6000, 4000)


def test_a_longest_edge_is_kept_to_and_nothing_is_enlarged() -> None:
    (small,), _ = planned(WIDE, sizing="longest edge", longest_edge_px=1200, file_name="{image}_{size}")
    assert (small.width_px, small.height_px, small.file) == (1200, 800, "sessions/S-1/0001_1200px.jpg")
    (tiny,), _ = planned(Picture(width_px=300, height_px=200), sizing="longest edge", longest_edge_px=1200)
    assert (tiny.width_px, tiny.height_px) == (300, 200)


def test_the_original_has_every_pixel_of_its_crop() -> None:
    crop = {"left": 0.5, "top": 0.0, "width": 0.5, "height": 1.0}
    (sheet,), _ = planned(WIDE, {"crop": crop}, sizing="original", output_format="tif")
    assert (sheet.width_px, sheet.height_px) == (3000, 4000) and sheet.file.endswith(".tif")


def test_the_profiles_colorization_is_above_the_items() -> None:
    item = {"colorization": "sepia", "adjustments": {"contrast": 0.2}}
    (own,), _ = planned(TALL, item)
    (forced,), _ = planned(TALL, item, colorization="black & white", sharpening={"amount_percent": 80})
    assert (own.placements[0].colorization, own.placements[0].adjustments.contrast) == ("sepia", 0.2)
    assert (forced.placements[0].colorization, forced.sharpening.amount_percent) == ("black & white", 80)
