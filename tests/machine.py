"""A box's own service on files in place of partitions: the real agent behind a real socket. What only systemd can do is
seen in the emulator (make image-test)."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from unittest import mock

from appliance.box import agent
from appliance.box.agent import Agent
from appliance.box.slots import Slot

VERSION = "1.1.0"


def _about_slot(slot: Slot) -> dict[str, object]:
    return {"version": slot.version, "schema": 2}


class Machine:
    """A box that runs version 1.1.0, with 1.0.0 beside it."""

    def __init__(self, root: Path, data: Path, publisher: bytes) -> None:
        """
        Args:
            root: a new folder; it is what PRINTROOM_BOX names.
            data: the data folder of the Printroom on it.
            publisher: the public key, PEM, whose updates it takes.
        """
        self.root = root
        for folder in ("labels", "kernels", "keys", "own", "panel"):
            (root / folder).mkdir(parents=True)
        for label in ("esp", "printroom_1.0.0", f"printroom_{VERSION}", "printroom-data"):
            (root / "labels" / label).write_bytes(bytes(1 << 20))
        for kernel in ("printroom_1.0.0.efi", f"printroom_{VERSION}.efi"):
            (root / "kernels" / kernel).touch()
        (root / "keys" / "publisher.pem").write_bytes(publisher)
        places = {
            "LABELS": root / "labels",
            "KERNELS": root / "kernels",
            "KEYS": root / "keys",
            "OWN": root / "own",
            "UPLOADED": data / "updates" / "bundle",
            "about": lambda: {"version": VERSION, "schema": 2, "architecture": "amd64"},
            "platform_name": lambda: "amd64",
            "about_slot": _about_slot,
        }
        self._patches = [mock.patch.object(agent, name, value) for name, value in places.items()]
        for patch in self._patches:
            patch.start()
        self.address = root / "agent.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.address))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for patch in self._patches:
            patch.stop()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rw", encoding="utf-8") as stream:
                Agent(stream).serve(stream.readline())
