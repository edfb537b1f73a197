"""Hot folders: watched folders whose files become records and tickets. See appliance/hot_folders."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from store.model import Model, Stored
from store.sizes import Size, parse_size

ARRIVED, PRINTED, FAILED = "dropped", "done", "failed"  # statuses of such records; no desktop sees them
MOST_NAMED = 20  # things that lie in a hot folder and cannot be taken

FolderName = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$"
    ),
]


class HotFolder(Stored):
    """A watched folder of a render profile; it has the folder's name, below the configured place."""

    name: FolderName
    profile_id: int
    size: Size = parse_size("8x10")  # of what no job ticket says a size for
    quantity: int = Field(1, ge=1, le=999)
    needs_job_ticket: bool = False  # pictures wait for a CSV or JSON file that names them
    keeps_files: bool = True  # what was taken lies in Done afterwards; else it is deleted
    inactive: bool = False


class LeftLying(Model):
    """Something in a hot folder that can neither be taken nor put aside now."""

    name: str
    why: str  # after its name


class HotFolderNotice(Stored):
    """What people should know of a hot folder; has the hot folder's id, and is there while there is something."""

    trouble: str = ""  # why nothing of it is taken, after its name
    problems: int = 0  # things in its folder Problems
    problem: str = ""  # the newest of them,
    problem_at: datetime | None = None  # and when it was put there
    left: tuple[LeftLying, ...] = ()  # the first MOST_NAMED of them
    left_count: int = 0
    since: datetime

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to know."""
        return not (self.trouble or self.problems or self.left_count)


def sentences(hot_folder: HotFolder, notice: HotFolderNotice) -> dict[str, str]:
    """What to tell people, without a full stop; by what it is about, which stays the same as long as it lasts.

    What is put aside on another day is another trouble: whoever was told of the first must hear of it.
    """
    found: dict[str, str] = {}
    if notice.trouble:
        found["trouble"] = f"Hot folder {hot_folder.name} {notice.trouble}"
    if notice.problems:
        files = f"{notice.problems} file{'s' if notice.problems > 1 else ''} could not be taken"
        newest = f" (the last: {notice.problem})" if notice.problem else ""
        day = f" {notice.problem_at:%Y-%m-%d}" if notice.problem_at else ""
        found[f"problems{day}"] = f"Hot folder {hot_folder.name}: {files}{newest}: look into its folder Problems"
    if notice.left_count:
        many = notice.left_count > 1
        what = f"{notice.left_count} files lie" if many else "a file lies"
        first = f" (such as {notice.left[0].name}, which {notice.left[0].why})" if notice.left else ""
        found["left"] = f"Hot folder {hot_folder.name}: {what} there and cannot be taken{first}"
    return found
