"""The panel's end of the agent's socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from web.updates import BoxRefused

SOCKET = Path("/run/printroom-box/agent.sock")
QUIET_LIMIT_S = 1800.0  # writing a slot on a slow card says nothing for minutes


class Link:
    """Asks the agent; one connection for each request."""

    def __init__(self, address: Path = SOCKET) -> None:
        self._address = address

    @property
    def is_there(self) -> bool:
        """Whether this Printroom runs in a box."""
        return self._address.exists()

    def ask(self, what: str, told: Callable[[str, int, int], None] | None = None, **more: Any) -> dict[str, Any]:
        """Ask for something and wait for it.

        Args:
            what: the action's name.
            told: called with each step, and bytes done of all.
            more: fields of the request.

        Raises:
            BoxRefused: it was not done; says why.
        """
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(QUIET_LIMIT_S)
                link.connect(str(self._address))
                link.sendall(json.dumps({"do": what, **more}).encode() + b"\n")
                with link.makefile("r", encoding="utf-8") as answers:
                    for line in answers:
                        answer = json.loads(line)
                        if "error" in answer:
                            raise BoxRefused(str(answer["error"]))
                        if "ok" in answer:
                            return dict(answer["ok"])
                        if told is not None:
                            told(str(answer["step"]), int(answer.get("done", 0)), int(answer.get("of", 0)))
        except OSError as error:
            raise BoxRefused(f"the box's own service does not answer ({error}): restart the box") from error
        raise BoxRefused("the box's own service ended without an answer: try again, then restart the box")
