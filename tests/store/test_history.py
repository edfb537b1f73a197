"""What ages: into the archive, findable; out of it; and pictures that nobody needs any more."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from store import doctor, intake, outbox, progress
from store.archive import Archive, ArchivedTicket
from store.frames import frames_in
from store.housekeeping import Housekeeper, Retention
from store.profiles import AssetRef, RenderProfile
from store.records import Asset, AssetKind, DesktopClient, Download, ItemResult, Outcome, PrintJob, Sheet
from store.sizes import parse_size
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from store.upgrade import upgrade
from tests.studio import FINISH, NOW, add_render_job, instructions, photo, push

DAY = timedelta(days=1)
RETENTION = Retention(tickets=30 * DAY, archive=365 * DAY, records=180 * DAY)


def finished(store: Store, number: str, client: str = "Avery Lindqvist", at: datetime = NOW) -> int:
    """A record whose ticket has printed one sheet and finished."""
    receipt = intake.accept(store, push(photo(store), number=number, client_name=client), at)
    (ticket_id,) = receipt.tickets
    with store.transaction():
        ticket = progress.move_ticket(store, store.tickets.get(ticket_id), "start", at)
        sheet = store.sheets.add(
            Sheet(
                ticket_id=ticket_id,
                profile_id=1,
                item="1",
                image="0001.jpg",
                size=parse_size("4x6"),
                quantity=1,
                state=SheetState.PRINTED,
            )
        )
        store.print_jobs.add(
            PrintJob(
                sheet_id=sheet.id,
                ticket_id=ticket_id,
                printer_id=1,
                job_name=f"x{sheet.id}",
                copies=1,
                state=PrintJobState.COMPLETED,
                intended_at=at,
                changed_at=at,
            )
        )
        ticket = progress.move_ticket(store, ticket, "drawn", at)
        done = ItemResult(item="1", image="0001.jpg", profile="p", outcome=Outcome.DONE, copies=1)
        progress.end_ticket(store, ticket, (done,), at)
    store.folder.sheet(sheet.id).write_bytes(b"x")
    return ticket_id


@pytest.fixture
def studio(store: Store) -> Store:
    add_render_job(store)
    return store


def test_finished_tickets_move_to_the_archive_with_all_that_was_theirs(studio: Store) -> None:
    ticket_id = finished(studio, "S-1")
    intake.accept(studio, push(photo(studio), number="S-2"), NOW)  # waits: stays
    keeper = Housekeeper(studio, RETENTION)
    keeper.step(NOW + 29 * DAY)
    assert len(studio.tickets) == 2
    keeper.step(NOW + 31 * DAY)
    assert [ticket.number for ticket in studio.tickets.all()] == ["S-2"]
    assert (len(studio.sheets), len(studio.print_jobs), len(studio.instructions)) == (0, 0, 1)
    assert not studio.folder.sheet(1).exists()
    (entry,) = studio.archive.search("s-1", 10)
    assert (entry.ticket_id, entry.number, entry.state, entry.sheets) == (ticket_id, "S-1", TicketState.FINISHED, 1)
    found = studio.archive.get(entry.month, ticket_id)
    assert found is not None and found.ticket.results[0].copies == 1 and found.print_jobs[0].job_name == "x1"


def test_search_is_by_number_or_client_newest_first_and_survives_a_lost_index(studio: Store) -> None:
    for number in range(1, 4):
        finished(studio, f"S-{number}", "Ødegård" if number == 2 else "Avery", NOW + number * 31 * DAY)
    Housekeeper(studio, RETENTION).step(NOW + 200 * DAY)
    assert [entry.number for entry in studio.archive.search("", 10)] == ["S-3", "S-2", "S-1"]
    assert [entry.number for entry in studio.archive.search("ødeg", 10)] == ["S-2"]
    for index in studio.folder.archive.glob("*.index"):
        index.unlink()
    assert [entry.number for entry in studio.archive.search("ØDEG", 10)] == ["S-2"]
    assert studio.archive.search("nobody", 10) == [] and len(studio.archive.search("S-", 2)) == 2


def test_a_crash_between_archiving_and_removing_counts_once(studio: Store) -> None:
    from store.archive import ArchivedTicket

    ticket_id = finished(studio, "S-1")
    whole = ArchivedTicket(ticket=studio.tickets.get(ticket_id), instructions=studio.instructions.get(ticket_id))
    studio.archive.add([whole])  # and here the power goes
    Housekeeper(studio, RETENTION).step(NOW + 31 * DAY)
    assert len(studio.archive.search("S-1", 10)) == 1 and len(studio.tickets) == 0


def test_a_torn_archive_file_keeps_what_is_whole_and_takes_more(studio: Store) -> None:
    finished(studio, "S-1")
    keeper = Housekeeper(studio, RETENTION)
    keeper.step(NOW + 31 * DAY)
    (month,) = studio.archive.months()
    with (studio.folder.archive / f"{month}.prj").open("ab") as file:
        file.write(b"\xabPRJ torn in the middle")
    finished(studio, "S-2")
    keeper.step(NOW + 31 * DAY)
    assert {entry.number for entry in studio.archive.search("", 10)} == {"S-1", "S-2"}
    again = Archive(studio.folder.archive)
    assert all(again.get(entry.month, entry.ticket_id) for entry in again.search("", 10))


def test_archive_months_expire(studio: Store) -> None:
    finished(studio, "S-1")
    keeper = Housekeeper(studio, RETENTION)
    keeper.step(NOW + 31 * DAY)
    keeper.step(NOW + 360 * DAY)
    assert len(studio.archive.search("", 10)) == 1
    keeper.step(NOW + 420 * DAY)
    assert studio.archive.search("", 10) == [] and not list(studio.folder.archive.iterdir())


def test_a_printer_still_at_work_keeps_a_canceled_ticket_in_the_store(studio: Store) -> None:
    ticket_id = finished(studio, "S-1")
    job = studio.print_jobs.get(1)
    studio.print_jobs.put(job.with_(state=PrintJobState.SENT))
    Housekeeper(studio, RETENTION).step(NOW + 31 * DAY)
    assert studio.tickets.find(ticket_id) is not None


def test_records_and_their_pictures_expire_but_not_what_is_needed(studio: Store) -> None:
    finished(studio, "old")
    old_picture = studio.folder.image(studio.records.get(1).images[0].sha256 or "")
    needed = photo(studio, 2)
    intake.accept(studio, push(needed, number="young"), NOW + 200 * DAY)
    fresh = photo(studio, 3)  # uploaded, its record is not here yet
    later = NOW + 220 * DAY
    for path in (old_picture, studio.folder.image(needed)):
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    os.utime(studio.folder.image(fresh), (later.timestamp(), later.timestamp()))
    Housekeeper(studio, RETENTION).step(later)
    assert [record.number for record in studio.records.all()] == ["young"]
    assert not old_picture.exists()
    assert studio.folder.image(needed).exists() and studio.folder.image(fresh).exists()


def test_changes_are_kept_until_every_client_has_taken_them(studio: Store) -> None:
    clients = [
        studio.desktop_clients.add(DesktopClient(name=name, token_sha256=name * 64, created_at=NOW)) for name in "ab"
    ]
    finished(studio, "S-1")
    keeper = Housekeeper(studio, RETENTION)
    outbox.acknowledge(studio, clients[0], 1)
    keeper.step(NOW + 200 * DAY)
    assert [change.status for change in outbox.changes_after(studio, 0)] == [FINISH]
    outbox.acknowledge(studio, clients[1], 1)
    keeper.step(NOW + 200 * DAY)
    assert outbox.changes_after(studio, 0) == []


def test_upgrade_steps_run_in_order_from_where_the_store_is() -> None:
    tables: dict[str, dict[int, dict[str, object]]] = {"things": {1: {"ran": []}}}
    steps = {n: (lambda t, n=n: t["things"][1]["ran"].append(n)) for n in (1, 2, 3)}  # type: ignore[misc,attr-defined]
    upgrade(2, tables, steps, to=4)  # type: ignore[arg-type]
    assert tables["things"][1]["ran"] == [2, 3]
    with pytest.raises(KeyError):
        upgrade(1, tables, {}, to=2)  # type: ignore[arg-type]


def test_a_plan_of_the_first_schema_is_drawn_by_this_one() -> None:
    tables = {"sheets": {1: {"plan": {"border_colour": "#102030", "dpi": 300}}, 2: {"state": "printed"}}}
    upgrade(1, tables)
    assert tables["sheets"] == {1: {"plan": {"background": "#102030", "dpi": 300}}, 2: {"state": "printed"}}


def test_download_links_and_unused_assets_expire_but_not_what_is_needed(studio: Store) -> None:
    keeper = Housekeeper(studio, RETENTION)
    fields = {"ticket_id": 1, "token": "t", "files": ("a.jpg",), "created_at": NOW}
    studio.downloads.add(Download(expires_at=NOW - 31 * DAY, **fields))  # type: ignore[arg-type]
    kept = studio.downloads.add(Download(expires_at=NOW - 29 * DAY, **fields))  # type: ignore[arg-type]
    listed, used, frozen, unused = (digit * 64 for digit in "abcd")
    studio.assets.add(Asset(kind=AssetKind.OVERLAY, name="listed", sha256=listed, added_at=NOW))
    profile = RenderProfile(name="p", overlay=AssetRef(name="used", sha256=used))
    studio.render_profiles.add(profile)
    old = profile.with_(id=0, overlay=AssetRef(name="frozen", sha256=frozen))
    studio.instructions.add(instructions(push("0" * 64), old, ticket_id=99))
    for digest in (listed, used, frozen, unused):
        studio.folder.asset(digest).write_bytes(b"x")
        os.utime(studio.folder.asset(digest), ((NOW - timedelta(days=10)).timestamp(),) * 2)
    keeper.step(NOW)
    assert studio.downloads.all() == [kept]
    assert {path.name for path in studio.folder.assets.iterdir()} == {listed, used, frozen}


def test_jobs_of_print_queues_age_and_their_documents_before_them(store: Store) -> None:
    from store import queue_jobs
    from store.queue_setup import offer
    from store.queues import QueueDocument
    from store.records import PrinterPool

    queue = offer(store, "Lab", NOW, pool_id=store.printer_pools.add(PrinterPool(name="Lab")).id)
    for token in ("done", "open", "orphan"):
        path = store.folder.queued / token
        path.write_bytes(b"x")
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
        if token != "orphan":
            document = QueueDocument(token=token, format="image/jpeg", size=1, at=NOW)
            fields = {"name": token, "user": "kim"}
            job = queue_jobs.begin_whole(store, queue, fields, document, "", NOW)
            if token == "done":
                with store.transaction():
                    queue_jobs.move(store, job, "cancel", NOW)
    keeper = Housekeeper(store, RETENTION)
    keeper.step(NOW + 2 * DAY)
    assert [path.name for path in store.folder.queued.iterdir()] == ["open"]  # the other can be sent again
    assert len(store.queue_jobs) == 2
    keeper.step(NOW + 31 * DAY)
    assert [job.name for job in store.queue_jobs.all()] == ["open"]


# -- the archive knows its end ------------------------------------------------------------------------------------


def archived(studio: Store) -> tuple[Housekeeper, str, Path]:
    """Three tickets in a month's file."""
    for number in ("S-1", "S-2", "S-3"):
        finished(studio, number)
    keeper = Housekeeper(studio, RETENTION)
    keeper._age(NOW + 31 * DAY)
    (month,) = studio.archive.months()
    assert studio.archive.damage == []
    return keeper, month, studio.folder.archive / f"{month}.prj"


def looked_at_anew(studio: Store) -> list[str]:
    Housekeeper(studio, RETENTION)._age(NOW + 31 * DAY)
    return studio.archive.damage


@pytest.mark.parametrize("how", ["cut", "cut in the last", "empty", "zeros", "missing", "both cut", "both missing"])
def test_archived_tickets_that_are_gone_are_told_and_never_mixed_up(studio: Store, how: str) -> None:
    _, month, path = archived(studio)
    index, content = path.with_suffix(".index"), path.read_bytes()
    ends = [frame.ends for frame in frames_in(content)]
    left = {"cut": ends[0], "cut in the last": ends[1] + 50, "both cut": ends[1]}.get(how, 0)
    path.write_bytes(bytes(len(content)) if how == "zeros" else content[:left])
    if "missing" in how:
        path.unlink()
    if how == "both cut":
        lines = index.read_bytes()
        index.write_bytes(lines[: [frame.ends for frame in frames_in(lines)][1]])
    if how == "both missing":
        index.unlink()
    damage = looked_at_anew(studio)
    assert damage and str(path) in damage[0] and any(damage[0] in told for told in studio.troubles(0))
    finished(studio, "S-4")
    finished(studio, "S-5")
    keeper = Housekeeper(studio, RETENTION)
    keeper._age(NOW + 31 * DAY)  # what comes behind must not be taken for what was there
    for entry in studio.archive.search("", 10):
        found = studio.archive.get(entry.month, entry.ticket_id)
        assert found is None or found.ticket.number == entry.number
    readable = {entry.number for entry in studio.archive.search("", 10) if studio.archive.get(month, entry.ticket_id)}
    assert {"S-4", "S-5"} <= readable and len(studio.tickets) == 0
    assert looked_at_anew(studio)  # it is not forgotten by the next ones
    if "both" not in how:
        assert {entry.number for entry in studio.archive.search("", 10)} == {"S-1", "S-2", "S-3", "S-4", "S-5"}


def test_a_turned_bit_in_the_archive_is_found_by_a_check_that_changes_nothing(tmp_path: Path) -> None:
    studio = Store(tmp_path / "studio")
    add_render_job(studio)
    _, _, path = archived(studio)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    path.with_suffix(".index").unlink()
    assert len(studio.archive.search("", 10)) == 2  # made anew of what can be read
    root = studio.folder.root
    studio.close()
    before = {one: one.read_bytes() for one in root.rglob("*") if one.is_file() and one.name != "lock"}
    findings = doctor.check(root)
    assert not findings.is_sound and "1 of 3 archived tickets are missing" in findings.lost[0]
    assert {one: one.read_bytes() for one in root.rglob("*") if one.is_file() and one.name != "lock"} == before


def test_a_ticket_that_the_index_has_and_the_file_has_not_is_archived_again(studio: Store) -> None:
    """The power went between archiving and removing, and the file lost it: the store's is the last one there is."""
    ticket_id = finished(studio, "S-1")
    whole = ArchivedTicket(ticket=studio.tickets.get(ticket_id), instructions=studio.instructions.get(ticket_id))
    studio.archive.add([whole])
    (month,) = studio.archive.months()
    path = studio.folder.archive / f"{month}.prj"
    path.write_bytes(path.read_bytes()[:-1])
    Housekeeper(studio, RETENTION)._age(NOW + 31 * DAY)
    assert len(studio.tickets) == 0 and studio.archive.get(month, ticket_id) is not None
    assert looked_at_anew(studio) == [] and len(studio.archive.search("", 10)) == 1


def test_what_cannot_be_read_is_not_written_over(studio: Store) -> None:
    _, _, path = archived(studio)
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    finished(studio, "S-4")
    Housekeeper(studio, RETENTION)._age(NOW + 31 * DAY)
    assert path.read_bytes().startswith(bytes(content))


def test_a_month_that_expired_is_not_missed(studio: Store) -> None:
    archived(studio)
    keeper = Housekeeper(studio, RETENTION)
    keeper._age(NOW + 420 * DAY)
    assert not studio.archive.months() and studio.archive.damage == [] and not len(studio.archived_months)
