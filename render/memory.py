"""How much memory drawing takes, told before a file is opened. Pure; tests hold it against what the kernel measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from render.frames import Picture
from render.sheets import Placement, SheetPlan

BYTES_PER_PX = 4  # Pillow keeps RGB in 32 bits
WORKER_BYTES = 80_000_000  # an idle worker: the interpreter, libraries, tables


def picture_bytes(picture: Picture, source_px_per_px: float) -> int:
    """A decoded picture and what is made of it before it is cut to size.

    Args:
        picture: as it was measured.
        source_px_per_px: the least that any placement needs; JPEGs are decoded no larger.
    """
    pixels = picture.width_px * picture.height_px
    if picture.has_scaled_decoding:
        reduction = next(scale for scale in (8, 4, 2, 1) if scale <= max(1.0, source_px_per_px))
        return int(pixels / reduction**2 * BYTES_PER_PX * 1.5)
    return pixels * BYTES_PER_PX * 3  # PNG, TIFF, HEIC…: the file's bytes, the decoder's, and without transparency


def sheet_bytes(width_px: int, height_px: int, placements: Iterable[Placement]) -> int:
    """A sheet, its largest picture before and after a step and between two passes, and the encoded file."""
    largest = 0
    for one in placements:
        width, height = one.reach_px if one.straighten_deg else one.shown_px
        largest = max(largest, width * height)
    return int((width_px * height_px * 1.5 + largest * 2.5) * BYTES_PER_PX)


def needed_bytes(plans: Iterable[SheetPlan]) -> int:
    """What a worker needs to draw these sheets, which share their pictures, one after the other."""
    plans = list(plans)
    return max(plan.pictures_bytes for plan in plans) + max(plan.sheet_bytes for plan in plans)


def of_plan(pictures: Mapping[str, Picture], placements: Iterable[Placement]) -> int:
    """What all pictures of a sheet take together: they are decoded before it is begun."""
    least: dict[str, float] = {}
    for one in placements:
        least[one.image] = min(least.get(one.image, one.source_px_per_px), one.source_px_per_px)
    return sum(picture_bytes(pictures[name], scale) for name, scale in least.items())
