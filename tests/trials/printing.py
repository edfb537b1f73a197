"""The printing campaign: many tickets on a pool of four, while everything is killed, stopped, cut off and moved.

    make trial-printing [FAULTS=300] [SEED=…]

The appliance is a process of its own and so are the printers; each printer keeps what came out as files. A person is
played who answers "did this come out?" by looking at those files, and at nothing else. At the end every copy that was
ordered must have come out exactly once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from appliance.desktop_client import DesktopClient, SyncError
from render.samples import sample_photo
from store.records import Printer
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.lab import VirtualPrinterProcess, free_port
from tests.studio import SELECT
from tests.web.conftest import PASSWORD

NAMES = ("Anna", "Berta", "Carla", "Dora")
HOLDING = ("Anna", "Berta")  # these can keep a job until its document is whole
PAPER = {"4x6": 1_000_000}
OPEN_TICKETS = 5
LINES, COPIES = (2, 5), (1, 3)
SETTLED_S = 1.5  # how long a person waits before counting
ENDED = ("finished", "failed", "canceled")


class Campaign:
    """One run; everything that is random comes from its seed."""

    def __init__(self, folder: Path, seed: int, faults: int) -> None:
        self._folder, self._faults, self.seed = folder, faults, seed
        self._rng = random.Random(seed)
        self.printers = {name: VirtualPrinterProcess(folder, name) for name in NAMES}
        for name in HOLDING:
            self.printers[name].pull(holds=True)
        self._studio = Studio(folder / "data", {}, dpi=72, jpeg_quality=90)
        store = Store(folder / "data")
        for name, printer in self.printers.items():
            identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"printroom-virtual:{name}"))
            store.printers.add(Printer(name=name, uuid=identity, uri=printer.uri, pool_id=1))
        store.close()
        self._photo = folder / "photo.jpg"
        self._photo.write_bytes(sample_photo(1, 360, 240))
        self._box = self._start()
        self._digest = self._desktop.upload(self._photo)
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._ordered: dict[tuple[int, str], int] = {}  # (ticket, item) → copies
        self._open: set[int] = set()
        self._unsure_since: dict[int, float] = {}
        self._records = 0
        self._log: list[tuple[float, str, str]] = []  # when, what, whom: for the question whether a doubt had a cause
        self.counts: Counter[str] = Counter()
        self.asked = 0

    # -- the run --------------------------------------------------------------------------------------------------

    def run(self, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Do it; returns the figures."""
        began = time.monotonic()
        next_fault = began + 1
        while sum(self.counts.values()) < self._faults:
            self._tick()
            self._push()
            if time.monotonic() >= next_fault:
                kind = self._fault()
                self.counts[kind] += 1
                say(f"{sum(self.counts.values()):4d} {kind}")
                next_fault = time.monotonic() + self._rng.uniform(0.2, 1.2)
            time.sleep(0.05)
        ends = time.monotonic() + 180
        while self._open or self._later:
            assert time.monotonic() < ends, f"tickets {sorted(self._open)} did not end\n{self._states()}"
            self._tick()
            time.sleep(0.1)
        return self._figures(time.monotonic() - began)

    def stop(self) -> None:
        """End all processes."""
        for printer in self.printers.values():
            printer.stop()
        self._box.stop()

    def _tick(self) -> None:
        due = [one for one in self._later if one[0] <= time.monotonic()]
        for one in due:
            self._later.remove(one)
            one[1]()
        self._look()

    def _start(self) -> Appliance:
        box = Appliance(self._folder / "data", PRINTROOM_DISCOVERY="true")
        self._desktop = DesktopClient(box.url, self._studio.token)
        self._panel = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._base = box.url
        self._ask("/login", name="kim", password=PASSWORD)
        return box

    # -- the studio -----------------------------------------------------------------------------------------------

    def _push(self) -> None:
        if len(self._open) >= OPEN_TICKETS:
            return
        self._records += 1
        lines = self._rng.randint(*LINES)
        copies = [self._rng.randint(*COPIES) for _ in range(lines)]
        items = [
            {"id": str(n), "image": "a.jpg", "size": "4x6", "quantity": count} for n, count in enumerate(copies, 1)
        ]
        record = {
            "kind": "session",
            "number": f"S-{self._records}",
            "revision": 1,
            "status": SELECT,
            "images": [{"name": "a.jpg", "sha256": self._digest}],
            "items": items,
        }
        (ticket_id,) = self._desktop.push(record)[0]["tickets"]
        self._open.add(ticket_id)
        self._ordered.update({(ticket_id, str(n)): count for n, count in enumerate(copies, 1)})

    def _look(self) -> None:
        """A person at the panel: which tickets have ended, which ask."""
        for ticket_id in sorted(self._open):
            try:
                state = self._desktop.ticket(ticket_id)["state"]
            except (SyncError, OSError):
                return  # the box is away for a moment
            if state in ENDED:
                self._open.discard(ticket_id)
            elif state == "held":
                self._answer(ticket_id)

    def _answer(self, ticket_id: int) -> None:
        page = self._ask(f"/tickets/{ticket_id}")
        for figure in page.split("<figure")[1:]:
            question = re.search(r"/sheets/(\d+)/answer", figure)
            if not question:
                continue
            sheet_id = int(question[1])
            since = self._unsure_since.setdefault(sheet_id, time.monotonic())
            if time.monotonic() - since < SETTLED_S:
                continue
            quantity = int((re.search(r"· (\d+)×", figure) or ["", "0"])[1])
            asked = int((re.search(r"of the (\d+) copies", figure) or ["", "1"])[1])
            came_out = max(0, min(asked, len(self._pages(sheet_id)) - (quantity - asked)))
            self.asked += 1
            del self._unsure_since[sheet_id]
            self._ask(f"/sheets/{sheet_id}/answer", copies=str(came_out))

    def _pages(self, sheet_id: int) -> list[Path]:
        """What came out of a sheet, whole; half a picture is nothing that a person would deliver."""
        drawn = (self._folder / "data" / "sheets" / f"{sheet_id}.jpg").stat().st_size
        found = [page for name in NAMES for page in (self._folder / name).glob(f"* printroom-*-{sheet_id}-*.jpg")]
        return [page for page in found if page.stat().st_size == drawn]

    def _ask(self, path: str, **form: str) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self._panel.open(self._base + path, data, timeout=20) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""  # asked again at the next look

    # -- faults ---------------------------------------------------------------------------------------------------

    def _fault(self) -> str:
        kinds: dict[str, tuple[int, Callable[[str], None]]] = {
            "worker killed": (2, lambda _: self._box.kill_worker()),
            "plug pulled": (1, lambda _: self._pull_plug()),
            "printer killed": (3, self._kill_printer),
            "printer moved": (2, self._move_printer),
            "printer stopped": (3, lambda name: self._lever(name, "stopped", True, False)),
            "printer jammed": (2, lambda name: self._lever(name, "jammed", True, False)),
            "printer slowed": (2, lambda name: self._lever(name, "seconds_per_sheet", 0.7, 0.05)),
            "link cut": (4, lambda name: self._lever(name, "drop_after_bytes", self._rng.randint(300, 9000), 0)),
            "link cut, half printed": (2, self._cut_and_print_halves),
            "paper out": (3, lambda name: self._lever(name, "paper", {"4x6": 0}, PAPER)),
            "asleep": (2, lambda name: self._lever(name, "answer_delay_s", 1.5, 0)),
            "history forgotten": (1, lambda name: self._lever(name, "forgets", True, False)),
        }
        kind = self._rng.choices(list(kinds), [weight for weight, _ in kinds.values()])[0]
        name = self._rng.choice(NAMES)
        is_the_box = kind in ("worker killed", "plug pulled")
        self._log.append((time.time(), kind, "" if is_the_box else name))
        kinds[kind][1](name)
        return kind

    def _after(self, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + self._rng.uniform(0.5, 3), action))

    def _pull_plug(self) -> None:
        self._box.kill()
        self._box = self._start()

    def _kill_printer(self, name: str, port: int | None = None) -> None:
        printer = self.printers[name]
        if printer.process.poll() is not None:
            return  # lies dead already
        printer.process.kill()
        printer.process.wait()
        printer.stop()
        port = port or printer.port

        def again() -> None:
            self.printers[name] = VirtualPrinterProcess(self._folder, name, port=port)
            self.printers[name].pull(paper=PAPER, holds=name in HOLDING)

        self._after(again)

    def _move_printer(self, name: str) -> None:
        """Killed, and found again at another address."""
        self._kill_printer(name, free_port())

    def _lever(self, name: str, lever: str, bad: object, good: object) -> None:
        self._pull(name, **{lever: bad})
        self._after(lambda: self._pull(name, **{lever: good}))

    def _cut_and_print_halves(self, name: str) -> None:
        self._pull(name, drop_after_bytes=self._rng.randint(300, 9000), prints_halves=True)
        self._after(lambda: self._pull(name, drop_after_bytes=0, prints_halves=False))

    def _pull(self, name: str, **levers: object) -> None:
        # One that lies dead begins again with all levers as they should be.
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            self.printers[name].pull(**levers)

    # -- the end --------------------------------------------------------------------------------------------------

    def _states(self) -> str:
        return "\n".join(json.dumps(self._desktop.ticket(one))[:600] for one in sorted(self._open))

    def _figures(self, took_s: float) -> dict[str, Any]:
        self._box.stop()
        store = Store(self._folder / "data")
        try:
            lost = twice = printed = without_cause = 0
            for (ticket_id, item), copies in self._ordered.items():
                (sheet,) = [one for one in store.sheets.by("ticket", ticket_id) if one.item == item]
                out = len(self._pages(sheet.id))
                printed += out
                lost += max(0, copies - out)
                twice += max(0, out - copies)
            states = Counter(ticket.state.value for ticket in store.tickets.all())
            doubts = [job for job in store.print_jobs.all() if "a person" in job.reason]
            names = {printer.id: printer.name for printer in store.printers.all()}
            for job in doubts:
                window = (job.intended_at.timestamp() - 5, job.changed_at.timestamp())
                whom = ("", names[job.printer_id])
                without_cause += not any(window[0] <= at <= window[1] and who in whom for at, _, who in self._log)
        finally:
            store.close()
        return {
            "seed": self.seed,
            "faults": sum(self.counts.values()),
            "by_kind": dict(sorted(self.counts.items())),
            "tickets": dict(states),
            "copies_ordered": sum(self._ordered.values()),
            "copies_printed": printed,
            "lost": lost,
            "twice": twice,
            "asked": self.asked,
            "doubts": len(doubts),
            "doubts_without_cause": without_cause,
            "seconds": round(took_s),
        }


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seed = options.seed or random.randrange(1, 10**9)
    folder = Path(tempfile.mkdtemp(prefix="trial-printing-"))
    print(f"seed {seed}, in {folder}", flush=True)
    campaign = Campaign(folder, seed, options.faults)
    try:
        figures = campaign.run(lambda text: print(text, flush=True))
    finally:
        campaign.stop()
    for name, value in figures.items():
        print(f"{name:22} {value}")
    goals = {
        "at_least_300_faults": figures["faults"] >= 300,
        "lost_0": figures["lost"] == 0,
        "twice_0": figures["twice"] == 0,
        "doubts_have_causes": figures["doubts_without_cause"] == 0,
        "all_finished": set(figures["tickets"]) == {"finished"},
    }
    if all(goals.values()):
        shutil.rmtree(folder)
    print(json.dumps({"figures": figures, "goals": goals, "met": all(goals.values())}))


if __name__ == "__main__":
    main()
