"""Imposition: several pictures on one sheet, by a layout template. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from render.areas import filling
from render.errors import SheetImpossible
from render.frames import Laid, Picture, framed, is_across
from render.sheets import Box, Line
from render.units import box_px, length_px
from store.profiles import Cell, Fit, LayoutTemplate
from store.pushed import Item

MARK_UM = 3_000  # length of a crop mark


@dataclass(frozen=True)
class Slot:
    """What goes into one cell."""

    wanted: int  # which of the sheet's pictures
    laid: Laid  # its trim is the cell
    cell: Cell


def impose(template: LayoutTemplate, dpi: int, wanted: Sequence[tuple[Picture, Item | None]]) -> list[Slot]:
    """Fill a template's cells with pictures.

    Args:
        template: with its cells.
        dpi: of the sheet.
        wanted: at most template.images_per_sheet pictures; cells behind the last one stay empty.

    Raises:
        SheetImpossible: a cell has no pixel, or a crop shows less than one.

    >>> cell = lambda left: Cell(left_um=left, top_um=0, width_um=33_333, height_um=100_000)
    >>> template = LayoutTemplate(name="3", size="100x100mm", cells=(cell(0), cell(33_333), cell(66_666)))
    >>> slots = [slot.laid for slot in impose(template, 254, [(Picture(width_px=9, height_px=27), None)])]
    >>> [(laid.at_px[0], laid.shown_px[0]) for laid in slots]
    [(0, 333), (333, 334), (667, 333)]
    """
    slots: list[Slot] = []
    number = -1
    for position, cell in enumerate(template.cells):
        number += cell.next_image or position == 0
        if number >= len(wanted):
            break
        picture, item = wanted[number]
        left, top, width, height = cell_px = box_px(cell.left_um, cell.top_um, cell.width_um, cell.height_um, dpi)
        if not width or not height:
            raise SheetImpossible(
                f"cell {position + 1} of the layout '{template.name}' is {cell.width_um / 1000:g} x "
                f"{cell.height_um / 1000:g} mm, which is no pixel at {dpi} dpi: enlarge the cell in the layout"
            )
        area = picture.shows(item.crop if item else None)
        turned = template.turns and is_across(cell.width_um, cell.height_um, area)
        if template.fit is Fit.FIT:
            laid = framed(area, cell_px, turned)
        else:
            sides_um = (cell.height_um, cell.width_um) if turned else (cell.width_um, cell.height_um)
            shown = (height, width) if turned else (width, height)
            laid = Laid(filling(area, *sides_um), shown, (left, top), cell_px, turned)
        slots.append(Slot(number, laid, cell))
    return slots


def crop_marks(template: LayoutTemplate, dpi: int) -> tuple[Line, ...]:
    """Short lines in the sheet's margins that continue the cells' edges; none where no margin is."""
    if not template.crop_marks:
        return ()
    length = length_px(MARK_UM, dpi)
    width, height = length_px(template.size.width_um, dpi), length_px(template.size.height_um, dpi)
    xs = {length_px(x, dpi) for cell in template.cells for x in (cell.left_um, cell.left_um + cell.width_um)}
    ys = {length_px(y, dpi) for cell in template.cells for y in (cell.top_um, cell.top_um + cell.height_um)}
    above, below, before, behind = min(ys), max(ys), min(xs), max(xs)
    marks: list[Line] = []
    for x in sorted(xs):
        if above > 0:
            marks.append((x, max(0, above - length), x, above - 1))
        if below < height:
            marks.append((x, below, x, min(height, below + length) - 1))
    for y in sorted(ys):
        if before > 0:
            marks.append((max(0, before - length), y, before - 1, y))
        if behind < width:
            marks.append((behind, y, min(width, behind + length) - 1, y))
    return tuple(marks)


def around(trim: Box, clear_px: int, length_px: int) -> tuple[Line, ...]:
    """Eight crop marks at the corners of one print, which begin beyond its bleed.

    Args:
        trim: left, top, width and height of the print.
        clear_px: how far the marks keep away from it.
        length_px: how long they are.

    >>> around((10, 10, 20, 30), 2, 5)[:2]
    ((10, 3, 10, 7), (10, 42, 10, 46))
    """
    left, top, width, height = trim
    marks: list[Line] = []
    if length_px > 0:
        for x in (left, left + width - 1):
            marks.append((x, top - clear_px - length_px, x, top - clear_px - 1))
            marks.append((x, top + height + clear_px, x, top + height + clear_px + length_px - 1))
        for y in (top, top + height - 1):
            marks.append((left - clear_px - length_px, y, left - clear_px - 1, y))
            marks.append((left + width + clear_px, y, left + width + clear_px + length_px - 1, y))
    return tuple(marks)
