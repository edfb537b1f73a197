"""The audit log: every change that somebody made in the panel, in words."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from flask import Blueprint, Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from store.audit import Entry
from web import now, services

pages = Blueprint("audit", __name__, url_prefix="/audit")
log = structlog.get_logger("web")

SHOWN = 500
# By page: what a change there is called. `{name}` and so on come from the address or the form.
WORDS: dict[str, str] = {
    "alerts.edit": "changed the alerts",
    "assets.upload": "uploaded a file for render profiles",
    "assets.remove": "removed file {asset_id} of render profiles",
    "auth.first_run": "made the first administrator",
    "auth.login": "logged in",
    "auth.logout": "logged out",
    "auth.release": "released a print by its PIN",
    "auth.reset_password": "set a new password for {name} with a code of the box",
    "backups.check": "looked at a backup",
    "backups.forget": "deleted {name}",
    "backups.make": "made a backup",
    "backups.restore": "chose to {what} the backup that was checked",
    "box.do": "asked the box to {what}",
    "box.fetch": "fetched an update from {update_url}",
    "box.forget": "put an update away",
    "box.forget_copy": "deleted {name}",
    "box.install": "installed the update that was checked",
    "box.safe": "switched safe mode on or off",
    "box.share": "switched the share on or off",
    "box.upload": "uploaded an update",
    "clients.index": "let in the desktop client {name}",
    "clients.revoke": "revoked desktop client {client_id}",
    "downloads.revoke": "withdrew download link {download_id}",
    "health.confirm_clock": "said that the machine's clock is right",
    "history.print_again": "printed sheet {sheet_id} of archived ticket {ticket_id} again",
    "hot_folders.edit": "set up the hot folder {name}",
    "hot_folders.remove": "removed hot folder {folder_id}",
    "people.index": "added the person {name}",
    "people.edit": "changed person {person_id}",
    "people.own": "changed their password",
    "people.remove": "removed person {person_id}",
    "printers.add": "added the printer {address}",
    "printers.edit": "changed printer {printer_id}",
    "printers.edit_pool": "set up the printer pool {name}",
    "printers.identify": "let printer {printer_id} show itself",
    "printers.identity": "said of printer {printer_id}: {what}",
    "printers.test_page": "printed a test page on printer {printer_id}",
    "printers.remove": "removed printer {printer_id}",
    "printers.remove_pool": "removed printer pool {pool_id}",
    "profiles.edit": "set up the render profile {name}",
    "layouts.edit": "set up the layout {name}",
    "layouts.upload": "uploaded a layout",
    "profiles.take": "imported a render profile",
    "profiles.remove": "removed render profile {profile_id}",
    "layouts.remove": "removed layout {layout_id}",
    "queues.change_job": "{what} of print queue job {job_id}",
    "queues.edit": "set up the print queue {name}",
    "queues.remove": "removed print queue {queue_id}",
    "queues.switch": "{what} of print queue {queue_id}",
    "records.run": "ran a render job by hand on record {record_id}",
    "render_jobs.edit": "set up the render job {name}",
    "render_jobs.remove": "removed render job {render_job_id}",
    "settings.edit": "changed the settings of the box",
    "settings.restart": "started the box anew",
    "setup.pair": "showed a pairing code for {name}",
    "setup.sample": "{what} of the sample studio",
    "setup.save": "went through the set-up's step {name}",
    "tickets.answer": "answered for sheet {sheet_id} that {copies} came out",
    "tickets.cancel_sheet": "canceled sheet {sheet_id}",
    "tickets.stuck": "{what} for print job {print_job_id}",
    "tickets.cancel": "canceled ticket {ticket_id}",
    "tickets.pause": "{what} of ticket {ticket_id}",
    "tickets.print_again": "printed sheets of ticket {ticket_id} again: {reason}",
    "tickets.prioritise": "set the priority of ticket {ticket_id} to {priority}",
    "tickets.processing": "{what} of all processing",
    "tickets.retry": "tried again what failed of ticket {ticket_id}",
    "tickets.release": "decided about sheet {sheet_id}, print it: {prints}",
    "tickets.start": "started ticket {ticket_id}",
    "webhooks.index": "added the webhook {name}",
    "webhooks.change": "{what} of webhook {webhook_id}",
    "webhooks.dead_letter": "{what} of undelivered change {delivery_id}",
}
QUIET = frozenset({"profiles.rehearse", "layouts.preview", "render_jobs.rehearse_form"})  # changes nothing


class _Known(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def install(app: Flask) -> None:
    """Write down every change that succeeded."""

    @app.after_request
    def note(response: Response) -> Response:
        endpoint = request.endpoint or ""
        is_change = request.method not in ("GET", "HEAD", "OPTIONS") and not request.path.startswith("/sync/")
        if not is_change or response.status_code >= 400 or endpoint in QUIET:
            return response
        person = getattr(g, "person", None)
        # Words come from the address before the form: nobody writes another ticket's number into it.
        known = _Known({name: value[:80] for name, value in _form().items() if "password" not in name})
        known.update(request.view_args or {})
        entry = Entry(
            at=now(),
            person=person.name if person else "somebody",
            address=request.remote_addr or "?",
            what=WORDS.get(endpoint, endpoint).format_map(known),
        )
        try:
            services().store.audit.add(entry)
        except OSError as error:  # a full disk: what was done is done
            log.error("audit.not_written", error=str(error), what=entry.what)
        return response


def _form() -> Mapping[str, str]:
    """The form that came; empty when it is too large to be read: its page did without it as well."""
    try:
        return request.form
    except HTTPException:
        return {}


@pages.get("/")
def index() -> str:
    """The newest entries."""
    return render_template("audit.html", entries=services().store.audit.newest(SHOWN), limit=SHOWN)
