"""The manual's pictures of the screens: `make help-screens`. Takes them with the accessibility test, and makes them
small."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "web" / "static" / "help"
WIDTH_PX = 960


def used() -> set[str]:
    """The screens that pages of the manual show."""
    pages = (ROOT / "web" / "templates" / "help").glob("*.html")
    return {name for page in pages for name in re.findall(r"figure\('([\w-]+)'", page.read_text())}


def main() -> int:
    """Take them all, keep those that are used."""
    with tempfile.TemporaryDirectory() as folder:
        test = [sys.executable, "-m", "pytest", "-q", "tests/web/test_accessibility.py"]
        code = subprocess.call(test, cwd=ROOT, env={**os.environ, "PRINTROOM_SCREENSHOTS": folder})
        FOLDER.mkdir(exist_ok=True)
        for old in FOLDER.glob("*.webp"):
            old.unlink()
        for path in sorted(Path(folder).glob("*.png")):
            if path.stem.rpartition("-")[0] in used():
                with Image.open(path) as image:
                    image.thumbnail((WIDTH_PX, 10_000))
                    image.convert("RGB").save(FOLDER / f"{path.stem}.webp", quality=72, method=6)
    return code


if __name__ == "__main__":
    sys.exit(main())
