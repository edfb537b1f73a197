"""Lengths and sizes as the studio writes them: in inches or centimetres. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction

from store.settings import Units
from store.sizes import UM_PER_UNIT, PrintSize, parse_size

MAX_LENGTH_UM = 3_000_000


def shown_size(size: PrintSize, units: Units) -> str:
    """A size for reading, the short side first: trade names in inches, centimetres to the millimetre.

    >>> paper = parse_size("10x8")
    >>> shown_size(paper, Units.INCHES), shown_size(paper, Units.CENTIMETRES)
    ('8x10', '20.3x25.4 cm')
    """
    upright = size.turned() if size.width_um > size.height_um else size
    if units is Units.INCHES:
        return str(upright)
    return f"{upright.width_um / 10_000:.1f}x{upright.height_um / 10_000:.1f} cm".replace(".0", "")


def typed_size(size: PrintSize, units: Units) -> str:
    """A size as it is typed into a form, exactly.

    >>> typed_size(parse_size("8x10"), Units.CENTIMETRES)
    '20.32x25.4cm'
    """
    if units is Units.INCHES:
        return str(size)
    return f"{_plain(size.width_um, 'cm')}x{_plain(size.height_um, 'cm')}cm"


def read_size(text: str, units: Units) -> PrintSize:
    """A size that was typed; without a unit it is in the studio's.

    Raises:
        ValueError: with what was wrong and what would be right.
    """
    text = text.strip()
    return parse_size(f"{text}cm" if units is Units.CENTIMETRES and text[-1:].isdigit() else text)


def read_sizes(text: str, units: Units) -> tuple[PrintSize, ...]:
    """Sizes separated by commas, semicolons or spaces.

    Raises:
        ValueError: names the one that is not a size.
    """
    return tuple(read_size(part, units) for part in text.replace(",", " ").replace(";", " ").split())


def unit_of_lengths(units: Units) -> str:
    """The unit in which short lengths, such as a bleed, are typed."""
    return "in" if units is Units.INCHES else "mm"


def typed_length(length_um: int, units: Units) -> str:
    """A short length as it is typed into a form, exactly, without its unit.

    >>> typed_length(3_175, Units.INCHES), typed_length(3_175, Units.CENTIMETRES)
    ('0.125', '3.175')
    """
    value = Decimal(length_um) / UM_PER_UNIT[unit_of_lengths(units)]
    return f"{round(value, 5).normalize():f}"


def read_length(text: str, units: Units) -> int:
    """A short length that was typed, in µm; it may have a unit of its own, and inches may be a fraction.

    >>> [read_length(text, Units.INCHES) for text in ("0.125", "1/8", "3mm", "1/8 in")]
    [3175, 3175, 3000, 3175]
    >>> read_length("3,175", Units.CENTIMETRES)
    3175

    Raises:
        ValueError: with what would be right.
    """
    bare, unit = text.strip().replace(",", "."), unit_of_lengths(units)
    for ending, named in (('"', "in"), ("mm", "mm"), ("cm", "cm"), ("in", "in")):
        if bare.endswith(ending):
            bare, unit = bare.removesuffix(ending).strip(), named
            break
    try:
        top, _, bottom = bare.partition("/")
        value = Fraction(Decimal(top)) / Fraction(Decimal(bottom or "1"))
    except (InvalidOperation, ValueError, ZeroDivisionError, OverflowError):
        value = Fraction(-1)
    length_um = round(value * Fraction(UM_PER_UNIT[unit]))
    if not 0 <= length_um <= MAX_LENGTH_UM:
        example = "0.125 or 1/8" if units is Units.INCHES else "3 or 3.175"
        raise ValueError(f"write it in {'inches' if units is Units.INCHES else 'millimetres'}, such as {example}")
    return length_um


def _plain(length_um: int, unit: str) -> str:
    return f"{(Decimal(length_um) / UM_PER_UNIT[unit]).normalize():f}"
