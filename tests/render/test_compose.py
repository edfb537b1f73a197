"""Sheets of one profile: paper, slugs, covers, watermarks, gangs, which lines, and what is held."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from render import colour
from render.errors import RenderError
from render.frames import Picture
from render.plan import plan
from render.ready_made import READY_MADE
from render.sheets import SheetPlan
from store.model import Model
from store.profiles import RenderProfile
from store.records import Instructions, ItemResult
from tests.studio import NOW, instructions, push

WIDE, TALL = Picture(width_px=6000, height_px=4000), Picture(width_px=4000, height_px=6000)


def planned(
    items: list[dict[str, Any]], *profiles: dict[str, Any], pictures: list[Picture] | None = None
) -> tuple[list[SheetPlan], list[ItemResult]]:
    """Items on pictures 0001.jpg, 0002.jpg … under profiles named A, B …"""
    pictures = pictures or [WIDE]
    named = [{"id": str(n), "image": "0001.jpg", "size": "4x6", **item} for n, item in enumerate(items, 1)]
    made = [
        RenderProfile(id=n, name=name, **{"dpi": 254, **fields})
        for n, (name, fields) in enumerate(zip("ABCD", profiles, strict=False), 1)
    ]
    record = push(["0" * 64] * len(pictures), named)
    frozen: Instructions = instructions(record, made[0]).with_(profiles=tuple(made))
    known: dict[str, Picture | RenderError] = {
        image.name: picture for image, picture in zip(record.images, pictures, strict=True)
    }
    return plan(frozen, known, NOW)


# -- which lines ------------------------------------------------------------------------------------------------


def test_a_profile_takes_the_sizes_and_products_it_is_for() -> None:
    items = [{"size": "4x6"}, {"size": "7x5", "product": "Metal"}, {"size": "5x7", "product": "Metal"}]
    small, large = {"only_sizes": ("4x6",)}, {"only_sizes": ("5x7",), "only_products": ("Metal",)}
    sheets, failures = planned(items, small, large)
    assert [(sheet.profile_id, sheet.item) for sheet in sheets] == [(1, "1"), (2, "2"), (2, "3")] and failures == []


def test_a_line_that_names_its_profile_is_rendered_by_that_one_only() -> None:
    sheets, failures = planned([{"render_profile": "B"}, {}], {}, {"only_products": ("Mug",)})
    assert [(sheet.profile_id, sheet.item) for sheet in sheets] == [(1, "2"), (2, "1")] and failures == []


def test_a_line_that_no_profile_takes_is_a_failure_and_not_forgotten() -> None:
    sheets, failures = planned([{"size": "8x10", "product": "Canvas"}, {}], {"only_sizes": ("4x6",)})
    assert [sheet.item for sheet in sheets] == ["2"]
    assert [failure.reason for failure in failures] == [
        "no render profile of this render job takes 8x10 of 'Canvas': add one that does, or widen one's "
        "sizes, and set the status again"
    ]


def test_a_line_of_another_render_jobs_profile_is_left_to_that() -> None:
    assert planned([{"render_profile": "Album"}, {}], {})[1] == []


# -- fit --------------------------------------------------------------------------------------------------------


def test_an_exact_crop_of_another_shape_fails_and_says_what_to_do() -> None:
    crop = {"left": 0, "top": 0, "width": 0.5, "height": 1}
    sheets, failures = planned([{"crop": crop, "size": "8x10"}], {"fit": "exact crop"})
    assert sheets == [] and "correct the crop in the studio's software" in failures[0].reason


def test_an_exact_crop_of_the_right_shape_is_used_as_it_is() -> None:
    (sheet,), _ = planned([{"crop": {"left": 0.1, "top": 0.2, "width": 0.5, "height": 0.5}}], {"fit": "exact crop"})
    assert sheet.placements[0].source_box == pytest.approx((600, 800, 3600, 2800))


def test_a_print_may_keep_the_way_in_which_its_size_is_written() -> None:
    (sheet,), _ = planned([{"size": "4x6"}], {"auto_rotate": False})
    assert sheet.width_px < sheet.height_px


# -- paper, marks and slug --------------------------------------------------------------------------------------


def test_a_print_lies_in_the_middle_of_larger_paper_with_marks_beyond_its_bleed() -> None:
    (sheet,), _ = planned([{}], {"paper": "8x10", "bleed_um": 3_000, "crop_marks": True})
    assert str(sheet.size) == "10x8" and (sheet.width_px, sheet.height_px) == (2540, 2032)
    (placement,) = sheet.placements
    assert placement.shown_px == (1524 + 60, 1016 + 60) and placement.at_px == (478, 478)
    assert len(sheet.marks_px) == 8
    trim = (508, 508, 508 + 1524, 508 + 1016)
    for x0, y0, x1, y1 in sheet.marks_px:
        assert (x0, x1) in {(trim[0],) * 2, (trim[2] - 1,) * 2} or (y0, y1) in {(trim[1],) * 2, (trim[3] - 1,) * 2}
        inside_bleed = x0 >= trim[0] - 30 and x1 < trim[2] + 30 and y0 >= trim[1] - 30 and y1 < trim[3] + 30
        assert not inside_bleed, "a mark would be printed on the picture"


def test_paper_that_is_too_small_for_the_print_is_named() -> None:
    _, failures = planned([{"size": "8x10"}], {"paper": "8x10", "bleed_um": 3_000})
    assert "a print of 8x10 with its bleed is larger than the 10x8 paper" in failures[0].reason


def test_a_slug_stands_outside_of_trim_and_bleed() -> None:
    (sheet,), _ = planned(
        [{}], {"paper": "8x10", "bleed_um": 3_000, "slug": "{number} {client} {image} {size} {sheet}"}
    )
    (line,) = sheet.texts
    assert line.text == "S-1 Avery Lindqvist 0001 4x6 001"
    assert line.box_px[1] >= 508 + 1016 + 30 and line.box_px[1] + line.box_px[3] <= sheet.height_px


def test_a_slug_without_room_fails_instead_of_printing_on_the_picture() -> None:
    _, failures = planned([{"size": "8x10"}], {"paper": "8x10", "slug": "{number}"})
    assert "no 3 mm are left outside the trim" in failures[0].reason


def test_a_slug_needs_a_place() -> None:
    with pytest.raises(ValidationError, match="a slug stands outside the trim"):
        RenderProfile(name="p", slug="{number}")


# -- covers -----------------------------------------------------------------------------------------------------


def test_header_and_separators_come_before_what_they_announce() -> None:
    items = [{"quantity": 2}, {"size": "5x7"}, {"image": "0002.jpg"}]
    sheets, failures = planned(items, {"header_sheet": True, "separator_sheets": True}, pictures=[WIDE, TALL])
    assert failures == []
    assert [sheet.is_cover for sheet in sheets] == [True, True, False, False, True, False]
    header, first, _, _, second, _ = sheets
    assert [line.text for line in header.texts[:4]] == [
        "Avery Lindqvist", "Session S-1", "2026-11-21 · A", "2 pictures: 4 prints"
    ]  # fmt: skip
    assert header.images == ("0001.jpg", "0002.jpg") and header.codes[0].text == "S-1"
    assert first.texts[3].text == "0001.jpg: 3 prints" and second.texts[3].text == "0002.jpg: 1 print"
    assert len({sheet.file for sheet in sheets}) == len(sheets)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.sampled_from(["4x6", "8x10", "30x20cm"]), st.integers(72, 300))
def test_everything_on_a_header_lies_on_it(count: int, size: str, dpi: int) -> None:
    items = [{"image": f"{n:04d}.jpg", "size": size} for n in range(1, count + 1)]
    pictures = [WIDE if n % 2 else TALL for n in range(count)]
    header = planned(items, {"header_sheet": True, "dpi": dpi}, pictures=pictures)[0][0]
    for placement in header.placements:
        left, top = placement.at_px
        assert left >= 0 and top >= 0
        assert left + placement.shown_px[0] <= header.width_px and top + placement.shown_px[1] <= header.height_px


# -- watermark, overlay, gang -----------------------------------------------------------------------------------


def test_a_watermark_lies_along_the_diagonal_of_each_picture() -> None:
    (sheet,), _ = planned([{}], {"sizing": "longest edge", "watermark": {"text": "PROOF {number}"}})
    (line,) = sheet.texts
    assert line.text == "PROOF S-1" and line.rotation_deg == pytest.approx(33.7, abs=0.1)
    assert line.box_px[0] + line.box_px[2] / 2 == pytest.approx(600, abs=1)


def test_an_orders_small_prints_share_sheets_and_each_line_is_accounted_for() -> None:
    items = [{"quantity": 5}, {"size": "5x7", "quantity": 2}]
    sheets, failures = planned(items, {"gang_paper": "12x18", "bleed_um": 2_000})
    assert failures == []
    lines = [line for sheet in sheets for line in sheet.lines * sheet.quantity]
    assert sorted(lines) == [("1", "0001.jpg")] * 5 + [("2", "0001.jpg")] * 2
    for sheet in sheets:
        for placement in sheet.placements:
            assert all(
                at >= 0 and at + length <= whole
                for at, length, whole in zip(
                    placement.at_px, placement.lying_px, (sheet.width_px, sheet.height_px), strict=True
                )
            )


def test_equal_gang_sheets_are_one_sheet_with_a_quantity() -> None:
    sheets, _ = planned([{"quantity": 27}], {"gang_paper": "12x18", "gang_gap_um": 0})
    assert [(len(sheet.placements), sheet.quantity) for sheet in sheets] == [(9, 3)]


def test_a_print_too_large_to_gang_fails_alone() -> None:
    sheets, failures = planned([{"size": "20x30"}, {}], {"gang_paper": "12x18"})
    assert len(sheets) == 1 and [failure.item for failure in failures] == ["1"]


# -- resolution and colour rules --------------------------------------------------------------------------------

SMALL = Picture(width_px=500, height_px=400)


def test_few_pixels_are_held_where_the_profile_says_so() -> None:
    (sheet,), _ = planned([{"size": "8x10"}], {"low_resolution": "hold", "printer_id": 1}, pictures=[SMALL])
    assert sheet.hold == "only 50 pixels per inch at 8x10: the print will look soft" and sheet.hold in sheet.flags


@pytest.mark.parametrize("profile", [{"low_resolution": "warn", "printer_id": 1}, {"low_resolution": "hold"}])
def test_few_pixels_are_only_told_of_where_the_profile_says_so_or_nothing_is_printed(profile: dict[str, Any]) -> None:
    (sheet,), _ = planned([{"size": "8x10"}], profile, pictures=[SMALL])
    assert sheet.hold == "" and "50 pixels per inch" in sheet.flags[0]


def test_the_limit_is_the_profiles() -> None:
    (sheet,), _ = planned([{"size": "8x10"}], {"min_dpi": 40}, pictures=[SMALL])
    assert sheet.flags == ()


@pytest.mark.parametrize(
    ("picture", "rule", "flag"),
    [
        ({"is_tagged": True}, "refuse", None),
        ({"is_tagged": False}, "sRGB", colour.UNTAGGED.format("sRGB")),
        ({"is_tagged": False}, "Adobe RGB", colour.UNTAGGED.format("Adobe RGB")),
        ({"is_tagged": False, "says_adobe_rgb": True}, "refuse", colour.SAYS_ADOBE_RGB),
    ],
)
def test_what_an_untagged_picture_is_taken_for_is_told(picture: dict[str, bool], rule: str, flag: str | None) -> None:
    (sheet,), _ = planned([{}], {"colour": {"untagged": rule}}, pictures=[WIDE.with_(**picture)])
    assert sheet.flags == ((flag,) if flag else ())


def test_an_untagged_picture_may_be_refused() -> None:
    sheets, failures = planned([{}], {"colour": {"untagged": "refuse"}}, pictures=[WIDE.with_(is_tagged=False)])
    assert sheets == [] and "the profile 'A' refuses such files" in failures[0].reason


# -- properties over everything ---------------------------------------------------------------------------------

SIZES = st.sampled_from(["2.5x3.5", "4x6", "5x7", "8x10", "10x8", "11x14", "20x30cm"])
CROPS = st.builds(
    lambda left, top, width, height, turn: {
        "left": left,
        "top": top,
        "width": max(0.05, (1 - left) * width),
        "height": max(0.05, (1 - top) * height),
        "rotation_deg": turn,
    },
    st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.1, 1), st.floats(0.1, 1), st.floats(-45, 45),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    SIZES,
    st.one_of(st.none(), CROPS),
    st.integers(72, 600),
    st.integers(0, 6_000),
    st.sampled_from(["fill", "fit"]),
    st.sampled_from([WIDE, TALL, SMALL, Picture(width_px=9000, height_px=300)]),
    st.sampled_from([{}, {"paper": "16x20"}, {"gang_paper": "16x20"}, {"layout": READY_MADE["8 wallets on 8x10"]}]),
)
def test_whatever_is_asked_pictures_lie_on_their_sheets_and_are_not_stretched(
    size: str, crop: dict[str, float] | None, dpi: int, bleed_um: int, fit: str, picture: Picture, how: dict[str, Model]
) -> None:
    item = {"size": size, "crop": crop} if crop else {"size": size}
    sheets, failures = planned([item], {"dpi": dpi, "bleed_um": bleed_um, "fit": fit, **how}, pictures=[picture])
    assert failures == [] and sheets
    for sheet in sheets:
        for placement in sheet.placements:
            left, top = placement.at_px
            width, height = placement.lying_px
            assert left >= 0 and top >= 0 and left + width <= sheet.width_px and top + height <= sheet.height_px
            box = placement.source_box
            across, down = (box[2] - box[0]) / placement.shown_px[0], (box[3] - box[1]) / placement.shown_px[1]
            # Rounding an edge to a whole pixel is all that may differ.
            slack = 1.5 / min(placement.shown_px)
            assert across == pytest.approx(down, rel=max(0.002, 2 * slack))
