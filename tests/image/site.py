"""A box in its emulator with what stands around it: a disk that forgets, a printer, a person, a desktop."""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from appliance.desktop_client import DesktopClient, SyncError, pair
from render.samples import sample_photo
from tests.image.vm import HOST, Vm
from tests.image.volatile_disk import VolatileDisk
from tests.lab import VirtualPrinterProcess, until

NAME, PASSWORD = "kim", "wedding prints"
DISK_BYTES = 4 * 1024**3


class Panel:
    """Somebody at the panel, without a browser."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> str:
        with self._opener.open(self._url + path, timeout=60) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **fields: object) -> str:
        body = urllib.parse.urlencode(fields, doseq=True).encode()
        with self._opener.open(urllib.request.Request(self._url + path, body), timeout=120) as answer:
            return str(answer.read().decode())

    def upload(self, path: str, file: Path, field: str = "file", **fields: str) -> str:
        """A form with a file, sent as a browser does, without holding it in memory."""
        boundary = uuid.uuid4().hex
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{file.name}"\r\n\r\n'
        before, after = head.encode(), f"\r\n--{boundary}--\r\n".encode()

        def pieces() -> Any:
            yield before
            with file.open("rb") as source:
                while piece := source.read(1 << 18):
                    yield piece
            yield after

        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(before) + file.stat().st_size + len(after)),
        }
        request = urllib.request.Request(self._url + path, pieces(), headers)
        with self._opener.open(request, timeout=900) as answer:
            return str(answer.read().decode())


class Site:
    """One box over many starts."""

    def __init__(self, image: Path, folder: Path, architecture: str = "amd64") -> None:
        self.folder, self.disk_file, self._architecture = folder, folder / "disk.raw", architecture
        unpacked(image, self.disk_file)
        self.printer = VirtualPrinterProcess(folder, "Lab One", "--unannounced")
        self.token = ""
        self.box: Vm
        self.disk: VolatileDisk

    def start(self, is_healthy: bool = True) -> float:
        """Switch it on; returns seconds until it is healthy (or the firmware began)."""
        self.disk = VolatileDisk(self.disk_file, self.folder / "nbd")
        served_at = f"nbd:unix:{self.folder / 'nbd'}"
        self.box = Vm(self.disk_file, self.folder, served_at, architecture=self._architecture)
        return round(self.box.wait_until_healthy(), 1) if is_healthy else 0.0

    def pull_the_plug(self, seed: int = 0) -> None:
        """What was not flushed is lost."""
        self.disk.cut(seed)
        self.box.pull_the_plug()

    def stop(self) -> None:
        """Everything."""
        if hasattr(self, "box"):
            self.pull_the_plug()
        self.printer.stop()

    def set_up(self) -> None:
        """What the first run and the set-up ask, answered."""
        self.token = set_up(self.box, self.printer)

    @property
    def desktop(self) -> DesktopClient:
        """As the box is reached now."""
        return DesktopClient(self.box.url, self.token)

    def panel(self, password: str = PASSWORD) -> Panel:
        """Somebody who has just logged in."""
        panel = Panel(self.box.url)
        panel.post("/login", name=NAME, password=password)
        return panel

    def alive(self) -> dict[str, Any]:
        """What the box says of its health; empty while it says nothing."""
        try:
            with urllib.request.urlopen(f"{self.box.url}/health/alive", timeout=10) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return dict(json.loads(error.read() or b"{}"))
        except (OSError, http.client.HTTPException, ValueError):
            return {}

    def takes_again(self, within_s: float = 600) -> str:
        """Wait until it is healthy and takes changes; returns its version."""

        def is_ready() -> bool:
            told = self.alive()
            if not told.get("healthy"):
                return False
            try:
                self.push(f"ready-{time.monotonic_ns()}")
            except (OSError, SyncError, AssertionError, http.client.HTTPException):
                return False
            return True

        self.box.wait(is_ready, "the box takes changes again", time.monotonic() - self.box.began + within_s)
        return str(self.alive()["version"])

    def push(self, number: str, status: str = "New") -> None:
        """A record without pictures, acknowledged."""
        impatient = DesktopClient(self.box.url, self.token, patience_s=0)
        record = {"kind": "session", "number": number, "revision": 1, "status": status}
        (answer,) = impatient.push(record)
        assert answer["answer"] == "accepted", answer

    def print_session(self, number: str) -> str:
        """Two photos, three prints; returns the record's status when the box is done."""
        session(self.desktop, self.folder, number)
        change = wait_for_change(self.desktop, number)
        self.desktop.acknowledge(change["seq"])
        return str(change["status"])


def session(desktop: DesktopClient, folder: Path, number: str) -> None:
    """Two photos, three prints."""
    images, items = [], []
    for seed, quantity in ((1, 1), (2, 2)):
        path = folder / f"{seed:04d}.jpg"
        path.write_bytes(sample_photo(seed, 1800, 1200))
        images.append({"name": path.name, "sha256": desktop.upload(path)})
        items.append({"id": str(seed), "image": path.name, "size": "4x6", "quantity": quantity})
    record = {"kind": "session", "number": number, "revision": 1, "status": "Sold", "client_name": "Avery Lindqvist"}
    (answer,) = desktop.push({**record, "images": images, "items": items})
    assert answer["answer"] == "accepted", answer


def wait_for_change(desktop: DesktopClient, number: str) -> dict[str, Any]:
    """What a desktop hears of a record."""

    def found() -> dict[str, Any] | None:
        return next((one for one in desktop.changes(wait_s=5) if one["number"] == number), None)

    change = until(found, f"the change of {number} arrives", 300)
    assert change is not None
    return change


def set_up(box: Vm, printer: VirtualPrinterProcess) -> str:
    """What the set-up asks, answered; returns the token of the paired desktop."""
    return set_up_at(box.url, box.first_run_code(), printer.uri.replace("127.0.0.1", HOST))


def set_up_at(url: str, first_run_code: str, printer_uri: str) -> str:
    """As `set_up`, for a Printroom anywhere."""
    panel = Panel(url)
    panel.post("/first-run", code=first_run_code, name=NAME, password=PASSWORD)
    panel.post("/setup/studio", studio_name="Lindqvist", units="inches", time_zone="America/Chicago")
    panel.post("/setup/folders", skip="yes")
    panel.post("/printers/add", uri=printer_uri)
    panel.post("/setup/printers")
    panel.post("/setup/pool", name="Lab", printers=["1"])
    panel.post("/setup/profile", ready_made="Lab prints", pool_id="1")
    statuses = {"select_status": "Sold", "finish_status": "Printed", "error_status": "Trouble"}
    panel.post("/setup/render-job", name="Print sessions", kind="session", profile_id="1", **statuses)
    panel.post("/setup/client/code", name="Front desk")
    digits = re.search(r'<code class="token code">([\d ]+)</code>', panel.get("/setup/client"))
    assert digits
    return pair(url, digits[1]).token


def unpacked(image: Path, disk: Path) -> None:
    """The image on an SSD of its own size."""
    subprocess.run(["zstd", "-q", "-d", "-f", str(image), "-o", str(disk)], check=True)
    with disk.open("r+b") as file:
        file.truncate(DISK_BYTES)
