"""Version 0.1 itself: its stores are opened without complaint, and it reads what is written for it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from store import doctor, intake
from store.errors import StoreDamaged
from store.head import head_of
from store.tables import Store
from tests.studio import NOW, photo, push

COMMIT = "3b6c544"  # the last one of it
REPOSITORY = Path(__file__).parents[2]

# Opens the store, pushes records by the numbers given, and stops: cleanly, or by being killed. Says what is in it.
PROGRAM = textwrap.dedent(
    """
    import json, os, signal, sys
    from datetime import UTC, datetime
    from pathlib import Path
    import structlog
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    from store import intake
    from store.errors import StoreError
    from store.pushed import RecordPush
    from store.tables import Store
    root, how, numbers = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    try:
        store = Store(root)
    except StoreError as error:
        print(json.dumps({"refused": f"{type(error).__name__}: {error}"}))
        sys.exit()
    for number in numbers:
        push = {"kind": "session", "number": number, "revision": 1, "status": "Sold", "images": [], "items": []}
        intake.accept(store, RecordPush(**push), datetime(2026, 11, 21, tzinfo=UTC))
        if "fold" in how:
            store._database.journal.fold()
    print(json.dumps({"damage": store.damage, "records": [one.number for one in store.records.all()]}), flush=True)
    if "kill" in how:
        os.kill(os.getpid(), signal.SIGKILL)
    store.close()
    """
)
Run = Callable[..., dict[str, object]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs version 0.1 on a data folder."""
    tree = tmp_path_factory.mktemp("version-0.1")
    archive = subprocess.run(["git", "archive", COMMIT, "store"], cwd=REPOSITORY, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"this checkout has no history: {archive.stderr.decode().strip()}")
    subprocess.run(["tar", "x", "-C", str(tree)], input=archive.stdout, check=True)

    def program(root: Path, how: str, *numbers: str) -> dict[str, object]:
        command = [sys.executable, "-c", PROGRAM, str(root), how, *numbers]
        told = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        assert told.stdout, told.stderr
        return dict(json.loads(told.stdout.splitlines()[-1]))

    return program


def numbers(root: Path) -> list[str]:
    store = Store(root)
    found = [one.number for one in store.records.all()]
    assert store.damage == [] and store.doubts == []
    store.close()
    return found


@pytest.mark.parametrize("how", ["stop", "kill", "stop, fold", "kill, fold"])
def test_its_stores_are_opened_without_complaint_and_upgraded(tmp_path: Path, run: Run, how: str) -> None:
    run(tmp_path, how, "S-1", "S-2")
    findings = doctor.check(tmp_path)
    assert findings.is_sound and not findings.doubts and not findings.notes
    assert numbers(tmp_path) == ["S-1", "S-2"] == numbers(tmp_path)
    assert "schema 3" in str(run(tmp_path, "stop")["refused"])
    max((tmp_path / "store").glob("journal-*.prj")).unlink()
    head_of(tmp_path / "store").unlink()
    with pytest.raises(StoreDamaged, match="is missing"):
        Store(tmp_path)


def test_an_empty_one_too(tmp_path: Path, run: Run) -> None:
    run(tmp_path, "kill")
    (tmp_path / "secret").write_bytes(b"as every start makes it")
    assert numbers(tmp_path) == []


def test_one_that_was_restored_or_repaired_and_not_started_since(tmp_path: Path, run: Run) -> None:
    run(tmp_path, "stop, fold", "S-1", "S-2")
    for journal in (tmp_path / "store").glob("journal-*.prj"):
        journal.unlink()
    min((tmp_path / "store").glob("snapshot-*.prj")).unlink()
    assert numbers(tmp_path) == ["S-1", "S-2"]


def test_one_without_its_journal_is_refused(tmp_path: Path, run: Run) -> None:
    run(tmp_path, "stop, fold", "S-1")
    run(tmp_path, "stop", "S-2")
    max((tmp_path / "store").glob("journal-*.prj")).unlink()
    with pytest.raises(StoreDamaged, match="is missing"):
        Store(tmp_path)


def test_one_that_would_be_empty_is_refused_where_there_are_pictures(tmp_path: Path, run: Run) -> None:
    """It cannot be known of its files alone: this is what the box did before it had anything in it."""
    run(tmp_path, "kill", "S-1")
    (picture := tmp_path / "images" / "ab" / "abcd").parent.mkdir()
    picture.write_bytes(b"picture")
    for manipulate in (lambda path: path.write_bytes(b""), lambda path: path.unlink()):
        manipulate(max((tmp_path / "store").glob("journal-*.prj")))
        with pytest.raises(StoreDamaged, match="uploaded pictures"):
            Store(tmp_path)


def test_its_last_commit_garbled_is_a_doubt(tmp_path: Path, run: Run) -> None:
    run(tmp_path, "stop", "S-1", "S-2")
    path = max((tmp_path / "store").glob("journal-*.prj"))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    store = Store(tmp_path)
    assert "may be lost" in store.doubts[0]
    store.close()


@pytest.mark.parametrize("is_killed", [True, False])
def test_it_takes_over_again_when_this_version_was_tried_and_given_up(
    tmp_path: Path, run: Run, is_killed: bool
) -> None:
    run(tmp_path, "stop", "S-1")
    for _ in range(2):
        tried = Store(tmp_path, on_trial=lambda: True)
        assert [one.number for one in tried.records.all()] == ["S-1"]
        if is_killed:
            tried._lock.release()
        else:
            tried.close()
    assert not head_of(tmp_path / "store").exists()
    assert run(tmp_path, "kill", "S-2") == {"damage": [], "records": ["S-1", "S-2"]}
    assert numbers(tmp_path) == ["S-1", "S-2"]


def test_a_step_back_is_read_by_it_and_the_way_forward_is_open(tmp_path: Path, run: Run) -> None:
    for turn in range(2):
        store = Store(tmp_path)
        intake.accept(store, push(photo(store), number=f"new-{turn}"), NOW)
        store._database.journal.fold()
        store.close()
        for _ in range(2):
            doctor.step_back(tmp_path, 2)
        told = run(tmp_path, "kill" if turn else "stop, fold", f"old-{turn}")
        assert told["damage"] == [] and f"new-{turn}" in told["records"]  # type: ignore[operator]
    assert numbers(tmp_path) == ["new-0", "old-0", "new-1", "old-1"]


def test_a_step_back_that_was_not_used_is_no_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    intake.accept(store, push([], [], number="S-1"), NOW)
    store.close()
    doctor.step_back(tmp_path, 2)
    assert numbers(tmp_path) == ["S-1"]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_step_back_that_was_cut_off_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    store = Store(tmp_path)
    intake.accept(store, push([], [], number="S-1"), NOW)
    store.close()

    def cut_off(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, ["write_snapshot", "_remove", "remove_head"][steps - 1], cut_off)
    with pytest.raises(KeyboardInterrupt):
        doctor.step_back(tmp_path, 2)
    monkeypatch.undo()
    assert numbers(tmp_path) == ["S-1"]


def test_its_files_copied_over_newer_ones_are_refused(tmp_path: Path, run: Run) -> None:
    run(tmp_path, "stop", "S-1")
    old = {path.name: path.read_bytes() for path in (tmp_path / "store").glob("*.prj")}
    store = Store(tmp_path)
    intake.accept(store, push([], [], number="S-2"), NOW)
    store.close()
    for path in (tmp_path / "store").glob("*.prj"):
        path.unlink()
    for name, content in old.items():
        (tmp_path / "store" / name).write_bytes(content)
    with pytest.raises(StoreDamaged):
        Store(tmp_path)
