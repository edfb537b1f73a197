"""A code with which somebody who stands before the box sets a new password. Its digest is a file in the data folder,
good for ten minutes and once."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from pathlib import Path

NAME = "reset-code"
GOOD_FOR = timedelta(minutes=10)


def make(root: Path, now: datetime) -> str:
    """A new code of eight digits; the one before is void."""
    code = f"{secrets.randbelow(10**8):08d}"
    partial = root / f"{NAME}.part"
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({"sha256": _digest(code), "until": (now + GOOD_FOR).isoformat()}))
    partial.rename(root / NAME)
    return code


def is_good(root: Path, code: str, now: datetime) -> bool:
    """Whether this is the code."""
    try:
        known = json.loads((root / NAME).read_text())
        is_late = now > datetime.fromisoformat(known["until"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return not is_late and hmac.compare_digest(_digest(code), known["sha256"])


def use_up(root: Path) -> None:
    """It has been used."""
    (root / NAME).unlink(missing_ok=True)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
