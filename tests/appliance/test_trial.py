"""The campaigns in their short form: `make trial-printing` and `make trial-syncing` are the long ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.trials.printing import Campaign
from tests.trials.syncing import Trial

pytestmark = pytest.mark.networked

SEED = int(os.environ.get("PRINTROOM_SEED", "20261122"))


@pytest.mark.timeout(400)
def test_whatever_fails_every_copy_comes_out_once(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, SEED, faults=18)
    try:
        figures = campaign.run()
    finally:
        campaign.stop()
    wrong = ("lost", "twice", "failed_and_out", "canceled_miscounted", "parked", "doubts_without_cause")
    assert not any(figures[one] for one in wrong), figures
    assert set(figures["tickets"]) <= {"finished", "canceled"} and figures["copies_ordered"] > 50, figures


@pytest.mark.timeout(600)
def test_over_a_bad_link_to_a_box_that_is_killed_all_desktops_agree(tmp_path: Path) -> None:
    figures = Trial(tmp_path, SEED, seconds=16).run(lambda _: None)
    assert figures["met"], figures
    assert figures["kills"] >= 2 and figures["tickets"] > 20 and len(figures["faults"]) == 6, figures
