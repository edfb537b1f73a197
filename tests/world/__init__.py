"""A world that misbehaves on request around real processes: a wrong clock, a full or failing disk, a share that hangs.

A process that is started with `World.environment` has tests/world/bent.c loaded before its own libraries; what is wrong
is set here and takes effect at once, in it and in all its children.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import subprocess
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("bent.c")


class _Control(ctypes.Structure):
    """struct control of bent.c."""

    _fields_ = (
        ("clock_offset_s", ctypes.c_int64),
        ("disk_errno", ctypes.c_int32),
        ("hangs", ctypes.c_int32),
        ("disk_prefix", ctypes.c_char * 512),
        ("hung_prefix", ctypes.c_char * 512),
    )


@cache
def library() -> Path:
    """bent.c, compiled once for each state of its source."""
    digest = f"{SOURCE.stat().st_mtime_ns:x}"
    built = SOURCE.parent.parent.parent / "build" / f"bent-{digest}.so"
    if not built.is_file():
        built.parent.mkdir(exist_ok=True)
        partial = built.with_suffix(f".{os.getpid()}")
        command = ["cc", "-shared", "-fPIC", "-O1", "-D_LARGEFILE64_SOURCE", "-o", str(partial), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, text=True)
        partial.rename(built)
    return built


class World:
    """What is wrong, for the processes of one test."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: in which the control file lies.
        """
        self._path = folder / "world"
        self._path.write_bytes(bytes(ctypes.sizeof(_Control)))
        with self._path.open("r+b") as file:
            self._control = _Control.from_buffer(mmap.mmap(file.fileno(), 0))

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that live in it."""
        return {"LD_PRELOAD": str(library()), "PRINTROOM_LAB_CONTROL": str(self._path)}

    def set_clock(self, offset_s: float) -> None:
        """The wall clock is so far off."""
        self._control.clock_offset_s = round(offset_s)

    def spoil_disk(self, folder: Path, code: int = errno.ENOSPC) -> None:
        """Every write below a folder fails."""
        self._control.disk_prefix = os.fsencode(folder)
        self._control.disk_errno = code

    def mend_disk(self) -> None:
        """It works again."""
        self._control.disk_errno = 0

    def hang(self, folder: Path) -> None:
        """Calls on names below a folder do not come back."""
        self._control.hung_prefix = os.fsencode(folder)
        self._control.hangs = 1

    def unhang(self) -> None:
        """They do, those that hang, too."""
        self._control.hangs = 0
