"""Text and codes on sheets: inside their boxes, readable by machines, in the sheet's colours."""

from __future__ import annotations

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from render.lettering import encode, write
from render.sheets import ScannableCode, TextLine
from store.profiles import Align

INK = (10, 20, 30)


def written(line: TextLine, size: tuple[int, int] = (600, 200)) -> tuple[int, int, int, int] | None:
    """Where ink is, as left, top, right, bottom."""
    sheet = Image.new("RGB", size, "white")
    write(sheet, line, INK)
    return ImageChops.difference(sheet, Image.new("RGB", size, "white")).getbbox()


@settings(max_examples=80, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=120),
    st.sampled_from(list(Align)),
    st.integers(20, 300),
    st.integers(8, 90),
)
def test_no_text_leaves_its_box(text: str, align: Align, width: int, height: int) -> None:
    found = written(TextLine(text=text, box_px=(100, 50, width, height), align=align))
    if found is not None:
        assert found[0] >= 100 and found[1] >= 50 and found[2] <= 100 + width and found[3] <= 50 + height


def test_text_stands_where_it_is_aligned_to() -> None:
    boxes = {align: written(TextLine(text="Ann", box_px=(100, 50, 400, 40), align=align)) for align in Align}
    left, centre, right = (boxes[align] for align in (Align.LEFT, Align.CENTRE, Align.RIGHT))
    assert left is not None and centre is not None and right is not None
    assert left[0] <= 104 and right[2] >= 496 and centre[0] + centre[2] == pytest.approx(600, abs=4)


def test_a_long_text_becomes_smaller_and_only_then_is_cut() -> None:
    long = written(TextLine(text="a name of some length", box_px=(0, 0, 300, 60)))
    cut = written(TextLine(text="a name of some length " * 9, box_px=(0, 0, 300, 60)))
    assert long is not None and cut is not None and long[3] - long[1] > cut[3] - cut[1] > 15


@pytest.mark.parametrize(
    "text", ["Åsa Brännström", "Łukasz Żółć", "Иванова", "Παπαδόπουλος", "Nguyễn", "François €5 – “x”"]
)
def test_names_of_europe_have_their_letters(text: str) -> None:
    """A font without a letter draws the same box for each that it lacks."""
    from render.lettering import _font

    font, lacking = _font(False, 40), bytes(_font(False, 40).getmask("\uffff"))
    assert not [letter for letter in text if letter.strip() and bytes(font.getmask(letter)) == lacking]


def test_a_turned_text_stands_upright_around_its_centre() -> None:
    found = written(TextLine(text="sideways", box_px=(200, 80, 200, 40), rotation_deg=90))
    assert found is not None and found[3] - found[1] > 2 * (found[2] - found[0])
    assert (found[0] + found[2]) / 2 == pytest.approx(300, abs=6)


def test_a_faint_text_lets_the_picture_through() -> None:
    sheet = Image.new("RGB", (300, 100), (200, 0, 0))
    write(sheet, TextLine(text="M", box_px=(0, 0, 300, 100), bold=True, opacity_percent=50), (0, 0, 200))
    assert min(pixel[0] for pixel in sheet.get_flattened_data()) == pytest.approx(100, abs=3)  # type: ignore[index,type-var]


@pytest.mark.parametrize("text", ["S-1", "2026-11/0042 Åsa", "x" * 200])
def test_a_code_is_read_by_a_machine_and_lies_in_its_box(text: str) -> None:
    sheet = Image.new("RGB", (500, 400), "white")
    encode(sheet, ScannableCode(text=text, box_px=(120, 60, 300, 300)))
    (read,) = zxingcpp.read_barcodes(sheet)
    assert read.text == text
    dark = ImageChops.difference(sheet, Image.new("RGB", sheet.size, "white")).getbbox()
    assert dark is not None and dark[0] >= 120 and dark[1] >= 60 and dark[2] <= 420 and dark[3] <= 360
