"""A version that is being tried: what it upgrades, the version before can put back as it was.

While it is tried, nothing is accepted, so nothing is lost with it. The mark `on-trial` says so on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from store.disk import Disk
from store.folder import sync_folder
from store.generations import generations

log = structlog.get_logger("store")

_MARK = "on-trial"


def keep_copy(folder: Path, name: str, disk: Disk) -> None:
    """Keep the store's files as they are, in a folder below theirs, before anything of them is changed."""
    copies = folder / name
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir(mode=0o700)
    for kind in ("snapshot", "journal"):
        for path in generations(folder, kind).values():
            shutil.copy2(path, copies)
    os.sync()
    (copies / "whole").touch()
    disk.sync_folder(copies)


def copy_before(schema: int) -> str:
    """The folder of the files from before the upgrade to a schema."""
    return f"before-schema-{schema}"


class Trial:
    """Whether this program is being tried, and the way back for the one before."""

    def __init__(self, folder: Path, is_on: Callable[[], bool]) -> None:
        self._folder, self._mark = folder, folder / _MARK
        self._is_on: Callable[[], bool] | None = is_on

    @property
    def is_on(self) -> bool:
        """Whether the program before this one may still take over again."""
        return self._is_on is not None and self._is_on()

    @property
    def is_over(self) -> bool:
        """Whether the disk says that no older program may take over."""
        return self._is_on is None

    def mark(self) -> None:
        """Say on the disk, before an upgrade, that nothing is accepted yet; or, before a change, that this is over."""
        if self.is_on:
            self._mark.touch(mode=0o600)
        else:
            self._mark.unlink(missing_ok=True)
            self._is_on = None
        sync_folder(self._folder)

    def may_go_back(self, schema: int) -> bool:
        """Whether a newer program, which writes this schema, was tried and given up, and left the files from before."""
        return self._mark.exists() and (self._folder / copy_before(schema) / "whole").exists()

    def go_back(self, schema: int) -> None:
        """A newer program upgraded this store and was given up before it took anything: its files go aside, those from
        before come back. Cut off anywhere, it goes on at the next start, because the mark goes last."""
        newer, copies = self._folder / f"from-schema-{schema}", self._folder / copy_before(schema)
        newer.mkdir(mode=0o700, exist_ok=True)
        kept = {path.name for path in copies.iterdir()}
        for kind in ("snapshot", "journal"):
            for path in generations(self._folder, kind).values():
                if path.name not in kept:
                    path.rename(newer / path.name)
        for path in copies.iterdir():
            if path.name != "whole":
                shutil.copy2(path, self._folder / f"{path.name}.part")
                (self._folder / f"{path.name}.part").rename(self._folder / path.name)
        os.sync()
        self._mark.unlink()
        sync_folder(self._folder)
        log.warning("store.went_back", newer=schema)
