"""The printing campaign: many tickets on a pool of four, while everything goes wrong that can (printing_faults).

    make trial-printing [FAULTS=500] [SEED=…]

The appliance is a process of its own and so are the printers; each printer keeps what came out as files. A person is
played who answers "did this come out?" by looking at those files and at nothing else, who cancels, holds, and decides
about prints of which nothing is heard. At the end every copy that was ordered must have come out exactly once, of what
was canceled none more than was ordered, and "failed" must have been said of nothing that came out.
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
from store.records import Outcome, Printer, Sheet
from store.states import SheetState
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.lab import VirtualPrinterProcess
from tests.studio import SELECT
from tests.trials.printing_faults import NOBODY, WELL, Faults
from tests.web.conftest import PASSWORD
from tests.world import World

NAMES = ("Anna", "Berta", "Carla", "Dora")
HOLDING = ("Anna", "Berta")  # these can keep a job until its document is whole
NAMELESS = {"Carla": "cut 22", "Berta": "drop"}  # these do not keep a job's name
OPEN_TICKETS = 5
LINES, COPIES = (2, 5), (1, 3)
SETTLED_S = 1.5  # how long a person waits before counting
PATIENCE_S = 240  # at the end, with everything well again
ENDED = ("finished", "failed", "canceled")


class Campaign:
    """One run; everything that is random comes from its seed."""

    def __init__(self, folder: Path, seed: int, faults: int) -> None:
        self.folder, self.data, self.seed, self._most = folder, folder / "data", seed, faults
        self._rng = random.Random(seed)
        self.world = World(folder)
        self.names = NAMES
        self.printers = {name: VirtualPrinterProcess(folder, name) for name in NAMES}
        self._studio = Studio(self.data, {}, dpi=72, jpeg_quality=90)
        store = Store(self.data)
        for name, printer in self.printers.items():
            self.heal(name)
            identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"printroom-virtual:{name}"))
            store.printers.add(Printer(name=name, uuid=identity, uri=printer.uri, pool_id=1))
        store.close()
        self._photo = folder / "photo.jpg"
        self._photo.write_bytes(sample_photo(1, 360, 240))
        self.box = self._start()
        self._digest = self._desktop.upload(self._photo)
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._ordered: dict[tuple[int, str], int] = {}  # (ticket, item) → copies
        self._open: set[int] = set()
        self._unsure_since: dict[int, float] = {}
        self._records = 0
        self._log: list[tuple[float, str, str]] = []  # when, what, whom: for the question whether a doubt had a cause
        self.counts: Counter[str] = Counter()
        self.did: Counter[str] = Counter()  # what the person did

    # -- the run --------------------------------------------------------------------------------------------------

    def run(self, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Do it; returns the figures."""
        began, faults = time.monotonic(), Faults(self, self._rng)
        next_fault = began + 1
        while sum(self.counts.values()) < self._most:
            self._tick()
            self._push()
            if time.monotonic() >= next_fault:
                at = time.time()
                kind, whom = faults.next()
                self._log.append((at, kind, whom))
                self.counts[kind] += 1
                say(f"{sum(self.counts.values()):4d} {kind} {whom}")
                next_fault = time.monotonic() + self._rng.uniform(0.2, 1.2)
            time.sleep(0.05)
        ends = time.monotonic() + PATIENCE_S
        while self._open or self._later:
            assert time.monotonic() < ends, f"tickets {sorted(self._open)} did not end\n{self._states()}"
            self._tick()
            time.sleep(0.1)
        return self._figures(time.monotonic() - began)

    def stop(self) -> None:
        """End all processes."""
        for printer in self.printers.values():
            printer.stop()
        self.box.stop()

    def after(self, action: Callable[[], None]) -> None:
        """Let something be well again, in a while."""
        self._later.append((time.monotonic() + self._rng.uniform(0.5, 3), action))

    def _tick(self) -> None:
        due = [one for one in self._later if one[0] <= time.monotonic()]
        for one in due:
            self._later.remove(one)
            one[1]()
        self._look()

    def _start(self) -> Appliance:
        box = Appliance(self.data, PRINTROOM_DISCOVERY="true", **self.world.environment)
        self._desktop = DesktopClient(box.url, self._studio.token)
        self._panel = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._base = box.url
        self._ask("/login", name="kim", password=PASSWORD)
        return box

    # -- what faults do ---------------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        """As the system does when memory ends."""
        self.world.mend_disk()
        self.box.kill_worker()

    def pull_plug(self) -> None:
        """All processes of the box end at once, and it is started again. Its disk works then: it could not start."""
        self.box.kill()
        self.world.mend_disk()
        self.box = self._start()

    def pull(self, name: str, **levers: object) -> None:
        """Pull a printer's levers. One that lies dead begins again with all levers as they should be."""
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            self.printers[name].pull(**levers)

    def heal(self, name: str) -> None:
        """Its levers as they should be."""
        self.pull(name, **WELL, holds=name in HOLDING, names=NAMELESS.get(name, "keep"))

    def cancel_ticket(self) -> None:
        """A person cancels one of the open tickets."""
        if self._open:
            self._do("ticket canceled", f"/tickets/{self._rng.choice(sorted(self._open))}/cancel")

    def cancel_sheet(self) -> None:
        """A person cancels one sheet of an open ticket."""
        if self._open:
            page = self._ask(f"/tickets/{self._rng.choice(sorted(self._open))}")
            sheets = sorted(set(re.findall(r"/sheets/(\d+)\.thumb", page)))
            if sheets:
                self._do("sheet canceled", f"/sheets/{self._rng.choice(sheets)}/cancel")

    def hold_ticket(self) -> None:
        """A person holds a ticket, and lets it go on a moment later."""
        if self._open:
            ticket_id = self._rng.choice(sorted(self._open))
            self._do("ticket held", f"/tickets/{ticket_id}/hold")
            self.after(lambda: self._resume(ticket_id))

    def _resume(self, ticket_id: int) -> None:
        if ticket_id in self._open and not self._do("ticket resumed", f"/tickets/{ticket_id}/resume"):
            self.after(lambda: self._resume(ticket_id))  # the box was away

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
        try:
            (ticket_id,) = self._desktop.push(record)[0]["tickets"]
        except (SyncError, OSError):  # its disk is full, say: nothing was taken
            self._records -= 1
            return
        self._open.add(ticket_id)
        self._ordered.update({(ticket_id, str(n)): count for n, count in enumerate(copies, 1)})

    def _look(self) -> None:
        """A person at the panel: which tickets have ended, which ask, which do not get on."""
        for ticket_id in sorted(self._open):
            try:
                ticket = self._desktop.ticket(ticket_id)
            except (SyncError, OSError):
                return  # the box is away for a moment
            if ticket["state"] in ENDED:
                self._open.discard(ticket_id)
            else:
                assert "fault in Printroom" not in ticket["reason"], ticket
                self._answer(ticket_id)

    def _answer(self, ticket_id: int) -> None:
        page = self._ask(f"/tickets/{ticket_id}")
        for figure in page.split("<figure")[1:]:
            if question := re.search(r"/sheets/(\d+)/answer", figure):
                self._count(int(question[1]), figure)
            elif release := re.search(r"/sheets/(\d+)/release", figure):
                self._do("told to print", f"/sheets/{release[1]}/release", prints="yes")
            elif found := re.findall(r"/print-jobs/(\d+)/(wait|ask|move)", figure):
                job, what = self._rng.choice(found)
                self._do(f"stuck: {what}", f"/print-jobs/{job}/{what}")

    def _count(self, sheet_id: int, figure: str) -> None:
        """Look at the paper, and say how many are there."""
        since = self._unsure_since.setdefault(sheet_id, time.monotonic())
        if time.monotonic() - since < SETTLED_S:
            return
        quantity = int((re.search(r"· (\d+)×", figure) or ["", "0"])[1])
        asked = int((re.search(r"of the (\d+) copies", figure) or ["", "1"])[1])
        came_out = max(0, min(asked, len(self._pages(sheet_id)) - (quantity - asked)))
        del self._unsure_since[sheet_id]
        self._do("asked", f"/sheets/{sheet_id}/answer", copies=str(came_out))

    def _pages(self, sheet_id: int) -> list[Path]:
        """What came out of a sheet, whole; half a picture is nothing that a person would deliver."""
        drawn = self.data / "sheets" / f"{sheet_id}.jpg"
        found = [page for name in NAMES for page in (self.folder / name).glob(f"* printroom-*-{sheet_id}-*.jpg")]
        return [page for page in found if page.stat().st_size == drawn.stat().st_size]

    def _do(self, what: str, path: str, **form: str) -> bool:
        done = bool(self._ask(path, **(form or {"go": "yes"})))
        self.did[what] += done
        return done

    def _ask(self, path: str, **form: str) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self._panel.open(self._base + path, data, timeout=20) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return ""  # asked again at the next look

    # -- the end --------------------------------------------------------------------------------------------------

    def _states(self) -> str:
        return "\n".join(json.dumps(self._desktop.ticket(one))[:600] for one in sorted(self._open))

    def _figures(self, took_s: float) -> dict[str, Any]:
        self.box.stop()
        store = Store(self.data)
        try:
            tally = Tally(store, self._pages)
            for (ticket_id, item), copies in self._ordered.items():
                sheets = [one for one in store.sheets.by("ticket", ticket_id) if one.item == item]
                tally.add(ticket_id, item, copies, sheets[0] if sheets else None)
            states = Counter(ticket.state.value for ticket in store.tickets.all())
            doubts = [job for job in store.print_jobs.all() if job.reason.startswith("a person looked")]
            names = {printer.id: printer.name for printer in store.printers.all()}
            without_cause = 0
            for job in doubts:
                window = (job.intended_at.timestamp() - 5, job.changed_at.timestamp() + 5)
                causes = [who for at, _, who in self._log if window[0] <= at <= window[1] and who != NOBODY]
                without_cause += not {"", names[job.printer_id]} & set(causes) and not self.counts["clock set"]
            parked = [ticket.id for ticket in store.tickets.all() if ticket.fault is not None]
        finally:
            store.close()
        return {
            "seed": self.seed,
            "faults": sum(self.counts.values()),
            "by_kind": dict(sorted(self.counts.items())),
            "tickets": dict(states),
            **tally.figures,
            "parked": len(parked),
            "person": dict(sorted(self.did.items())),
            "doubts": len(doubts),
            "doubts_without_cause": without_cause,
            "seconds": round(took_s),
        }


class Tally:
    """What was ordered, what came out, and what was said of it."""

    def __init__(self, store: Store, pages: Callable[[int], list[Path]]) -> None:
        self._store, self._pages = store, pages
        self.figures = dict.fromkeys(
            ("copies_ordered", "copies_printed", "lost", "twice", "failed_and_out", "canceled_miscounted"), 0
        )

    def add(self, ticket_id: int, item: str, copies: int, sheet: Sheet | None) -> None:
        """One line of an order."""
        out = len(self._pages(sheet.id)) if sheet is not None else 0
        is_canceled = sheet is None or sheet.state is SheetState.CANCELED
        self.figures["copies_ordered"] += copies
        self.figures["copies_printed"] += out
        self.figures["twice"] += max(0, out - copies)
        if not is_canceled:
            self.figures["lost"] += max(0, copies - out)
        elif sheet is not None and "cannot say" not in sheet.reason:
            self.figures["canceled_miscounted"] += sheet.copies_done != out
        results = self._store.tickets.get(ticket_id).results
        failed = any(one.item == item and one.outcome is Outcome.FAILED for one in results)
        self.figures["failed_and_out"] += failed and out >= copies


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=500)
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
        "at_least_500_faults": figures["faults"] >= 500,
        "lost_0": figures["lost"] == 0,
        "twice_0": figures["twice"] == 0,
        "failed_and_out_0": figures["failed_and_out"] == 0,
        "canceled_miscounted_0": figures["canceled_miscounted"] == 0,
        "parked_0": figures["parked"] == 0,
        "doubts_have_causes": figures["doubts_without_cause"] == 0,
        "all_ended": set(figures["tickets"]) <= {"finished", "canceled"},
    }
    if all(goals.values()):
        shutil.rmtree(folder)
    print(json.dumps({"figures": figures, "goals": goals, "met": all(goals.values())}))


if __name__ == "__main__":
    main()
