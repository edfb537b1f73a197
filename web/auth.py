"""Who may use the panel: the first run, logging in and out, and where changes may come from."""

from __future__ import annotations

import hmac
import re
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.http import dump_cookie
from werkzeug.wrappers import Response as AnyResponse

from store import password_reset, queue_jobs
from store.records import Person, Role
from web import downloads, health, now, roles, services
from web.errors import Problem

pages = Blueprint("auth", __name__)

MIN_PASSWORD_LENGTH = 8
TRIES = 6  # wrong passwords from one address within
TRIES_WITHIN_S = 300.0

_hasher = PasswordHasher()
_wrong_tries: dict[str, list[float]] = {}
_wrong_tries_lock = threading.Lock()
# Checking a password takes some 50 MB for a moment; a crowd of guesses must not take a gigabyte.
_one_at_a_time = threading.Semaphore(2)

_OPEN = ("auth.login", "auth.first_run", "auth.release", "auth.reset_password", "static", *downloads.OPEN, *health.OPEN)


def hash_password(password: str) -> str:
    """An argon2id hash for the store."""
    return _hasher.hash(password)


class PanelSessions(SecureCookieSessionInterface):
    """Sessions are the panel's: the sync API neither reads cookies nor sets any.

    How old one is counts in the store's running time: nobody is logged out, or kept in, by a clock that was set.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """As Flask's, for people only, and without its wall time."""
        signer = self._signer(app)
        cookie = request.cookies.get(self.get_cookie_name(app))
        if signer is None or cookie is None or request.path.startswith("/sync/"):
            return self.session_class() if signer is not None else None
        try:
            return self.session_class(signer.loads(cookie))
        except BadSignature:
            return self.session_class()

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002  (Flask's signature)
        """A session that began over https stays there."""
        return request.is_secure

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """As Flask's, for people only, and without a date at which the cookie ends: a browser would throw away what a
        box in 1970 gives it."""
        signer, name = self._signer(app), self.get_cookie_name(app)
        if signer is None or not (session.modified or session.accessed):
            return
        response.vary.add("Cookie")
        where: dict[str, Any] = {"domain": self.get_cookie_domain(app), "path": self.get_cookie_path(app)}
        how: dict[str, Any] = {
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
        }
        if not session:
            if session.modified:
                response.delete_cookie(name, **where, **how)
        elif self.should_set_cookie(app, session):
            lasts = round(app.permanent_session_lifetime.total_seconds()) if session.permanent else None
            value = str(signer.dumps(dict(session)))
            response.headers.add("Set-Cookie", dump_cookie(name, value, lasts, sync_expires=False, **where, **how))

    def _signer(self, app: Flask) -> URLSafeSerializer | None:
        if not app.secret_key:
            return None
        how = {"key_derivation": self.key_derivation, "digest_method": self.digest_method}
        return URLSafeSerializer(app.secret_key, salt="printroom-session", signer_kwargs=how)


def install(app: Flask) -> None:
    """Guard every page: a person for the panel, a token for /sync (checked there), and no foreign forms."""

    app.session_interface = PanelSessions()

    @app.before_request
    def guard() -> AnyResponse | None:
        if request.endpoint is None or request.path.startswith("/sync/"):
            return None
        refuse_foreign_change()
        if request.endpoint in _OPEN:
            return None
        person = known_person()
        if person is None:
            if not len(services().store.people):
                return redirect(url_for("auth.first_run"))
            return redirect(url_for("auth.login"))
        g.person = person
        changes = request.method not in ("GET", "HEAD", "OPTIONS")
        if not roles.may(person.role, request.endpoint, changes):
            raise Problem(
                403, "not-allowed", "this is for administrators", hint="ask one of them, or let them change your role"
            )
        return None

    app.after_request(set_headers)


def known_person() -> Person | None:
    """Whose session it is, as long as it is good."""
    person = services().store.people.find(session.get("person", 0))
    is_good = person is not None and session.get("stamp", 0) == person.session_stamp and not _is_over()
    return person if is_good else None


def set_headers(response: Response) -> Response:
    """What browsers must not do with our pages."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.path.startswith("/sync/"):
        return response  # programs show no pages
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    )
    return response


def is_password(person: Person, password: str) -> bool:
    """Whether this is a person's password. Slow on purpose."""
    try:
        with _one_at_a_time:
            return _hasher.verify(person.password_hash, password)
    except VerificationError:
        return False


def refuse_foreign_change() -> None:
    """CSRF: browsers say where a request comes from; one that changes something must come from this panel."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    is_own = site in ("same-origin", "none") if site else origin is None or urlsplit(origin).netloc == request.host
    if not is_own:
        raise Problem(403, "foreign-form", "this change came from another site and was not made: use the panel itself")


def count_wrong(address: str, is_wrong: bool) -> None:
    """Keep count of wrong tries by address; refuse when there were too many."""
    with _wrong_tries_lock:
        recent = [t for t in _wrong_tries.get(address, []) if time.monotonic() - t < TRIES_WITHIN_S]
        if is_wrong:
            recent.append(time.monotonic())
        if recent:
            _wrong_tries[address] = recent
        else:
            _wrong_tries.pop(address, None)
        if len(recent) >= TRIES and not is_wrong:
            raise Problem(429, "too-many-tries", "too many wrong tries from here: wait five minutes and try again")


def _is_over() -> bool:
    """Whether a session has lasted long enough."""
    lasted_s = services().store.clock.running_s() - float(session.get("began_s", 0))
    return lasted_s > current_app.permanent_session_lifetime.total_seconds()


def _log_in(person: Person, then: str = "tickets.today") -> AnyResponse:
    session.clear()
    session["person"], session["stamp"] = person.id, person.session_stamp
    session["began_s"] = round(services().store.clock.running_s())
    g.person = person
    session.permanent = True
    return redirect(url_for(then))


@pages.route("/login", methods=["GET", "POST"])
def login() -> str | AnyResponse | tuple[str, int]:
    """Name and password."""
    store = services().store
    if not len(store.people):
        return redirect(url_for("auth.first_run"))
    if request.method != "POST":
        return render_template("login.html", name="", error="")
    address = request.remote_addr or "?"
    count_wrong(address, is_wrong=False)
    name = request.form.get("name", "").strip()
    found = store.people.by("name", name)
    count_wrong(f"name {name}", is_wrong=False)  # many addresses guessing at one name are as bad as one at many
    if is_password(found[0] if found else _NOBODY, request.form.get("password", "")) and found:
        return _log_in(found[0])
    count_wrong(address, is_wrong=True)
    count_wrong(f"name {name}", is_wrong=True)
    return render_template("login.html", name=name, error="Name or password is wrong. Try again."), 401


_NOBODY = Person(name="nobody", password_hash=_hasher.hash("nobody"))  # an unknown name takes as long as a known one


def typed_code() -> str:
    """The digits of the form's field `code`, which people type with blanks between. ASCII only: ² is no digit here."""
    return "".join(re.findall("[0-9]", request.form.get("code", "")))


@pages.route("/first-run", methods=["GET", "POST"])
def first_run() -> str | AnyResponse | tuple[str, int]:
    """The first person makes the first administrator, with the code that the box shows on its console."""
    store = services().store
    if len(store.people):
        return redirect(url_for("auth.login"))
    if request.method != "POST":
        return render_template("first_run.html", form={}, errors={})
    address = request.remote_addr or "?"
    count_wrong(address, is_wrong=False)
    code = typed_code()
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    errors = {}
    if not hmac.compare_digest(code, services().first_run_code):
        count_wrong(address, is_wrong=True)
        errors["code"] = "This is not the code that the box shows. Look at its console or log."
    if not name:
        errors["name"] = "Choose a name to log in with."
    if len(password) < MIN_PASSWORD_LENGTH:
        errors["password"] = f"Choose a password of at least {MIN_PASSWORD_LENGTH} characters."
    if errors:
        return render_template("first_run.html", form=request.form, errors=errors), 422
    with store.transaction():
        if len(store.people):
            raise Problem(409, "conflict", "somebody else has just made the first administrator: log in instead")
        person = store.people.add(Person(name=name, password_hash=hash_password(password)))
    services().first_run_is_over()
    return _log_in(person, "setup.index")


@pages.route("/reset-password", methods=["GET", "POST"])
def reset_password() -> str | AnyResponse | tuple[str, int]:
    """With a code that only who stands before the box can have."""
    store = services().store
    administrators = [one for one in store.people.all() if one.role is Role.ADMINISTRATOR]
    names = [(one.name, one.name) for one in administrators]
    if request.method != "POST":
        return render_template("reset_password.html", form={}, errors={}, names=names)
    address = request.remote_addr or "?"
    count_wrong(address, is_wrong=False)
    code = typed_code()
    password, errors = request.form.get("password", ""), {}
    person = next((one for one in administrators if one.name == request.form.get("name")), None)
    if not password_reset.is_good(store.folder.root, code):
        count_wrong(address, is_wrong=True)
        errors["code"] = "This is not the code, or it is older than ten minutes. Ask the box for a new one."
    if person is None:
        errors["name"] = "Choose an administrator."
    if len(password) < MIN_PASSWORD_LENGTH:
        errors["password"] = f"Choose a password of at least {MIN_PASSWORD_LENGTH} characters."
    if errors or person is None:
        return render_template("reset_password.html", form=request.form, errors=errors, names=names), 422
    stamp = person.session_stamp + 1
    with store.transaction():
        store.people.put(person.with_(password_hash=hash_password(password), session_stamp=stamp))
    password_reset.use_up(store.folder.root)
    return _log_in(person.with_(session_stamp=stamp))


@pages.route("/release", methods=["GET", "POST"])
def release() -> str | tuple[str, int]:
    """Whoever sent a job with a PIN types it here, on the tablet beside the printers: no login is needed."""
    if request.method != "POST":
        return render_template("release.html", released=[], error="")
    address = request.remote_addr or "?"
    count_wrong(address, is_wrong=False)
    released = queue_jobs.release_by_pin(services().store, request.form.get("pin", "").strip(), now())
    if not released:
        count_wrong(address, is_wrong=True)
        return render_template("release.html", released=[], error="No job waits for this PIN. Try again."), 422
    return render_template("release.html", released=released, error="")


@pages.post("/logout")
def logout() -> AnyResponse:
    """Forget who this is."""
    g.person = services().store.people.find(session.get("person", 0))
    session.clear()
    return redirect(url_for("auth.login"))
