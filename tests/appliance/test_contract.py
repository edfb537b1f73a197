"""Thousands of requests made up from the box's own OpenAPI document: none ends in a 500, none in an answer unheard of.

`PRINTROOM_CONTRACT_S` sets for how long; CI takes three minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.appliance.conftest import Appliance, Studio
from tests.studio import SELECT

SECONDS = int(os.environ.get("PRINTROOM_CONTRACT_S", "180"))
# Not asked for: that bad data is refused with a 4xx (a batch answers each of its records on its own), and that good
# data is accepted (most pictures and tickets that one can think of are not there).
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,ignored_auth"
)


@pytest.mark.timeout(SECONDS + 300)
def test_no_request_of_thousands_ends_in_a_500_or_in_an_undocumented_answer(
    appliance: Callable[..., Appliance], tmp_path: Path
) -> None:
    studio = Studio(tmp_path / "data", {}, pool_id=None)
    box = appliance(tmp_path / "data", PRINTROOM_SYNC_REQUESTS_PER_S="100000", PRINTROOM_MAX_WAIT_S="1")
    document = f"{box.url}/sync/v1/openapi.json"
    header = f"Authorization: Bearer {studio.token}"
    run = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "run", document, "--header", header),
            *("--max-time", str(SECONDS), "--checks", CHECKS, "--request-timeout", "70", "--workers", "2"),
            *("--continue-on-failure", "--suppress-health-check", "all"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=SECONDS + 240,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert "web.failed" not in box.log(), [line for line in box.log().splitlines() if "web.failed" in line][:5]
    # And it still works for everybody else.
    record = {"kind": "session", "number": "after all that", "revision": 1, "status": SELECT}
    assert studio.desktop(box).push(record)[0]["answer"] == "accepted"
