"""The demo: two virtual printers, the appliance, a desktop client; a session goes from status to paper."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from appliance.desktop_client import DesktopClient
from render.samples import sample_photo
from store.profiles import RenderProfile
from store.pushed import RecordKind
from store.records import Person, Printer, PrinterPool, RenderJob
from store.tables import Store
from web.auth import hash_password
from web.clients import new_client

LIMIT_S = 110  # the demo ends within two minutes, whatever happens
PRINTERS = ("Demo Printer One", "Demo Printer Two")
SELECT, FINISH, ERROR = "Sales Presentation Completed", "Prints Ready", "Print Problem"
ORDER = (  # (photo, size, quantity, crop)
    (0, "8x10", 1, None),
    (0, "4x6", 2, None),
    (1, "5x7", 2, {"left": 0.1, "top": 0.05, "width": 0.8, "height": 0.8}),
    (2, "4x6", 3, None),
    (3, "8x10", 1, None),
    (4, "5x7", 1, None),
    (5, "4x6", 2, {"left": 0.2, "top": 0.2, "width": 0.6, "height": 0.6}),
)


class DemoFailed(Exception):
    """The demo did not come to its end; says where it stood."""


class Demo:
    """Everything that `./printroom demo` starts, and its end."""

    def __init__(self, folder: Path | None, as_json: bool) -> None:
        """
        Args:
            folder: where to work; None makes a new one below ./data/demo.
            as_json: keep the last line for a JSON object.
        """
        self._began = time.monotonic()
        self._folder = (folder or Path("data/demo") / datetime.now().strftime("%Y%m%d-%H%M%S")).absolute()  # noqa: DTZ005
        self._as_json = as_json
        self._processes: list[subprocess.Popen[bytes]] = []
        self._printed_so_far = ""

    def run(self) -> int:
        """Do it; returns the exit code."""
        try:
            result = self._play()
        except (DemoFailed, OSError) as error:
            print(f"The demo failed: {error}\nLogs: {self._folder}", file=sys.stderr)
            return 1
        finally:
            self._stop()
        self._conclude(result)
        return 0

    # -- the play -----------------------------------------------------------------------------------------------

    def _play(self) -> dict[str, Any]:
        data = self._folder / "appliance"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._say(f"Working in {self._folder}")
        self._say("1. Starting two virtual printers (real IPP on loopback, announced over zeroconf)")
        for name in PRINTERS:
            self._start(name, "virtual-printer", name, "--tray", str(self._folder / name), "--seconds-per-sheet", "0.5")
        self._password = secrets.token_urlsafe(9)
        token = self._set_up(data)
        port = _free_port()
        self._say(
            f"2. Starting the appliance; its panel: http://127.0.0.1:{port}/ (name demo, password {self._password})"
        )
        environment = {"PRINTROOM_INTERFACES": "127.0.0.1", "PRINTROOM_HTTP_HOST": "127.0.0.1"}
        self._start("appliance", "run", "--data", str(data), "--http", str(port), environment=environment)
        self._wait_for_panel(f"http://127.0.0.1:{port}/login")
        client = DesktopClient(f"http://127.0.0.1:{port}", token)
        self._say("3. A desktop client makes six sample photos and uploads them")
        record = self._record(client)
        self._say(f"4. It pushes session {record['number']} with the status '{SELECT}'")
        (answer,) = client.push(record)
        (again,) = client.push(record)
        if answer["answer"] != "accepted" or again["tickets"]:
            raise DemoFailed(f"the push was answered {answer}, and its repetition {again}")
        (ticket_id,) = answer["tickets"]
        self._say(f"   accepted: ticket {ticket_id} opened; the same push again: {again['answer']}")
        self._say("5. The render loop draws, the sender prints on the pool, round robin")
        change = self._follow(client, ticket_id)
        client.acknowledge(change["seq"])
        self._say(f"6. The desktop receives: session {change['number']} is now '{change['status']}'")
        return self._result(record, change, data)

    def _set_up(self, data: Path) -> str:
        """What a studio would click together in the panel: a pool, profiles, a render job, a client."""
        store = Store(data)
        try:
            pool = store.printer_pools.add(PrinterPool(name="Demo pool", separator_slips=False))
            for name in PRINTERS:
                # Known by its UUID; where it is, the appliance finds out over zeroconf.
                identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"printroom-virtual:{name}"))
                store.printers.add(Printer(name=name, uuid=identity, pool_id=pool.id))
            profile = store.render_profiles.add(
                RenderProfile(name="Lab prints", pool_id=pool.id, folder="{kind}s/{number} {client}")
            )
            store.render_jobs.add(
                RenderJob(
                    name="Print finished sessions",
                    kind=RecordKind.SESSION,
                    select_status=SELECT,
                    profile_ids=(profile.id,),
                    finish_status=FINISH,
                    error_status=ERROR,
                )
            )
            store.people.add(Person(name="demo", password_hash=hash_password(self._password)))
            _, token = new_client(store, "Demo desktop")
            return token
        finally:
            store.close()

    def _record(self, client: DesktopClient) -> dict[str, Any]:
        photos = self._folder / "photos"
        photos.mkdir(exist_ok=True)
        images = []
        for number in range(6):
            path = photos / f"{number + 1:04d}.jpg"
            if not path.exists():  # every second one as a camera held upright would store it
                path.write_bytes(sample_photo(number, orientation=6 if number % 2 else 1))
            images.append({"name": path.name, "sha256": client.upload(path)})
        items = [
            {"id": str(line + 1), "image": images[photo]["name"], "size": size, "quantity": quantity, "crop": crop}
            for line, (photo, size, quantity, crop) in enumerate(ORDER)
        ]
        return {
            "kind": "session",
            "number": "2026-0417",
            "revision": 1,
            "status": SELECT,
            "client_name": "Avery Lindqvist",
            "images": images,
            "items": items,
        }

    def _follow(self, client: DesktopClient, ticket_id: int) -> dict[str, Any]:
        """Show progress until the change arrives at the desktop."""
        while True:
            for change in client.changes(wait_s=1):
                if change["ticket_id"] == ticket_id:
                    return change
            ticket = client.ticket(ticket_id)
            printed = sum(len(pages) for pages in self._trays().values())
            ordered = sum(quantity for _, _, quantity, _ in ORDER)
            reason = f" ({ticket['reason']})" if ticket["reason"] else ""
            line = f"   ticket {ticket_id} is {ticket['state']}: {printed} of {ordered} prints are out{reason}"
            if line != self._printed_so_far:
                self._say(line)
                self._printed_so_far = line
            self._check_time(line.strip())

    def _printed_sheets(self, name: str) -> set[str]:
        """The print jobs of which the printer's own record shows pages; a sheet with copies is one of them."""
        record = self._folder / name / "printed.jsonl"
        return {json.loads(line)["job_name"] for line in record.read_text().splitlines()} if record.exists() else set()

    def _trays(self) -> dict[str, list[Path]]:
        return {name: sorted((self._folder / name).glob("*.jpg")) for name in PRINTERS}

    def _result(self, record: dict[str, Any], change: dict[str, Any], data: Path) -> dict[str, Any]:
        sheets = {name: len(self._printed_sheets(name)) for name in PRINTERS}
        return {
            "tickets": 1,
            "sheets_rendered": len(list((data / "output").rglob("*.jpg"))),
            "sheets_printed": sum(sheets.values()),
            "printers": sheets,
            "status_before": record["status"],
            "status_after": change["status"],
            "output_dir": str(self._folder),
            "seconds": round(time.monotonic() - self._began, 1),
        }

    def _conclude(self, result: dict[str, Any]) -> None:
        trays = self._trays()
        prints = sum(len(pages) for pages in trays.values())
        self._say(f"\nDone in {result['seconds']} s: {result['sheets_printed']} sheets, {prints} prints.")
        for name, pages in trays.items():
            self._say(f"  {result['printers'][name]} sheets, {len(pages)} pages in {self._folder / name}")
        self._say(f"  the rendered files: {self._folder / 'appliance' / 'output'}")
        self._say("To look at it in the panel (name demo, password above):")
        self._say(f"  PRINTROOM_HTTP_HOST=127.0.0.1 ./printroom run --data '{self._folder / 'appliance'}'")
        if self._as_json:
            print(json.dumps(result), flush=True)

    # -- processes ----------------------------------------------------------------------------------------------

    def _start(self, name: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        with (self._folder / f"{name}.log").open("wb") as output:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "appliance", *arguments],
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **(environment or {})},
                    cwd=Path(__file__).parent.parent,
                )
            )

    def _stop(self) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait_for_panel(self, url: str) -> None:
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5):  # noqa: S310  (our own URL)
                    return
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                self._check_time("the appliance has not answered")
                time.sleep(0.1)

    def _check_time(self, where: str) -> None:
        if time.monotonic() - self._began > LIMIT_S:
            raise DemoFailed(f"not finished after {LIMIT_S} s: {where}")
        dead: Sequence[int] = [process.pid for process in self._processes if process.poll() is not None]
        if dead:
            raise DemoFailed(f"a part of it ended early (see the .log files): {where}")

    def _say(self, text: str) -> None:
        print(text, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
