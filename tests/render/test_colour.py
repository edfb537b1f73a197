"""Colour: what files say of theirs, against littleCMS's own answers and against the definitions."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from render import colour
from render.colour import Look, Photo, adobe_rgb_profile, check_output_profile, srgb_profile
from render.errors import PictureUnreadable
from render.pictures import MeasureTask, measure
from store.profiles import Intent, Untagged
from store.pushed import Adjustments, Colorization

PATCHES = [  # of a colour chart: skin, sky, leaf, red, yellow, white, greys, near black
    (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170), (214, 126, 44),
    (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46), (56, 61, 150), (70, 148, 73),
    (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161), (243, 243, 242), (200, 200, 200), (160, 160, 160),
    (122, 122, 121), (85, 85, 85), (12, 12, 13),
]  # fmt: skip


def chart(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", (len(PATCHES), 1))
    image.putdata(PATCHES)
    return image.convert(mode)


def to_lab(image: Image.Image, profile: bytes = b"") -> list[tuple[float, float, float]]:
    """CIE L*a*b* of every pixel."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile or srgb_profile()))
    lab = ImageCms.profileToProfile(image, source, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert lab is not None
    return [(p[0] * 100 / 255, p[1] - 128, p[2] - 128) for p in lab.get_flattened_data()]  # type: ignore[index,operator,misc]


def delta_e(first: Image.Image, second: Image.Image, profile: bytes = b"") -> list[float]:
    """ΔE*ab (CIE 1976) of every pixel."""
    return [math.dist(a, b) for a, b in zip(to_lab(first, profile), to_lab(second, profile), strict=True)]


def by_littlecms(image: Image.Image, source: bytes, target: bytes, intent: ImageCms.Intent) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(io.BytesIO(source)),
        ImageCms.ImageCmsProfile(io.BytesIO(target)),
        renderingIntent=intent,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    return converted


def photo(image: Image.Image, profile: bytes = b"", untagged: Untagged = Untagged.SRGB) -> Photo:
    if profile:
        image.info["icc_profile"] = profile
    return Photo(image, "a.jpg", untagged)


@pytest.mark.parametrize("intent", list(Intent))
@pytest.mark.parametrize(("source", "target"), [("adobe", "srgb"), ("srgb", "adobe")])
def test_conversions_are_littlecms_own(source: str, target: str, intent: Intent) -> None:
    profiles = {"adobe": adobe_rgb_profile(), "srgb": srgb_profile()}
    look = Look(output=profiles[target], intent=intent)
    ours = photo(chart(), profiles[source]).looking(chart(), look)
    theirs = by_littlecms(chart(), profiles[source], profiles[target], colour._INTENTS[intent])
    assert max(delta_e(ours, theirs, profiles[target])) < 1.0


def test_adobe_rgb_is_what_its_definition_says() -> None:
    """Adobe RGB (1998) §4.3.4 to sRGB by the defining matrices, for colours that both have."""
    for rgb in [(128, 128, 128), (150, 120, 100), (100, 140, 120), (120, 110, 150)]:
        linear = [(value / 255) ** (563 / 256) for value in rgb]
        rows = (
            (0.57667, 0.18556, 0.18823), (0.29734, 0.62736, 0.07529), (0.02703, 0.07069, 0.99134),
        )  # fmt: skip
        x, y, z = (sum(a * b for a, b in zip(row, linear, strict=True)) for row in rows)
        back = (
            (3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570),
        )  # fmt: skip
        light = (sum(a * b for a, b in zip(row, (x, y, z), strict=True)) for row in back)
        wanted = [255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055) for v in light]
        image = Image.new("RGB", (1, 1), rgb)
        pixel = photo(image, adobe_rgb_profile()).looking(image, Look()).getpixel((0, 0))
        assert pixel == pytest.approx(wanted, abs=1.5)


@pytest.mark.parametrize(
    "look",
    [
        Look(adjustments=Adjustments(exposure_ev=0.7, contrast=0.2, saturation=0.3)),
        Look(adjustments=Adjustments(gamma=1.4, brightness=-0.05)),
        Look(colorization=Colorization.SEPIA),
        Look(colorization=Colorization.TINT, tint="#7080a0", adjustments=Adjustments(contrast=-0.3)),
        Look(colorization=Colorization.BLACK_AND_WHITE, output=adobe_rgb_profile()),
    ],
)
@pytest.mark.parametrize("profile", [srgb_profile(), adobe_rgb_profile()])
def test_the_folded_table_is_the_steps_one_after_the_other(look: Look, profile: bytes) -> None:
    """On every colour of a fine grid: one pass through the table against all passes by themselves."""
    levels = range(0, 256, 15)
    image = Image.new("RGB", (len(levels) ** 2, len(levels)))
    image.putdata([(r, g, b) for b in levels for g in levels for r in levels])
    steps = image
    for step in colour._steps(profile, look):
        steps = step(steps)
    table = image.filter(colour._table(profile, look))
    difference = ImageChops.difference(steps, table)
    assert max(ImageStat.Stat(difference).mean) < 0.8 and max(high for _, high in difference.getextrema()) <= 6  # type: ignore[misc]


def test_black_and_white_stays_neutral_through_the_table() -> None:
    look = Look(colorization=Colorization.BLACK_AND_WHITE, adjustments=Adjustments(contrast=0.1))
    for red, green, blue in photo(chart(), srgb_profile()).looking(chart(), look).get_flattened_data():  # type: ignore[misc]
        assert red == green == blue


def test_a_picture_in_the_outputs_colours_is_not_touched() -> None:
    image = chart()
    assert photo(image, srgb_profile()).looking(image, Look()) is image


def test_out_of_gamut_colours_come_in_and_the_rest_stays() -> None:
    image = Image.new("RGB", (2, 1))
    image.putdata([(0, 255, 0), (128, 128, 128)])
    green, grey = photo(image, adobe_rgb_profile()).looking(image, Look()).get_flattened_data()
    assert green[:2] == pytest.approx((0, 255), abs=1)  # type: ignore[index]
    assert grey == pytest.approx((128, 128, 128), abs=2)


# -- what files say ---------------------------------------------------------------------------------------------


def saved(tmp_path: Path, image: Image.Image, name: str = "a.jpg", **how: object) -> Path:
    path = tmp_path / name
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def adobe_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    return exif


def test_camera_data_that_says_adobe_rgb_is_believed(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGB", (8, 8), (150, 60, 60)), exif=adobe_exif(), quality=100)
    picture = measure(MeasureTask(path, "a.jpg", 10**6))
    assert (picture.is_tagged, picture.says_adobe_rgb) == (False, True)
    with Image.open(path) as image:
        image.load()
        pixel = Photo(image, "a.jpg").looking(image, Look()).getpixel((4, 4))
    assert isinstance(pixel, tuple) and pixel[0] > 165  # the same numbers are a stronger red in Adobe RGB


def test_the_profiles_rule_says_for_what_an_untagged_picture_is_taken() -> None:
    image = Image.new("RGB", (1, 1), (150, 60, 60))
    as_srgb = photo(image.copy()).looking(image, Look()).getpixel((0, 0))
    as_adobe = photo(image.copy(), untagged=Untagged.ADOBE_RGB).looking(image, Look()).getpixel((0, 0))
    assert as_srgb == (150, 60, 60) and as_adobe[0] > 165  # type: ignore[index]


def test_a_grey_file_with_an_rgb_profile_is_grey_in_it() -> None:
    """littleCMS alone refuses it."""
    image = Image.new("L", (4, 4), 118)
    image.info["icc_profile"] = adobe_rgb_profile()
    pixel = Photo(image, "a.jpg").looking(Photo(image, "a.jpg").pixels, Look()).getpixel((1, 1))
    assert isinstance(pixel, tuple) and len(set(pixel)) == 1 and abs(pixel[0] - 118) <= 2


def test_a_profile_for_other_pixels_is_refused_by_name() -> None:
    image = Image.new("CMYK", (4, 4))
    image.info["icc_profile"] = srgb_profile()
    with pytest.raises(PictureUnreadable, match=r"a\.jpg: its colour profile is for RGB pixels, the picture has CMYK"):
        Photo(image, "a.jpg")


def test_a_broken_profile_is_refused_by_name() -> None:
    image = Image.new("RGB", (4, 4))
    image.info["icc_profile"] = b"not a profile at all"
    with pytest.raises(PictureUnreadable, match=r"a\.jpg: its colour profile does not work"):
        Photo(image, "a.jpg")


def test_a_lab_file_without_a_profile_is_lab() -> None:
    lab = ImageCms.profileToProfile(
        chart(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.info.pop("icc_profile", None)
    read = Photo(lab, "a.tif").looking(lab, Look())
    assert max(delta_e(read, chart())) < 2.0  # eight bits of Lab are coarse


# -- output profiles --------------------------------------------------------------------------------------------


def test_an_output_profile_is_checked_and_names_itself() -> None:
    assert check_output_profile(srgb_profile()) == "sRGB built-in"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an ICC profile that works"),
        (b"hello" * 100, "not an ICC profile that works"),
        (srgb_profile()[:400], "not an ICC profile that works"),
        (
            ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
            "this profile is for Lab, and sheets are RGB",
        ),
    ],
)
def test_what_is_no_output_profile_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_output_profile(data)
