"""No request ends in a 500, none in an answer unheard of: see contract_run.

`PRINTROOM_CONTRACT_S` sets for how long; CI takes three minutes.
"""

from __future__ import annotations

import re

import pytest

from tests.appliance.contract_run import SECONDS, ContractRun
from tests.studio import SELECT


@pytest.mark.timeout(SECONDS + 300)
def test_no_request_of_thousands_ends_in_a_500_or_in_an_undocumented_answer(contract_run: ContractRun) -> None:
    code = contract_run.process.wait(SECONDS + 240)
    told = contract_run.told()
    assert code == 0, told[-20_000:]
    count = re.search(r"(\d+) generated", told)
    assert count is not None and int(count[1]) > 10 * SECONDS, told[-2000:]
    failed = [line[:2000] for line in contract_run.box.log().splitlines() if "web.failed" in line]
    assert not failed, failed[:3]
    # And it still works for everybody else.
    record = {"kind": "session", "number": "after all that", "revision": 1, "status": SELECT}
    assert contract_run.studio.desktop(contract_run.box).push(record)[0]["answer"] == "accepted"
