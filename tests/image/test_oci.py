"""The OCI image for a NAS, built without a daemon and run without rights: it starts, is set up, and prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.box.about import version
from appliance.desktop_client import DesktopClient
from tests.image.site import session, set_up_at, wait_for_change
from tests.lab import REPOSITORY, VirtualPrinterProcess, find_program, free_port, until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image as a runtime unpacks it: config.json and rootfs."""
    folder = tmp_path_factory.mktemp("oci")
    quickly = {**os.environ, "SIMD": "no"}  # compiling takes a minute and is the disk's test too
    command = [REPOSITORY / "image" / "oci", folder]
    built = subprocess.run(command, capture_output=True, text=True, check=False, env=quickly)
    assert built.returncode == 0, built.stderr[-3000:]
    image = f"{folder / f'printroom_{version()}_amd64.oci'}:{version()}"
    subprocess.run(
        ["umoci", "unpack", "--rootless", "--image", image, folder / "bundle"], check=True, capture_output=True
    )
    return folder / "bundle"


@pytest.fixture
def container(unpacked: Path, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The image as its configuration says, in namespaces of its own, its root read-only: its port and its log."""
    config = json.loads((unpacked / "config.json").read_text())["process"]
    port, data, log = free_port(), tmp_path / "data", tmp_path / "log"
    data.mkdir()
    inside = dict(one.split("=", 1) for one in config["env"])
    assert inside["PRINTROOM_DATA"] == "/data" and (config["user"]["uid"], config["user"]["gid"]) == (1000, 1000)
    environment = {
        **inside, "PRINTROOM_HTTP_PORT": str(port), "PRINTROOM_IPP_PORT": "0", "PRINTROOM_DISCOVERY": "false",
        "PRINTROOM_HTTP_HOST": "127.0.0.1",
    }  # fmt: skip
    command = [find_program("bwrap"), "--clearenv", "--ro-bind", str(unpacked / "rootfs"), "/", "--proc", "/proc"]
    command += ["--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run", "--bind", str(data), "/data"]  # noqa: S108
    command += ["--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    command += ["--die-with-parent", "--chdir", config["cwd"]]
    for name, value in environment.items():
        command += ["--setenv", name, value]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *config["args"]], stdout=output, stderr=output, env=dict(os.environ))
    try:
        until(lambda: process.poll() is not None or "Printroom is running" in log.read_text(), "it starts", 60)
        assert process.poll() is None, log.read_text()
        yield port, log
    finally:
        process.terminate()
        process.wait(30)


def test_it_starts_and_prints_a_pushed_session(container: tuple[int, Path], tmp_path: Path) -> None:
    port, log = container
    url = f"http://127.0.0.1:{port}"
    with urllib.request.urlopen(f"{url}/health/alive", timeout=10) as answer:
        assert json.loads(answer.read()) == {"healthy": True, "problems": [], "version": version()}
    code = re.search(r"First-run code: (\d{8})", log.read_text())
    assert code
    printer = VirtualPrinterProcess(tmp_path, "Lab One", "--unannounced")
    try:
        token = set_up_at(url, code[1], printer.uri)
        desktop = DesktopClient(url, token)
        session(desktop, tmp_path, "S-1")
        assert wait_for_change(desktop, "S-1")["status"] == "Printed"
        assert len(printer.printed()) == 3
    finally:
        printer.stop()
