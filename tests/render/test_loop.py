"""The render loop with real worker processes: tickets in, sheets and files out, whatever the pictures do."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from appliance.supervision import Loop
from render.blame import CRASHED
from render.colour import adobe_rgb_profile
from render.loop import RenderLoop
from render.ready_made import READY_MADE
from render.samples import sample_photo
from render.sources import ImageFolders
from render.workers import Workers
from store import decisions, downloads, intake, progress
from store.errors import ImpossibleMove, NotFound
from store.pushed import RecordPush
from store.records import Outcome, Ticket
from store.states import ENDED_TICKETS, SheetState, TicketState
from store.tables import Store
from tests.studio import NOW, SELECT, add_render_job, photo, push, upload

RenderUntil = Callable[..., Ticket]


@pytest.fixture
def workers() -> Iterator[Workers]:
    pool = Workers(2)
    yield pool
    pool.stop()


@pytest.fixture
def render(store: Store, workers: Workers) -> RenderUntil:
    """Runs the loop until a ticket is in one of some states."""
    loop = RenderLoop(store, workers, ImageFolders(), 50_000_000)

    def until(ticket_id: int, states: frozenset[TicketState] = ENDED_TICKETS, now: datetime = NOW) -> Ticket:
        deadline = time.monotonic() + 60
        while (ticket := store.tickets.get(ticket_id)).state not in states:
            assert time.monotonic() < deadline, f"still {ticket.state}"
            if loop.step(now):
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
    loop = RenderLoop(store, Workers(1), ImageFolders(), 50_000_000)
    assert loop.step(NOW) > 0
    assert store.tickets.get(1).reason == "waits for a person: press Start"
    with store.transaction():
        progress.move_ticket(store, store.tickets.get(ticket.id), "start", NOW)
    assert render(1).state is TicketState.FINISHED


def test_a_restart_in_the_middle_draws_what_is_missing_and_no_second_file(store: Store, workers: Workers) -> None:
    add_render_job(store, folder="{number}")
    intake.accept(store, push([photo(store, seed) for seed in range(6)]), NOW)
    first = RenderLoop(store, workers, ImageFolders(), 50_000_000)
    deadline = time.monotonic() + 60
    while not store.sheets.by("ticket_state", (1, SheetState.DRAWN.value)):
        first.step(NOW)
        assert time.monotonic() < deadline
    second = RenderLoop(store, Workers(1), ImageFolders(), 50_000_000)  # as after a crash: knows nothing of the first
    while store.tickets.get(1).state is TicketState.RENDERING:
        second.step(NOW)
        assert time.monotonic() < deadline
    second.stop()
    assert store.tickets.get(1).state is TicketState.FINISHED
    assert len(list((store.folder.output / "S-1").iterdir())) == 6


def test_a_killed_worker_costs_a_retry_and_no_sheet(store: Store, workers: Workers) -> None:
    add_render_job(store)
    intake.accept(store, push([photo(store, seed, 2400, 1600) for seed in range(8)]), NOW)
    loop = RenderLoop(store, workers, ImageFolders(), 50_000_000)
    killed = False
    deadline = time.monotonic() + 60
    while store.tickets.get(1).state not in ENDED_TICKETS:
        loop.step(NOW)
        time.sleep(0.01)
        assert time.monotonic() < deadline
        if not killed and store.sheets.by("ticket_state", (1, SheetState.DRAWN.value)):  # others are being drawn
            os.kill(workers.pids[0], signal.SIGKILL)
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
    drawing = RenderLoop(store, Workers(1), ImageFolders(), 50_000_000)
    loop = Loop("Drawing", store, drawing.step, rest=drawing.rest, end=drawing.stop)
    loop.start()
    intake.accept(store, push(photo(store)), datetime.now(UTC))
    deadline = time.monotonic() + 30
    while store.tickets.get(1).state not in ENDED_TICKETS and time.monotonic() < deadline:
        time.sleep(0.05)
    loop.stop()
    loop.join()
    assert store.tickets.get(1).state is TicketState.FINISHED


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import os,sys\nfrom render.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    w = Workers(2); f = [w.submit(abs, -n) for n in range(4)]; [x.result() for x in f]\n"
        "    print(*w.pids, flush=True); sys.stdin.read()\n"
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


# -- hold, recipes, settling, memory, covers, downloads ---------------------------------------------------------


def test_a_sheet_of_few_pixels_is_held_before_paper_is_spent_and_released_by_a_person(
    store: Store, render: RenderUntil
) -> None:
    add_render_job(store, size="8x10", low_resolution="hold", printer_id=1)
    intake.accept(store, push([photo(store, 1), photo(store, 2, 3000, 2400)]), NOW)
    held = render(1, frozenset({TicketState.HELD}))
    soft, fine = store.sheets.by("ticket", 1)
    assert "1 sheet waits for your word" in held.reason and "75 pixels per inch" in soft.hold and fine.hold == ""
    assert store.folder.thumbnail(soft.id).is_file()  # there is a picture to decide by
    decisions.answer_held(store, soft.id, True, NOW)
    assert store.tickets.get(1).state is TicketState.RENDERED and store.sheets.get(soft.id).hold == ""
    with pytest.raises(ImpossibleMove):
        decisions.answer_held(store, soft.id, False, NOW)


def test_a_held_sheet_that_a_person_does_not_want_fails_its_item_only(store: Store, render: RenderUntil) -> None:
    add_render_job(store, size="8x10", low_resolution="hold", printer_id=1)
    intake.accept(store, push(photo(store, 1)), NOW)
    render(1, frozenset({TicketState.HELD}))
    decisions.answer_held(store, store.sheets.by("ticket", 1)[0].id, False, NOW)
    ticket = store.tickets.get(1)
    assert ticket.state is TicketState.FAILED
    assert "not printed, as a person decided: only 75 pixels per inch" in ticket.results[0].reason


def path_push(name: str = "a.jpg") -> RecordPush:
    return RecordPush.model_validate(
        {
            "kind": "session", "number": "S-1", "revision": 1, "status": SELECT,
            "images": [{"name": name, "path": name}], "items": [{"id": "1", "image": name, "size": "4x6"}],
        }
    )  # fmt: skip


def test_a_file_that_is_still_being_copied_is_waited_for(store: Store, workers: Workers, tmp_path: Path) -> None:
    loop = RenderLoop(store, workers, ImageFolders((tmp_path,)), 50_000_000)
    add_render_job(store)
    intake.accept(store, path_push(), NOW)
    whole = sample_photo(1, 900, 600)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    deadline = time.monotonic() + 30
    while store.tickets.get(1).reason != "waits until a.jpg is completely copied":
        assert time.monotonic() < deadline
        loop.step(datetime.now(UTC))
        time.sleep(0.02)
    path.write_bytes(whole)
    deadline = time.monotonic() + 30
    while store.tickets.get(1).state not in ENDED_TICKETS:
        assert time.monotonic() < deadline
        loop.step(datetime.now(UTC))
        time.sleep(0.02)
    assert store.tickets.get(1).state is TicketState.FINISHED


def test_a_picture_that_was_exchanged_after_planning_is_not_printed(
    store: Store, workers: Workers, tmp_path: Path
) -> None:
    loop = RenderLoop(store, workers, ImageFolders((tmp_path,)), 50_000_000)
    add_render_job(store)
    intake.accept(store, path_push(), NOW)
    (tmp_path / "a.jpg").write_bytes(sample_photo(1, 900, 600))
    deadline = time.monotonic() + 30
    while not store.sheets.by("ticket", 1):
        assert time.monotonic() < deadline
        loop.step(NOW)
        time.sleep(0.02)
    assert dict(store.sheets.by("ticket", 1)[0].plan["digests"]).keys() == {"a.jpg"}
    (tmp_path / "a.jpg").write_bytes(sample_photo(2, 900, 600))
    while store.tickets.get(1).state not in ENDED_TICKETS:
        assert time.monotonic() < deadline
        loop.step(NOW)
        time.sleep(0.02)
    assert "a.jpg: the file was changed after the ticket opened" in store.tickets.get(1).reason


def test_a_sheet_that_needs_more_memory_than_there_is_says_so_before_it_is_begun(
    store: Store, workers: Workers
) -> None:
    loop = RenderLoop(store, workers, ImageFolders(), 50_000_000, max_bytes=300_000_000)
    add_render_job(store, size="20x30")
    intake.accept(store, push(photo(store)), NOW)
    deadline = time.monotonic() + 30
    while store.tickets.get(1).state not in ENDED_TICKETS:
        assert time.monotonic() < deadline
        loop.step(NOW)
        time.sleep(0.02)
    assert (
        "takes about 0.9 GB of memory, and the settings leave 0.1 GB: raise max_memory_mb"
        in store.tickets.get(1).reason
    )


def test_what_runs_at_the_same_time_stays_within_the_memory_of_the_settings(store: Store, workers: Workers) -> None:
    add_render_job(store, size="8x10")
    intake.accept(store, push([photo(store, seed) for seed in range(1, 6)]), NOW)
    needs = 115_000_000
    loop = RenderLoop(store, workers, ImageFolders(), 50_000_000, max_bytes=2 * 80_000_000 + needs + needs // 2)
    most = 0
    deadline = time.monotonic() + 60
    while store.tickets.get(1).state not in ENDED_TICKETS:
        assert time.monotonic() < deadline
        loop.step(NOW)
        drawing = [work.needs_bytes for work in loop._processes.works if work.needs_bytes]
        most = max(most, len(drawing))
        time.sleep(0.002)
    assert store.tickets.get(1).state is TicketState.FINISHED and most == 1


def test_covers_are_drawn_and_are_nobodys_result(store: Store, render: RenderUntil) -> None:
    add_render_job(store, header_sheet=True, separator_sheets=True)
    intake.accept(store, push([photo(store, 1), photo(store, 2)]), NOW)
    ticket = render(1)
    sheets = store.sheets.by("ticket", 1)
    assert [sheet.is_cover for sheet in sheets] == [True, True, False, True, False]
    assert all(store.folder.sheet(sheet.id).is_file() for sheet in sheets)
    assert [result.image for result in ticket.results] == ["0001.jpg", "0002.jpg"]


def test_an_output_profile_reaches_the_file_and_its_absence_fails_by_name(store: Store, render: RenderUntil) -> None:
    data = adobe_rgb_profile()
    digest = hashlib.sha256(data).hexdigest()
    store.folder.asset(digest).write_bytes(data)
    add_render_job(store, colour={"profile": {"name": "Lab lustre", "sha256": digest}})
    intake.accept(store, push(photo(store)), NOW)
    ticket = render(1)
    with Image.open(store.folder.output / ticket.results[0].files[0]) as image:
        assert image.info["icc_profile"] == data
    store.folder.asset(digest).unlink()
    intake.accept(store, push(photo(store), revision=2, status="-"), NOW)
    intake.accept(store, push(photo(store), revision=3), NOW)
    assert "the file 'Lab lustre' of the render profile was removed" in render(2).reason


def test_a_profile_with_a_download_link_gives_it_to_the_desktop(store: Store, render: RenderUntil) -> None:
    add_render_job(store, download_days=7)
    intake.accept(store, push([photo(store, 1), photo(store, 2)]), NOW)
    ticket = render(1)
    (change,) = store.changes.all()
    link = downloads.find_link(store, change.download.removeprefix(downloads.PREFIX), NOW + timedelta(days=6))
    assert link.files == tuple(file for result in ticket.results for file in result.files) and len(link.files) == 2
    assert len(link.token) >= 32
    with pytest.raises(NotFound, match="has expired"):
        downloads.find_link(store, link.token, NOW + timedelta(days=7))
    downloads.revoke(store, link.id)
    with pytest.raises(NotFound, match="was withdrawn"):
        downloads.find_link(store, link.token, NOW)


def test_without_such_a_profile_there_is_no_link(store: Store, render: RenderUntil) -> None:
    add_render_job(store)
    intake.accept(store, push(photo(store)), NOW)
    render(1)
    assert store.changes.all()[0].download == "" and len(store.downloads) == 0
