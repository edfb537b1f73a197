"""What a desktop client says to a box, and how it does not give up."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from appliance.desktop_client import link
from appliance.desktop_client.kept import Kept
from appliance.desktop_client.link import Answer, SyncError, WrongBox

T = TypeVar("T")

API = "/sync/v1"
FIRST_PAUSE_S, LAST_PAUSE_S = 0.3, 15.0
_UNREACHABLE = (OSError, http.client.HTTPException, WrongBox)
_LATER = (429, 503)  # the box says when

__all__ = ["DesktopClient", "SyncError", "pair"]


def pair(url: str, code: str) -> Kept:
    """Trade the panel's six digits for a token.

    Args:
        url: the box; with https:// its certificate is remembered from now on: compare it with the panel's.
        code: as the panel shows it.

    Raises:
        SyncError: the code is not good (any more). A code whose answer was lost is used up: show another one.
    """
    fingerprint = link.fingerprint_at(url) if url.startswith("https:") else ""
    body = json.dumps({"code": "".join(filter(str.isdigit, code))}).encode()
    headers = {"Content-Type": "application/json"}
    answer = link.call(url, "POST", f"{API}/pair", headers=headers, body=body, fingerprint=fingerprint)
    return Kept(url=url, token=answer.body["token"], fingerprint=fingerprint, client=answer.body["client"])


class DesktopClient:
    """One desktop's way to one box."""

    def __init__(
        self,
        url: str,
        token: str,
        fingerprint: str = "",
        seen: int | None = None,
        patience_s: float = 60,
        find: Callable[[str], str | None] | None = None,
        keep: Callable[[str, int | None], None] | None = None,
    ) -> None:
        """
        Args:
            url: the box, such as https://printroom.local:8080.
            token: from pairing.
            fingerprint: of the box's certificate; empty for http, or to take any.
            seen: the last change that was dealt with; None: where the box has it.
            patience_s: how long a call is tried again while the box cannot be reached.
            find: looks for a box by its fingerprint, and answers with its address; called when it cannot be reached.
            keep: told when address or place have changed.
        """
        self._url, self._token, self._fingerprint = url.rstrip("/"), token, fingerprint
        self._seen, self._patience_s, self._find, self._keep = seen, patience_s, find, keep

    @classmethod
    def of(cls, kept: Kept, patience_s: float = 60, find: Callable[[str], str | None] | None = None) -> DesktopClient:
        """A client that goes on from where it was."""
        return cls(kept.url, kept.token, kept.fingerprint, kept.seen, patience_s, find, kept.moved)

    # -- pictures -------------------------------------------------------------------------------------------------

    def upload(self, path: Path) -> str:
        """Bring a picture to the box, unless it has it; returns its digest for the record's `sha256`."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.seek(0, 2)
            self._patiently(lambda: self._upload(digest, file, size))
        return digest

    def _upload(self, digest: str, file: IO[bytes], size: int) -> None:
        """One try: from where the box has it."""
        where = f"{API}/images/{digest}"
        try:
            self._ask("GET", where)  # as HEAD, but what is wrong is told
            return
        except SyncError as error:
            if error.status != 404:
                raise
            offset = int(error.headers.get("Upload-Offset", "0"))
        if offset >= size:
            offset = 0  # all is there but it was never checked: begin again
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size - offset)}
        if offset:
            headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
        file.seek(offset)
        self._ask("PUT", where, file, headers, timeout_s=120)

    # -- records --------------------------------------------------------------------------------------------------

    def push(self, *records: dict[str, Any], dry_run: bool = False) -> list[dict[str, Any]]:
        """Push records as they now stand; one answer for each, in order.

        The call is repeated until the box answers, always with the same Idempotency-Key, so that the answer is that
        of the first one that arrived.
        """
        body = json.dumps({"records": records}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        path = f"{API}/statuses" + ("?dry_run=true" if dry_run else "")
        answer = self._patiently(lambda: self._ask("POST", path, body, headers))
        results: list[dict[str, Any]] = answer.body["results"]
        return results

    def record(self, kind: str, number: str) -> dict[str, Any]:
        """A record as the box has it."""
        return self._get(f"/records/{kind}/{number}")

    def ticket(self, ticket_id: int) -> dict[str, Any]:
        """A ticket's state, reason and trace."""
        return self._get(f"/tickets/{ticket_id}")

    def box(self) -> dict[str, Any]:
        """Which box this is, and its limits."""
        return self._get("/box")

    # -- results --------------------------------------------------------------------------------------------------

    def follow(self, wait_s: float = 30) -> Iterator[dict[str, Any]]:
        """Yield every status change from where this client left off, waiting for more, for ever.

        A change counts as dealt with when the caller asks for the next one; then it is not yielded again, whatever
        breaks, as long as `keep` kept it.
        """
        while True:
            for change in self.changes(wait_s):
                yield change
                self.acknowledge(change["seq"])

    def changes(self, wait_s: float = 0) -> list[dict[str, Any]]:
        """The changes that this client has not dealt with, waiting up to wait_s for the first."""
        after = "" if self._seen is None else f"&after={self._seen}"
        answer = self._get(f"/changes?wait_s={wait_s:.0f}{after}", timeout_s=wait_s + 30)
        found: list[dict[str, Any]] = answer["changes"]
        return found

    def acknowledge(self, seq: int) -> None:
        """Remember, and tell the box, that everything up to this change was taken over."""
        self._seen = max(seq, self._seen or 0)
        self._tell()
        body = json.dumps({"seq": seq}).encode()
        headers = {"Content-Type": "application/json"}
        self._patiently(lambda: self._ask("POST", f"{API}/changes/acknowledge", body, headers))

    # -- calls ----------------------------------------------------------------------------------------------------

    def _get(self, path: str, timeout_s: float = 30) -> dict[str, Any]:
        return self._patiently(lambda: self._ask("GET", API + path, timeout_s=timeout_s)).body

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Answer:
        return link.call(
            self._url,
            method,
            path,
            headers={"Authorization": f"Bearer {self._token}", "Accept": "application/json", **(headers or {})},
            body=body,
            fingerprint=self._fingerprint,
            timeout_s=timeout_s,
        )

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Try until it works, the box refuses for good, or patience is over. Every call of ours may be repeated."""
        ends = time.monotonic() + self._patience_s
        pause = FIRST_PAUSE_S
        while True:
            wait = pause
            try:
                return attempt()
            except SyncError as error:
                if error.status not in _LATER and not (error.status == 409 and error.code == "in-progress"):
                    raise
                if time.monotonic() > ends:
                    raise
                asked = error.headers.get("Retry-After", "")
                wait = max(pause, float(asked) if asked.isdecimal() else 0)  # a box says seconds
            except _UNREACHABLE:
                if time.monotonic() > ends:
                    raise
                self._look_elsewhere()
            time.sleep(min(wait, LAST_PAUSE_S))
            pause = min(pause * 2, LAST_PAUSE_S)

    def _look_elsewhere(self) -> None:
        """The box may have another address now; whoever answers there must have its certificate."""
        if self._find is None or not self._fingerprint:
            return
        found = self._find(self._fingerprint)
        if found and found != self._url:
            self._url = found.rstrip("/")
            self._tell()

    def _tell(self) -> None:
        if self._keep is not None:
            self._keep(self._url, self._seen)
