"""Fixtures that every room's tests use."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from store.tables import Store
from tests.lab import CupsServer, EvePrinter, Network, VirtualPrinterProcess
from tests.machine_time import SetTime
from tests.share import Share

# Tests with these share the machine's network with each other: they run one after the other.
NETWORKED = {"network", "eve_printer", "virtual_printer", "cups_server", "appliance", "contract_run", "room"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`./printroom test` runs both parts at the same time."""
    parser.addoption(
        "--part", choices=("networked", "others"), help="only tests that share the network, or only others"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What has been running all the while is looked at last."""
    part = config.getoption("--part")
    if part:
        theirs = [item for item in items if _is_networked(item) == (part == "networked")]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(theirs)])
        items[:] = theirs
    items.sort(key=lambda item: "contract_run" in getattr(item, "fixturenames", ()))


def _is_networked(item: pytest.Item) -> bool:
    if item.get_closest_marker("networked") is not None:
        return True
    alone = item.get_closest_marker("unannounced") is not None
    names = set(getattr(item, "fixturenames", ()))
    # The panel's own room has neither discovery nor a front end.
    is_panel = "app" in names and not names & (NETWORKED - {"room"})
    return bool(names & NETWORKED) and not alone and not is_panel


@pytest.fixture(autouse=True, scope="session")
def begun_early(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What runs beside the other tests, when a test of this run asks for it."""
    running: dict[str, Any] = {}
    if any("contract_run" in getattr(item, "fixturenames", ()) for item in request.session.items):
        from tests.appliance.contract_run import ContractRun

        running["contract"] = ContractRun()
    yield running
    for one in running.values():
        one.stop()


@pytest.fixture
def contract_run(begun_early: dict[str, Any]) -> Any:
    """The made-up requests, begun before the first test."""
    return begun_early["contract"]


@pytest.fixture(autouse=True, scope="session")
def quiet_log() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(autouse=True)
def no_thread_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves a thread running fails: what runs on would disturb the next one."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in left:
        thread.join(5)
    assert not [thread for thread in left if thread.is_alive()], "threads left running"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def machine() -> SetTime:
    """The clocks of `timed_store`."""
    return SetTime()


@pytest.fixture
def timed_store(tmp_path: Path, machine: SetTime) -> Iterator[Store]:
    """A store whose time passes only when the test says so."""
    opened = Store(tmp_path / "data", machine=machine)
    yield opened
    opened.close()


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    """A mounted folder whose server can go away."""
    mounted = Share(tmp_path / "lan")
    yield mounted
    mounted.stop()


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """One private bus and avahi for the whole run. In a short path: a socket's path may have 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        running = Network(Path(folder))
        yield running
        running.stop()


@pytest.fixture
def eve_printer(network: Network, tmp_path: Path) -> Iterator[Callable[..., EvePrinter]]:
    """Starts ippeveprinters; they end with the test."""
    started: list[EvePrinter] = []

    def start(name: str, **how: Any) -> EvePrinter:
        started.append(EvePrinter(tmp_path, network.bus, name, **how))
        return started[-1]

    yield start
    for printer in started:
        printer.stop()


@pytest.fixture
def cups_server() -> Iterator[CupsServer]:
    """A cupsd of its own."""
    server = CupsServer()
    yield server
    server.remove()


@pytest.fixture
def virtual_printer(tmp_path: Path) -> Iterator[Callable[..., VirtualPrinterProcess]]:
    """Starts virtual printers; they end with the test."""
    started: list[VirtualPrinterProcess] = []

    def start(name: str, *arguments: str, **how: Any) -> VirtualPrinterProcess:
        started.append(VirtualPrinterProcess(tmp_path, name, *arguments, **how))
        return started[-1]

    yield start
    for printer in started:
        printer.stop()


@pytest.fixture
def quiet_printer(tmp_path: Path) -> Iterator[Callable[..., VirtualPrinterProcess]]:
    """Starts virtual printers that announce nothing; they end with the test."""
    started: list[VirtualPrinterProcess] = []

    def start(name: str, *arguments: str, **how: Any) -> VirtualPrinterProcess:
        started.append(VirtualPrinterProcess(tmp_path, name, "--unannounced", *arguments, **how))
        return started[-1]

    yield start
    for printer in started:
        printer.stop()
