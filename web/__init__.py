"""People and the studio's software: the panel and the sync API, as one Flask application."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app

from ipp.rates import Rates
from render.sources import ImageFolders
from store.pulse import LoopState
from store.records import AlertSettings
from store.tables import Store
from store.webhooks import Webhook

if TYPE_CHECKING:
    from ipp.room import IppRoom
    from render.rehearse import Rehearser
    from web.updates import Box


@dataclass
class Services:
    """The parts that the web room is given to work with."""

    store: Store
    room: IppRoom
    rehearser: Rehearser
    image_folders: ImageFolders = field(default_factory=ImageFolders)
    max_image_bytes: int = 512 * 1024 * 1024
    max_body_bytes: int = 16 * 1024 * 1024  # of JSON and forms
    requires_tls: bool = False  # of desktop clients
    fingerprint: str = ""  # of the TLS certificate
    min_free_bytes: int = 0  # below it no new work is taken
    max_streams: int = 24  # browsers listening for changes; each holds a thread
    max_polls: int = 64  # desktop clients waiting for changes; each holds a thread
    max_wait_s: int = 60  # of one of them
    sync_requests_per_s: float = 200.0  # of one desktop client on average
    hot_folder_root: Path | None = None
    engine: dict[str, Any] = field(default_factory=dict)  # settings of the panel, as they are in force
    fixed: frozenset[str] = frozenset()  # of them, those that the panel cannot change
    first_run_is_over: Callable[[], None] = lambda: None  # the console need not show the code any more
    restart: Callable[[], None] = lambda: None  # ends this process in good order; it comes back
    loops: Callable[[], Sequence[LoopState]] = tuple  # how each of them is
    send_webhook: Callable[[Webhook, str, bytes, datetime], str] | None = None  # answers why it was refused, or ''
    send_alert: Callable[[AlertSettings, str], None] | None = None
    is_stopping: Callable[[], bool] = lambda: False
    first_run_code: str = field(default_factory=lambda: f"{secrets.randbelow(10**8):08d}")
    version: str = "0"
    architecture: str = ""  # of the box image, as Debian calls it
    box: Box | None = None  # the machine, where this runs in the box image
    is_safe: bool = False  # without drawing and printing

    def __post_init__(self) -> None:
        self.started_at, self.began_s = self.store.clock.now(), self.store.clock.monotonic()
        from web.sync.changes import Bell, Polls
        from web.sync.pairing import PairingCodes
        from web.updates import Updates

        self.updates = Updates(self.store, self.box, self.version) if self.box is not None else None
        self.sync_rates = Rates(self.sync_requests_per_s)
        self.polls = Polls(self.max_polls)
        self.bell = Bell(self.store, self.is_stopping)
        self.pairing = PairingCodes()


def services() -> Services:
    """The running application's parts."""
    return cast(Services, current_app.extensions["printroom"])


def now() -> datetime:
    """The time, in UTC."""
    return services().store.clock.now()


def create_app(parts: Services, secret_key: bytes) -> Flask:
    """The whole web side.

    Args:
        parts: what it works with.
        secret_key: signs the session cookies; kept over restarts so that nobody is logged out by one.
    """
    from web import (
        alerts,
        assets,
        audit,
        auth,
        backups,
        bodies,
        box,
        clients,
        downloads,
        errors,
        events,
        filters,
        health,
        history,
        hot_folders,
        layouts,
        people,
        printers,
        profiles,
        queues,
        records,
        render_jobs,
        settings,
        setup,
        sync,
        tickets,
        webhooks,
    )
    from web import help as help_pages

    app = Flask(__name__)
    app.secret_key = secret_key
    app.config.update(
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_NAME="printroom",
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        MAX_CONTENT_LENGTH=parts.max_body_bytes,  # see web/bodies
    )
    app.extensions["printroom"] = parts
    rooms = (
        alerts, assets, audit, auth, backups, box, clients, sync, downloads, events, health, help_pages, history,
        hot_folders, layouts, people, printers, profiles, queues, records, render_jobs, settings, setup, tickets,
        webhooks,
    )  # fmt: skip
    for room in rooms:
        app.register_blueprint(room.pages)
    filters.install(app)
    errors.install(app)
    bodies.install(app)
    auth.install(app)
    audit.install(app)
    return app
