"""Geometry of every camera, print size and bleed: planned exactly, and never a box that the drawing would refuse."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.areas import CROP_STEPS, Area, chosen, filling
from render.cutting import taken
from render.errors import SheetImpossible
from render.frames import Frame, Picture, print_frame
from render.sheets import Placement, SheetPlan
from render.units import length_px, rounded
from store.profiles import RenderProfile
from store.pushed import Crop, Item
from store.sizes import PrintSize, parse_size
from tests.render.shapes import BLEEDS_UM, DPIS, PICTURES, SIZES
from tests.render.test_compose import planned


def framed(picture: tuple[int, int], size: str, crop: Crop | None = None, **profile: object) -> Frame:
    made = RenderProfile(name="p", **profile)  # type: ignore[arg-type]
    item = Item(id="1", image="a", size=parse_size(size), crop=crop)
    return print_frame(made, item, crop, Picture(width_px=picture[0], height_px=picture[1]))


def single(value: Fraction) -> float:
    """As Pillow's C code sees it."""
    (seen,) = struct.unpack("f", struct.pack("f", float(value)))
    return float(seen)


def check_drawable(box: tuple[float, float, float, float], picture: tuple[int, int], shown_px: tuple[int, int]) -> None:
    """A stored box, as the drawing takes it: what Pillow asks of a box holds, and the mirror images are there."""
    part = taken(Area.of_box(box), chosen(None, *picture), picture, shown_px)
    left, top, right, bottom = part.box
    width, height = right - left, bottom - top
    assert 0 <= left < right <= picture[0] and 0 <= top < bottom <= picture[1]
    west, north, east, south = part.margins
    area = part.area
    assert 0 <= single(area.left) < single(area.right) <= width + west + east
    assert 0 <= single(area.top) < single(area.bottom) <= height + north + south


# -- one print, everywhere --------------------------------------------------------------------------------------


def test_every_print_of_every_camera_is_exact_and_can_be_drawn() -> None:
    dpis, count = cycle(DPIS), 0
    for picture in PICTURES:
        whole = chosen(None, *picture)
        for size in SIZES:
            for bleed_um in BLEEDS_UM:
                if 2 * bleed_um > min(parse_size(size).width_um, parse_size(size).height_um):
                    continue
                frame, dpi = framed(picture, size, bleed_um=bleed_um), next(dpis)
                width_um, height_um = frame.size.width_um, frame.size.height_um
                laid = frame.at(0, 0, dpi)
                # Nothing is stretched: a picture's pixel is as high as it is wide, to the last digit.
                across, down = frame.whole_um
                assert laid.area.width * down == laid.area.height * across
                # The trim shows as much of the picture as can be, from its middle; the bleed what is beyond.
                trim = laid.area.grown(-laid.area.width * bleed_um / across, -laid.area.height * bleed_um / down)
                assert (trim.left == 0 and trim.right == picture[0]) or (trim.top == 0 and trim.bottom == picture[1])
                assert trim.left + trim.right == picture[0] and trim.top + trim.bottom == picture[1]
                assert trim.width * height_um == trim.height * width_um
                # The sheet is covered, each side as long as it should be to half a pixel.
                assert laid.at_px == (0, 0) and laid.shown_px == (length_px(across, dpi), length_px(down, dpi))
                left, top, trim_width, trim_height = laid.trim_px
                for begin, length, wanted_um in ((left, trim_width, width_um), (top, trim_height, height_um)):
                    assert abs(begin - Fraction(bleed_um * dpi, 25_400)) <= Fraction(1, 2)
                    assert abs(begin + length - Fraction((bleed_um + wanted_um) * dpi, 25_400)) <= Fraction(1, 2)
                check_drawable(laid.area.box, picture, laid.shown_px)
                if not bleed_um:
                    assert whole.left <= laid.area.left and laid.area.right <= whole.right
                    assert laid.area.box[2] <= picture[0] and laid.area.box[3] <= picture[1]  # also as it is stored
                count += 1
    assert count > 30_000


def test_every_print_with_borders_shows_all_of_every_picture() -> None:
    dpis = cycle(DPIS)
    for picture in PICTURES:
        for size in SIZES:
            dpi = next(dpis)
            frame = framed(picture, size, fit="fit", bleed_um=3_000)
            laid = frame.at(0, 0, dpi)
            assert laid.area == chosen(None, *picture)
            left, top, width, height = laid.trim_px
            shown = laid.shown_px
            assert shown[0] == width or shown[1] == height, "as large as the trim lets it be"
            assert left <= laid.at_px[0] and laid.at_px[0] + shown[0] <= left + width
            assert top <= laid.at_px[1] and laid.at_px[1] + shown[1] <= top + height
            scale = min(Fraction(width, picture[0]), Fraction(height, picture[1]))
            for side, length in zip(picture, shown, strict=True):
                assert length == max(1, rounded(side * scale))
            check_drawable(laid.area.box, picture, shown)


# -- crops ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data(), st.integers(1, 60_000))
def test_a_crop_of_whole_pixels_is_read_as_these_however_it_was_divided(data: st.DataObject, side: int) -> None:
    begin = data.draw(st.integers(0, side - 1))
    length = data.draw(st.integers(1, side - begin))
    crops = [
        Crop(left=begin / side, width=length / side),
        Crop(left=begin / side, width=min(1.0, (begin + length) / side - begin / side)),
        Crop(left=float(Fraction(begin, side)), width=float(Fraction(length, side))),
    ]
    for crop in crops:
        area = chosen(crop, side, 1)
        assert (area.left, area.right) == (begin, begin + length)


@settings(deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.floats(1e-6, 1), st.integers(1, 60_000))
def test_a_crop_is_read_to_a_256th_of_a_pixel_and_ends_at_the_pictures_edge(
    begin: float, length: float, side: int
) -> None:
    length = min(length, 1.000001 - begin, 1.0)
    crop = Crop.model_validate({"left": begin, "width": length})
    begin_px, end_px = Fraction(begin) * side, min(Fraction(side), (Fraction(begin) + Fraction(length)) * side)
    try:
        area = chosen(crop, side, 1)
    except SheetImpossible:
        assert end_px - begin_px < 1
        return
    assert 0 <= area.left < area.right <= side
    assert abs(area.left - begin_px) <= Fraction(1, 2 * CROP_STEPS)
    assert abs(area.right - end_px) <= Fraction(1, 2 * CROP_STEPS)


@pytest.mark.parametrize("crop", [{"width": 1e-4}, {"height": 1e-300}, {"left": 0.9999999999, "width": 1e-10}])
def test_a_crop_of_less_than_a_pixel_is_refused_by_its_size_and_the_file_is_not_blamed(crop: dict[str, float]) -> None:
    sheets, (failure,) = planned([{"crop": crop}], {})
    assert sheets == [] and "less than one cannot be printed: correct the crop" in failure.reason


def test_a_crop_of_one_pixel_is_a_crop() -> None:
    crop = {"left": 5999 / 6000, "top": 3999 / 4000, "width": 1 / 6000, "height": 1 / 4000}
    (sheet,), _ = planned([{"crop": crop, "size": "8x8"}], {"bleed_um": 3_175})
    area = Area.of_box(sheet.placements[0].source_box)
    assert (area.left + area.right) / 2 == Fraction(11_999, 2) and 1 < area.width < 1.1
    check_drawable(area.box, (6000, 4000), sheet.placements[0].shown_px)


@settings(deadline=None)
@given(
    st.sampled_from(PICTURES),
    st.integers(1_000, 3_000_000),
    st.integers(1_000, 3_000_000),
    st.floats(0, 0.999),
    st.floats(0, 0.999),
    st.floats(0.001, 1),
    st.floats(0.001, 1),
)
def test_what_fills_a_print_is_the_largest_part_of_the_crop_that_has_its_shape(
    picture: tuple[int, int], width_um: int, height_um: int, left: float, top: float, width: float, height: float
) -> None:
    crop = Crop(left=left, top=top, width=min(width, 1 - left), height=min(height, 1 - top))
    try:
        area = chosen(crop, *picture)
    except SheetImpossible:
        return
    part = filling(area, width_um, height_um)
    assert part.width * height_um == part.height * width_um
    assert (part.left + part.right, part.top + part.bottom) == (area.left + area.right, area.top + area.bottom)
    assert (part.left, part.right) == (area.left, area.right) or (part.top, part.bottom) == (area.top, area.bottom)
    assert area.left <= part.left and part.right <= area.right and area.top <= part.top and part.bottom <= area.bottom
    check_drawable(part.box, picture, (300, 200))


# -- what is stored ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "picture"),
    [
        ((-1.9895196601282805e-13, -142.85714285714286, 6000.0, 4142.857142857143), (6000, 4000)),
        ((-8.526512829121202e-14, -130.28571428571428, 5472.000000000001, 3778.285714285714), (5472, 3648)),
        ((-1e-9, 0.0, 6000.0000000001, 4000.0), (6000, 4000)),
        ((-5999.5, -3999.5, 11_999.5, 7_999.5), (6000, 4000)),
        ((59_999.0, 0.0, 59_999.0003, 1.0), (60_000, 1)),  # a sliver far from the corner
    ],
)
def test_boxes_as_older_versions_stored_them_can_be_drawn(
    box: tuple[float, float, float, float], picture: tuple[int, int]
) -> None:
    check_drawable(box, picture, (1050, 1500))


def test_a_plan_comes_back_from_the_store_as_it_was() -> None:
    (sheet,), _ = planned([{"size": "3.5x5", "crop": {"left": 1 / 3, "top": 0.1, "width": 0.5, "height": 0.7}}], {})
    assert SheetPlan.model_validate(json.loads(json.dumps(sheet.model_dump(mode="json")))) == sheet


def test_a_plan_of_version_0_1_is_read() -> None:
    """One placement as 0.1 wrote it."""
    stored = {
        "image": "0001.jpg",
        "source_box": [-1.9895196601282805e-13, -142.85714285714286, 6000.0, 4142.857142857143],
        "straighten_deg": 0.0,
        "shown_px": [1575, 1125],
        "at_px": [0, 0],
        "turned": False,
        "rotation_deg": 0.0,
        "border_px": 0,
        "border_colour": "#000000",
        "adjustments": {"exposure_ev": 0.0, "brightness": 0.0, "contrast": 0.0, "gamma": 1.0, "saturation": 0.0},
        "colorization": "colour",
        "tint": "#b09070",
    }
    assert Placement.model_validate(stored).model_dump(mode="json") == stored


# -- what cannot be made ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "size", "words"),
    [
        ({"dpi": 1200}, "10x60", "a sheet of 72000 x 12000 pixels is larger than a JPEG may be"),
        ({"dpi": 1200, "paper": "11x62"}, "10x40", "larger than a JPEG may be"),
        ({"dpi": 1200, "gang_paper": "20x60"}, "4x6", "larger than a JPEG may be"),
        ({"gang_paper": "12x18"}, "3000x3000mm", "is larger than the 12x18 paper to gang on"),
        ({"gang_paper": "12x18", "bleed_um": 25_400}, "3000x3000mm", "is larger than the 12x18 paper to gang on"),
        ({"gang_paper": "100x6mm", "slug": "{number}"}, "3x3mm", "the slug below it is larger than the 100x6mm paper"),
        ({"bleed_um": 25_400}, "1x1", "a bleed of 25.4 mm is more than half of a 1x1 print"),
        ({"paper": "8x10", "bleed_um": 3_175}, "8x10", "with its bleed is larger than the 10x8 paper"),
        (
            {"dpi": 36, "layout": {"name": "L", "size": "4x6", "cells": [{"left_um": 0, "top_um": 0, "width_um": 100,
             "height_um": 90_000}]}},
            "4x6",
            "cell 1 of the layout 'L' is 0.1 x 90 mm, which is no pixel at 36 dpi",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_while_planning_with_its_cause(
    profile: dict[str, object], size: str, words: str
) -> None:
    sheets, (failure,) = planned([{"size": size}], profile)
    assert sheets == [] and words in failure.reason
    assert "0001.jpg" not in failure.reason and "save it again" not in failure.reason


def test_the_widest_jpeg_is_made_and_wider_files_are_tiffs() -> None:
    panorama = Picture(width_px=65_500, height_px=9)
    (sheet,), _ = planned([{}], {"sizing": "original"}, pictures=[panorama])
    assert sheet.width_px == 65_500
    wider = panorama.with_(width_px=65_501)
    assert planned([{}], {"sizing": "original"}, pictures=[wider])[0] == []
    (sheet,), _ = planned([{}], {"sizing": "original", "output_format": "tif"}, pictures=[wider])
    assert sheet.width_px == 65_501


def test_cells_and_decorations_too_small_for_a_pixel_do_not_stop_a_layout() -> None:
    """Less than a millimeter, which no print may be, but a cell may."""
    cells = [{"left_um": 0, "top_um": 0, "width_um": 900, "height_um": 90_000}]
    speck = {"left_um": 0, "top_um": 0, "width_um": 1, "height_um": 1, "image": {"name": "s", "sha256": "0" * 64}}
    layout = {"name": "L", "size": "4x6", "cells": cells, "decorations": [speck]}
    (sheet,), failures = planned([{}], {"dpi": 300, "layout": layout})
    assert failures == [] and sheet.placements[0].shown_px == (1063, 11) and sheet.overlays == ()


# -- several on a sheet -----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(SIZES), st.integers(1, 3)), min_size=1, max_size=6),
    st.sampled_from(BLEEDS_UM),
    st.sampled_from([0, 1, 500, 3_000]),
    st.sampled_from(["12x18", "30x45cm", "A4", "24x36"]),
    st.sampled_from(DPIS),
    st.sampled_from(["fill", "fit"]),
)
def test_ganged_prints_neither_overlap_nor_leave_their_sheet_by_a_pixel(
    prints: list[tuple[str, int]], bleed_um: int, gap_um: int, paper: str, dpi: int, fit: str
) -> None:
    paper = {"A4": "210x297mm"}.get(paper, paper)
    items = [{"size": size, "quantity": quantity} for size, quantity in prints]
    how = {"gang_paper": paper, "gang_gap_um": gap_um, "bleed_um": bleed_um, "dpi": dpi, "fit": fit, "min_dpi": 0}
    sheets, failures = planned(items, how)
    made = sum(len(sheet.placements) * sheet.quantity for sheet in sheets)
    failed = {failure.item for failure in failures}
    assert made == sum(item["quantity"] for number, item in enumerate(items, 1) if str(number) not in failed)
    for sheet in sheets:
        boxes = []
        for placement in sheet.placements:
            (left, top), (width, height) = placement.at_px, placement.lying_px
            assert left >= 0 and top >= 0 and left + width <= sheet.width_px and top + height <= sheet.height_px
            boxes.append((left, top, left + width, top + height))
            check_drawable(placement.source_box, (6000, 4000), placement.shown_px)
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
                assert apart, "two prints overlap"


@pytest.mark.parametrize("dpi", DPIS)
def test_ganged_prints_that_touch_on_paper_touch_in_pixels(dpi: int) -> None:
    (sheet,), _ = planned(
        [{"size": "100x100mm", "quantity": 9}], {"gang_paper": "300x300mm", "gang_gap_um": 0, "dpi": dpi}
    )
    covered = sum(width * height for width, height in (one.lying_px for one in sheet.placements))
    assert len(sheet.placements) == 9 and covered == sheet.width_px * sheet.height_px


def test_sizes_are_turned_to_the_way_of_what_is_shown() -> None:
    wide_part = {"left": 0, "top": 0, "width": 1, "height": 0.2}
    tall_part = {"left": 0, "top": 0, "width": 0.1, "height": 1}
    for crop, is_wide in ((None, True), (wide_part, True), (tall_part, False)):
        (sheet,), _ = planned([{"size": "4x6", "crop": crop}], {})
        assert (sheet.width_px > sheet.height_px) == is_wide
    exactly_square = {"left": 0, "top": 0, "width": 1 / 6, "height": 0.25}
    (sheet,), _ = planned([{"size": "6x4", "crop": exactly_square}], {})
    assert str(sheet.size) == "6x4", "a square has no way: the size stays as it was written"


def test_all_sheets_of_a_profile_are_as_large_as_its_cover() -> None:
    for fit in ("fill", "fit"):
        sheets, _ = planned([{"size": "8x10"}], {"fit": fit, "bleed_um": 3_175, "header_sheet": True})
        assert len({(max(one.width_px, one.height_px), min(one.width_px, one.height_px)) for one in sheets}) == 1


@settings(max_examples=100, deadline=None)
@given(st.integers(1_000, 3_000_000), st.integers(1_000, 3_000_000), st.integers(36, 1200), st.booleans())
def test_any_print_size_is_planned_or_refused_for_its_size(
    width_um: int, height_um: int, dpi: int, covers: bool
) -> None:
    size = PrintSize(width_um=width_um, height_um=height_um)
    how = {"dpi": dpi, "header_sheet": covers, "separator_sheets": covers}
    sheets, failures = planned([{"size": size}], how)
    assert sheets or ["larger than a JPEG may be" in failure.reason for failure in failures] == [True]
