"""What drawing takes, as the kernel measured it, beside what was told beforehand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from render.memory import WORKER_BYTES, needed_bytes
from render.pictures import MeasureTask, measure
from render.plan import plan
from render.ready_made import READY_MADE
from render.samples import sample_photo
from store.profiles import RenderProfile
from tests.studio import NOW, instructions, push

# Draws sheets in a process of its own and prints the most memory that it had, before and in all.
MEASURED = """
import json, sys
from pathlib import Path
from render.draw import DrawTask, Source, draw
from render.sheets import SheetPlan
def peak():
    status = Path("/proc/self/status").read_text().splitlines()  # getrusage() would tell of the parent's, before exec
    return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
import render.rehearse
before = peak()
plans = [SheetPlan.model_validate(one) for one in json.load(open(sys.argv[1]))]
sources = tuple(Source(name, Path(sys.argv[2])) for name in plans[0].images)
sheets = tuple((plan, Path(f"{sys.argv[1]}.{n}"), Path(f"{sys.argv[1]}.{n}.t")) for n, plan in enumerate(plans))
draw(DrawTask(sources, 10**9, sheets))
print(before, peak())
"""

CASES: dict[str, tuple[Any, ...]] = {
    "8x10 of a 24 MP JPEG": ("jpg", [{"size": "8x10", "sharpening": {"amount_percent": 80}}], 1),
    "web file of a 24 MP JPEG": ("jpg", [{"sizing": "longest edge"}], 1),
    "20x30 of a 24 MP JPEG": ("jpg", [{"size": "20x30"}], 1),
    "20x30, converted and sharpened": (
        "jpg",
        [{"size": "20x30", "sharpening": {"amount_percent": 80}, "colorization": "sepia", "printer_id": 1}],
        1,
    ),
    "an order of a 24 MP JPEG": (
        "jpg",
        [{"size": "8x10"}, {"layout": READY_MADE["8 wallets on 8x10"]}, {"sizing": "longest edge"}],
        1,
    ),
    "8x10 of a 24 MP PNG": ("png", [{"size": "8x10"}], 1),
    "bleed beyond the edge of a JPEG that is decoded whole": ("jpg", [{"size": "253x169mm", "bleed_um": 3_175}], 1),
    "bleed beyond the edge of a PNG": ("png", [{"size": "253x169mm", "bleed_um": 3_175}], 1),
    "20x30 straightened": ("jpg", [{"size": "20x30"}], 1, 4.0),
    "a panorama from corner to corner": ("small", [{"size": "8x24"}], 1, 45.0),
    "the same, sharpened": ("small", [{"size": "8x24", "sharpening": {"amount_percent": 80}}], 1, 45.0),
    "contact sheet of 24 MP JPEGs": (
        "jpg",
        [{"layout": READY_MADE["Contact sheet of 20 on 8x10"], "selection": "all images"}],
        20,
    ),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.jpg").write_bytes(sample_photo(1, 6000, 4000))
    with Image.open(folder / "a.jpg") as image:
        image.save(folder / "a.png", compress_level=1)
    (folder / "small.jpg").write_bytes(sample_photo(1, 3000, 1000))
    return {"jpg": folder / "a.jpg", "png": folder / "a.png", "small": folder / "small.jpg"}


@pytest.mark.parametrize("case", list(CASES))
def test_no_sheet_takes_more_than_was_told_and_not_much_less(
    photos: dict[str, Path], tmp_path: Path, case: str
) -> None:
    ending, profiles, count, *angle = CASES[case]
    picture = measure(MeasureTask(photos[ending], "a", 10**9))
    record = push(["0" * 64] * count)
    crop = {"rotation_deg": angle[0] if angle else 0.0}
    record = record.with_(items=tuple(item.with_(crop=crop) for item in record.items))
    made = tuple(RenderProfile(id=n, name=f"p{n}", **fields) for n, fields in enumerate(profiles, 1))  # type: ignore[arg-type]
    frozen = instructions(record, made[0]).with_(profiles=made)
    plans, failures = plan(frozen, {image.name: picture for image in record.images}, NOW)
    assert failures == []
    plans = [one for one in plans if one.images == plans[0].images]
    recipe = tmp_path / "plans.json"
    recipe.write_text(json.dumps([one.model_dump(mode="json") for one in plans]))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(recipe), str(photos[ending])],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    before, peak = map(int, done.stdout.split())
    told = needed_bytes(plans)
    assert before <= WORKER_BYTES
    assert peak - before <= told, f"{(peak - before) / 1e6:.0f} MB were needed, {told / 1e6:.0f} MB were told"
    assert told < 4 * (peak - before) + 60_000_000, f"{(peak - before) / 1e6:.0f} MB, {told / 1e6:.0f} MB were told"
