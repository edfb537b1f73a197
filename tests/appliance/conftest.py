"""The appliance as a studio runs it: a process of its own on a data folder, spoken to over HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.desktop_client import DesktopClient
from store.profiles import RenderProfile
from store.pushed import RecordKind
from store.records import Person, Printer, PrinterPool, RenderJob
from store.tables import Store
from tests.lab import REPOSITORY, free_port, until
from tests.studio import ERROR, FINISH, SELECT
from tests.web.conftest import PASSWORD_HASH
from web.clients import new_client


class Appliance:
    """One `printroom run` process."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data, self.port = data, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ipp_port = free_port()
        self.log_file = data.parent / f"appliance-{self.port}.log"
        self._log = self.log_file.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance", "run", "--data", str(data), "--http", str(self.port)],
            stdout=self._log,
            stderr=self._log,
            cwd=REPOSITORY,
            env={
                **os.environ,
                "PRINTROOM_HTTP_HOST": "127.0.0.1",
                "PRINTROOM_IPP_PORT": str(self.ipp_port),
                "PRINTROOM_INTERFACES": "127.0.0.1",
                "PRINTROOM_DISCOVERY": "false",
                **environment,
            },
        )
        until(self._is_ready, "the appliance is running")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        return "Printroom is running" in self.log() or "Recovery code" in self.log()

    def log(self) -> str:
        return self.log_file.read_text()

    def worker_pid(self) -> int:
        """The process that owns the store; its master only starts it again."""
        return int(re.findall(r"event=process.started .*pid=(\d+)", self.log())[-1])

    def kill_worker(self) -> None:
        """What an out-of-memory kill does; the master starts a new one."""
        pid = self.worker_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.worker_pid() != pid, "a new worker has started")

    def kill(self) -> None:
        """What pulling the plug does to the processes."""
        worker = self.worker_pid()
        self.process.kill()
        self.process.wait()
        os.kill(worker, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{worker}/cmdline").exists(), "the worker is gone")
        self._log.close()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(40)
        self._log.close()
        return code


@pytest.fixture
def appliance() -> Iterator[Callable[..., Appliance]]:
    """Starts appliances; they end with the test."""
    started: list[Appliance] = []

    def start(data: Path, **environment: str) -> Appliance:
        started.append(Appliance(data, **environment))
        return started[-1]

    yield start
    for one in started:
        one.stop()


class Studio:
    """A data folder set up as a person would in the panel, and its desktop client's token."""

    def __init__(self, data: Path, printers: dict[str, str], **profile: Any) -> None:
        self.data = data
        store = Store(data)
        pool = store.printer_pools.add(PrinterPool(name="Lab", separator_slips=False))
        for name, uri in printers.items():
            store.printers.add(Printer(name=name, uri=uri, pool_id=pool.id, added_by_hand=True))
        made = store.render_profiles.add(RenderProfile(name="Lab prints", **({"pool_id": pool.id} | profile)))
        store.render_jobs.add(
            RenderJob(
                name="Print sessions",
                kind=RecordKind.SESSION,
                select_status=SELECT,
                profile_ids=(made.id,),
                finish_status=FINISH,
                error_status=ERROR,
            )
        )
        store.people.add(Person(name="kim", password_hash=PASSWORD_HASH))
        _, self.token = new_client(store, "Front desk")
        store.close()

    def desktop(self, appliance: Appliance) -> DesktopClient:
        return DesktopClient(appliance.url, self.token)


def wait_for_change(desktop: DesktopClient, number: str, within_s: float = 60) -> dict[str, Any]:
    """The change of a record whose ticket has ended, as the desktop receives it."""

    def found() -> dict[str, Any] | None:
        theirs = (change for change in desktop.changes(wait_s=1) if change["number"] == number)
        return next((change for change in theirs if change["outcome"] != "held"), None)

    change = until(found, f"the change of {number} arrives", within_s)
    assert change is not None
    return change


@pytest.fixture
def http_box(tmp_path: Path, appliance: Callable[..., Appliance]) -> Iterator[Any]:
    """A box that is spoken to by hand, of this test alone."""
    from tests.appliance.http_box import HttpBox

    running = HttpBox(appliance, tmp_path)
    yield running
    running.close()


@pytest.fixture(scope="module")
def one_http_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """For what leaves no trace."""
    from tests.appliance.http_box import shared

    with shared(tmp_path_factory.mktemp("box")) as running:
        yield running


@pytest.fixture(scope="module")
def impatient_http_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One that cuts clients off after a second."""
    from tests.appliance.http_box import shared

    with shared(tmp_path_factory.mktemp("impatient"), PRINTROOM_SLOW_CLIENT_S="1") as running:
        yield running
