"""Whatever a profile, a layout and an order ask together is planned or refused in words, and drawn as planned."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from render.draw import DrawTask, Source, draw
from render.frames import Picture
from render.rehearse import shrunk
from store.sizes import PrintSize
from tests.render.test_compose import planned
from tests.render.test_positions import MAX_PIXELS, file_of
from tests.render.test_sheets import overlay_png

OVERLAY = overlay_png()
ASSET = {"name": "Frame", "sha256": hashlib.sha256(OVERLAY).hexdigest()}
PICTURES = [(30, 20), (1, 1), (7, 300), (300, 7), (64, 64), (200, 300)]


def side_um(chance: random.Random) -> int:
    return chance.randint(*chance.choice([(1_000, 5_000), (5_000, 40_000), (40_000, 160_000)]))


def box(chance: random.Random, size: PrintSize) -> dict[str, Any]:
    left, top = chance.randint(0, size.width_um - 1), chance.randint(0, size.height_um - 1)
    width, height = chance.randint(1, size.width_um - left), chance.randint(1, size.height_um - top)
    return {"left_um": left, "top_um": top, "width_um": width, "height_um": height}


def layout(chance: random.Random, size: PrintSize) -> dict[str, Any]:
    cells = [
        box(chance, size)
        | {
            "next_image": chance.random() < 0.5,
            "rotation_deg": chance.choice([0, 0, 5, 90, 359.9]),
            "border_um": chance.choice([0, 1_000, 50_000]),
            "caption": chance.choice(["", "{image}"]),
        }
        for _ in range(chance.randint(1, 4))
    ]
    text = box(chance, size) | {"text": "{client}", "rotation_deg": chance.choice([0, 33])}
    png = box(chance, size) | {"image": ASSET, "is_behind": chance.random() < 0.5}
    fit = chance.choice(["fill", "fit"])
    return {
        "name": "L",
        "size": size,
        "cells": cells,
        "texts": [text],
        "decorations": [png],
        "crop_marks": True,
        "fit": fit,
    }


def profile(chance: random.Random, size: PrintSize) -> dict[str, Any]:
    how: dict[str, Any] = {
        "dpi": chance.choice([36, 72, 150]),
        "bleed_um": chance.choice([0, 1_588, 3_175, 6_350, 25_400]),
        "fit": chance.choice(["fill", "fit", "exact crop"]),
        "auto_rotate": chance.random() < 0.7,
        "overlay": chance.choice([None, ASSET]),
        "watermark": {"text": chance.choice(["", "PROOF {number}"])},
        "sharpening": {"amount_percent": chance.choice([0, 80])},
        "header_sheet": chance.random() < 0.3,
        "separator_sheets": chance.random() < 0.3,
    }
    paper = PrintSize(width_um=size.width_um + side_um(chance), height_um=size.height_um + side_um(chance))
    match chance.randrange(7):
        case 0:
            how |= {"paper": paper, "crop_marks": True, "slug": chance.choice(["", "{number} {sheet}"])}
        case 1:
            gap_um = chance.choice([0, 1, 3_000, 50_000])
            how |= {"gang_paper": paper, "gang_gap_um": gap_um, "slug": chance.choice(["", "{number}"])}
        case 2 | 3:
            how |= {"layout": layout(chance, size)}
        case 4:
            how |= {"sizing": chance.choice(["original", "longest edge"]), "longest_edge_px": chance.choice([16, 500])}
            how |= {"header_sheet": False, "separator_sheets": False}
    return how


def item(chance: random.Random, size: PrintSize) -> dict[str, Any]:
    left, top = chance.random() * 0.9, chance.random() * 0.9
    crop = {
        "left": left,
        "top": top,
        "width": max(0.01, (1 - left) * chance.random()),
        "height": max(0.01, (1 - top) * chance.random()),
        "rotation_deg": chance.choice([0, 0, 45, -45, 3.3]),
    }
    return {"size": size, "quantity": chance.randint(1, 3), "crop": chance.choice([None, crop])}


@settings(max_examples=400, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_is_asked_is_drawn_or_refused_in_words(chance: random.Random) -> None:
    size = PrintSize(width_um=side_um(chance), height_um=side_um(chance))
    width, height = chance.choice(PICTURES)
    asked, how = item(chance, size), profile(chance, size)
    sheets, failures = planned([asked], how, pictures=[Picture(width_px=width, height_px=height)])
    assert sheets or (failures and all(failure.reason for failure in failures))
    for sheet in sheets:
        if not sheet.is_cover:
            for placement in sheet.placements:
                (left, top), (across, down) = placement.at_px, placement.lying_px
                assert left >= 0 and top >= 0 and left + across <= sheet.width_px and top + down <= sheet.height_px
        for plan in (sheet, shrunk(sheet, 120)):
            task = plan.with_(digests=())
            source, asset = Source("0001.jpg", file_of(width, height)), (ASSET["sha256"], OVERLAY)
            (one,) = draw(DrawTask((source,), MAX_PIXELS, ((task, None, None),), (asset,)))
            assert sorted(one.size_px) == sorted((plan.width_px, plan.height_px))
