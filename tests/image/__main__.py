"""`make image-test`: the image's first day, updates, recovery, two boxes on one network, and its figures beside a
bare Debian. PARTS names some of them. The last line is one JSON object with the figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.image import bare, first_day, neighbours, recovery, updates
from tests.image.site import Site
from tests.image.variants import Built
from tests.image.vm import MACHINES

PARTS = ("first-day", "idle", "updates", "recovery", "neighbours", "bare")
ANYWHERE = ("first-day", "idle", "recovery")  # of these, what needs nothing but the disk of that architecture


def run(built: Built, folder: Path, parts: list[str], cuts: int, seed: int) -> dict[str, Any]:
    """All parts on one box, one after the other."""
    goals: dict[str, bool] = {}
    figures: dict[str, Any] = {"image_mb": round(built.image.stat().st_size / 1e6)}
    if "bare" in parts:
        figures |= bare.run(built, folder)
    site = Site(built.image, folder, built.architecture)
    try:
        first = first_day.run(site)
        goals |= first_day.goals(first)
        figures |= first
        if "idle" in parts:
            figures |= first_day.idle(site)
        if "updates" in parts:
            told = updates.run(site, built, cuts, seed)
            goals |= updates.goals(told)
            figures |= told
        if "recovery" in parts:
            told = recovery.run(site)
            goals |= recovery.goals(told)
            figures |= told
    finally:
        site.stop()
    if "neighbours" in parts:
        told = neighbours.run(built, folder)
        goals |= neighbours.goals(told)
        figures |= told
    return {**figures, "parts": parts, "goals": goals, "met": all(goals.values())}


def main() -> int:
    """Print a table, then JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="where image/build built")
    parser.add_argument("version")
    parser.add_argument("--parts", help=f"of {', '.join(PARTS)}; the first day always")
    parser.add_argument("--architecture", default="amd64", choices=MACHINES)
    parser.add_argument("--cuts", type=int, default=3, help="updates whose power is cut")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    possible = PARTS if options.architecture == "amd64" else ANYWHERE
    parts = options.parts.split(",") if options.parts else list(possible)
    if not set(parts) <= set(possible):
        parser.error(f"--parts takes, for {options.architecture}, {', '.join(possible)}")
    folder = Path(tempfile.mkdtemp(prefix="lab-image-"))
    try:
        built = Built(options.folder, options.version, options.architecture)
        figures = run(built, folder, parts, options.cuts, options.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, value in figures.items():
        if name not in ("goals", "met"):
            print(f"  {name:24} {value}")
    for name, is_met in figures["goals"].items():
        print(f"  {'reached' if is_met else 'NOT REACHED':12} {name.replace('_', ' ')}")
    print(json.dumps(figures))
    return 0 if figures["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
