"""One owner of a data folder."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from store.errors import StoreLocked
from store.folder import FolderLock
from store.tables import Store


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    code = f"from store.folder import FolderLock; from pathlib import Path; FolderLock(Path({str(tmp_path)!r}))"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert second.returncode != 0 and "already in use by process" in second.stderr
    lock.release()
    FolderLock(tmp_path).release()


def test_a_lock_file_left_by_a_power_cut_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4242")
    FolderLock(tmp_path).release()


def test_within_one_process_too(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(StoreLocked, match="--data"):
        FolderLock(tmp_path)
    lock.release()


def test_only_the_owner_may_read_the_data(store: Store) -> None:
    assert stat.S_IMODE(store.folder.root.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in store.folder.store.iterdir())
