"""People: administrators and operators, their passwords, and ending their sessions."""

from __future__ import annotations

from flask import Blueprint, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.records import Person, Role
from store.tables import Store
from web import auth, forms, now, services
from web.errors import Problem

pages = Blueprint("people", __name__, url_prefix="/people")

ROLE_TEXTS = {
    Role.OPERATOR: "Operator: prints, answers and looks",
    Role.ADMINISTRATOR: "Administrator: sets everything up",
}


@pages.route("/", methods=["GET", "POST"])
def index() -> str | AnyResponse | tuple[str, int]:
    """Everybody who may log in; one more."""
    if request.method == "GET":
        return _page({"role": Role.OPERATOR.value}, {})
    form, store = request.form, services().store
    password = form.get("password", "")
    values = {"name": form.get("name", ""), "role": form.get("role", ""), "password_hash": "-"}
    person, errors = forms.build(Person, {**values, "created_at": now()})
    if person is not None and store.people.by("name", person.name):
        errors["name"] = "Somebody has this name already."
    _check_password(password, errors)
    if person is None or errors:
        return _page(form, errors), 422
    store.people.add(person.with_(password_hash=auth.hash_password(password)))
    return redirect(url_for("people.index"))


@pages.route("/<int:person_id>", methods=["GET", "POST"])
def edit(person_id: int) -> str | AnyResponse | tuple[str, int]:
    """A person's role, a new password, an end to their sessions."""
    store = services().store
    person = store.people.get(person_id)
    if request.method == "GET":
        return render_template("person.html", known=person, form=dict(person), errors={}, roles=ROLE_TEXTS)
    form = request.form
    errors: forms.Errors = {}
    role = Role(form["role"]) if form.get("role") in {one.value for one in Role} else person.role
    if person.role is Role.ADMINISTRATOR and role is not Role.ADMINISTRATOR and _administrators(store) == 1:
        errors["role"] = "This is the only administrator: make somebody else one first."
    password = form.get("password", "")
    if password:
        _check_password(password, errors)
    if errors:
        return render_template("person.html", known=person, form=form, errors=errors, roles=ROLE_TEXTS), 422
    changes: dict[str, object] = {"role": role}
    if password:
        changes["password_hash"] = auth.hash_password(password)
    if password or "log_out" in form:
        changes["session_stamp"] = person.session_stamp + 1
    with store.transaction():
        store.people.put(store.people.get(person_id).with_(**changes))
    return redirect(url_for("people.index"))


@pages.post("/<int:person_id>/remove")
def remove(person_id: int) -> AnyResponse:
    """Somebody does not work here any more."""
    store = services().store
    with store.transaction():
        person = store.people.get(person_id)
        if person.role is Role.ADMINISTRATOR and _administrators(store) == 1:
            raise Problem(409, "last-administrator", "this is the only administrator: make somebody else one first")
        store.people.remove(person.id)
    return redirect(url_for("people.index"))


@pages.route("/own", methods=["GET", "POST"])
def own() -> str | AnyResponse | tuple[str, int]:
    """One's own password; sessions elsewhere end."""
    if request.method == "GET":
        return render_template("own_password.html", errors={})
    person: Person = g.person
    errors: forms.Errors = {}
    if not auth.is_password(person, request.form.get("old_password", "")):
        errors["old_password"] = "This is not your password."  # noqa: S105  (a sentence)
    password = request.form.get("password", "")
    _check_password(password, errors)
    if errors:
        return render_template("own_password.html", errors=errors), 422
    store = services().store
    with store.transaction():
        changed = store.people.get(person.id).with_(
            password_hash=auth.hash_password(password), session_stamp=person.session_stamp + 1
        )
        store.people.put(changed)
    session["stamp"] = changed.session_stamp
    return redirect(url_for("tickets.today"))


def _administrators(store: Store) -> int:
    return sum(person.role is Role.ADMINISTRATOR for person in store.people.all())


def _check_password(password: str, errors: forms.Errors) -> None:
    if len(password) < auth.MIN_PASSWORD_LENGTH:
        errors["password"] = f"Choose a password of at least {auth.MIN_PASSWORD_LENGTH} characters."


def _page(form: object, errors: forms.Errors) -> str:
    people = services().store.people.all()
    return render_template("people.html", people=people, form=form, errors=errors, roles=ROLE_TEXTS)
