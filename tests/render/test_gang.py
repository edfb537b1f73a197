"""Small prints on large sheets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.errors import SheetImpossible
from render.gang import AT_ONCE, pack
from store.sizes import PrintSize, parse_size

PAPER = parse_size("12x18")
side_um = st.integers(40_000, 300_000)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(side_um, side_um), min_size=1, max_size=25), st.sampled_from([0, 3_000]))
def test_every_print_is_once_on_a_sheet_and_none_overlap(prints: list[tuple[int, int]], gap_um: int) -> None:
    sheets = pack(prints, PAPER, gap_um)
    assert sorted(spot.print for sheet in sheets for spot in sheet) == list(range(len(prints)))
    for sheet in sheets:
        boxes = []
        for spot in sheet:
            width, height = prints[spot.print][::-1] if spot.turned else prints[spot.print]
            assert spot.left_um + width <= PAPER.width_um and spot.top_um + height <= PAPER.height_um
            boxes.append((spot.left_um, spot.top_um, spot.left_um + width, spot.top_um + height))
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert a[2] + gap_um <= b[0] or b[2] + gap_um <= a[0] or a[3] + gap_um <= b[1] or b[3] + gap_um <= a[1]


@pytest.mark.parametrize(
    ("prints", "paper", "sheets"),
    [
        ([("4x6", 9)], "12x18", 1),
        ([("4x6", 10)], "12x18", 2),
        ([("5x7", 4)], "10x14", 1),
        ([("8x10", 1), ("4x5", 2), ("5x4", 2)], "12x14", 1),
        ([("2.5x3.5", 16)], "10x14", 1),
    ],
)
def test_known_orders_take_the_least_paper(prints: list[tuple[str, int]], paper: str, sheets: int) -> None:
    wanted = [(s.width_um, s.height_um) for size, count in prints for s in [parse_size(size)] * count]
    assert len(pack(wanted, parse_size(paper), 0)) == sheets


def test_a_print_larger_than_the_paper_is_named() -> None:
    with pytest.raises(SheetImpossible, match="a print of 20x30 with its bleed is larger than the 12x18 paper"):
        pack([(508_000, 762_000)], PAPER, 0)


def test_more_than_fit_one_packing_are_packed_in_parts() -> None:
    count = AT_ONCE + 20
    sheets = pack([(101_600, 152_400)] * count, PAPER, 0)
    assert sorted(spot.print for sheet in sheets for spot in sheet) == list(range(count))
    assert len(sheets) <= -(-count // 9) + 1


def test_a_print_that_fits_only_turned_is_turned() -> None:
    ((spot,),) = pack([(400_000, 200_000)], PrintSize(width_um=250_000, height_um=450_000), 0)
    assert spot.turned
