"""Paper by its PWG names (PWG 5101.1 §5), and the sizes that a queue offers when its printers do not say. Pure."""

from __future__ import annotations

from store.sizes import PrintSize, parse_size

_NAMES = {
    "na_index-3x5_3x5in": "3x5",
    "oe_photo-l_3.5x5in": "3.5x5",
    "na_index-4x6_4x6in": "4x6",
    "na_5x7_5x7in": "5x7",
    "oe_square-photo_5x5in": "5x5",
    "na_govt-letter_8x10in": "8x10",
    "na_letter_8.5x11in": "8.5x11",
    "na_legal_8.5x14in": "8.5x14",
    "na_ledger_11x17in": "11x17",
    "na_10x14_10x14in": "10x14",
    "oe_12x12_12x12in": "12x12",
    "oe_12x16_12x16in": "12x16",
    "iso_a6_105x148mm": "105x148mm",
    "iso_a5_148x210mm": "148x210mm",
    "iso_a4_210x297mm": "210x297mm",
    "iso_a3_297x420mm": "297x420mm",
    "om_small-photo_100x150mm": "100x150mm",
    "om_dsc-photo_89x119mm": "89x119mm",
    "om_medium-photo_130x180mm": "130x180mm",
    "jpn_hagaki_100x148mm": "100x148mm",
}
_SIZES = {name: parse_size(text) for name, text in _NAMES.items()}
USUAL = tuple(
    parse_size(text)
    for text in (
        *("3.5x5", "4x6", "5x5", "5x7", "6x6", "6x8", "6x9", "8x8", "8x10", "8x12", "8.5x11", "10x10", "11x14"),
        *("105x148mm", "148x210mm", "210x297mm"),
    )
)


def upright(size: PrintSize) -> PrintSize:
    """With the short side as its width, as IPP describes paper."""
    return size.turned() if size.width_um > size.height_um else size


def name_of(size: PrintSize) -> str:
    """The standard name of a size, or one of our own.

    >>> name_of(parse_size("6x4")), name_of(parse_size("8x12")), name_of(parse_size("20x30cm"))
    ('na_index-4x6_4x6in', 'custom_photo_8x12in', 'custom_photo_200x300mm')
    """
    size = upright(size)
    known = next((name for name, one in _SIZES.items() if one == size), None)
    if known is not None:
        return known
    text = str(size)
    return f"custom_photo_{text if text.endswith('mm') else f'{text}in'}"


def distinct(sizes: list[PrintSize]) -> list[PrintSize]:
    """Each paper once, upright, in order."""
    found: list[PrintSize] = []
    for size in map(upright, sizes):
        if not any(size.is_same_paper(one) for one in found):
            found.append(size)
    return found
