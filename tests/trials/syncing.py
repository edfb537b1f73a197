"""Several desktops push and follow over a link that drops, delays, repeats and reorders, while the box is killed.

At the end every accepted record must have exactly the tickets that its history of statuses asks for, and every client
must have seen every result exactly once.

    python -m tests.trials.syncing --seconds 300 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from appliance.desktop_client import DesktopClient, Kept
from render.samples import sample_photo
from store.profiles import RenderProfile
from store.pushed import RecordKind
from store.records import RenderJob, Timing
from store.tables import Store
from tests.appliance.conftest import Appliance
from tests.lab import until
from web.clients import new_client

DESKTOPS = 4
RECORDS = 24  # that they share
STATUSES = ("Booked", "Ready to print", "Edited", "Ready to frame")
SELECTED = {"Ready to print": "Printed", "Ready to frame": "Framed"}  # select status → finish status


class BadLink(ThreadingHTTPServer):
    """A proxy that does to requests what a studio's network does at its worst."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, seed: int) -> None:
        self.target = ""
        self.faults: Counter[str] = Counter()
        self.is_bad = True
        chance, lock = random.Random(seed), threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    fate, pause_s = chance.random() if outer.is_bad else 1.0, chance.random()
                self.close_connection = True
                if fate < 0.08:
                    outer.faults["request dropped"] += 1
                    return
                if fate < 0.28:
                    outer.faults["delayed: others overtake it"] += 1
                    time.sleep(pause_s * 0.8)
                try:
                    answer = self.forward(body)
                    if 0.28 <= fate < 0.40:
                        outer.faults["repeated"] += 1
                        answer = self.forward(body)
                    elif 0.40 <= fate < 0.46:
                        outer.faults["repeated later, by nobody who listens"] += 1
                        threading.Timer(pause_s * 3, self.forward_quietly, [body]).start()
                except (OSError, http.client.HTTPException):
                    return  # the box is down
                if 0.46 <= fate < 0.54:
                    outer.faults["answer dropped"] += 1
                    return
                status, headers, content = answer
                if 0.54 <= fate < 0.58:
                    outer.faults["answer cut"] += 1
                    content = content[: len(content) // 2]
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for name, value in headers:
                        if name.lower() not in ("connection", "date", "server"):
                            self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = pass_on  # noqa: N815  (http.server wants them so)

            def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
                where = urlsplit(outer.target)
                connection = http.client.HTTPConnection(where.hostname or "", where.port or 0, timeout=60)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    return answer.status, answer.getheaders(), answer.read()
                finally:
                    connection.close()

            def forward_quietly(self, body: bytes) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    self.forward(body)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Desktop:
    """One desktop program: pushes what its people do, follows what the box says."""

    def __init__(self, number: int, kept: Kept, trial: Trial) -> None:
        self.number, self.trial = number, trial
        self.client = DesktopClient.of(kept, patience_s=300)
        self.follower = DesktopClient.of(kept, patience_s=300)
        self.accepted: list[tuple[str, int, str, tuple[int, ...]]] = []  # number, revision, status, tickets
        self.seen: list[int] = []
        self.results: dict[int, str] = {}
        self.chance = random.Random(trial.seed * 100 + number)

    def push_until(self, ends: float) -> None:
        """What people do, all the time."""
        while time.monotonic() < ends:
            batch = [self.trial.edit(self.chance) for _ in range(self.chance.choice((1, 1, 1, 3)))]
            for record, answer in zip(batch, self.client.push(*batch), strict=True):
                assert answer["answer"] in ("accepted", "stale", "unchanged"), answer
                if answer["answer"] == "accepted":
                    told = (record["number"], record["revision"], record["status"], tuple(answer["tickets"]))
                    self.accepted.append(told)
            time.sleep(self.chance.random() * 0.1)

    def follow(self, stopping: threading.Event) -> None:
        """Take over every change."""
        while not stopping.is_set():
            for change in self.follower.changes(wait_s=2):
                self.seen.append(change["seq"])
                self.results[change["ticket_id"]] = change["status"]
                self.follower.acknowledge(change["seq"])


class Trial:
    """The whole campaign."""

    def __init__(self, folder: Path, seed: int, seconds: float) -> None:
        self.folder, self.seed, self.seconds = folder, seed, seconds
        self.data = folder / "data"
        store = Store(self.data)
        profile = store.render_profiles.add(RenderProfile(name="Files", dpi=72))
        for status, finish in SELECTED.items():
            # What ends while its record is still edited makes "changed to" depend on who was quicker; what is
            # released at the end does not. Both are wanted: sessions end at once, orders at the end.
            for kind, timing in ((RecordKind.SESSION, Timing.AT_ONCE), (RecordKind.ORDER, Timing.BY_HAND)):
                store.render_jobs.add(
                    RenderJob(
                        name=f"{kind.value}: {status}",
                        kind=kind,
                        select_status=status,
                        profile_ids=(profile.id,),
                        timing=timing,
                        finish_status=finish,
                        error_status="Problem",
                    )
                )
        tokens = [new_client(store, f"Desktop {number}")[1] for number in range(DESKTOPS)]
        store.close()
        self.link = BadLink(seed)
        url = f"http://127.0.0.1:{self.link.server_port}"
        self.desktops = [Desktop(number, Kept(url, token, seen=0), self) for number, token in enumerate(tokens)]
        self.photo = folder / "photo.jpg"
        self.photo.write_bytes(sample_photo(1, 60, 40))
        self._revisions: Counter[str] = Counter()
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()
        self.kills = 0
        self.problems: list[str] = []

    def edit(self, chance: random.Random) -> dict[str, Any]:
        """Somebody changes a record: the next revision of it, as the desktops' common database has it."""
        kind = chance.choice(("session", "order"))
        number = f"{kind}-{chance.randrange(RECORDS)}"
        with self._lock:
            self._revisions[number] += 1
            revision = self._revisions[number]
            others = [status for status in STATUSES if status != self._last.get(number)]
            # A session's next status is another one, so that it seldom matters who was quicker (see above).
            status = chance.choice(others if kind == "session" else STATUSES)
            self._last[number] = status
        image = {"name": "1.jpg", "sha256": self.digest}
        item = {"id": "1", "image": "1.jpg", "size": "2x3"}
        fields = {"kind": kind, "number": number, "revision": revision, "status": status}
        return {**fields, "images": [image], "items": [item]}

    def run(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Everything; returns the figures."""
        box = self._start()
        self.digest = self.desktops[0].client.upload(self.photo)
        ends, stopping = time.monotonic() + self.seconds, threading.Event()
        pushing = [threading.Thread(target=self._guarded(one.push_until), args=(ends,)) for one in self.desktops]
        following = [threading.Thread(target=self._guarded(one.follow), args=(stopping,)) for one in self.desktops]
        for thread in (*pushing, *following):
            thread.start()
        chance = random.Random(self.seed)
        while time.monotonic() < ends:
            time.sleep(2 + chance.random() * 6)
            box.kill()
            self.kills += 1
            box = self._start()
            say(f"{self.kills} kills, {sum(len(one.accepted) for one in self.desktops)} accepted")
        for thread in pushing:
            thread.join(400)
        self.link.is_bad = False
        time.sleep(4)  # what the link still repeats by itself
        box.stop()
        self._release_by_hand()
        box = self._start()
        newest = until(lambda: self._all_ended(box), "every ticket has ended", 240, every_s=1)
        done = lambda: all(one.seen and max(one.seen) >= newest for one in self.desktops)  # noqa: E731
        until(done, "every client has seen every result", 120, every_s=0.5)
        stopping.set()
        for thread in following:
            thread.join(30)
        box.stop()
        self.link.shutdown()
        self.link.server_close()
        return self._figures()

    def _guarded(self, action: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            try:
                action(*arguments)
            except BaseException as error:
                self.problems.append(f"{action.__qualname__}: {error!r}")
                raise

        return run

    def _start(self) -> Appliance:
        box = Appliance(self.data, PRINTROOM_SYNC_REQUESTS_PER_S="100000")
        self.link.target = box.url
        return box

    def _release_by_hand(self) -> None:
        """What waits for a person goes on now."""
        store = Store(self.data)
        with store.transaction():
            for frozen in store.instructions.all():
                job = frozen.render_job.with_(timing=Timing.AT_ONCE)
                store.instructions.put(frozen.with_(render_job=job))
        store.close()

    def _all_ended(self, box: Appliance) -> int:
        """The last change's seq when every ticket has one; 0 before."""
        direct = DesktopClient(box.url, self.desktops[0].client._token, seen=0)
        seqs: list[int] = []
        tickets = set()
        while found := direct.changes():
            seqs += [change["seq"] for change in found]
            tickets |= {change["ticket_id"] for change in found}
            direct._seen = seqs[-1]
        wanted = {ticket for one in self.desktops for *_, opened in one.accepted for ticket in opened}
        return seqs[-1] if seqs and wanted <= tickets else 0

    def _figures(self) -> dict[str, Any]:
        store = Store(self.data)
        tickets = Counter((ticket.kind.value + "-" + ticket.number.partition("-")[2]) for ticket in store.tickets.all())
        history: dict[str, dict[int, str]] = {}
        answered: Counter[str] = Counter()
        for desktop in self.desktops:
            for number, revision, status, opened in desktop.accepted:
                history.setdefault(number, {})[revision] = status
                answered[number] += len(opened)
        wrong = []
        asked_for = 0
        for number, statuses in history.items():
            ordered = [statuses[revision] for revision in sorted(statuses)]
            before = [None, *ordered]
            wanted = sum(now in SELECTED and now != last for last, now in zip(before, ordered, strict=False))
            # The select status once more, because what came between was overtaken: a ticket only if the desktops had
            # heard of the first one's end by then. An order's ends come when all is pushed.
            again = sum(now in SELECTED and now == last for last, now in zip(before, ordered, strict=False))
            most = wanted + (again if number.startswith("session") else 0)
            asked_for += wanted
            if not (wanted <= tickets[number] <= most and tickets[number] == answered[number]):
                wrong.append((number, wanted, most, tickets[number], answered[number], ordered))
        changes = [change.id for change in store.changes.all()]
        missed = sum(len(set(changes) - set(one.seen)) for one in self.desktops)
        twice = sum(len(one.seen) - len(set(one.seen)) for one in self.desktops)
        latest = {number: max(revisions) for number, revisions in history.items()}
        stored = {record.number: record.revision for record in store.records.all()}
        store.close()
        goals = {
            "every_record_has_the_tickets_its_history_asks_for": not wrong and asked_for > 0,
            "every_client_saw_every_result": missed == 0 and bool(changes),
            "no_client_saw_a_result_twice": twice == 0,
            "the_latest_accepted_revision_is_kept": latest == stored,
            "no_client_gave_up": not self.problems,
        }
        return {
            "seed": self.seed,
            "kills": self.kills,
            "faults": dict(self.link.faults),
            "accepted": sum(len(statuses) for statuses in history.values()),
            "tickets_asked_for": asked_for,
            "tickets": sum(tickets.values()),
            "results": len(changes),
            "missed": missed,
            "twice": twice,
            "wrong": wrong[:5],
            "problems": self.problems[:5],
            "goals": goals,
            "met": all(goals.values()),
        }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seed = options.seed or random.randrange(1, 10**6)
    with tempfile.TemporaryDirectory(prefix="lab-sync-") as folder:
        figures = Trial(Path(folder), seed, options.seconds).run(lambda text: print(f"  {text}", flush=True))
    for name, value in figures.items():
        print(f"{name:24} {value}")
    print(json.dumps(figures))
    return 0 if figures["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
