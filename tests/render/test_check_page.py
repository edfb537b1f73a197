"""A printer's test page, on whatever paper it has."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from render.check_page import DPI, CheckPage, check_page
from render.units import length_px

LINES = ("Front printer", "Studio", "2026-11-21 10:00 · 4x6")


@settings(max_examples=60, deadline=None)
@given(st.integers(1_000, 400_000), st.integers(1_000, 400_000))
def test_there_is_a_test_page_for_any_paper_labels_and_tape_among_them(width_um: int, height_um: int) -> None:
    with Image.open(io.BytesIO(check_page(CheckPage(width_um, height_um, LINES)))) as page:
        assert page.size == (length_px(width_um, DPI), length_px(height_um, DPI))


@pytest.mark.parametrize("size_um", [(101_600, 152_400), (62_000, 29_000)])
def test_it_has_a_line_at_the_edge_and_all_steps_of_gray(size_um: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(check_page(CheckPage(*size_um, LINES)))) as page:
        gray = page.convert("L")
    assert max(gray.crop((0, 0, gray.width, 1)).tobytes()) < 60
    steps = {round(value / 12.75) for value in gray.tobytes()}
    assert steps == set(range(21))
