"""Webhooks: addresses that are called with every change, and what they did not take."""

from __future__ import annotations

import json

from flask import Blueprint, redirect, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from store import webhooks
from store.webhooks import Webhook
from web import forms, now, services

pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")

SHOWN = 100


@pages.route("/", methods=["GET", "POST"])
def index() -> str | AnyResponse | tuple[str, int]:
    """All addresses; one more."""
    if request.method == "GET":
        return _page({}, {})
    form = request.form
    try:
        webhooks.add(services().store, form.get("name", ""), form.get("url", "").strip(), now())
    except ValidationError:
        probe = {"name": form.get("name", ""), "url": form.get("url", "").strip(), "secret": "", "created_at": 0}
        _, errors = forms.build(Webhook, probe)
        if "url" in errors:
            errors["url"] = "Write a whole address, such as https://studio.example/printroom."
        return _page(form, errors), 422
    return redirect(url_for("webhooks.index"))


def _page(form: object, errors: forms.Errors, told: str = "") -> str:
    store = services().store
    rows = []
    for webhook in store.webhooks.all():
        waiting = store.deliveries.by("webhook", webhook.id)
        dead = [one for one in waiting if one.is_dead]
        changes = {one.id: store.changes.find(one.change_id) for one in dead[:SHOWN]}
        error = next((one.error for one in waiting if one.error and not one.is_dead), "")
        rows.append({"webhook": webhook, "waiting": len(waiting) - len(dead), "error": error, "dead": dead[:SHOWN],
                     "changes": changes})  # fmt: skip
    return render_template("webhooks.html", rows=rows, form=form, errors=errors, told=told)


@pages.post("/<int:webhook_id>/<any(test, pause, resume, remove):what>")
def change(webhook_id: int, what: str) -> str | AnyResponse | tuple[str, int]:
    """Send a test, pause, resume or remove."""
    parts = services()
    webhook = parts.store.webhooks.get(webhook_id)
    if what == "remove":
        webhooks.remove(parts.store, webhook.id)
    elif what in ("pause", "resume"):
        with parts.store.transaction():
            parts.store.webhooks.put(webhook.with_(inactive=what == "pause"))
    elif parts.send_webhook is not None:
        now = services().store.clock.now()
        body = json.dumps({"type": "test", "timestamp": now.isoformat(), "data": {}}).encode()
        refusal = parts.send_webhook(webhook, f"test_{now:%Y%m%d%H%M%S%f}", body, now)
        if refusal:
            return _page({}, {"": f"{webhook.name} did not take the test: {refusal}."}), 502
        return _page({}, {}, f"{webhook.name} took the test.")
    return redirect(url_for("webhooks.index"))


@pages.post("/deliveries/<int:delivery_id>/<any(again, discard):what>")
def dead_letter(delivery_id: int, what: str) -> AnyResponse:
    """Try one that was given up, or forget it."""
    store = services().store
    if what == "again":
        webhooks.send_again(store, delivery_id, now())
    else:
        store.deliveries.remove(store.deliveries.get(delivery_id).id)
    return redirect(url_for("webhooks.index"))
