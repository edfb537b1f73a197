"""Draws the help pages' pictures of the ready-made layouts: `make help-pictures`. A test holds them up to date."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from render.ready_made import READY_MADE
from render.rehearse import Rehearser
from render.samples import sample_photo
from render.sources import ImageFolders
from store.clock import Clock
from store.folder import DataFolder
from store.profiles import LayoutTemplate, RenderProfile, Selection
from store.pushed import RecordPush
from store.reach import Reach
from tests.studio import NOW

FOLDER = Path(__file__).parents[1] / "web" / "static" / "layouts"


def file_of(name: str) -> Path:
    return FOLDER / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.jpg"


def studio(root: Path) -> RecordPush:
    """A session of 35 generated photos, most of them wide."""
    images, items = [], []
    for number in range(1, 36):
        name = f"{number:04d}.jpg"
        (root / name).write_bytes(sample_photo(number, *((600, 900) if number % 3 == 2 else (900, 600))))
        images.append({"name": name, "path": name})
        items.append({"id": str(number), "image": name, "size": "5x7"})
    fields = {"kind": "session", "number": "S-1001", "revision": 1, "status": "-", "client_name": "Avery Lindqvist"}
    return RecordPush.model_validate({**fields, "images": images, "items": items})


def drawn(rehearser: Rehearser, record: RecordPush, layout: LayoutTemplate) -> bytes:
    """The first sheet of a session on a layout."""
    profile = RenderProfile(name="Help", layout=layout, selection=Selection.ALL_IMAGES, min_dpi=0)
    return rehearser.rehearse(record, [profile], NOW, previews=1).sheets[0].preview


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        record = studio(root)
        rehearser = Rehearser(DataFolder(root / "data"), ImageFolders((root,)), 10**8, Reach(Clock()))
        for name, layout in READY_MADE.items():
            file_of(name).write_bytes(drawn(rehearser, record, layout))
            print(file_of(name))
        rehearser.stop()


if __name__ == "__main__":
    main()
