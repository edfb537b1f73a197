"""The API's OpenAPI 3.1 document: every call in one table, with the models that check what it takes and answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import Response, jsonify
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from store.pushed import MAX_REVISION
from store.records import Scope
from web import services
from web.sync import models
from web.sync.door import pages

BASE = "/sync/v1"
DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
SEQ = {"type": "integer", "minimum": 0, "maximum": MAX_REVISION}

# What every call may be answered beside its own: see web/errors and web/sync/door.
COMMON = {
    400: "a parameter, header or the body is wrong; `field` says which",
    403: "this client may not do that, or the box wants TLS",
    413: "larger than the box takes; see the limits of `GET /box`",
    429: "too often: Retry-After says when to go on",
    503: "the box cannot take it now (full disk, too many waits, stopping): Retry-After says when to come again",
}
# What the web server answers by itself, before the box looks at a request: as a page of HTML, not as the API's errors.
BY_THE_SERVER = {414: "the address is longer than 4,094 bytes", 431: "the headers are longer than 8,190 bytes"}
UNAUTHORIZED = {401: "no token, or one that is not (or no longer) known"}


@dataclass(frozen=True)
class Parameter:
    """Something in path, query or header."""

    name: str
    where: str
    text: str
    schema: dict[str, Any]

    @property
    def is_required(self) -> bool:
        """Path parameters always are."""
        return self.where == "path"


@dataclass(frozen=True)
class Call:
    """One operation."""

    method: str
    path: str
    summary: str
    text: str
    scope: Scope | None
    answers: dict[int, tuple[str, type[BaseModel] | None]]  # by status: what it means, what is answered
    parameters: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    takes_bytes: bool = False
    is_open: bool = False  # without a token

    @property
    def name(self) -> str:
        """For links and generated clients."""
        words = [word.strip("{}") for word in self.path.split("/") if word]
        return "_".join([self.method.lower(), *words])

    @property
    def problems(self) -> dict[int, str]:
        """Every answer that is an error."""
        told = {code: text for code, (text, model) in self.answers.items() if model is models.Error}
        return {**COMMON, **({} if self.is_open else UNAUTHORIZED), **told}


SHA256 = Parameter("sha256", "path", "digest of the whole file, in lower-case hexadecimal", DIGEST)
WRONG_PLACE = "the range does not begin where the last one ended (Upload-Offset), or it is being sent already"
MISSING = "the box does not have this picture; the header Upload-Offset says how much of it you have sent"

CALLS = (
    Call(
        "GET", "/box", "Which box is this?", "Its name, its certificate's fingerprint, and its limits.",
        None, {200: ("the box", models.Box)}, is_open=True,
    ),
    Call(
        "POST", "/pair", "Trade a code for a token",
        "The panel shows six digits, good once and for ten minutes. Keep the token, and compare the fingerprint with "
        "the certificate that you see.",
        None,
        {201: ("paired", models.Paired), 403: ("the code is not good (any more)", models.Error)},
        body=models.PairRequest, is_open=True,
    ),
    Call(
        "POST", "/statuses", "Push records",
        "Each record is a full snapshot, answered on its own; what is accepted is safe on the disk before the answer. "
        "A ticket opens when a record's status changes to the select status of a render job. Pushing the same again "
        "is harmless.",
        Scope.PUSH,
        {
            200: ("one result for each record", models.PushResults),
            422: ("the Idempotency-Key came with another request before", models.Error),
        },
        (
            Parameter(
                "dry_run", "query", "keep nothing; answer which tickets would open",
                {"type": "boolean", "default": False},
            ),
            Parameter(
                "Idempotency-Key", "header",
                "a repeated request with the same key is answered as it was the first time, for two days",
                {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            ),
        ),
        body=models.Push,
    ),
    Call(
        "GET", "/images/{sha256}", "Is a picture here?", "`HEAD` answers the same without a body.", Scope.PUSH,
        {200: ("it is here", models.ImageState), 404: (MISSING, models.Error)}, (SHA256,),
    ),
    Call(
        "PUT", "/images/{sha256}", "Upload a picture",
        "The file's bytes, whole or from where a broken upload ended (Content-Range). It is kept as long as a record "
        "needs it.",
        Scope.PUSH,
        {
            200: ("it was here already", models.ImageState),
            201: ("it is whole and safe now", models.ImageState),
            202: ("this part is here; go on from `offset`", models.ImageState),
            409: (WRONG_PLACE, models.Error),
            422: ("the digest of what came is another one; begin again", models.Error),
        },
        (
            SHA256,
            Parameter(
                "Content-Range", "header", "which bytes these are, when they are not the whole file",
                {"type": "string", "pattern": "^bytes [0-9]{1,15}-[0-9]{1,15}/[0-9]{1,15}$"},
            ),
        ),
        takes_bytes=True,
    ),
    Call(
        "GET", "/changes", "What became of the records?",
        "Finish and error statuses with results for each item. Waits for the first one when there is none.",
        Scope.FOLLOW,
        {200: ("changes, oldest first", models.Changes)},
        (
            Parameter(
                "after", "query", "only what came after this seq; left out: after what this client acknowledged", SEQ
            ),
            Parameter(
                "wait_s", "query",
                "seconds to wait for the first change; more than the box allows (see `GET /box`) counts as that",
                {"type": "integer", "minimum": 0, "maximum": 3600, "default": 0},
            ),
        ),
    ),
    Call(
        "POST", "/changes/acknowledge", "These were taken over",
        "Moves this client's place. Changes are kept until every client has acknowledged them.",
        Scope.FOLLOW,
        {200: ("the client's place", models.Acknowledged), 404: ("there is no change with that seq yet", models.Error)},
        body=models.Acknowledgement,
    ),
    Call(
        "GET", "/records/{kind}/{number}", "What does the box have?",
        "For a client whose push was stale: look, then push a higher revision.", Scope.PUSH,
        {200: ("the record", models.RecordAnswer), 404: ("the box has no such record", models.Error)},
        (
            Parameter(
                "kind", "path", "of which kind it is", {"type": "string", "enum": ["session", "invoice", "order"]}
            ),
            Parameter("number", "path", "the studio's number", {"type": "string", "minLength": 1, "maxLength": 200}),
        ),
    ),
    Call(
        "GET", "/tickets/{ticket_id}", "Why is this order not out yet?", "A ticket's state, reason and trace.", None,
        {200: ("the ticket", models.TicketAnswer), 404: ("there is no such ticket (any more)", models.Error)},
        (
            Parameter(
                "ticket_id", "path", "as in the answer to a push",
                {"type": "integer", "minimum": 1, "maximum": MAX_REVISION},
            ),
        ),
    ),
)  # fmt: skip


class _Schemas(GenerateJsonSchema):
    """JSON Schema 2020-12, as OpenAPI 3.1 has it."""

    schema_dialect = "https://json-schema.org/draft/2020-12/schema"


def _models() -> Iterator[type[BaseModel]]:
    seen: set[type[BaseModel]] = set()
    for call in CALLS:
        for model in (call.body, *(model for _, model in call.answers.values()), models.Error):
            if model is not None and model not in seen:
                seen.add(model)
                yield model


def document(version: str) -> dict[str, Any]:
    """The whole OpenAPI document.

    Args:
        version: of this program.
    """
    taken = {call.body for call in CALLS}
    _, told = models_json_schema(
        [(model, "validation" if model in taken else "serialization") for model in _models()],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    head = paths["/images/{sha256}"]
    head["head"] = {**head["get"], "operationId": "head_images_sha256", "responses": _without_bodies(head["get"])}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Printroom sync API",
            "version": f"1 ({version})",
            "description": "Desktop clients push statuses of their records, and hear what became of them.",
        },
        "servers": [{"url": BASE}],
        "paths": paths,
        "components": {
            "schemas": told.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(call: Call) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.summary,
        "description": call.text + (f" Needs the permission to {call.scope.value}." if call.scope else ""),
        "security": [] if call.is_open else [{"token": []}],
        "responses": {},
    }
    if call.parameters:
        operation["parameters"] = [
            {
                "name": one.name,
                "in": one.where,
                "description": one.text,
                "schema": one.schema,
                **({"required": True} if one.is_required else {}),
            }
            for one in call.parameters
        ]
    if call.body is not None:
        content: dict[str, Any] = {"schema": _ref(call.body)}
        if call.body is models.Push:
            content["example"] = models.example_push()
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    elif call.takes_bytes:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    for status, (text, model) in call.answers.items():
        if model is not None and model is not models.Error:
            operation["responses"][str(status)] = _response(text, model)
    for status, text in sorted(call.problems.items()):
        operation["responses"][str(status)] = _response(text, models.Error)
    for status, text in BY_THE_SERVER.items():
        operation["responses"][str(status)] = {"description": text, "content": {"text/html": {}}}
    return operation


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _response(text: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(model)}}}


def _without_bodies(operation: dict[str, Any]) -> dict[str, Any]:
    return {status: {"description": told["description"]} for status, told in operation["responses"].items()}


@cache
def _document(version: str) -> dict[str, Any]:
    return document(version)


@pages.get("/openapi.json")
def openapi() -> Response:
    """This document; without a token."""
    return jsonify(_document(services().version))
