"""Gang: small prints share large sheets, with as little paper as a packing library finds. Pure.

Only packings that a guillotine can cut are tried: every cut goes from edge to edge of what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import rectpack

from render.errors import SheetImpossible
from store.sizes import PrintSize

# Best short side fit and best area fit, with the splits that leave the largest rest: one or the other wins by the mix.
_METHODS = (rectpack.GuillotineBssfSas, rectpack.GuillotineBafLas, rectpack.GuillotineBssfMaxas)
_ORDERS = (rectpack.SORT_LSIDE, rectpack.SORT_AREA, rectpack.SORT_SSIDE)
AT_ONCE = 800  # packing is quadratic; more are packed in parts, each of which may leave one sheet with a rest


@dataclass(frozen=True)
class Spot:
    """Where a print lies. Micrometers from the sheet's upper left corner; the gap around it is not counted."""

    print: int  # index of the print
    left_um: int
    top_um: int
    turned: bool


def pack(prints: Sequence[tuple[int, int]], paper: PrintSize, gap_um: int) -> list[list[Spot]]:
    """Sheets with every print on one of them.

    Args:
        prints: (width, height) in micrometers, bleed included.
        paper: the sheets.
        gap_um: between prints; none is needed at the sheet's edge.

    Raises:
        SheetImpossible: a print is larger than the paper.

    >>> paper = PrintSize(width_um=210_000, height_um=297_000)
    >>> [len(sheet) for sheet in pack([(100_000, 140_000)] * 5, paper, 0)]
    [4, 1]
    """
    for width, height in prints:
        if not (width <= paper.width_um and height <= paper.height_um) and not (
            height <= paper.width_um and width <= paper.height_um
        ):
            raise SheetImpossible(
                f"a print of {PrintSize.model_construct(width_um=width, height_um=height)} with its bleed is larger "
                f"than the {paper} paper to gang on: choose larger paper in the profile"
            )
    if len(prints) > AT_ONCE:
        parts = [range(first, min(first + AT_ONCE, len(prints))) for first in range(0, len(prints), AT_ONCE)]
        return [
            [replace(spot, print=part[spot.print]) for spot in sheet]
            for part in parts
            for sheet in pack([prints[index] for index in part], paper, gap_um)
        ]
    packings = [
        _packed(prints, turned, paper, gap_um, method, order)
        for turned in (False, True)
        for method in _METHODS
        for order in _ORDERS
    ]
    # Fewest sheets; then the emptiest last one, whose rest can be used.
    return min(packings, key=lambda sheets: (len(sheets), len(sheets[-1]) if sheets else 0))


def _packed(
    prints: Sequence[tuple[int, int]], turned: bool, paper: PrintSize, gap_um: int, method: type, order: object
) -> list[list[Spot]]:
    """One packing. The library turns prints, but prefers the way in which they are offered."""
    packer = rectpack.newPacker(
        mode=rectpack.PackingMode.Offline, bin_algo=rectpack.PackingBin.BFF, pack_algo=method, sort_algo=order
    )
    for index, (width, height) in enumerate(prints):
        sides = (height, width) if turned else (width, height)
        packer.add_rect(sides[0] + gap_um, sides[1] + gap_um, index)
    # A gap wider and higher: the gap behind the last print of a row lies beyond the edge.
    packer.add_bin(paper.width_um + gap_um, paper.height_um + gap_um, float("inf"))
    packer.pack()
    sheets: dict[int, list[Spot]] = {}
    for sheet, left, top, width, _, index in packer.rect_list():
        sheets.setdefault(sheet, []).append(Spot(index, left, top, width != prints[index][0] + gap_um))
    return [sorted(sheets[number], key=lambda spot: (spot.top_um, spot.left_um)) for number in sorted(sheets)]
