"""The OpenAPI document says what there is: every call, in valid OpenAPI 3.1, readable for people in the help."""

from __future__ import annotations

import re

import openapi_spec_validator
from flask import Flask
from flask.testing import FlaskClient

from web.sync import contract


def test_the_document_is_valid_and_needs_no_token(anybody: FlaskClient) -> None:
    document = anybody.get("/sync/v1/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    openapi_spec_validator.validate(document)


def test_every_call_of_the_api_is_in_it_and_nothing_else(app: Flask) -> None:
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(contract.BASE)))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(contract.BASE)
        for method in (rule.methods or set()) - {"OPTIONS"}
    }
    paths = contract.document("test")["paths"]
    told = {(method.upper(), path) for path, calls in paths.items() for method in calls}
    # Flask answers HEAD wherever there is GET; the document is not about itself.
    assert {(m, p) for m, p in served if m != "HEAD" and p != "/openapi.json"} == {
        (m, p) for m, p in told if m != "HEAD"
    }


def test_what_checks_a_push_is_what_the_document_says(anybody: FlaskClient) -> None:
    schemas = anybody.get("/sync/v1/openapi.json").get_json()["components"]["schemas"]
    push = schemas["DesktopPush"]
    assert push["properties"]["number"]["maxLength"] == 200 and "number" in push["required"]
    assert schemas["Push"]["properties"]["records"]["maxItems"] == 500
    assert push["properties"]["kind"]["enum"] == ["session", "invoice", "order"]


def test_the_help_explains_every_call_and_field_to_people(panel: FlaskClient) -> None:
    page = panel.get("/help/sync").data.decode()
    for call in contract.CALLS:
        assert f"{call.method} {call.path}" in page and call.summary.replace("'", "&#39;") in page
    assert "grows whenever the desktop changes the record" in page
