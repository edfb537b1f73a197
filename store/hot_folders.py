"""Hot folders: watched folders whose files become records and tickets. See appliance/hot_folders."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from store.model import Stored
from store.sizes import Size, parse_size

ARRIVED, PRINTED, FAILED = "dropped", "done", "failed"  # statuses of such records; no desktop sees them

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
