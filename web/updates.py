"""An update on its way: taken or fetched, checked, installed. One at a time, in a thread of its own, so that a page can
show how far it is."""

from __future__ import annotations

import json
import os
import shutil
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, Protocol
from urllib.parse import urljoin, urlsplit

import structlog

from store import backups
from store.errors import StoreError
from store.tables import Store

log = structlog.get_logger("update")

CHANNELS = ("stable", "beta")
LARGEST_BYTES = 4 * 1024**3
_CHUNK = 1 << 20
_ANSWER_LIMIT_S = 30


class BoxRefused(Exception):
    """The box did not do what the panel asked for; the text is for people."""


class Box(Protocol):
    """What the panel may ask of the machine under it; there is none under a checkout."""

    def ask(self, what: str, told: Callable[[str, int, int], None] | None = None, **more: Any) -> dict[str, Any]:
        """See appliance.box.agent for what can be asked.

        Raises:
            BoxRefused: it was not done.
        """


class Phase(StrEnum):
    """How far an update is."""

    NONE = "none"
    WORKING = "working"
    CHECKED = "checked"  # signed, whole, newer, and there is room for it
    INSTALLED = "installed"  # starts with the next start of the box
    FAILED = "failed"


# By phase: those it may go to.
MOVES: Mapping[Phase, frozenset[Phase]] = {
    Phase.NONE: frozenset({Phase.WORKING}),
    Phase.WORKING: frozenset({Phase.CHECKED, Phase.INSTALLED, Phase.FAILED}),
    Phase.CHECKED: frozenset({Phase.WORKING, Phase.NONE}),
    Phase.INSTALLED: frozenset({Phase.WORKING}),
    Phase.FAILED: frozenset({Phase.WORKING, Phase.NONE}),
}


@dataclass(frozen=True)
class Standing:
    """What a page shows."""

    phase: Phase = Phase.NONE
    step: str = ""
    done_bytes: int = 0
    of_bytes: int = 0
    manifest: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def percent(self) -> int:
        """Of the step; 0 where that is not known."""
        return 100 * self.done_bytes // self.of_bytes if self.of_bytes else 0


class Updates:
    """The one update that may be under way."""

    def __init__(self, store: Store, box: Box, version: str) -> None:
        """
        Args:
            store: the open store; a copy of it is kept before an update is installed.
            box: the machine.
            version: of this Printroom.
        """
        self._store, self._box, self._version = store, box, version
        self._lock = threading.Lock()
        self._standing = Standing()
        self._failed: str | None = None  # a version that was given up; not asked yet
        self._folder = store.folder.root / "updates"

    @property
    def standing(self) -> Standing:
        """How far it is."""
        with self._lock:
            return self._standing

    def failed_version(self) -> str:
        """The version that was tried and given up, as it stood when this was first asked; empty where all is well."""
        with self._lock:
            known = self._failed
        if known is None:
            try:
                told = self._box.ask("state")["slots"]
            except BoxRefused:
                return ""
            found = next((str(slot["version"]) for slot in told if slot["has_failed"]), "")
            with self._lock:
                if self._failed is None:  # an update may have been installed meanwhile
                    self._failed = found
                known = self._failed
        return known

    def take(self, source: IO[bytes]) -> None:
        """Take an uploaded file, then check it.

        Raises:
            BoxRefused: another one is under way.
        """
        self._begin("Taking the file")
        try:
            self._keep(source.read, 0)
        except OSError as error:
            self._fail(f"the disk did not take the file: {error}")
            return
        self._go_on(self._check)

    def fetch(self, address: str, channel: str, architecture: str) -> None:
        """Fetch what a publisher has on a channel, then check it.

        Raises:
            BoxRefused: another one is under way.
        """
        self._begin("Asking for the newest version")
        self._go_on(lambda: self._fetch(address, channel, architecture))

    def install(self) -> None:
        """Write what was checked to the idle slot.

        Raises:
            BoxRefused: another one is under way.
        """
        self._begin("Keeping a copy of the store")
        self._go_on(self._install)

    def forget(self) -> None:
        """Take the file away again."""
        with self._lock:
            if Phase.NONE in MOVES[self._standing.phase]:
                self._standing = Standing()
                shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, step: str) -> None:
        with self._lock:
            if Phase.WORKING not in MOVES[self._standing.phase]:
                raise BoxRefused("an update is under way already: wait for it")
            self._standing = Standing(Phase.WORKING, step)

    def _go_on(self, work: Callable[[], Standing]) -> None:
        def run() -> None:
            try:
                standing = work()
            except (BoxRefused, StoreError, OSError, ValueError) as error:
                self._fail(str(error))
                return
            with self._lock:
                self._standing = standing
            log.info("update.standing", phase=standing.phase, version=standing.manifest.get("version", ""))

        threading.Thread(target=run, name="update", daemon=True).start()

    def _fail(self, problem: str) -> None:
        with self._lock:
            self._standing = Standing(Phase.FAILED, problem=problem)
        log.warning("update.failed", problem=problem)

    def _told(self, step: str, done_bytes: int = 0, of_bytes: int = 0) -> None:
        with self._lock:
            self._standing = Standing(Phase.WORKING, step, done_bytes, of_bytes)

    def _keep(self, read: Callable[[int], bytes], size_bytes: int) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        partial, done = self._folder / "bundle.part", 0
        with partial.open("wb") as file:
            while piece := read(_CHUNK):
                file.write(piece)
                done += len(piece)
                if size_bytes:
                    self._told("Fetching", done, size_bytes)
                if done > LARGEST_BYTES:
                    raise OSError("an update is not that large")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self._folder / "bundle")

    def _fetch(self, address: str, channel: str, architecture: str) -> Standing:
        if urlsplit(address).scheme not in ("http", "https"):
            raise BoxRefused("the publisher's address begins with https:// or http://")
        base = address if address.endswith("/") else f"{address}/"
        try:
            with _opened(urljoin(base, f"{channel}-{architecture}.json")) as answer:
                newest = json.loads(answer.read(1_000_000))
            name, version = str(newest["file"]), str(newest["version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BoxRefused(f"nothing is published at {base} on the channel {channel} ({error})") from error
        if "/" in name or name.startswith("."):
            raise BoxRefused(f"what is published at {base} names a file outside of it")
        if version == self._version:
            raise BoxRefused(f"this box is up to date: {version} is the newest version on the channel {channel}")
        with _opened(urljoin(base, name)) as answer:
            self._keep(answer.read, int(answer.headers.get("Content-Length") or 0))
        return self._check()

    def _check(self) -> Standing:
        return Standing(Phase.CHECKED, manifest=self._box.ask("check", self._told))

    def _install(self) -> Standing:
        backups.keep_before_update(self._store, self._version, self._store.clock.now())
        if not self._store.settings.auto_start:
            self._store.pause(True)  # the new version must not be the first to find out
        manifest = self._box.ask("install", self._told)
        with self._lock:
            self._failed = ""  # its slot holds another one now
        return Standing(Phase.INSTALLED, manifest=manifest)


def _opened(address: str) -> Any:
    return urllib.request.urlopen(address, timeout=_ANSWER_LIMIT_S)  # noqa: S310  (http or https: looked at above)
