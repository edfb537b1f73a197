"""What cameras, phones, scanners and labs have: sizes of pictures and of prints, and pictures whose pixels say where
they are."""

from __future__ import annotations

from functools import cache

from PIL import Image

CAMERAS = (
    # 3:2
    (6000, 4000), (5472, 3648), (8192, 5464), (6016, 4016), (7360, 4912), (5184, 3456), (4928, 3264), (9504, 6336),
    (6720, 4480), (3008, 2000), (7952, 5304), (4256, 2832), (2400, 1600),
    # 4:3 and phones
    (4000, 3000), (4032, 3024), (4608, 3456), (5184, 3888), (11648, 8736), (4080, 3072), (8160, 6120), (12000, 9000),
    (4000, 2252), (4624, 2604), (3264, 2448), (2016, 1512),
    # 16:9, 1:1, 5:4, 65:24
    (3840, 2160), (1920, 1080), (4000, 4000), (3024, 3024), (5000, 4000), (6500, 2400), (11656, 4304),
    # odd numbers of pixels, also after a crop
    (4001, 2999), (5999, 3999), (4289, 2847), (3007, 2005), (4999, 4999), (1237, 1753), (2551, 3579),
    # hardly any, and panoramas
    (1, 1), (1, 2), (2, 3), (7, 5), (16, 16), (30_000, 3_000), (50_000, 1_000), (65_000, 2_167), (20_000, 1),
    (40_000, 13_333),
)  # fmt: skip
PICTURES = tuple(dict.fromkeys(size for wide in CAMERAS for size in (wide, wide[::-1])))

_INCHES = (
    "1x1 2x2 2x3 2.5x3.5 3x5 3.5x5 3.5x3.5 4x4 4x5 4x5.3 4x6 4x8 5x5 5x7 5x15 6x6 6x8 6x9 6x18 7x10 8x8 8x10 8.5x11 "
    "8x12 8x24 9x12 10x10 10x13 10x15 10x20 10x30 11x14 11x16 11x17 12x12 12x18 12x36 13x19 14x14 16x16 16x20 16x24 "
    "20x20 20x24 20x30 24x30 24x36 30x30 30x40 40x60"
)
_METRIC = (
    "3.5x4.5cm 5x5cm 9x13cm 10x13cm 10x15cm 10.5x14.8cm 11x15cm 13x13cm 13x18cm 14.8x21cm 15x20cm 15x21cm 15x30cm "
    "18x24cm 20x20cm 20x25cm 20x30cm 21x29.7cm 24x30cm 25x38cm 29.7x42cm 30x30cm 30x40cm 30x45cm 30x90cm 40x50cm "
    "40x60cm 42x59.4cm 50x70cm 50x75cm 60x80cm 60x90cm 70x100cm 80x120cm 100x150cm"
)
SIZES = tuple(f"{_INCHES} {_METRIC}".split())
BLEEDS_UM = (0, 1_588, 3_000, 3_175, 6_350)  # none, 1/16 in, 3 mm, 1/8 in, 1/4 in
DPIS = (72, 150, 200, 254, 300, 320, 333, 360, 600, 720)

PEAK = 240


@cache
def coded(width_px: int, height_px: int) -> Image.Image:
    """A picture whose red says how far right a pixel is, and whose green how far down: up to PEAK and back again."""
    red = Image.frombytes("L", (width_px, 1), bytes(level(x + 0.5, width_px) for x in range(width_px)))
    green = Image.frombytes("L", (1, height_px), bytes(level(y + 0.5, height_px) for y in range(height_px)))
    size = (width_px, height_px)
    nearest = Image.Resampling.NEAREST
    return Image.merge("RGB", (red.resize(size, nearest), green.resize(size, nearest), Image.new("L", size, 128)))


def level(place: float, side_px: int) -> int:
    """The color of a place along a side, in pixels from the picture's edge; outside it is the mirror image's."""
    return round(exact_level(place, side_px))


def exact_level(place: float, side_px: int) -> float:
    """The same, before it is a color: one step a pixel."""
    place %= 2 * side_px
    inside = min(place, 2 * side_px - place) - 0.5
    inside %= 2 * PEAK
    return min(inside, 2 * PEAK - inside)
