"""Who is told what needs a person: mail and webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.alerts import AlertFailed
from store.records import AlertSettings, MailSecurity
from web import forms, services

pages = Blueprint("alerts", __name__, url_prefix="/alerts")


@pages.route("/", methods=["GET", "POST"])
def edit() -> str | AnyResponse | tuple[str, int]:
    """The settings, what is being told now, and a test message."""
    store = services().store
    known = next(iter(store.alert_settings.all()), AlertSettings())
    if request.method == "GET":
        return _form({**dict(known), "smtp_password": ""}, {}, known)
    form = request.form
    values = {
        **{name: form[name].strip() for name in AlertSettings.model_fields if form.get(name, "").strip()},
        "id": known.id,
        # Never shown, so an empty field keeps what is there; without a user there is none.
        "smtp_password": (form.get("smtp_password") or known.smtp_password) if form.get("smtp_username") else "",
    }
    settings, errors = forms.build(AlertSettings, values)
    if settings is None:
        return _form(form, errors, known), 422
    kept, errors = forms.keep(store.alert_settings, settings, form)
    if kept is None:
        return _form(form, errors, next(iter(store.alert_settings.all()), AlertSettings())), 409
    settings = kept
    send = services().send_alert
    if "test" not in form or send is None:
        return redirect(url_for("alerts.edit"))
    try:
        send(settings, "This is a test: alerts of this box arrive here.")
    except AlertFailed as error:
        return _form(form, {"": f"{error}."}, settings), 502
    return _form({**dict(settings), "smtp_password": ""}, {}, settings, sent=True)


def _form(form: Mapping[str, Any], errors: forms.Errors, known: AlertSettings, sent: bool = False) -> str:
    return render_template(
        "alerts.html",
        form=form,
        errors=errors,
        known=known,
        securities=list(MailSecurity),
        alerts=services().store.alerts.all(),
        sent=sent,
    )
