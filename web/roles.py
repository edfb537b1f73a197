"""Who may look at what in the panel, and who may change it. Enforced for every request, before its page runs."""

from __future__ import annotations

from dataclasses import dataclass

from store.records import Role

OPERATOR, ADMINISTRATOR = Role.OPERATOR, Role.ADMINISTRATOR


@dataclass(frozen=True)
class Rule:
    """What a part of the panel asks for."""

    look: Role
    change: Role


_DAILY = Rule(OPERATOR, OPERATOR)
_SETUP = Rule(OPERATOR, ADMINISTRATOR)
_SECRET = Rule(ADMINISTRATOR, ADMINISTRATOR)

# By blueprint; a part that is not named here is the administrators'.
PARTS: dict[str, Rule] = {
    "tickets": _DAILY,
    "records": _DAILY,
    "history": _DAILY,
    "downloads": _DAILY,
    "events": _DAILY,
    "help": _DAILY,
    "auth": _DAILY,
    "printers": _SETUP,
    "queues": _SETUP,
    "profiles": _SETUP,
    "render_jobs": _SETUP,
    "hot_folders": _SETUP,
    "assets": _SETUP,
    "layouts": _SETUP,
    "clients": _SECRET,
    "webhooks": _SECRET,
    "alerts": _SECRET,
    "people": _SECRET,
    "audit": _SECRET,
    "settings": _SECRET,
    "setup": _SECRET,
    "health": _SECRET,
    "backups": _SECRET,
    "box": _SECRET,
}
# Single pages that ask for something else than their part.
PAGES: dict[str, Rule] = {
    "queues.change_job": _DAILY,
    "printers.identify": _DAILY,
    "printers.answers": _SECRET,
    "profiles.rehearse": _DAILY,  # these draw previews and change nothing
    "layouts.preview": _DAILY,
    "render_jobs.rehearse_form": _DAILY,
    "people.own": _DAILY,
    "settings.index": Rule(OPERATOR, ADMINISTRATOR),
    "printers.test_page": _DAILY,
}


def may(role: Role, endpoint: str, changes: bool) -> bool:
    """Whether a person of a role may use a page.

    Args:
        role: of the person.
        endpoint: Flask's name of the page.
        changes: whether the request changes something.
    """
    rule = PAGES.get(endpoint) or PARTS.get(endpoint.split(".")[0], _SECRET)
    return role is ADMINISTRATOR or (rule.change if changes else rule.look) is OPERATOR
