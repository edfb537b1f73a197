"""The sample studio's printers: one that cannot be started keeps no other."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from appliance import sample_printers
from appliance.sample_printers import SamplePrinters
from store.records import Printer
from store.settings import SampleStudio
from store.tables import Store
from tests.machine_time import SetTime


class Started:
    """A process that runs until it is ended."""

    def poll(self) -> int | None:
        return None

    def terminate(self) -> None:
        pass

    def wait(self, _: float = 0) -> int:
        return 0


def test_a_printer_that_cannot_be_started_keeps_no_other(
    timed_store: Store, machine: SetTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [timed_store.printers.add(Printer(name=name)).id for name in ("Bad", "Good")]
    timed_store.set(sample=SampleStudio(printers=tuple(ids)))
    refuses = [True]
    tried: list[str] = []

    def start(command: list[str], **_: Any) -> Any:
        name = command[4]
        tried.append(name)
        if name == "Bad" and refuses:
            raise OSError(12, "Cannot allocate memory")
        return Started()

    monkeypatch.setattr(sample_printers.subprocess, "Popen", start)
    assert subprocess.Popen is start
    printers = SamplePrinters(timed_store)
    for _ in range(3):
        printers.step(timed_store.clock.now())
    assert sorted(tried) == ["Bad", "Good"], "the one that failed is left alone for a while"
    refuses.clear()
    machine.pass_s(1)
    printers.step(timed_store.clock.now())
    assert [bool(printer.uri) for printer in timed_store.printers.all()] == [True, True]
    printers.stop()
