"""Layouts: every ready-made one on paper, several pictures on a sheet, and templates that could not work."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from render.draw import DrawTask, Source, draw
from render.frames import Picture
from render.layout import crop_marks, impose
from render.plan import SheetPlan, plan
from render.ready_made import READY_MADE, grid
from store.profiles import Cell, LayoutTemplate, RenderProfile
from tests.render.test_draw import MAX_PIXELS, grid_picture, seen
from tests.studio import NOW, instructions, push

TALL, WIDE = Picture(width_px=2500, height_px=3500), Picture(width_px=3500, height_px=2500)


def planned(
    layout: LayoutTemplate, pictures: list[Picture], quantities: list[int] | None = None, **profile: Any
) -> list[SheetPlan]:
    record = push(["0" * 64] * len(pictures))
    if quantities is not None:
        items = [item.with_(quantity=n) for item, n in zip(record.items, quantities, strict=True)]
        record = record.with_(items=tuple(items))
    made = RenderProfile(id=1, name="Lab", layout=layout, **{"dpi": 100, "file_name": "{image}_{sheet}", **profile})
    known = {image.name: picture for image, picture in zip(record.images, pictures, strict=True)}
    sheets, failures = plan(instructions(record, made), known, NOW)
    assert failures == []
    return sheets


@pytest.mark.parametrize("name", list(READY_MADE))
def test_cells_of_a_ready_made_layout_do_not_overlap_and_lie_on_the_sheet(name: str) -> None:
    template = READY_MADE[name]
    pictures = [TALL] * template.images_per_sheet
    (sheet, *_) = planned(template, pictures)
    covered: set[tuple[int, int]] = set()
    for placement in sheet.placements:
        width, height = placement.shown_px[::-1] if placement.turned else placement.shown_px
        left, top = placement.at_px
        assert left >= 0 and top >= 0 and left + width <= sheet.width_px and top + height <= sheet.height_px
        cells = {(x, y) for x in range(left, left + width, 5) for y in range(top, top + height, 5)}
        assert not cells & covered
        covered |= cells


def test_eight_wallets_are_eight_at_their_size_and_turned_where_they_lie() -> None:
    (sheet,) = planned(READY_MADE["8 wallets on 8x10"], [TALL], [3])
    assert (sheet.width_px, sheet.height_px, sheet.quantity) == (800, 1000, 3)
    assert [placement.shown_px for placement in sheet.placements] == [(250, 350)] * 8
    assert [placement.turned for placement in sheet.placements] == [False] * 6 + [True] * 2
    (wide,) = planned(READY_MADE["8 wallets on 8x10"], [WIDE])
    assert [placement.turned for placement in wide.placements] == [True] * 6 + [False] * 2


def test_a_contact_sheet_takes_the_next_picture_for_each_cell_and_begins_new_sheets() -> None:
    sheets = planned(READY_MADE["Contact sheet of 20 on 8x10"], [TALL] * 43, selection="all images")
    assert [len(sheet.placements) for sheet in sheets] == [20, 20, 3]
    assert sheets[1].placements[0].image == "0021.jpg" and sheets[2].file.endswith("0041_003.jpg")
    assert all(placement.shown_px == (118, 165) for placement in sheets[0].placements)  # whole, not turned


def test_copies_of_an_item_take_cells_of_their_own_on_a_shared_sheet() -> None:
    sheets = planned(READY_MADE["Two different 4x6 on 6x8"], [WIDE, WIDE], [3, 2])
    assert [[p.image for p in sheet.placements] for sheet in sheets] == [
        ["0001.jpg", "0001.jpg"],
        ["0001.jpg", "0002.jpg"],
        ["0002.jpg"],
    ]
    assert {sheet.quantity for sheet in sheets} == {1}


def test_pixels_of_a_layout_with_two_pictures_and_crop_marks(tmp_path: Path) -> None:
    cells = (
        Cell(left_um=10_000, top_um=10_000, width_um=20_000, height_um=20_000),
        Cell(left_um=30_000, top_um=10_000, width_um=20_000, height_um=20_000, next_image=True),
    )
    template = LayoutTemplate(name="pair", size="60x40mm", cells=cells, crop_marks=True)  # type: ignore[arg-type]
    squares = [Picture(width_px=80, height_px=80)] * 2
    (sheet,) = planned(template, squares, dpi=254)
    sources = []
    for name, rows in (("0001.jpg", ["RG", "RG"]), ("0002.jpg", ["BB", "YY"])):
        path = tmp_path / f"{name}.png"
        grid_picture(rows).save(path)
        sources.append(Source(name, path))
    sheet = sheet.with_(digests=())
    draw(DrawTask(tuple(sources), MAX_PIXELS, ((sheet, tmp_path / "s.jpg", tmp_path / "t.jpg"),)))
    with Image.open(tmp_path / "s.jpg") as drawn:
        assert seen(drawn, 6, 4) == ["WWWWWW", "WRGBBW", "WRGYYW", "WWWWWW"]
        marks = [drawn.convert("L").getpixel((x, 85)) for x in (100, 300, 499, 150)]
    assert [mark < 110 for mark in marks[:2]] == [True, True] and marks[3] == 255  # type: ignore[operator]


def test_marks_stay_in_the_margins() -> None:
    template = READY_MADE["8 wallets on 8x10"]
    for x0, y0, x1, y1 in crop_marks(template, 300):
        assert 0 <= x0 <= x1 <= 2400 and 0 <= y0 <= y1 <= 3000
        assert x1 < 75 or x0 >= 2325 or y1 < 75 or y0 >= 2925
    assert crop_marks(grid("full", "8x10", "8x10", 1, 1, crop_marks=True), 300) == ()


@given(st.integers(1, 6), st.integers(1, 6), st.integers(72, 600))
def test_cells_that_touch_on_paper_touch_in_pixels(columns: int, rows: int, dpi: int) -> None:
    template = grid("g", "210x297mm", "31x41mm", columns, rows)
    slots = impose(template, dpi, [(Picture(width_px=310, height_px=410), None)])
    for first, second in pairwise(slots):
        if second.laid.at_px[1] == first.laid.at_px[1]:
            assert first.laid.at_px[0] + first.laid.shown_px[0] == second.laid.at_px[0]


def test_a_cell_over_the_edge_is_refused() -> None:
    cell = {"left_um": 100_000, "top_um": 0, "width_um": 50_000, "height_um": 50_000}
    with pytest.raises(ValidationError, match=r"cells\[0\] reaches over the edge of the 4x6 sheet"):
        LayoutTemplate.model_validate({"name": "x", "size": "4x6", "cells": [cell]})


def test_a_layout_needs_a_print_size() -> None:
    with pytest.raises(ValidationError, match="choose a print size, or no layout"):
        RenderProfile(name="p", layout=READY_MADE["Two 5x7 on 7x10"], sizing="original")  # type: ignore[arg-type]
