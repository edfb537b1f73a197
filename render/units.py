"""Lengths to pixels. Micrometres in, whole pixels out, rounded once."""

from __future__ import annotations

from fractions import Fraction

UM_PER_INCH = 25_400


def length_px(length_um: int, dpi: int) -> int:
    """Whole pixels that cover a length, halves rounded up.

    >>> length_px(203_200, 300), length_px(3_175, 300)
    (2400, 38)
    """
    return int(Fraction(length_um * dpi, UM_PER_INCH) + Fraction(1, 2))


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
