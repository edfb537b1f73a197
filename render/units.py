"""Lengths to pixels. Micrometers in, whole pixels out, rounded once."""

from __future__ import annotations

import math
from fractions import Fraction

UM_PER_INCH = 25_400


def rounded(value: Fraction | int) -> int:
    """The nearest whole number, halves up.

    >>> rounded(Fraction(5, 2)), rounded(Fraction(-5, 2)), rounded(7)
    (3, -2, 7)
    """
    return math.floor(2 * value + 1) // 2


def length_px(length_um: Fraction | int, dpi: int) -> int:
    """Whole pixels that cover a length, halves rounded up.

    >>> length_px(203_200, 300), length_px(3_175, 300)
    (2400, 38)
    """
    return int((2 * length_um * dpi + UM_PER_INCH) // (2 * UM_PER_INCH))


def sheet_px(width_um: int, height_um: int, bleed_um: int, dpi: int) -> tuple[int, int]:
    """Pixels to draw for a print that will be trimmed.

    Args:
        width_um: trim width, after cutting.
        height_um: trim height, after cutting.
        bleed_um: extra picture beyond the trim on each of the four sides.
        dpi: pixels per inch, the same both ways.

    An 8 x 10 in print with 1/8 in bleed at 300 dpi:

    >>> sheet_px(203_200, 254_000, bleed_um=3_175, dpi=300)
    (2475, 3075)
    """
    return length_px(width_um + 2 * bleed_um, dpi), length_px(height_um + 2 * bleed_um, dpi)


def box_px(
    left_um: Fraction | int, top_um: Fraction | int, width_um: int, height_um: int, dpi: int
) -> tuple[int, int, int, int]:
    """(left, top, width, height) of what lies on a sheet.

    Edges are rounded, not widths: what touches on paper touches in pixels, and what is on the sheet stays on it.

    >>> [box_px(left, 0, 33_333, 10_000, 254) for left in (0, 33_333, 66_666)]
    [(0, 0, 333, 100), (333, 0, 334, 100), (667, 0, 333, 100)]
    """
    left, top = length_px(left_um, dpi), length_px(top_um, dpi)
    return left, top, length_px(left_um + width_um, dpi) - left, length_px(top_um + height_um, dpi) - top
