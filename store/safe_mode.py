"""Safe mode: the panel and the sync API, without drawing and printing. A file in the data folder says so, because it
has to work when little else does."""

from __future__ import annotations

from pathlib import Path

from store.folder import sync_folder

NAME = "safe-mode"


def is_on(root: Path) -> bool:
    """Whether the next start of this data folder is one in safe mode."""
    return (root / NAME).exists()


def switch(root: Path, on: bool) -> None:
    """From the next start on."""
    if on:
        (root / NAME).touch(mode=0o600)
    else:
        (root / NAME).unlink(missing_ok=True)
    sync_folder(root)
