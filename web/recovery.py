"""The page of a box that cannot open its data: what is wrong, and what can be done about it. It needs neither the store
nor a login; whoever stands before the box reads the code on its console."""

from __future__ import annotations

import hmac
import io
import secrets
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse
from zipstream import ZIP_DEFLATED, ZipStream

from store import backups, doctor
from store.backups import BackupRefused
from store.errors import StoreError
from store.head import head_of
from web import filters
from web.auth import PanelSessions, count_wrong, refuse_foreign_change, set_headers, typed_code
from web.bodies import STRANGERS_BYTES, BodyRule
from web.errors import Problem
from web.updates import Box, BoxRefused

LARGEST_BACKUP_BYTES = 64 * 1024**3


@dataclass
class Recovery:
    """What the page works with."""

    reason: str  # why the data cannot be opened, in a sentence that says what to do
    root: Path  # the data folder; empty and in memory where the partition cannot be mounted
    is_disk: bool  # the partition's file system itself is damaged
    box: Box | None
    restart: Callable[[], None]
    fingerprint: str = ""
    code: str = field(default_factory=lambda: f"{secrets.randbelow(10**8):08d}")


def create_recovery_app(parts: Recovery) -> Flask:
    """The panel's only page while the data cannot be opened."""
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)  # sessions end with this process, as the page does
    app.session_interface = PanelSessions()
    app.config.update(SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_NAME="recovery")
    app.config["MAX_CONTENT_LENGTH"] = STRANGERS_BYTES
    filters.add(app)
    app.jinja_env.globals.update(person=None)
    report: list[str] = []
    one_at_a_time = threading.Lock()

    @app.before_request
    def guard() -> None:
        refuse_foreign_change()
        request.max_content_length = _rule().most_bytes
        if request.endpoint not in (None, "static", "index", "enter", "alive") and not session.get("may"):
            raise Problem(403, "no-code", "type the code first", hint="it stands on the console")

    @app.after_request
    def headers(response: Response) -> Response:
        return set_headers(response)

    @app.errorhandler(Problem)
    def on_problem(problem: Problem) -> tuple[str, int]:
        return page(f"{problem.message}{': ' if problem.hint else ''}{problem.hint}"), problem.status

    @app.errorhandler(404)
    def anywhere(error: Exception) -> AnyResponse | tuple[Response, int]:
        del error
        if request.path.startswith("/sync/"):
            told = {"code": "in-recovery", "message": "the box cannot open its data", "field": "", "hint": "look at it"}
            answer = jsonify(error=told)
            answer.headers["Retry-After"] = "60"
            return answer, 503
        return redirect(url_for("index"))

    def page(error: str = "") -> str:
        return render_template(
            "recovery.html",
            parts=parts,
            may=bool(session.get("may")),
            error=error,
            report=report[-1] if report else "",
            copies=backups.copies_before_updates(parts.root),
        )

    @app.get("/")
    def index() -> str:
        """What is wrong."""
        return page()

    @app.get("/health/alive")
    def alive() -> tuple[Response, int]:
        """The box's own health check: not well, and not to be started anew for it."""
        return jsonify(healthy=False, recovery=True, problems=[parts.reason]), 503

    @app.post("/enter")
    def enter() -> AnyResponse | tuple[str, int]:
        """With the code of the console."""
        address = request.remote_addr or "?"
        count_wrong(address, is_wrong=False)
        if not hmac.compare_digest(typed_code(), parts.code):
            count_wrong(address, is_wrong=True)
            return page("This is not the code that stands on the console."), 403
        session["may"] = True
        return redirect(url_for("index"))

    @app.post("/check")
    def check() -> AnyResponse:
        """Look, and change nothing."""
        with one_at_a_time:
            report.append(_disk("check-disk") if parts.is_disk else _findings(doctor.check(parts.root)))
        return redirect(url_for("index"))

    @app.post("/repair")
    def repair() -> AnyResponse:
        """Keep what can be read; what was there before stays beside it."""
        with one_at_a_time:
            if parts.is_disk:
                report.append(_disk("repair-disk"))
            else:
                findings, kept = doctor.repair(parts.root)
                lines = [_findings(findings), f"The files as they were lie in {kept or 'place'}."]
                report.append("\n".join([*lines, f"{doctor.ON_HOLD}."] if findings.damage else lines))
        return redirect(url_for("index"))

    @app.post("/restore")
    def restore() -> str | tuple[str, int]:
        """Put a backup, or a copy from before an update, into the store's place."""
        copy, file = request.form.get("copy", ""), request.files.get("file")
        try:
            if copy:
                backups.prepare_copy(parts.root, copy)
            elif file is not None and file.filename:
                with tempfile.NamedTemporaryFile(dir=parts.root, prefix="backup-") as kept:
                    shutil.copyfileobj(file.stream, kept)
                    kept.flush()
                    backups.prepare(parts.root, {}, Path(kept.name), request.form.get("passphrase", ""))
            else:
                return page("Choose the file of a backup."), 422
            backups.go(parts.root, datetime.now(UTC))
        except BackupRefused as error:
            return page(f"{error}"), 422
        return again()

    @app.get("/data.zip")
    def data() -> Response:
        """The store's files as they are, for somebody who can mend them."""
        archive = ZipStream(compress_type=ZIP_DEFLATED)
        if (parts.root / "store").is_dir():
            archive.add_path(parts.root / "store")
        if head_of(parts.root / "store").is_file():
            archive.add_path(head_of(parts.root / "store"))
        headers = {"Content-Disposition": "attachment; filename=printroom-data.zip", "Cache-Control": "no-store"}
        return Response(archive, mimetype="application/zip", headers=headers)

    @app.post("/restart")
    def again() -> str:
        """See whether it opens now."""
        if parts.is_disk and parts.box is not None:
            parts.box.ask("restart")
        else:
            parts.restart()
        return render_template("restarting.html", next="/", is_box=parts.is_disk)

    @app.post("/reset")
    def reset() -> str | tuple[str, int]:
        """As the box came."""
        if request.form.get("sure", "").strip().lower() != "everything":
            return page("Nothing was erased. Type the word everything."), 422
        if parts.box is None:
            return page("This Printroom runs from a checkout: give it another data folder."), 409
        parts.box.ask("reset", sure="everything")
        return render_template("restarting.html", next="/", is_box=True)

    def _disk(what: str) -> str:
        if parts.box is None:
            return "The file system is the machine's to check."
        found = parts.box.ask(what)
        return f"{'In order.' if found['is_sound'] else 'Still damaged.'}\n{found['report']}"

    @app.errorhandler(BoxRefused)
    @app.errorhandler(StoreError)
    @app.errorhandler(OSError)
    @app.errorhandler(zipfile.BadZipFile)
    def on_refusal(error: Exception) -> tuple[str, int]:
        return page(str(error)), 409

    return app


def rule_of(app: Flask, environ: dict[str, Any]) -> BodyRule:
    """How large the body of a request to the recovery page may be."""
    with app.request_context({**environ, "wsgi.input": io.BytesIO()}):
        return _rule()


def _rule() -> BodyRule:
    return BodyRule(LARGEST_BACKUP_BYTES if session.get("may") and request.endpoint == "restore" else STRANGERS_BYTES)


def _findings(found: doctor.Findings) -> str:
    lines = [f"{found.commits} commits", *(f"{count} {name}" for name, count in found.documents.items())]
    lines += [f"note: {note}" for note in found.notes] + [f"doubt: {one}" for one in found.doubts]
    lines += [f"damage: {one}" for one in found.lost]
    return "\n".join(lines if found.refusal else [*lines, "Everything that is there can be read."])
