"""The data folder: what lies where, who may read it, and which one process owns it."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from store.errors import StoreLocked


class DataFolder:
    """Paths below the data folder. Creating one makes the folders, readable by their owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.store = self.root / "store"
        self.images = self.root / "images"  # uploaded pictures, by digest
        self.incoming = self.root / "incoming"  # uploads that are not complete yet
        self.sheets = self.root / "sheets"  # rendered sheets on their way to printers, and their thumbnails
        self.assets = self.root / "assets"  # ICC profiles and overlays, by digest
        self.output = self.root / "output"  # rendered files for people, by the profiles' folder templates
        self.archive = self.root / "archive"  # finished tickets by month
        self.queued = self.root / "queued"  # documents that were sent to print queues, by token
        self.scratch = self.root / "scratch"  # copies of pictures while they are read, of folders that may hang
        self.make()
        self.root.chmod(0o700)  # it may have been there before

    def make(self) -> None:
        """Make the folders, those that somebody removed, too.

        Raises:
            OSError: one cannot be made.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (
            self.store,
            self.images,
            self.incoming,
            self.sheets,
            self.assets,
            self.output,
            self.archive,
            self.queued,
            self.scratch,
        ):
            with suppress(FileExistsError):  # not looked at: one of them may be a share that hangs
                folder.mkdir(mode=0o700)

    def image(self, sha256: str) -> Path:
        """Where the uploaded picture with this digest lies, or would lie."""
        return self.images / sha256[:2] / sha256

    def keep_image(self, partial: Path, sha256: str) -> None:
        """Put a whole, synced file among the uploaded pictures, durably; it is gone from where it was."""
        target = self.image(sha256)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.rename(target)
        sync_folder(target.parent)

    def add_image(self, content: bytes) -> str:
        """Put a picture among the uploaded ones, durably; returns its digest."""
        digest = hashlib.sha256(content).hexdigest()
        if not self.image(digest).is_file():
            partial = self.incoming / f"made-{digest}"
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self.keep_image(partial, digest)
        return digest

    def asset(self, sha256: str) -> Path:
        """Where a file lies that render profiles use."""
        return self.assets / sha256

    def sheet(self, sheet_id: int) -> Path:
        """Where a drawn sheet waits for its printer."""
        return self.sheets / f"{sheet_id}.jpg"

    def converted(self, sheet_id: int, ending: str) -> Path:
        """Where a sheet lies in another format, while a printer takes it."""
        return self.sheets / f"{sheet_id}.{ending}"

    def thumbnail(self, sheet_id: int) -> Path:
        """Where a sheet's small picture for the panel lies."""
        return self.sheets / f"{sheet_id}.thumb.jpg"


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: what was created or renamed in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_OF_A_STORE = {"the audit log": "audit/*", "the key of sessions": "secret"}
_OF_ORDERS = {
    "uploaded pictures": "images/*/*",
    "drawn sheets": "sheets/*",
    "archived tickets": "archive/*",
    "documents of print queues": "queued/*",
    "files of render profiles": "assets/*",
}


def signs_of_use(root: Path, of_orders: bool) -> str:
    """What in a data folder shows that it had a store; '' when nothing does.

    Args:
        root: the data folder.
        of_orders: only by what is there since something was in that store.
    """
    signs = _OF_ORDERS if of_orders else {**_OF_ORDERS, **_OF_A_STORE}
    found = [what for what, pattern in signs.items() if any(root.glob(pattern))]
    return f"there are {', '.join(found)}" if found else ""


class FolderLock:
    """Exclusive ownership of a data folder while the process lives.

    A kernel lock (flock): it ends with the process however that ends, so a power cut leaves nothing stale behind.
    """

    def __init__(self, root: Path) -> None:
        """Take the lock.

        Raises:
            StoreLocked: another process has it; the message names its process id.
        """
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = (root / "lock").open("a+b", buffering=0)  # what a full disk refused is not tried again at close()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().decode().strip() or "unknown"
            self._file.close()
            raise StoreLocked(
                f"{root} is already in use by process {owner}: stop that Printroom first, "
                "or give this one another folder with --data"
            ) from None
        with suppress(OSError):  # a full disk: the lock holds all the same, only its owner is not named
            self._file.seek(0)
            self._file.truncate()
            self._file.write(str(os.getpid()).encode())

    def release(self) -> None:
        """Give the folder up."""
        self._file.close()
