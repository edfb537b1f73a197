"""The names that a box takes on its network, the first that no other box has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count


def box_names(wanted: str) -> Iterator[str]:
    """Without end: printroom, printroom-2, printroom-3 …"""
    yield wanted
    for number in count(2):
        yield f"{wanted}-{number}"
