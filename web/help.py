"""The operator's manual, served by the box itself; every screen leads to its page."""

from __future__ import annotations

import json

from flask import Blueprint, render_template

from web import services
from web.sync import contract, models

pages = Blueprint("help", __name__, url_prefix="/help")

# The manual's pages in their order: address, title.
MANUAL: dict[str, str] = {
    "start": "How Printroom works, and the first hour",
    "today": "Today: what prints, and what needs you",
    "ticket": "A ticket: sheets, answers, printing again",
    "records": "Records and history",
    "profiles": "Render profiles",
    "layouts": "Layouts and their editor",
    "render-jobs": "Render jobs",
    "printers": "Printers and printer pools",
    "queues": "Print queues: printing from any computer",
    "hot-folders": "Hot folders",
    "clients": "Desktop clients and webhooks",
    "people": "People, passwords and the audit log",
    "settings": "Settings of the box, and alerts",
    "backup": "Backup and restore",
    "box": "The box: updates, restart, recovery",
    "trouble": "When something is wrong",
    "sync": "For programmers: the sync API",
}
# Which page explains a screen: by Flask's endpoint, or by its first part.
_PAGE_OF = {
    "tickets": "ticket", "tickets.today": "today", "records": "records", "history": "records", "profiles": "profiles",
    "layouts": "layouts", "assets": "profiles",
    "render_jobs": "render-jobs", "printers": "printers", "queues": "queues", "hot_folders": "hot-folders",
    "clients": "clients", "webhooks": "clients", "people": "people", "audit": "people", "settings": "settings",
    "alerts": "settings", "backups": "backup", "health": "trouble", "box": "box", "setup": "start", "help": "start",
    "downloads": "ticket", "auth": "people",
}  # fmt: skip


def page_for(endpoint: str) -> str:
    """The address of the manual's page that explains a screen; the first one where there is none."""
    return _PAGE_OF.get(endpoint) or _PAGE_OF.get(endpoint.split(".")[0], "start")


@pages.get("/")
def index() -> str:
    """The manual's contents."""
    return render_template("help/index.html", manual=MANUAL)


@pages.get("/<any(start, today, ticket, records, profiles, layouts, printers, queues, clients, people):name>")
@pages.get("/<any(settings, backup, box, trouble):name>")
@pages.get("/<any('render-jobs'):name>")
def manual(name: str) -> str:
    """One page of the manual."""
    return render_template(f"help/{name.replace('-', '_')}.html", manual=MANUAL, name=name)


@pages.get("/sync")
def sync() -> str:
    """The sync API, from the models that check it."""
    document = contract.document(services().version)
    return render_template(
        "help/sync.html",
        manual=MANUAL,
        name="sync",
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
    return render_template("help/hot_folders.html", manual=MANUAL, name="hot-folders")


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
