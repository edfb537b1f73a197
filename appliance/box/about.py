"""Which version this is, and whether it runs in the box image."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

ABOUT = Path("/usr/lib/printroom-box/about.json")  # written while the image is built
_PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def about() -> dict[str, Any]:
    """version, schema, architecture of the box image; empty in a checkout."""
    return dict(json.loads(ABOUT.read_text())) if ABOUT.is_file() else {}


def version() -> str:
    """Of this Printroom."""
    if found := about():
        return str(found["version"])
    return str(tomllib.loads(_PROJECT.read_text())["project"]["version"]) if _PROJECT.is_file() else "0"
