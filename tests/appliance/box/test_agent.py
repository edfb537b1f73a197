"""What the panel may have done as root: an update is written whole and read back, or the running version stays.

Partitions are files here, and systemd-sysupdate is a function that does what it does: fill the empty slot and lay the
kernel beside. The real one is seen at work in `make image-test`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.box import agent
from appliance.box.agent import Agent
from tests.appliance.box.test_bundle import Publisher, made

RUNNING, NEWER = "1.1.0", "1.2.0"
SLOT_BYTES = 1 << 20


class Machine:
    """A box of files: 1.1.0 runs, the other slot is empty."""

    def __init__(self, folder: Path, patch: Callable[[str, object], None]) -> None:
        self.labels, self.kernels = folder / "by-partlabel", folder / "efi"
        self.staged, self.uploaded = folder / "update", folder / "uploads" / "bundle"
        self.publisher = Publisher()
        for one in (self.labels, self.kernels, folder / "keys", folder / "uploads"):
            one.mkdir()
        (folder / "keys" / "ours.pem").write_bytes(self.publisher.public)
        self.fill(f"printroom_{RUNNING}", b"as it was")
        self.fill("_empty", b"")
        (self.kernels / f"printroom_{RUNNING}.efi").write_bytes(b"as it was")
        self.root, self.kernel = b"root" * 1000, b"kernel" * 100  # of what the disk gives back
        patch("LABELS", self.labels)
        patch("KERNELS", self.kernels)
        patch("KEYS", folder / "keys")
        patch("OWN", folder)
        patch("STAGED", self.staged)
        patch("UPLOADED", self.uploaded)
        patch("CHANGING", folder / "changing")
        patch("about", lambda: {"version": RUNNING, "schema": 2, "architecture": "amd64"})
        patch("platform_name", lambda: "amd64")
        patch("_run", self._sysupdate)

    def fill(self, label: str, content: bytes) -> None:
        """A partition begins with this."""
        (self.labels / label).write_bytes(content.ljust(SLOT_BYTES, b"\0"))

    def upload(self, folder: Path) -> None:
        """An update to 1.2.0."""
        made(folder, self.publisher, NEWER).rename(self.uploaded)

    def ask(self, what: str) -> dict[str, Any]:
        """The last line of the answer."""
        out = io.StringIO()
        Agent(out).serve(json.dumps({"do": what}))
        return dict(json.loads(out.getvalue().splitlines()[-1]))

    def starts_with(self) -> list[str]:
        """The kernels that the boot loader finds."""
        return sorted(path.name for path in self.kernels.iterdir())

    def _sysupdate(self, *command: str, limit_s: float = 60) -> str:
        del limit_s
        assert command[0] == agent.SYSUPDATE and command[-1] == NEWER
        assert (self.staged / f"printroom_{NEWER}.root").read_bytes() == b"root" * 1000
        slot = self.labels / f"printroom_{NEWER}"
        if not slot.exists():  # what has the name already is left as it is
            (self.labels / "_empty").rename(slot)
            self.fill(slot.name, self.root)
        (self.kernels / f"printroom_{NEWER}+3.efi").write_bytes(self.kernel)
        return ""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    (tmp_path / "box").mkdir()
    return Machine(tmp_path / "box", lambda name, value: monkeypatch.setattr(agent, name, value))


def test_an_update_is_written_to_the_empty_slot_and_has_three_tries(machine: Machine, tmp_path: Path) -> None:
    machine.upload(tmp_path)
    assert machine.ask("check")["ok"]["version"] == NEWER
    assert machine.starts_with() == [f"printroom_{RUNNING}.efi"], "a check changes nothing"
    assert machine.ask("install")["ok"]["version"] == NEWER
    assert machine.starts_with() == [f"printroom_{RUNNING}.efi", f"printroom_{NEWER}+3.efi"]
    assert not machine.uploaded.exists() and not machine.staged.exists()


def test_a_slot_that_an_earlier_try_left_is_written_over(machine: Machine, tmp_path: Path) -> None:
    (machine.labels / "_empty").unlink()
    machine.fill(f"printroom_{NEWER}", b"cut off by pow")
    (machine.kernels / f"printroom_{NEWER}+0-3.efi").write_bytes(b"given up")
    (machine.kernels / ".#printroom_cut-off").write_bytes(b"cut")
    machine.upload(tmp_path)
    assert "ok" in machine.ask("install")
    assert (machine.labels / f"printroom_{NEWER}").read_bytes().startswith(b"root" * 1000)
    assert machine.starts_with() == [f"printroom_{RUNNING}.efi", f"printroom_{NEWER}+3.efi"]


@pytest.mark.parametrize("part", ["root", "kernel"])
def test_what_the_disk_does_not_give_back_is_never_started(machine: Machine, tmp_path: Path, part: str) -> None:
    setattr(machine, part, b"worn out")
    machine.upload(tmp_path)
    assert "replace it soon" in machine.ask("install")["error"]
    assert machine.starts_with() == [f"printroom_{RUNNING}.efi"]
    assert machine.uploaded.exists(), "it can be installed once more, on another disk"


def test_a_link_in_place_of_the_upload_is_not_followed(machine: Machine, tmp_path: Path) -> None:
    made(tmp_path, machine.publisher, NEWER)
    machine.uploaded.symlink_to(tmp_path / f"printroom_{NEWER}_amd64.update")
    assert "refused" in machine.ask("install")["error"]
    assert machine.starts_with() == [f"printroom_{RUNNING}.efi"]


def test_without_an_upload_there_is_nothing_to_install(machine: Machine) -> None:
    assert machine.ask("install") == {"error": "there is no update on the box: upload or fetch one first"}


@pytest.mark.parametrize("line", ["", "[]", '{"do": "rm -rf /"}', '{"do": ["install"]}', "\x00", '{"sure": "yes"}'])
def test_a_word_that_it_does_not_know_does_nothing(line: str) -> None:
    out = io.StringIO()
    Agent(out).serve(line)
    assert json.loads(out.getvalue())["error"].startswith("the panel asked for something")


def test_a_factory_reset_takes_the_word(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "RESET", tmp_path / "reset")
    assert machine.ask("reset") == {"error": "a factory reset takes the word 'everything'"}
    assert not (tmp_path / "reset").exists()


def test_a_disk_in_use_is_not_repaired(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "DATA_PROBLEM", tmp_path / "there-is-none")
    assert "in use" in machine.ask("repair-disk")["error"]
