"""Forms to models and back, keeping what was typed when something is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from store.model import Stored
from store.sizes import parse_size

M = TypeVar("M", bound=Stored)

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


def _sentence(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}."


def number_or_none(text: str) -> int | None:
    """An id from a select whose first choice is empty."""
    return int(text) if text.isdecimal() else None


def sizes(text: str) -> tuple[Any, ...]:
    """Sizes separated by commas or spaces.

    Raises:
        ValueError: names the one that is not a size.
    """
    return tuple(parse_size(part) for part in text.replace(",", " ").split())
