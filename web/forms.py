"""Forms to models and back, keeping what was typed when something is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from store.model import Stored
from store.tables import Shelf
from web import services

M = TypeVar("M", bound=Stored)

# What changes without anybody editing it: discovery moves printers, people pause queues.
_MOVING = frozenset(
    {"uri", "uuid", "fingerprint", "is_accepting", "is_paused", "is_shut_down", "message", "changed_at"}
    | {"state_changed_at"}
)
CHANGED = (
    "Somebody else has changed this since you opened it. What you typed is still here: look at theirs in another "
    "tab, then save again to replace it"
)
REMOVED = "Somebody else has removed this since you opened it. Copy what you need into a new one"

Errors = dict[str, str]  # by field; "" for what concerns the whole form


def build(model: type[M], values: Mapping[str, Any]) -> tuple[M | None, Errors]:
    """A model from a form's values, or what is wrong with them, field by field."""
    try:
        return model.model_validate(dict(values)), {}
    except ValidationError as error:
        errors: Errors = {}
        for detail in error.errors(include_url=False):
            field = "_".join(step for step in detail["loc"] if isinstance(step, str))
            errors.setdefault(field, _sentence(detail["msg"]))
        return None, errors


def seen(thing: Stored | None) -> str:
    """What a form carries along, to tell whether its thing was changed by somebody else meanwhile."""
    if thing is None:
        return ""
    return hashlib.sha256(thing.model_dump_json(exclude=set(_MOVING)).encode()).hexdigest()[:16]


def keep(shelf: Shelf[M], thing: M, form: Mapping[str, Any]) -> tuple[M | None, Errors]:
    """Keep what was typed, new or in place of what is known; refuse to overwrite what nobody here has seen.

    Args:
        shelf: the table.
        thing: checked; its id is 0 when it is new.
        form: as it was sent, with the `seen` that it carried along.

    Returns:
        (the thing as kept, nothing) or (None, what is wrong).
    """
    with services().store.transaction():
        if not thing.id:
            return shelf.add(thing), {}
        known = shelf.find(thing.id)
        if known is None:
            return None, {"": f"{REMOVED}."}
        if form.get("seen") and form["seen"] != seen(known):
            return None, {"": f"{CHANGED}."}
        shelf.put(thing)
        return thing, {}


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."


def number_or_none(text: str) -> int | None:
    """An id from a select whose first choice is empty."""
    return int(text) if text.isdecimal() else None
