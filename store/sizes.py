"""Print sizes as people write them ("8x10", "20x30cm") and as the store keeps them (whole micrometres)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

UM_PER_UNIT = {"in": Decimal(25400), "cm": Decimal(10000), "mm": Decimal(1000)}
MAX_SIDE_UM = 3_000_000  # 3 m: wider than any roll a studio prints on
MEDIA_TOLERANCE_UM = 1_000  # printers round their sizes: 4x6 is 101.6 or 102 mm
_LONGEST = 60  # characters; computing with a million digits takes hours
_TEXT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*[x×X]\s*(\d+(?:\.\d+)?)\s*(in|cm|mm|\")?\s*$")


class PrintSize(BaseModel):
    """Width and height of a print after trimming, in micrometres, each from 1 mm to 3 m."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_um: int = Field(ge=1_000, le=MAX_SIDE_UM)
    height_um: int = Field(ge=1_000, le=MAX_SIDE_UM)

    def is_same_paper(self, other: PrintSize) -> bool:
        """Whether both name the same sheet, whichever side is up, within what printers round."""
        mine = sorted((self.width_um, self.height_um))
        theirs = sorted((other.width_um, other.height_um))
        return all(abs(a - b) <= MEDIA_TOLERANCE_UM for a, b in zip(mine, theirs, strict=True))

    def turned(self) -> PrintSize:
        """The same paper with the other side up."""
        return PrintSize(width_um=self.height_um, height_um=self.width_um)

    def __str__(self) -> str:
        """As people in the trade write it: inches where they come out even to 1/8 inch, else millimetres.

        >>> str(PrintSize(width_um=203_200, height_um=254_000)), str(PrintSize(width_um=210_000, height_um=297_000))
        ('8x10', '210x297mm')
        """
        if self.width_um % 3175 == 0 and self.height_um % 3175 == 0:
            return f"{_plain(self.width_um, 'in')}x{_plain(self.height_um, 'in')}"
        return f"{_plain(self.width_um, 'mm')}x{_plain(self.height_um, 'mm')}mm"


def _plain(length_um: int, unit: str) -> str:
    return f"{(Decimal(length_um) / UM_PER_UNIT[unit]).normalize():f}"


def parse_size(text: str) -> PrintSize:
    """Read a size; inches where no unit is given.

    >>> parse_size("8x10").width_um, parse_size("20 x 30 cm").height_um
    (203200, 300000)

    Raises:
        ValueError: with what was wrong and what would be right.
    """
    match = _TEXT.match(text) if len(text) <= _LONGEST else None
    if not match:
        raise ValueError(
            f"'{text[:_LONGEST]}' is not a print size: write width x height, such as 8x10 (inches) or 20x30cm"
        )
    unit = UM_PER_UNIT[{'"': "in", None: "in"}.get(match[3], match[3])]
    width_um, height_um = (int((Decimal(side) * unit).to_integral_value()) for side in match.group(1, 2))
    if min(width_um, height_um) < 1_000 or max(width_um, height_um) > MAX_SIDE_UM:
        raise ValueError(f"'{text}' is outside what can be printed: each side must be 1 mm to 3 m")
    return PrintSize(width_um=width_um, height_um=height_um)


def _from_text(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


Size = Annotated[PrintSize, BeforeValidator(_from_text)]
