"""Help that the box serves itself."""

from __future__ import annotations

import json

from flask import Blueprint, render_template

from web import services
from web.sync import contract, models

pages = Blueprint("help", __name__, url_prefix="/help")


@pages.get("/sync")
def sync() -> str:
    """The sync API, from the models that check it."""
    document = contract.document(services().version)
    return render_template(
        "help_sync.html",
        calls=contract.CALLS,
        schemas=document["components"]["schemas"],
        base=contract.BASE,
        common=contract.COMMON,
        example=json.dumps(models.example_push(), indent=2),
        limits=models,
        words=_words,
    )


@pages.get("/hot-folders")
def hot_folders() -> str:
    """Job tickets for hot folders."""
    return render_template("help_hot_folders.html")


def _words(schema: dict[str, object]) -> str:
    """What a JSON Schema allows, in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        values = schema["enum"]
        return ", ".join(json.dumps(value) for value in values) if isinstance(values, list) else ""
    for key in ("anyOf", "allOf", "oneOf"):
        several = schema.get(key)
        if isinstance(several, list):
            return " or ".join(dict.fromkeys(_words(one) for one in several))
    if schema.get("type") == "array":
        items = schema.get("items")
        return f"list of {_words(items)}" if isinstance(items, dict) else "list"
    name = str(schema.get("type", "anything"))
    told = {"minimum": "from", "maximum": "to", "maxLength": "at most", "format": ""}
    return " ".join([name, *(f"{word} {schema[key]}".strip() for key, word in told.items() if key in schema)])
