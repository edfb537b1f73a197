"""The render loop with real worker processes: tickets in, sheets and files out, whatever the pictures do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from render.loop import CRASHED, RenderLoop
from render.ready_made import READY_MADE
from render.samples import sample_photo
from render.workers import Workers
from store import intake, progress
from store.records import Outcome, Ticket
from store.states import ENDED_TICKETS, SheetState, TicketState
from store.tables import Store
from tests.studio import NOW, add_render_job, photo, push, upload

RenderUntil = Callable[..., Ticket]


@pytest.fixture
def workers() -> Iterator[Workers]:
    pool = Workers(2)
    yield pool
    pool.stop()


@pytest.fixture
def render(store: Store, workers: Workers) -> RenderUntil:
    """Runs the loop until a ticket is in one of some states."""
    loop = RenderLoop(store, workers, [], 50_000_000)

    def until(ticket_id: int, states: frozenset[TicketState] = ENDED_TICKETS, now: datetime = NOW) -> Ticket:
        deadline = time.monotonic() + 60
        while (ticket := store.tickets.get(ticket_id)).state not in states:
            assert time.monotonic() < deadline, f"still {ticket.state}"
            if not loop.loop(now):
                time.sleep(0.01)
        return ticket

    return until


def test_a_ticket_without_printing_ends_with_its_files_in_their_folder(store: Store, render: RenderUntil) -> None:
    add_render_job(store, folder="{number}", file_name="{image}_{size}")
    intake.accept(store, push([photo(store, 1), photo(store, 2)]), NOW)
    ticket = render(1)
    assert ticket.state is TicketState.FINISHED
    assert [result.files for result in ticket.results] == [("S-1/0001_4x6.jpg",), ("S-1/0002_4x6.jpg",)]
    for result in ticket.results:
        with Image.open(store.folder.output / result.files[0]) as image:
            assert image.size == (1800, 1200) and image.info["dpi"] == (300, 300)


def test_one_bad_picture_fails_its_item_and_no_other(store: Store, render: RenderUntil) -> None:
    add_render_job(store)
    whole = sample_photo(1, 900, 600)
    digests = [photo(store, 2), upload(store, whole[: len(whole) // 2]), upload(store, b"no picture")]
    intake.accept(store, push(digests), NOW)
    ticket = render(1)
    assert ticket.state is TicketState.FAILED
    outcomes = {result.image: (result.outcome, result.reason) for result in ticket.results}
    assert outcomes["0001.jpg"] == (Outcome.DONE, "")
    assert outcomes["0002.jpg"][0] is Outcome.FAILED and "not complete" in outcomes["0002.jpg"][1]
    assert outcomes["0003.jpg"][0] is Outcome.FAILED and "not a picture" in outcomes["0003.jpg"][1]
    (change,) = store.changes.all()
    assert change.outcome is Outcome.PARTLY


def test_every_item_on_a_shared_sheet_has_its_result(store: Store, render: RenderUntil) -> None:
    layout = READY_MADE["Two different 4x6 on 6x8"]
    add_render_job(store, layout=layout, folder="{number}", file_name="pair_{sheet}")
    items = [{"id": str(n), "image": "0001.jpg", "size": "4x6", "quantity": n} for n in (1, 2)]
    intake.accept(store, push(photo(store), items), NOW)
    ticket = render(1)
    assert sorted((result.item, result.files[0]) for result in ticket.results) == [
        ("1", "S-1/pair_001.jpg"),
        ("2", "S-1/pair_001.jpg"),
        ("2", "S-1/pair_002.jpg"),
    ]


def test_a_picture_that_vanished_after_the_push_fails_with_its_name(store: Store, render: RenderUntil) -> None:
    add_render_job(store)
    digest = photo(store)
    intake.accept(store, push(digest), NOW)
    store.folder.image(digest).unlink()
    assert "0001.jpg: no picture with this digest" in render(1).reason


def test_by_hand_waits_for_a_person(store: Store, render: RenderUntil) -> None:
    add_render_job(store, timing="by hand")
    intake.accept(store, push(photo(store)), NOW)
    ticket = store.tickets.get(1)
    loop = RenderLoop(store, Workers(1), [], 50_000_000)
    assert not loop.loop(NOW)
    assert store.tickets.get(1).reason == "waits for a person: press Start"
    with store.transaction():
        progress.move_ticket(store, store.tickets.get(ticket.id), "start", NOW)
    assert render(1).state is TicketState.FINISHED


def test_a_restart_in_the_middle_draws_what_is_missing_and_no_second_file(store: Store, workers: Workers) -> None:
    add_render_job(store, folder="{number}")
    intake.accept(store, push([photo(store, seed) for seed in range(6)]), NOW)
    first = RenderLoop(store, workers, [], 50_000_000)
    deadline = time.monotonic() + 60
    while not store.sheets.by("ticket_state", (1, SheetState.DRAWN.value)):
        first.loop(NOW)
        assert time.monotonic() < deadline
    second = RenderLoop(store, Workers(1), [], 50_000_000)  # as after a crash: knows nothing of the first
    while store.tickets.get(1).state is TicketState.RENDERING:
        second.loop(NOW)
        assert time.monotonic() < deadline
    second._workers.stop()
    assert store.tickets.get(1).state is TicketState.FINISHED
    assert len(list((store.folder.output / "S-1").iterdir())) == 6


def test_a_killed_worker_costs_a_retry_and_no_sheet(store: Store, workers: Workers) -> None:
    add_render_job(store)
    intake.accept(store, push([photo(store, seed, 2400, 1600) for seed in range(8)]), NOW)
    loop = RenderLoop(store, workers, [], 50_000_000)
    killed = False
    deadline = time.monotonic() + 60
    while store.tickets.get(1).state not in ENDED_TICKETS:
        loop.loop(NOW)
        time.sleep(0.01)
        assert time.monotonic() < deadline
        if not killed and loop._running and store.sheets.by("ticket", 1):  # the first sheets are being drawn
            victim = next(iter(workers._pool._processes))  # type: ignore[union-attr]
            os.kill(victim, signal.SIGKILL)
            killed = True
    assert killed and store.tickets.get(1).state is TicketState.FINISHED


def crash(task: object) -> None:
    """What a decoder with a fault does to its process."""
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_picture_that_kills_its_worker_twice_fails_alone(
    store: Store, render: RenderUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_render_job(store)
    poison = photo(store, 7)
    intake.accept(store, push([photo(store, 1), poison, photo(store, 2)]), NOW)
    real_submit = Workers.submit

    def submit(self: Workers, function: Callable[..., object], task: object) -> object:
        is_poison = function.__name__ == "draw" and [one.name for one in task.sources] == ["0002.jpg"]  # type: ignore[attr-defined]
        return real_submit(self, crash if is_poison else function, task)

    monkeypatch.setattr(Workers, "submit", submit)
    ticket = render(1)
    failed = [result for result in ticket.results if result.outcome is Outcome.FAILED]
    assert [(result.image, CRASHED in result.reason) for result in failed] == [("0002.jpg", True)]


def test_the_thread_starts_a_ticket_soon_and_stops_when_told(store: Store) -> None:
    add_render_job(store)
    stopping = threading.Event()
    thread = threading.Thread(target=RenderLoop(store, Workers(1), [], 50_000_000).run, args=(stopping,))
    thread.start()
    intake.accept(store, push(photo(store)), datetime.now(UTC))
    deadline = time.monotonic() + 30
    while store.tickets.get(1).state not in ENDED_TICKETS and time.monotonic() < deadline:
        time.sleep(0.05)
    stopping.set()
    thread.join()
    assert store.tickets.get(1).state is TicketState.FINISHED


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import os,sys\nfrom render.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    w = Workers(2); f = [w.submit(abs, -n) for n in range(4)]; [x.result() for x in f]\n"
        "    print(*w._pool._processes, flush=True); sys.stdin.read()\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    repository = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": repository},
    )
    assert parent.stdout and parent.stdin
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert children
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children):
        assert time.monotonic() < deadline, "workers outlived their parent"
        time.sleep(0.05)
