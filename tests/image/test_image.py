"""The short form of `make image-test`: the disk is built, starts in an emulator, is set up and prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.box.about import version
from tests.image.site import Site
from tests.image.variants import Built
from tests.lab import REPOSITORY


@pytest.mark.timeout(900)
def test_the_image_starts_and_prints_a_pushed_session(tmp_path: Path) -> None:
    quickly = {**os.environ, "SIMD": "no", "LEVEL": "1", "ZSTD": "1", "PYTHON": sys.executable}
    command = [REPOSITORY / "image" / "build", tmp_path / "image"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quickly)
    assert done.returncode == 0, done.stderr[-3000:]
    site = Site(Built(tmp_path / "image", version()).image, tmp_path)
    try:
        site.start()
        site.set_up()
        assert site.print_session("S-1") == "Printed"
        assert len(site.printer.printed()) == 3
    finally:
        site.stop()
