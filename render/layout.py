"""Imposition: several pictures on one sheet, by a layout template. Pure.

The ready-made templates are what labs and studios ask for every day; all of them are plain LayoutTemplates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from render.frames import Picture, chosen, crop_box, oriented
from render.units import length_px
from store.profiles import Cell, Fit, LayoutTemplate
from store.pushed import Item
from store.sizes import PrintSize, parse_size

MARK_UM = 3_000  # length of a crop mark


@dataclass(frozen=True)
class Slot:
    """What goes into one cell."""

    wanted: int  # which of the sheet's pictures
    source_box: tuple[float, float, float, float]
    shown_px: tuple[int, int]  # before turning
    at_px: tuple[int, int]  # upper left corner on the sheet, after turning
    turned: bool


def impose(template: LayoutTemplate, dpi: int, wanted: Sequence[tuple[Picture, Item | None]]) -> list[Slot]:
    """Fill a template's cells with pictures.

    Args:
        template: with its cells.
        dpi: of the sheet.
        wanted: at most template.images_per_sheet pictures; cells behind the last one stay empty.

    Edges are rounded, not widths, so that cells which touch on paper touch in pixels.

    >>> cell = lambda left: Cell(left_um=left, top_um=0, width_um=33_333, height_um=100_000)
    >>> template = LayoutTemplate(name="3", size="100x100mm", cells=(cell(0), cell(33_333), cell(66_666)))
    >>> slots = impose(template, 254, [(Picture(width_px=9, height_px=27), None)])
    >>> [(slot.at_px[0], slot.shown_px[0]) for slot in slots]
    [(0, 333), (333, 334), (667, 333)]
    """
    slots: list[Slot] = []
    number = -1
    for position, cell in enumerate(template.cells):
        number += cell.next_image or position == 0
        if number >= len(wanted):
            break
        picture, item = wanted[number]
        crop = item.crop if item else None
        left, top = length_px(cell.left_um, dpi), length_px(cell.top_um, dpi)
        width = length_px(cell.left_um + cell.width_um, dpi) - left
        height = length_px(cell.top_um + cell.height_um, dpi) - top
        paper = PrintSize(width_um=cell.width_um, height_um=cell.height_um)
        turned = template.turns and oriented(paper, crop, picture) != paper
        box_px = (height, width) if turned else (width, height)
        if template.fit is Fit.FILL:
            source = crop_box(paper.turned() if turned else paper, crop, picture)
            shown = box_px
        else:
            source = chosen(crop, picture)
            scale = min(box_px[0] / (source[2] - source[0]), box_px[1] / (source[3] - source[1]))
            shown = (
                max(1, round((source[2] - source[0]) * scale)),
                max(1, round((source[3] - source[1]) * scale)),
            )
        lying = shown[::-1] if turned else shown
        at = (left + (width - lying[0]) // 2, top + (height - lying[1]) // 2)
        slots.append(Slot(number, source, shown, at, turned))
    return slots


def crop_marks(template: LayoutTemplate, dpi: int) -> tuple[tuple[int, int, int, int], ...]:
    """Short lines in the sheet's margins that continue the cells' edges; none where no margin is."""
    if not template.crop_marks:
        return ()
    length = length_px(MARK_UM, dpi)
    width, height = length_px(template.size.width_um, dpi), length_px(template.size.height_um, dpi)
    xs = {length_px(x, dpi) for cell in template.cells for x in (cell.left_um, cell.left_um + cell.width_um)}
    ys = {length_px(y, dpi) for cell in template.cells for y in (cell.top_um, cell.top_um + cell.height_um)}
    above, below, before, behind = min(ys), max(ys), min(xs), max(xs)
    marks: list[tuple[int, int, int, int]] = []
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


# -- ready-made -------------------------------------------------------------------------------------------------


def grid(
    name: str, sheet: str, cell: str, columns: int, rows: int, gap_um: int = 0, **options: object
) -> LayoutTemplate:
    """Equal cells in rows, centred on the sheet.

    Args:
        name: for people.
        sheet: size of the sheet, as in parse_size.
        cell: size of a cell.
        columns: cells side by side.
        rows: cells one above the other.
        gap_um: between cells.
        options: further fields of the template; next_image=True takes another picture for each cell.
    """
    paper, one = parse_size(sheet), parse_size(cell)
    left_um = (paper.width_um - columns * one.width_um - (columns - 1) * gap_um) // 2
    top_um = (paper.height_um - rows * one.height_um - (rows - 1) * gap_um) // 2
    next_image = bool(options.pop("next_image", False))
    cells = [
        Cell(
            left_um=left_um + column * (one.width_um + gap_um),
            top_um=top_um + row * (one.height_um + gap_um),
            width_um=one.width_um,
            height_um=one.height_um,
            next_image=next_image,
        )
        for row in range(rows)
        for column in range(columns)
    ]
    return LayoutTemplate.model_validate({"name": name, "size": paper, "cells": cells, **options})


def _wallets() -> LayoutTemplate:
    """Six upright in two rows and two lying below: as many 2.5x3.5 in wallets as 8x10 paper holds."""
    inch = 25_400
    upright = [
        Cell(
            left_um=inch // 4 + column * 5 * inch // 2,
            top_um=inch // 4 + row * 7 * inch // 2,
            width_um=5 * inch // 2,
            height_um=7 * inch // 2,
        )
        for row in range(2)
        for column in range(3)
    ]
    lying = [
        Cell(
            left_um=inch // 2 + column * 7 * inch // 2,
            top_um=29 * inch // 4,
            width_um=7 * inch // 2,
            height_um=5 * inch // 2,
        )
        for column in range(2)
    ]
    return LayoutTemplate(name="8 wallets on 8x10", size=parse_size("8x10"), cells=(*upright, *lying), crop_marks=True)


READY_MADE: dict[str, LayoutTemplate] = {
    template.name: template
    for template in (
        _wallets(),
        grid("Two 5x7 on 7x10", "7x10", "7x5", 1, 2),
        grid("Two 4x6 on 6x8", "6x8", "6x4", 1, 2),
        grid("Two different 4x6 on 6x8", "6x8", "6x4", 1, 2, next_image=True),
        grid("Contact sheet of 20 on 8x10", "8x10", "1.75x1.75", 4, 5, 3_175, next_image=True, fit="fit", turns=False),
    )
}
