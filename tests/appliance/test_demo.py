"""README's first command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.lab import REPOSITORY

pytestmark = pytest.mark.networked


def test_the_demo_shows_the_whole_mission_and_ends_by_itself(tmp_path: Path) -> None:
    answer = subprocess.run(
        [str(REPOSITORY / "printroom"), "demo", "--json", "--dir", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        timeout=115,
    )
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout.splitlines()[-1])
    assert set(result) == {
        *("tickets", "sheets_rendered", "sheets_printed", "printers", "status_before", "status_after"),
        *("output_dir", "seconds"),
    }
    assert (result["tickets"], result["sheets_rendered"], result["sheets_printed"]) == (1, 7, 7)
    assert (result["status_before"], result["status_after"]) == ("Sales Presentation Completed", "Prints Ready")
    assert len(result["printers"]) == 2 and all(result["printers"].values())
    assert result["seconds"] < 110
    pages = [path for name in result["printers"] for path in (Path(result["output_dir"]) / name).glob("*.jpg")]
    assert len(pages) == 12
    assert "./printroom run --data" in answer.stdout and "Panel" not in answer.stderr
