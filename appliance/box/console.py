"""What stands on the screen of the box, and the few things that need somebody to stand before it. Runs as root on a
terminal; asks for nothing but a key and, where something is lost, a word."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
import tty
from collections.abc import Callable
from pathlib import Path

from appliance.box.about import version

DATA = Path("/var/lib/printroom")
STATUS = Path("/run/printroom-box/panel/console")
TRIAL = Path("/run/printroom-box/on-trial")
LOOK_EVERY_S = 2.0
MENU = (
    "  P  new password for an administrator     S  safe mode, on or off\n"
    "  V  the other version                     F  factory reset\n"
    "  R  restart                               O  switch off\n"
)


def status() -> str:
    """What the panel wrote for whoever stands here, and what a key does."""
    try:
        told = STATUS.read_text().strip()
    except OSError:
        told = "Printroom is starting."
    trial = "\nThis version is being tried; nothing is taken for a minute." if TRIAL.exists() else ""
    return f"\n\n  Printroom {version()}\n\n{told}{trial}\n\n{MENU}"


def appliance(*arguments: str) -> str:
    """Run a command of Printroom's as its own user; returns what it said."""
    command = ["runuser", "-u", "printroom", "--", sys.executable, "-m", "appliance", *arguments, "--data", str(DATA)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (done.stdout + done.stderr).strip()


class Console:
    """One terminal."""

    def __init__(self) -> None:
        self._keys: dict[str, Callable[[], None]] = {
            "p": self._password,
            "s": self._safe_mode,
            "v": lambda: self._ask_box("go-back", "go to the other version; everything that was taken stays"),
            "f": lambda: self._ask_box("reset", "ERASE EVERYTHING: orders, pictures, settings", sure="everything"),
            "r": lambda: self._ask_box("restart", "restart"),
            "o": lambda: self._ask_box("switch-off", "switch the box off"),
        }

    def run(self) -> None:
        """Show, look again, and do what is asked; for ever."""
        shown = ""
        while True:
            now = status()
            if now != shown:
                self._say(now)
                shown = now
            key = self._key(LOOK_EVERY_S)
            if key in self._keys:
                self._keys[key]()
                shown = ""

    def _password(self) -> None:
        self._say(appliance("reset-password"))
        self._key(60)

    def _safe_mode(self) -> None:
        how = "off" if (DATA / "safe-mode").exists() else "on"
        if self._is_sure(f"start again with safe mode {how}"):
            self._say(appliance("safe-mode", how))
            subprocess.run(["systemctl", "restart", "printroom.service"], timeout=120, check=False)

    def _ask_box(self, what: str, words: str, **more: str) -> None:
        # Only now: it brings half of the panel along, and this process waits for a key all day.
        from appliance.box.link import Link
        from web.updates import BoxRefused

        if self._is_sure(words):
            try:
                Link().ask(what, lambda step, _done, _of: self._say(step), **more)
            except BoxRefused as error:
                self._say(f"It was not done: {error}")

    def _is_sure(self, words: str) -> bool:
        self._say(f"\nThis will {words}. Type yes and press Enter: ")
        answer = ""
        while (key := self._key(30)) not in ("", "\r", "\n"):
            answer += key
            self._say(key, end="")
        self._say("")
        return answer == "yes"

    def _say(self, text: str, end: str = "\r\n") -> None:
        sys.stdout.write(text.replace("\n", "\r\n") + end)
        sys.stdout.flush()

    def _key(self, within_s: float) -> str:
        """One key, in lower case; '' when none came."""
        if not select.select([sys.stdin], [], [], within_s)[0]:
            return ""
        key = os.read(sys.stdin.fileno(), 1)
        if not key:
            raise EOFError("the terminal has gone")  # systemd starts this again when there may be one
        return key.decode("ascii", "replace").lower()


def main() -> None:
    """On this terminal."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        attributes = termios.tcgetattr(sys.stdin)
        attributes[2] |= termios.CLOCAL  # a serial line whose other end goes away is not hung up
        termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)
        Console().run()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


if __name__ == "__main__":
    main()
