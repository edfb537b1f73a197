"""Header and separator sheets: they say whose the next sheets are, with thumbnails and a code to scan. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from render import memory
from render.areas import fitted
from render.sheets import Box, Placement, ScannableCode, SheetPlan, TextLine
from render.units import length_px, sheet_px
from render.wanted import Wanted
from store.profiles import Align, RenderProfile
from store.sizes import PrintSize

THUMBNAILS = 20


def cover(
    profile: RenderProfile,
    words: Sequence[tuple[str, bool]],
    number: str,
    wanted: Sequence[Wanted],
    size: PrintSize,
    bleed_um: int,
    file: str,
) -> SheetPlan:
    """A sheet before others, on the paper that they lie on.

    Args:
        profile: the sheets'.
        words: lines, and whether they are bold.
        number: the record's, for the scannable code.
        wanted: the pictures that follow, each once.
        size: of the others' paper.
        bleed_um: the others'.
        file: below the output folder.
    """
    size = size.turned() if size.width_um > size.height_um else size
    width, height = sheet_px(size.width_um, size.height_um, bleed_um, profile.dpi)
    edge = min(width, height) // 16
    line = min((height - 2 * edge) // 16, length_px(9_000, profile.dpi))
    code_px = min(5 * line, (width - 2 * edge) // 3)
    room = width - 2 * edge - code_px - edge // 2
    texts = [
        TextLine(text=text, box_px=(edge, edge + row * line * 5 // 4, room, line), align=Align.LEFT, bold=bold)
        for row, (text, bold) in enumerate(words)
    ]
    shown = wanted[:THUMBNAILS]
    top = edge + 5 * line * 5 // 4
    placements, captions = _thumbnails(shown, (edge, top, width - 2 * edge, height - top - edge), line)
    if len(wanted) > len(shown):
        box = (edge, height - edge, width - 2 * edge, edge // 2)
        captions.append(TextLine(text=f"and {len(wanted) - len(shown)} more pictures", box_px=box))
    return SheetPlan(
        profile_id=profile.id,
        item="",
        image="",
        is_cover=True,
        digests=tuple((one.image.name, one.picture.sha256) for one in shown),
        quantity=1,
        size=size,
        width_px=width,
        height_px=height,
        dpi=profile.dpi,
        placements=tuple(placements),
        texts=(*texts, *captions),
        codes=(ScannableCode(text=number, box_px=(width - edge - code_px, edge, code_px, code_px)),),
        colour=profile.colour,
        turn_for_paper=profile.prints,
        output_format=profile.output_format,
        jpeg_quality=profile.jpeg_quality,
        file=file,
        if_exists=profile.if_exists,
        pictures_bytes=memory.of_plan({one.image.name: one.picture for one in shown}, placements),
        sheet_bytes=memory.sheet_bytes(width, height, placements),
    )


def slip(words: Sequence[str], size: PrintSize, dpi: int) -> SheetPlan:
    """A sheet of lines, the first one large.

    Args:
        words: the lines.
        size: of the paper.
        dpi: as it is drawn.
    """
    size = size.turned() if size.width_um > size.height_um else size
    width, height = sheet_px(size.width_um, size.height_um, 0, dpi)
    edge = min(width, height) // 12
    line = min((height - 2 * edge) * 4 // (5 * (len(words) + 1)), length_px(8_000, dpi))
    boxes = [(edge, edge + row * line * 5 // 4, width - 2 * edge, line) for row in range(len(words) + 1)]
    title = (edge, edge, width - 2 * edge, line * 3 // 2)
    texts = [TextLine(text=words[0], box_px=title, align=Align.LEFT, bold=True)]
    texts += [TextLine(text=text, box_px=box, align=Align.LEFT) for text, box in zip(words[1:], boxes[2:], strict=True)]
    return SheetPlan(
        profile_id=0,
        item="",
        image="",
        is_cover=True,
        quantity=1,
        size=size,
        width_px=width,
        height_px=height,
        dpi=dpi,
        placements=(),
        texts=tuple(texts),
        turn_for_paper=True,
        jpeg_quality=90,
        file="slip.jpg",
    )


def _thumbnails(shown: Sequence[Wanted], box: Box, line: int) -> tuple[list[Placement], list[TextLine]]:
    """Whole pictures in rows, with their names."""
    left, top, width, height = box
    # As many side by side as let them be largest.
    columns = max(
        range(1, len(shown) + 1), key=lambda count: min(width / count, height / math.ceil(len(shown) / count))
    )
    rows = math.ceil(len(shown) / columns)
    across, down, caption = width // columns, height // rows, min(line // 2, height // rows // 6)
    placements: list[Placement] = []
    captions: list[TextLine] = []
    for position, one in enumerate(shown):
        x, y = left + position % columns * across, top + position // columns * down
        free = (max(1, across * 9 // 10), max(1, down * 9 // 10 - caption))
        whole = one.picture.shows(None)
        size = fitted(whole, free)
        at_px = (x + (across - size[0]) // 2, y)
        placements.append(Placement(image=one.image.name, source_box=whole.box, shown_px=size, at_px=at_px))
        captions.append(TextLine(text=one.image.name, box_px=(x, y + size[1], across, max(1, caption))))
    return placements, captions
