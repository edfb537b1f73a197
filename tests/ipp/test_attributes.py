"""Our values in IPP's terms."""

from __future__ import annotations

import pytest

from ipp.attributes import borderless_media_col, media_name, member, size_of_media_col, size_of_media_name
from store.sizes import parse_size


def test_a_borderless_4x6_in_hundredths_of_a_millimetre_upright() -> None:
    media_col = borderless_media_col(parse_size("6x4"), "photographic-glossy")
    assert member(media_col, "media-size", "x-dimension") == 10_160
    assert member(media_col, "media-size", "y-dimension") == 15_240
    assert [member(media_col, f"media-{side}-margin") for side in ("top", "bottom", "left", "right")] == [0] * 4
    assert member(media_col, "media-type") == "photographic-glossy"


@pytest.mark.parametrize(
    ("name", "size"),
    [("na_index-4x6_4x6in", "4x6"), ("iso_a4_210x297mm", "210x297mm"), ("na_govt-letter_8x10in", "8x10")],
)
def test_self_describing_names(name: str, size: str) -> None:
    assert size_of_media_name(name) == parse_size(size)


@pytest.mark.parametrize("name", ["letter", "", "na_letter", "x_y_axbin", "roll_max_0x0in"])
def test_what_does_not_describe_itself_is_nothing(name: str) -> None:
    assert size_of_media_name(name) is None


@pytest.mark.parametrize("size", ["4x6", "210x297mm", "3.5x5"])
def test_our_names_describe_themselves(size: str) -> None:
    assert size_of_media_name(media_name(parse_size(size))) == parse_size(size)
    assert size_of_media_col(borderless_media_col(parse_size(size))) == parse_size(size)
