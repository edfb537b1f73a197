"""The printing campaign in its short form: `make trial-printing` is the long one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.trials.printing import Campaign

SEED = int(os.environ.get("PRINTROOM_SEED", "20261122"))


@pytest.mark.timeout(400)
def test_whatever_dies_every_copy_comes_out_once(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, SEED, faults=25)
    try:
        figures = campaign.run()
    finally:
        campaign.stop()
    assert (figures["lost"], figures["twice"], figures["doubts_without_cause"]) == (0, 0, 0), figures
    assert set(figures["tickets"]) == {"finished"} and figures["copies_ordered"] > 50, figures
