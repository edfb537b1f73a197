"""What a paired client keeps: address, token, fingerprint, and its place in the changes; one small file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


def default_file() -> Path:
    """Where a client of this user keeps it."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "printroom" / "client.json"


@dataclass
class Kept:
    """One pairing."""

    url: str
    token: str
    fingerprint: str = ""
    client: str = ""
    seen: int | None = None  # the last change that was dealt with
    file: Path | None = None  # where it is kept; None: nowhere

    @classmethod
    def open(cls, file: Path | None = None) -> Kept:
        """What is kept in a file.

        Raises:
            FileNotFoundError: this client was not paired yet.
        """
        file = file or default_file()
        fields = json.loads(file.read_text())
        return cls(**{name: fields[name] for name in ("url", "token", "fingerprint", "client", "seen")}, file=file)

    def save(self, file: Path | None = None) -> None:
        """Keep it, whole or not at all, for this user's eyes only."""
        self.file = file or self.file or default_file()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".part")
        fields = {name: value for name, value in asdict(self).items() if name != "file"}
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(fields, out)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(self.file)

    def moved(self, url: str, seen: int | None) -> None:
        """Remember another address or place."""
        self.url, self.seen = url, seen
        if self.file is not None:
            self.save()
