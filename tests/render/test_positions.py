"""What is drawn is what was planned: pictures whose pixels say where they are, on sheets whose every pixel is asked."""

from __future__ import annotations

import io
import math
from functools import cache
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from render.draw import DrawTask, Source, draw
from render.frames import Picture
from render.pictures import MeasureTask, measure
from render.ready_made import READY_MADE
from render.sheets import Placement, SheetPlan
from store.sizes import parse_size
from tests.render.shapes import BLEEDS_UM, SIZES, coded, exact_level
from tests.render.test_compose import planned

MAX_PIXELS = 10**9
# As in every camera, only smaller: a print of them is drawn in milliseconds.
SMALL = ((300, 200), (200, 300), (240, 180), (182, 273), (256, 144), (150, 150), (250, 200), (325, 120), (201, 151),
         (127, 211), (600, 20), (9, 400), (1, 1), (1, 2), (7, 5))  # fmt: skip
TURNED = (5, 6, 7, 8)
STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@cache
def file_of(width_px: int, height_px: int, kind: str = "PNG", orientation: int = 1) -> bytes:
    """The picture's file; JPEGs with as little loss as there can be."""
    buffer = io.BytesIO()
    picture = coded(width_px, height_px)
    if orientation != 1:
        picture = picture.transpose(STORED_AS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    how: dict[str, Any] = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"compress_level": 1}
    picture.save(buffer, kind, exif=exif, **how)
    return buffer.getvalue()


def drawn(sheet: SheetPlan, file: bytes) -> Image.Image:
    sheet = sheet.with_(output_format="png", digests=(), turn_for_paper=False)
    (one,) = draw(DrawTask((Source("0001.jpg", file),), MAX_PIXELS, ((sheet, None, None),)))
    with Image.open(io.BytesIO(one.sheet)) as image:
        return image.convert("RGB")


def check(sheet: SheetPlan, image: Image.Image, picture: tuple[int, int], loss: float = 0.0) -> None:
    """Every placement shows, at each of its pixels, the place of the picture that belongs there, within a pixel."""
    assert image.size == (sheet.width_px, sheet.height_px)
    for placement in sheet.placements:
        (left, top), (width, height) = placement.at_px, placement.lying_px
        shown = image.crop((left, top, left + width, top + height))
        if placement.turned:
            shown = shown.transpose(Image.Transpose.ROTATE_270)
        _check_shown(placement, shown, picture, loss)


def _check_shown(placement: Placement, shown: Image.Image, picture: tuple[int, int], loss: float) -> None:
    left, top, right, bottom = placement.source_box
    width, height = shown.size
    across, down = (right - left) / width, (bottom - top) / height
    red, green, _ = shown.split()
    # One of the sheet's pixels, or of the picture's where these are larger; and what rounding and the filter do.
    slack = (max(1.0, across) + 1 + loss, max(1.0, down) + 1 + loss)
    angle = math.radians(placement.straighten_deg)
    if not angle:  # one row and one column at a time: each says the same as its neighbors
        wanted_x = [exact_level(left + (x + 0.5) * across, picture[0]) for x in range(width)]
        wanted_y = [exact_level(top + (y + 0.5) * down, picture[1]) for y in range(height)]
        for y in {0, height // 2, height - 1}:
            row = red.crop((0, y, width, y + 1)).tobytes()
            off = [abs(a - b) for a, b in zip(row, wanted_x, strict=True)]
            assert max(off) <= slack[0], (placement, y, off.index(max(off)))
        for x in {0, width // 2, width - 1}:
            column = green.crop((x, 0, x + 1, height)).tobytes()
            off = [abs(a - b) for a, b in zip(column, wanted_y, strict=True)]
            assert max(off) <= slack[1], (placement, x, off.index(max(off)))
        return
    center = ((left + right) / 2, (top + bottom) / 2)
    for y in range(0, height, max(1, height // 23)):
        for x in range(0, width, max(1, width // 23)):
            u, v = x + 0.5 - width / 2, y + 0.5 - height / 2
            place_x = center[0] + across * (math.cos(angle) * u + math.sin(angle) * v)
            place_y = center[1] + down * (math.cos(angle) * v - math.sin(angle) * u)
            seen = shown.getpixel((x, y))
            assert isinstance(seen, tuple)
            off_x, off_y = seen[0] - exact_level(place_x, picture[0]), seen[1] - exact_level(place_y, picture[1])
            assert math.hypot(off_x, off_y) <= max(slack) * math.sqrt(2), (placement, x, y, off_x, off_y)


def plan_one(picture: tuple[int, int], item: dict[str, Any], **profile: Any) -> list[SheetPlan]:
    known = Picture(width_px=picture[0], height_px=picture[1])
    sheets, failures = planned([item], {"min_dpi": 0, **profile}, pictures=[known])
    assert failures == []
    return sheets


# -- one print --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", SMALL)
def test_every_print_with_every_bleed_shows_what_was_planned(picture: tuple[int, int]) -> None:
    dpis, fits = cycle((36, 39)), cycle(("fill", "fill", "fill", "fit"))
    for size in SIZES:
        if parse_size(size).height_um > 310_000:
            continue  # nothing new, at the cost of all others together
        for bleed_um in BLEEDS_UM:
            sheets = plan_one(picture, {"size": size}, bleed_um=bleed_um, dpi=next(dpis), fit=next(fits))
            for sheet in sheets:
                check(sheet, drawn(sheet, file_of(*picture)), picture)


CROPS = st.one_of(
    st.none(),
    st.builds(
        lambda left, top, width, height: {
            "left": left,
            "top": top,
            "width": max(1e-9, min(1 - left, width)),
            "height": max(1e-9, min(1 - top, height)),
        },
        st.floats(0, 0.99),
        st.floats(0, 0.99),
        st.floats(0.01, 1),
        st.floats(0.01, 1),
    ),
    st.sampled_from(
        [
            {},  # the whole, as a crop
            {"left": 0.5, "width": 0.5},
            {"top": 0.9, "height": 0.1},
            {"left": 1 / 3, "width": 2 / 3, "top": 1 / 7, "height": 6 / 7},
            {"left": 0.1, "top": 0.1, "width": 0.9000001, "height": 0.9000009},  # rounded by a program, over the edge
        ]
    ),
)
HOW = st.sampled_from(
    [
        {},
        {"paper": "8x10"},
        {"gang_paper": "12x18", "gang_gap_um": 0},
        {"layout": READY_MADE["8 wallets on 8x10"]},
        {"layout": READY_MADE["Two 5x7 on 7x10"]},
    ]
)


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(SMALL[:11]),
    st.sampled_from(["3.5x5", "5x3.5", "4x6", "5x7", "5x5", "13x18cm", "2.5x3.5"]),
    CROPS,
    st.sampled_from(BLEEDS_UM),
    st.sampled_from(["fill", "fit"]),
    st.sampled_from([36, 41, 60, 72]),
    st.booleans(),
    HOW,
)
def test_whatever_is_asked_each_pixel_shows_what_it_should(
    picture: tuple[int, int],
    size: str,
    crop: dict[str, float] | None,
    bleed_um: int,
    fit: str,
    dpi: int,
    rotates: bool,
    how: dict[str, Any],
) -> None:
    known = Picture(width_px=picture[0], height_px=picture[1])
    profile = {"bleed_um": bleed_um, "fit": fit, "dpi": dpi, "auto_rotate": rotates, "min_dpi": 0, **how}
    sheets, failures = planned([{"size": size, "crop": crop, "quantity": 2}], profile, pictures=[known])
    assert sheets or "less than one cannot be printed" in failures[0].reason
    for sheet in sheets:
        check(sheet, drawn(sheet, file_of(*picture)), picture)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SMALL),
    st.tuples(st.floats(-900, 900), st.floats(-900, 900), st.floats(0.01, 1.2), st.floats(0.01, 1.2)),
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
)
def test_any_box_of_any_plan_is_drawn_from_the_picture_and_its_mirror_images(
    picture: tuple[int, int], place: tuple[float, float, float, float], shown_px: tuple[int, int]
) -> None:
    """Also one that nobody would plan: far outside, or several pictures wide."""
    left, top, across, down = place
    box = (left, top, left + across * shown_px[0], top + down * shown_px[1])
    (sheet,) = plan_one(picture, {"size": "4x6"}, sizing="longest edge")
    placement = sheet.placements[0].with_(source_box=box, shown_px=shown_px)
    sheet = sheet.with_(placements=(placement,), width_px=shown_px[0], height_px=shown_px[1])
    check(sheet, drawn(sheet, file_of(*picture)), picture)


# -- straightening ----------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SMALL[:12]),
    st.sampled_from(["4x6", "5x7", "5x5", "8x24", "3.5x5"]),
    st.one_of(st.sampled_from([-45.0, 45.0, 0.01, -1.5]), st.floats(-45, 45)),
    st.sampled_from([None, (0.0, 0.0, 0.5, 0.5), (0.9, 0.2, 0.1, 0.8), (0.25, 0.25, 0.5, 0.5)]),
    st.sampled_from([0, 3_175]),
    st.sampled_from(["fill", "fit"]),
)
def test_a_straightened_picture_shows_itself_or_its_mirror_image_everywhere(
    picture: tuple[int, int],
    size: str,
    angle: float,
    part: tuple[float, float, float, float] | None,
    bleed_um: int,
    fit: str,
) -> None:
    left, top, width, height = part or (0, 0, 1, 1)
    crop = {"left": left, "top": top, "width": width, "height": height, "rotation_deg": angle}
    if min(picture[0] * width, picture[1] * height) < 1:
        return
    (sheet,) = plan_one(picture, {"size": size, "crop": crop}, bleed_um=bleed_um, fit=fit, dpi=40)
    check(sheet, drawn(sheet, file_of(*picture)), picture)


@pytest.mark.parametrize("angle", [-45.0, -44.9, -20.0, 1.0, 45.0])
@pytest.mark.parametrize(
    ("picture", "shown"),
    [((6500, 2400), (650, 240)), ((9000, 300), (1800, 60)), ((3000, 9000), (300, 900)), ((20_000, 100), (2000, 10)),
     ((20_000, 1), (2000, 1)), ((3, 4000), (2, 2600))],
)  # fmt: skip
def test_no_corner_of_a_straightened_panorama_is_black(
    picture: tuple[int, int], shown: tuple[int, int], angle: float
) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", picture, (200, 150, 100)).save(buffer, "PNG", compress_level=1)
    (sheet,) = plan_one(picture, {"size": "4x6"}, sizing="longest edge", longest_edge_px=max(shown))
    placement = sheet.placements[0].with_(straighten_deg=angle)
    image = drawn(sheet.with_(placements=(placement,)), buffer.getvalue())
    assert image.getextrema() == ((200, 200), (150, 150), (100, 100))


# -- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("picture", [(2399, 1601), (1605, 2394), (2400, 1600), (1607, 1607)])
def test_a_jpeg_decoded_smaller_lies_where_it_should_whichever_way_it_was_held(
    picture: tuple[int, int], orientation: int
) -> None:
    """Its last column and row are only partly the picture's, and turning may bring them to the left and the top."""
    file = file_of(*picture, "JPEG", orientation)
    measured = measure(MeasureTask(file, "a", MAX_PIXELS))
    assert (measured.width_px, measured.height_px) == picture
    for size, dpi, bleed_um in (("4x6", 50, 0), ("3.5x5", 50, 3_175), ("2x3", 36, 6_350), ("5x7", 36, 1_588)):
        (sheet,) = plan_one(picture, {"size": size}, dpi=dpi, bleed_um=bleed_um)
        check(sheet, drawn(sheet, file), picture, loss=4.0)


@pytest.mark.parametrize("picture", [(9000, 5), (5, 9000), (4000, 1), (1, 4000), (8, 8), (3, 3)])
def test_a_jpeg_of_hardly_any_rows_is_drawn(picture: tuple[int, int]) -> None:
    (sheet,) = plan_one(picture, {"size": "4x6"}, fit="fit", dpi=36)
    check(sheet, drawn(sheet, file_of(*picture, "JPEG")), picture, loss=6.0)
