"""Real printers for tests: CUPS's ippeveprinter on loopback, behind a private D-Bus and avahi; and our virtual one.

ippeveprinter will not start without an avahi to talk to (its `-r off` only withholds the records), so one private bus
and one avahi-daemon serve a whole test run.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

REPOSITORY = Path(__file__).parent.parent
T = TypeVar("T")

_BUS = """<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow receive_sender="*"/>
    <allow send_destination="*" eavesdrop="true"/><allow send_type="method_call"/>
  </policy>
</busconfig>
"""
_AVAHI = """[server]
host-name=printroom-lab
use-ipv4=yes
use-ipv6=no
allow-interfaces=lo
enable-dbus=yes
[wide-area]
enable-wide-area=no
[publish]
publish-hinfo=no
publish-workstation=no
"""
# What ippeveprinter runs for each document: keeps it and what it was asked for, and takes its time.
_PRINT = """#!/bin/sh
number=$(ls "$LAB_TRAY" | grep -c json)
cp "$1" "$LAB_TRAY/$number.document" || exit 1
printf '{{"job_name": "%s", "copies": %s, "type": "%s", "media_col": "%s"}}\\n' \\
    "$IPP_JOB_NAME" "${{IPP_COPIES:-1}}" "$CONTENT_TYPE" "$IPP_MEDIA_COL" > "$LAB_TRAY/$number.json"
sleep {seconds}
exit {code}
"""


def until(question: Callable[[], T], what: str, within_s: float = 30, every_s: float = 0.05) -> T:
    """Ask until the answer is true; fails with `what` when it never is."""
    deadline = time.monotonic() + within_s
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(every_s)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(name: str) -> str:
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert path, f"{name} is missing: ./printroom test installs it"
    return path


@dataclass(frozen=True)
class Printed:
    """What came out of a printer."""

    job_name: str
    copies: int
    content_type: str
    media_col: str
    document: Path


class EvePrinter:
    """One ippeveprinter process."""

    def __init__(
        self,
        folder: Path,
        bus: Path,
        name: str,
        seconds: float = 0.2,
        code: int = 0,
        announced: bool = False,
        formats: str = "image/jpeg,image/pwg-raster",
    ) -> None:
        self.name, self.port = name, free_port()
        self.uri = f"ipp://127.0.0.1:{self.port}/ipp/print"
        self._tray = folder / name / "tray"
        self._tray.mkdir(parents=True)
        spool = folder / name / "spool"
        spool.mkdir()
        keys = folder / name / "keys"
        keys.mkdir()  # it makes its own certificate, but not the folder
        command = folder / name / "print.sh"
        command.write_text(_PRINT.format(seconds=seconds, code=code))
        command.chmod(0o755)
        self._log = (folder / f"{name}.log").open("wb")
        subtypes = "_print,_universal" if announced else "off"
        self.process = subprocess.Popen(
            [
                find_program("ippeveprinter"),
                *("-v", "-r", subtypes, "-p", str(self.port), "-d", str(spool), "-f", formats),
                *("-K", str(keys)),
                *("-s", "60,60", "-c", str(command), name),
            ],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}", "LAB_TRAY": str(self._tray)},
        )
        until(self._answers, f"ippeveprinter {name} answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"ippeveprinter {self.name} ended: {Path(self._log.name).read_text()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def printed(self) -> list[Printed]:
        """What came out, in order."""
        found = []
        for note in sorted(self._tray.glob("*.json"), key=lambda path: int(path.stem)):
            if text := note.read_text():
                fields = json.loads(text)
                found.append(
                    Printed(
                        fields["job_name"],
                        fields["copies"],
                        fields["type"],
                        fields["media_col"],
                        note.with_suffix(".document"),
                    )
                )
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self._log.close()


class VirtualPrinterProcess:
    """One of our virtual printers, as `printroom virtual-printer` starts it."""

    def __init__(self, folder: Path, name: str, *arguments: str, port: int | None = None) -> None:
        self.name, self.port = name, port or free_port()
        self.uri = f"ipp://127.0.0.1:{self.port}/ipp/print"
        self.tray = folder / name
        self._log = (folder / f"{name}.log").open("ab")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "appliance", "virtual-printer", name),
                *("--tray", str(self.tray), "--port", str(self.port), "--seconds-per-sheet", "0.05", *arguments),
            ],
            stdout=self._log,
            stderr=self._log,
            cwd=REPOSITORY,
        )
        until(self._answers, f"virtual printer {name} answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, Path(self._log.name).read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def pull(self, **levers: object) -> None:
        """Pull levers: paper={"4x6": 5}, seconds_per_sheet=1, stopped=True."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/levers", json.dumps(levers).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()

    def levers(self) -> dict[str, Any]:
        """As they stand; of `answers`, what has not been answered yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/levers", timeout=5) as answer:
            levers: dict[str, Any] = json.load(answer)
            return levers

    def printed(self) -> list[dict[str, object]]:
        """One entry for each impression that came out."""
        ledger = self.tray / "printed.jsonl"
        return [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self._log.close()


_CUPS_FILES = """ServerRoot {folder}/etc
RequestRoot {folder}/spool
CacheDir {folder}/cache
StateDir {folder}/run
TempDir {folder}/spool/tmp
ServerKeychain {folder}/etc/ssl
AccessLog {folder}/log/access
ErrorLog {folder}/log/error
PageLog {folder}/log/page
Sandboxing relaxed
SystemGroup root
User lp
Group lp
"""
_CUPS = """Listen 127.0.0.1:{port}
Listen {folder}/run/cups.sock
LogLevel warn
MaxLogSize 0
ServerAlias *
Browsing Off
DefaultAuthType None
WebInterface No
MaxJobs 0
PreserveJobHistory Yes
PreserveJobFiles No
DirtyCleanInterval 1
{settings}
<Location />
  Order allow,deny
  Allow all
</Location>
<Location /admin>
  Order allow,deny
  Allow all
</Location>
<Policy default>
  JobPrivateAccess default
  JobPrivateValues none
  SubscriptionPrivateAccess default
  SubscriptionPrivateValues none
  <Limit All>
    Order deny,allow
    Allow all
  </Limit>
</Policy>
"""


class CupsServer:
    """A cupsd of its own, on loopback, with what it keeps in a folder of its own."""

    def __init__(self, settings: str = "") -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="lab-cups-"))  # its backends run as lp: pytest's folders are closed
        self.folder.chmod(0o755)
        for name in ("etc/ssl", "etc/ppd", "spool/tmp", "cache", "run/certs", "log"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "files.conf").write_text(_CUPS_FILES.format(folder=self.folder))
        (self.folder / "cups.conf").write_text(_CUPS.format(folder=self.folder, port=self.port, settings=settings))
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, or start it again on what it kept."""
        log = (self.folder / "log" / "stdout").open("ab")
        command = [find_program("cupsd"), "-f", "-c", f"{self.folder}/cups.conf", "-s", f"{self.folder}/files.conf"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()

        def answers() -> bool:
            assert self.process and self.process.poll() is None, (self.folder / "log" / "error").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(answers, "cupsd answers")

    def add_queue(self, name: str, device_uri: str, is_raw: bool = False) -> str:
        """A queue in front of a printer; returns its URI once it is ready to print."""
        model = () if is_raw else ("-m", "everywhere")
        command = [find_program("lpadmin"), "-h", self.host, "-p", name, "-v", device_uri, *model, "-E"]
        subprocess.run(command, check=True, capture_output=True)
        if not is_raw:  # lpadmin returns before the queue knows its printer; until then it would be a raw one
            until((self.folder / "etc" / "ppd" / f"{name}.ppd").exists, f"the queue {name} has asked its printer")
        return f"ipp://{self.host}/printers/{name}"

    def stop(self, kill: bool = False) -> None:
        """End it; with `kill` as a power cut would."""
        if self.process and self.process.poll() is None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(10)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Network:
    """A private system bus with an avahi-daemon on the loopback interface."""

    def __init__(self, folder: Path) -> None:
        self.bus = folder / "bus"
        (folder / "dbus.conf").write_text(_BUS.format(folder=folder))
        (folder / "avahi.conf").write_text(_AVAHI)
        self._logs = [(folder / f"{name}.log").open("wb") for name in ("dbus", "avahi")]
        self._dbus = subprocess.Popen(
            [find_program("dbus-daemon"), f"--config-file={folder}/dbus.conf", "--nofork", "--nopidfile"],
            stdout=self._logs[0],
            stderr=self._logs[0],
        )
        until(self.bus.exists, "the private D-Bus is up")
        Path("/run/avahi-daemon").mkdir(parents=True, exist_ok=True)
        self._avahi = subprocess.Popen(
            [
                *(find_program("avahi-daemon"), "--no-drop-root", "--no-chroot", "--no-rlimits", "--debug"),
                *("-f", f"{folder}/avahi.conf"),
            ],
            stdout=self._logs[1],
            stderr=self._logs[1],
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.bus}"},
        )
        log = folder / "avahi.log"

        def is_up() -> bool:
            assert self._avahi.poll() is None, f"avahi-daemon ended: {log.read_text()}"
            return "Server startup complete" in log.read_text()

        until(is_up, "avahi is up")

    def stop(self) -> None:
        for process in (self._avahi, self._dbus):
            process.terminate()
            process.wait(10)
        for log in self._logs:
            log.close()
