"""Thousands of requests made up from the box's own OpenAPI document, beside the other tests.

It takes three minutes in which it mostly waits for answers, so the whole run begins it and its test, the last one,
looks at how it ended. It is the least urgent of all that runs (nice).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.appliance.conftest import Appliance, Studio
from tests.studio import SELECT

SECONDS = int(os.environ.get("PRINTROOM_CONTRACT_S", "180"))
# Not asked for: that bad data is refused with a 4xx (a batch answers each of its records on its own), and that good
# data is accepted (most pictures and tickets that one can think of are not there).
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,ignored_auth"
)


class ContractRun:
    """A box, and a schemathesis at it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lab-contract-"))
        self.studio = Studio(self._folder / "data", {}, pool_id=None)
        self.box = Appliance(self._folder / "data", PRINTROOM_SYNC_REQUESTS_PER_S="100000", PRINTROOM_MAX_WAIT_S="1")
        record = {"kind": "session", "number": "1", "revision": 1, "status": SELECT}
        self.studio.desktop(self.box).push(record)  # so that there is a record and a ticket to ask for
        program = str(Path(sys.executable).parent / "schemathesis")
        self._told = self._folder / "told"
        with self._told.open("wb") as told:
            self.process = subprocess.Popen(
                [
                    *("nice", "-n", "15", program, "run", f"{self.box.url}/sync/v1/openapi.json"),
                    *("--header", f"Authorization: Bearer {self.studio.token}", "--checks", CHECKS),
                    # One thread: two parse lambdas at the same time, to which CPython before 3.11.8 has a SystemError
                    # ("AST constructor recursion depth mismatch", gh-106905).
                    *("--max-time", str(SECONDS), "--request-timeout", "70", "--workers", "1"),
                    *("--continue-on-failure", "--suppress-health-check", "all"),
                ],
                stdout=told,
                stderr=told,
                cwd=self._folder,
            )

    def told(self) -> str:
        """What it printed."""
        return self._told.read_text()

    def stop(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.box.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
