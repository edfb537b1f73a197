"""What comes with the box: the layouts that labs and studios ask for every day, and render profiles to begin with."""

from __future__ import annotations

from store.profiles import Cell, Fit, LayoutTemplate, RenderProfile, Selection, Sharpening, Sizing, TextField
from store.sizes import parse_size


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


def _unit(name: str, *rows: tuple[str, int]) -> LayoutTemplate:
    """A package unit on 8x10 paper: rows of equal cells, one below the other, centred."""
    paper = parse_size("8x10")
    sizes = [(parse_size(size), count) for size, count in rows]
    top_um = (paper.height_um - sum(size.height_um for size, _ in sizes)) // 2
    cells = []
    for size, count in sizes:
        left_um = (paper.width_um - count * size.width_um) // 2
        for column in range(count):
            place = {"left_um": left_um + column * size.width_um, "top_um": top_um}
            cells.append(Cell(**place, width_um=size.width_um, height_um=size.height_um))
        top_um += size.height_um
    return LayoutTemplate(name=name, size=paper, cells=tuple(cells), crop_marks=True)


def _contact_sheet(columns: int, rows: int, cell: str) -> LayoutTemplate:
    """Small pictures with their names, under a line that says whose they are."""
    plain = grid("-", "8x10", cell, columns, rows, 4_000, next_image=True)
    inch = 25_400
    title = TextField(
        left_um=inch // 2,
        top_um=inch // 8,
        width_um=7 * inch,
        height_um=inch // 4,
        text="{client}  {number}",
        bold=True,
    )
    return LayoutTemplate(
        name=f"Contact sheet of {columns * rows} on 8x10",
        size=plain.size,
        cells=tuple(cell.with_(caption="{image}") for cell in plain.cells),
        fit=Fit.FIT,
        turns=False,
        texts=(title,),
    )


def _proof() -> LayoutTemplate:
    """One picture with a border, its name below and a word across, so that nobody frames it."""
    inch = 25_400
    place = {"left_um": inch // 2, "top_um": inch // 2, "width_um": 7 * inch, "height_um": 17 * inch // 2}
    across = TextField(
        left_um=inch, top_um=4 * inch, width_um=6 * inch, height_um=3 * inch // 2,
        text="PROOF {number}", colour="#ffffff", bold=True, rotation_deg=45, opacity_percent=45,
    )  # fmt: skip
    below = TextField(
        left_um=inch // 2, top_um=37 * inch // 4, width_um=7 * inch, height_um=inch // 4, text="{image}   {client}"
    )
    cell = Cell(**place, border_um=500, border_colour="#404040")
    return LayoutTemplate(
        name="Proof with watermark on 8x10", size=parse_size("8x10"), cells=(cell,), turns=False, texts=(across, below)
    )


PROFILES: dict[str, tuple[str, RenderProfile]] = {
    profile.name: (what, profile)
    for what, profile in (
        ("Every ordered item at its own size. What most studios begin with.", RenderProfile(name="Lab prints")),
        (
            "As lab prints, with 1/8 inch (3 mm) of picture beyond the trim, for prints that are cut.",
            RenderProfile(name="Lab prints with bleed", bleed_um=3_175),
        ),
        (
            "Small prints of an order share 8x10 paper, with cut marks.",
            RenderProfile(name="Ganged on 8x10", gang_paper=parse_size("8x10")),
        ),
        (
            "All pictures of the record, twenty on a sheet, with their names.",
            RenderProfile(
                name="Contact sheets", selection=Selection.ALL_IMAGES, layout=_contact_sheet(4, 5, "1.7x1.65")
            ),
        ),
        (
            "All pictures of the record for screens: 2,048 pixels, with a link to download them for 30 days.",
            RenderProfile(
                name="Web files",
                selection=Selection.ALL_IMAGES,
                sizing=Sizing.LONGEST_EDGE,
                longest_edge_px=2048,
                jpeg_quality=88,
                sharpening=Sharpening(amount_percent=60),
                folder="web/{number}",
                file_name="{image}",
                download_days=30,
            ),
        ),
    )
}

READY_MADE: dict[str, LayoutTemplate] = {
    template.name: template
    for template in (
        _wallets(),
        grid("Two 5x7 on 7x10", "7x10", "7x5", 1, 2),
        grid("Two 4x6 on 6x8", "6x8", "6x4", 1, 2),
        grid("Two different 4x6 on 6x8", "6x8", "6x4", 1, 2, next_image=True),
        _unit("Unit of four 4x5 on 8x10", ("4x5", 2), ("4x5", 2)),
        _unit("Unit of one 5x7 and four wallets on 8x10", ("7x5", 1), ("3.5x2.5", 2), ("3.5x2.5", 2)),
        _unit("Unit of one 5x7 and two 3.5x5 on 8x10", ("7x5", 1), ("3.5x5", 2)),
        _unit("Unit of 16 mini wallets on 8x10", *(("2x2.5", 4) for _ in range(4))),
        _contact_sheet(4, 5, "1.7x1.65"),
        _contact_sheet(5, 7, "1.35x1.1"),
        _proof(),
    )
}
