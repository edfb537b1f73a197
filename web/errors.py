"""Answers to what goes wrong: one JSON shape under /sync, a page with the same words elsewhere."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, jsonify, render_template, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from store.errors import ImpossibleMove, NotFound, StoreError, StoreUnavailable
from store.reach import OutOfReach
from web.updates import BoxRefused

log = structlog.get_logger("web")

RETRY_AFTER = {429: {"Retry-After": "1"}, 503: {"Retry-After": "10"}}


class Problem(Exception):
    """An answer that says which field, what was wrong and what would be right."""

    def __init__(self, status: int, code: str, message: str, field: str = "", hint: str = "") -> None:
        self.status, self.code, self.message, self.field, self.hint = status, code, message, field, hint
        self.headers: dict[str, str] = {}
        super().__init__(message)

    def as_json(self) -> dict[str, Any]:
        """The one error shape of the API."""
        return {"code": self.code, "message": self.message, "field": self.field, "hint": self.hint}


def problems_of(error: ValidationError, prefix: str = "") -> list[dict[str, str]]:
    """Every field that a model refused, in the API's error shape."""
    return [
        {
            "code": "invalid",
            "message": detail["msg"].removeprefix("Value error, "),
            "field": prefix + _path(detail["loc"]),
            "hint": f"got {_shown(detail['input'])}" if detail["type"] != "missing" else "this field is required",
        }
        for detail in error.errors(include_url=False)
    ]


def _path(location: tuple[int | str, ...]) -> str:
    """A field's place as JSON writers read it: items[0].size."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def install(app: Flask) -> None:
    """Register the handlers."""

    def answer(problem: Problem) -> tuple[Response | str, int, dict[str, str]]:
        headers = {**problem.headers, **RETRY_AFTER.get(problem.status, {})}
        if problem.status == 401 and request.path.startswith("/sync/"):
            headers["WWW-Authenticate"] = "Bearer"
        if request.path.startswith("/sync/"):
            return jsonify(error=problem.as_json()), problem.status, headers
        return render_template("error.html", problem=problem), problem.status, headers

    def on_problem(error: Problem) -> tuple[Response | str, int, dict[str, str]]:
        return answer(error)

    def on_http(error: HTTPException) -> Any:
        status = error.code or 500
        if status < 400:
            return error
        code = (error.name or "error").lower().replace(" ", "-")
        problem = Problem(status, code, error.description or error.name)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            problem.headers["Allow"] = ", ".join(error.valid_methods)
        return answer(problem)

    def on_store(error: StoreError) -> tuple[Response | str, int, dict[str, str]]:
        if isinstance(error, NotFound):
            return answer(Problem(404, "not-found", str(error)))
        if isinstance(error, ImpossibleMove):
            return answer(Problem(409, "not-possible-now", f"{error}: look at the page again"))
        if isinstance(error, StoreUnavailable):
            return answer(Problem(503, "store-unavailable", str(error), hint="nothing was taken; try again later"))
        return answer(Problem(409, "conflict", str(error)))

    def on_out_of_reach(error: OutOfReach) -> tuple[Response | str, int, dict[str, str]]:
        return answer(Problem(503, "out-of-reach", str(error), hint="try again when it answers"))

    def on_box(error: BoxRefused) -> tuple[Response | str, int, dict[str, str]]:
        return answer(Problem(409, "box-refused", str(error)))

    def on_anything(error: Exception) -> tuple[Response | str, int, dict[str, str]]:
        log.exception("web.failed", path=request.path, error=repr(error))
        return answer(
            Problem(500, "internal-error", "something went wrong inside the box; it is in the log", hint="try again")
        )

    app.register_error_handler(Problem, on_problem)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(StoreError, on_store)
    app.register_error_handler(OutOfReach, on_out_of_reach)
    app.register_error_handler(BoxRefused, on_box)
    app.register_error_handler(Exception, on_anything)
