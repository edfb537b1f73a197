"""Adjustments, colorization and sharpening."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from render.tones import SEPIA, adjusted, colorized, sharpened, tone_curve
from store.profiles import Sharpening
from store.pushed import Adjustments, Colorization

GREYS = Image.new("RGB", (256, 1))
GREYS.putdata([(v, v, v) for v in range(256)])


def colour(image: Image.Image, x: int = 0) -> tuple[int, ...]:
    pixel = image.getpixel((x, 0))
    assert isinstance(pixel, tuple)
    return tuple(int(channel) for channel in pixel)


def test_nothing_to_do_is_nothing_done() -> None:
    assert adjusted(GREYS, Adjustments()) is GREYS
    assert colorized(GREYS, Colorization.COLOUR, "#000000") is GREYS
    assert sharpened(GREYS, Sharpening()) is GREYS


def test_a_stop_of_exposure_doubles_the_light() -> None:
    """sRGB 118 is 18.1 % grey; twice the light is 36.2 %, which is sRGB 162."""
    assert tone_curve(Adjustments(exposure_ev=1))[118] == pytest.approx(162, abs=1)
    assert tone_curve(Adjustments(exposure_ev=-1))[162] == pytest.approx(118, abs=1)


def test_contrast_turns_around_middle_grey_and_gamma_keeps_black_and_white() -> None:
    flat, steep = tone_curve(Adjustments(contrast=-1)), tone_curve(Adjustments(contrast=0.5))
    assert set(flat) <= {127, 128} and steep[128] == pytest.approx(128, abs=1) and steep[64] < 64 < 192 < steep[192]
    lighter = tone_curve(Adjustments(gamma=2))
    assert (lighter[0], lighter[255]) == (0, 255) and lighter[64] == pytest.approx(128, abs=1)


@given(
    st.builds(
        Adjustments,
        exposure_ev=st.floats(-4, 4),
        brightness=st.floats(-1, 1),
        contrast=st.floats(-1, 1),
        gamma=st.floats(0.2, 5),
    )
)
def test_no_adjustment_turns_tones_upside_down(adjustments: Adjustments) -> None:
    curve = tone_curve(adjustments)
    assert len(curve) == 256 and curve == sorted(curve) and curve[0] >= 0 and curve[-1] <= 255


def test_saturation_keeps_greys_and_luma() -> None:
    assert list(adjusted(GREYS, Adjustments(saturation=1)).get_flattened_data()) == list(GREYS.get_flattened_data())
    red = Image.new("RGB", (1, 1), (200, 80, 60))
    grey = colour(adjusted(red, Adjustments(saturation=-1)))
    assert max(grey) - min(grey) <= 1 and grey[0] == pytest.approx(0.2126 * 200 + 0.7152 * 80 + 0.0722 * 60, abs=1)
    strong = colour(adjusted(red, Adjustments(saturation=0.5)))
    assert strong[0] > 200 and strong[2] < 60


@pytest.mark.parametrize(
    ("how", "tint", "middle"),
    [
        (Colorization.BLACK_AND_WHITE, "#ff0000", (128, 128, 128)),
        (Colorization.SEPIA, "#ff0000", SEPIA),
        (Colorization.TINT, "#5070b0", (0x50, 0x70, 0xB0)),
    ],
)
def test_colorization_gives_middle_grey_its_colour_and_leaves_paper_white(
    how: Colorization, tint: str, middle: tuple[int, int, int]
) -> None:
    image = colorized(GREYS, how, tint)
    assert colour(image, 128) == pytest.approx(middle, abs=2)
    assert (colour(image, 0), colour(image, 255)) == ((0, 0, 0), (255, 255, 255))


def test_sharpening_steepens_an_edge_and_its_threshold_spares_grain() -> None:
    edge = Image.new("RGB", (40, 40), (100, 100, 100))
    edge.paste((160, 160, 160), (20, 0, 40, 40))
    sharp = sharpened(edge, Sharpening(amount_percent=150, radius_px=2))
    assert colour(sharp, 19)[0] < 100 and colour(sharp, 20)[0] > 160
    faint = Image.new("RGB", (40, 40), (100, 100, 100))
    faint.paste((103, 103, 103), (20, 0, 40, 40))
    assert list(
        sharpened(faint, Sharpening(amount_percent=150, radius_px=2, threshold=8)).get_flattened_data()
    ) == list(faint.get_flattened_data())
