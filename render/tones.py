"""Adjustments, colorization and sharpening: everything that a tone goes through, folded into as few passes as it takes.

All of it works on 8-bit sRGB at output size. Exposure, gamma, contrast and brightness are functions of one channel's
value, so they become one table of 256; so does a tint after the picture has become grey.
"""

from __future__ import annotations

from PIL import Image, ImageFilter

from store.profiles import Sharpening
from store.pushed import Adjustments, Colorization

SEPIA = (172, 142, 110)  # the colour that middle grey gets; paper white stays white and black black
_LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709, the primaries of sRGB


def adjusted(image: Image.Image, adjustments: Adjustments) -> Image.Image:
    """An RGB picture with its tones changed; the same object when there is nothing to do."""
    curve = tone_curve(adjustments)
    if curve != list(range(256)):
        image = image.point(curve * 3)
    if adjustments.saturation:
        image = image.convert("RGB", saturation_matrix(1 + adjustments.saturation))
    return image


def tone_curve(adjustments: Adjustments) -> list[int]:
    """The table that a channel's values go through: exposure, gamma, contrast, brightness, in this order.

    >>> tone_curve(Adjustments()) == list(range(256))
    True
    >>> tone_curve(Adjustments(brightness=0.2))[100]
    151
    """
    table = []
    for value in range(256):
        tone = value / 255
        if adjustments.exposure_ev:
            tone = _encoded(min(1.0, _linear(tone) * 2**adjustments.exposure_ev))
        tone = tone ** (1 / adjustments.gamma)
        tone = (tone - 0.5) * (1 + adjustments.contrast) + 0.5 + adjustments.brightness
        table.append(round(255 * min(1.0, max(0.0, tone))))
    return table


def saturation_matrix(factor: float) -> tuple[float, ...]:
    """A colour matrix (3 rows of 4) that keeps luma and scales the distance from grey: 0 grey, 1 as it is."""
    rows: list[float] = []
    for channel in range(3):
        rows += [luma * (1 - factor) + (factor if channel == source else 0) for source, luma in enumerate(_LUMA)]
        rows.append(0.0)
    return tuple(rows)


def colorized(image: Image.Image, colorization: Colorization, tint: str) -> Image.Image:
    """An RGB picture as colour, black & white, sepia or tinted; the same object for colour."""
    if colorization is Colorization.COLOUR:
        return image
    grey = image.convert("L", (*_LUMA, 0.0))
    if colorization is Colorization.BLACK_AND_WHITE:
        return Image.merge("RGB", (grey, grey, grey))
    middle = SEPIA if colorization is Colorization.SEPIA else hex_rgb(tint)
    return Image.merge("RGB", [grey.point(_tint_curve(channel)) for channel in middle])


def _tint_curve(middle: int) -> list[int]:
    """A smooth curve through black, the tint at middle grey, and white."""
    bend = middle / 255 - 0.5
    return [round(255 * min(1.0, max(0.0, v / 255 + 4 * bend * (v / 255) * (1 - v / 255)))) for v in range(256)]


def hex_rgb(colour: str) -> tuple[int, int, int]:
    """(red, green, blue) of '#rrggbb'."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def sharpened(image: Image.Image, sharpening: Sharpening) -> Image.Image:
    """A picture after an unsharp mask; the same object when the amount is zero."""
    if not sharpening.amount_percent:
        return image
    mask = ImageFilter.UnsharpMask(sharpening.radius_px, sharpening.amount_percent, sharpening.threshold)
    return image.filter(mask)


def _linear(tone: float) -> float:
    """sRGB's transfer function (IEC 61966-2-1)."""
    return tone / 12.92 if tone <= 0.04045 else ((tone + 0.055) / 1.055) ** 2.4


def _encoded(light: float) -> float:
    return light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
