"""The reference desktop client: pushes records, uploads what is missing, follows what becomes of them.

It is what integrators read, so it uses nothing but Python's standard library and knows nothing of the box but its
address and its API (ARCHITECTURE.md, "Sync API").
"""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TRIES = 5
FIRST_PAUSE_S = 0.5


class SyncError(Exception):
    """The box refused; `code`, `field` and `hint` are its own."""

    def __init__(self, status: int, error: dict[str, str]) -> None:
        self.status, self.code = status, error.get("code", "")
        self.field, self.hint = error.get("field", ""), error.get("hint", "")
        field = f"{self.field}: " if self.field else ""
        super().__init__(f"{field}{error.get('message', f'HTTP {status}')}{f' ({self.hint})' if self.hint else ''}")


class DesktopClient:
    """One connection to one box."""

    def __init__(self, url: str, token: str) -> None:
        """
        Args:
            url: the box, such as http://printroom.local:8080
            token: from the panel's Desktop clients page.
        """
        self._base, self._token = url.rstrip("/") + "/sync/v1", token

    def upload(self, path: Path) -> str:
        """Bring a picture to the box, unless it has it; returns its digest for the record's `sha256`."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            self._call("GET", f"/images/{digest}")
        except SyncError as error:
            if error.status != 404:
                raise
            self._call("PUT", f"/images/{digest}", file=path)
        return digest

    def push(self, *records: dict[str, Any]) -> list[dict[str, Any]]:
        """Push records as they now stand; one answer for each, in order.

        Sending the same record again is harmless: the box knows it by kind, number and revision.
        """
        answer = self._call("POST", "/statuses", body={"records": list(records)})
        results: list[dict[str, Any]] = answer["results"]
        return results

    def follow(self, wait_s: float = 30) -> Iterator[dict[str, Any]]:
        """Yield every status change from where this client left off, waiting for more, for ever.

        A change is acknowledged when the caller asks for the next one, that is, after it was dealt with.
        """
        while True:
            for change in self.changes(wait_s):
                yield change
                self.acknowledge(change["seq"])

    def changes(self, wait_s: float = 0) -> list[dict[str, Any]]:
        """The changes that this client has not acknowledged, waiting up to wait_s for the first."""
        answer = self._call("GET", f"/changes?wait_s={wait_s:.0f}", limit_s=wait_s + 30)
        found: list[dict[str, Any]] = answer["changes"]
        return found

    def acknowledge(self, seq: int) -> None:
        """Tell the box that everything up to this change was taken over."""
        self._call("POST", "/changes/acknowledge", body={"seq": seq})

    def ticket(self, ticket_id: int) -> dict[str, Any]:
        """A ticket's state, reason and trace."""
        return self._call("GET", f"/tickets/{ticket_id}")

    def _call(
        self, method: str, path: str, body: object = None, file: Path | None = None, limit_s: float = 30
    ) -> dict[str, Any]:
        """One call; tried again while the box cannot be reached or asks for patience. Every call may be repeated."""
        for attempt in range(TRIES):
            try:
                return self._call_once(method, path, body, file, limit_s)
            except SyncError as error:
                if error.status not in (429, 503) or attempt == TRIES - 1:
                    raise
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError):
                if attempt == TRIES - 1:
                    raise
            time.sleep(FIRST_PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")

    def _call_once(self, method: str, path: str, body: object, file: Path | None, limit_s: float) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data: Any = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if file is not None:
            data = file.open("rb")
            headers["Content-Type"] = "application/octet-stream"
            headers["Content-Length"] = str(file.stat().st_size)
        request = urllib.request.Request(self._base + path, data, headers, method=method)  # noqa: S310  (the studio's own URL)
        try:
            with urllib.request.urlopen(request, timeout=limit_s) as answer:  # noqa: S310
                raw = answer.read()
                return dict(json.loads(raw)) if raw else {}
        except urllib.error.HTTPError as error:
            with error:
                raw = error.read()
            try:
                detail = json.loads(raw)["error"]
            except (ValueError, KeyError, TypeError):
                detail = {}
            raise SyncError(error.code, detail) from None
        finally:
            if file is not None:
                data.close()
