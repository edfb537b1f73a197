"""The one process that owns the truth: opens the store, starts the loops, and stops them in reverse."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import structlog

from appliance.alerts import Alerts, send
from appliance.box.about import about, version
from appliance.box.link import Link
from appliance.certificate import fingerprint, tls_context
from appliance.config import PANEL, Settings
from appliance.convert import convert
from appliance.hot_folders import HotFolders
from appliance.incoming import Incoming
from appliance.keeping import Limits
from appliance.sample_printers import SamplePrinters
from appliance.supervision import Loop
from appliance.webhooks import Webhooks, try_to_send
from ipp.front_end import PRIVATE_NETWORKS, FrontEndSettings
from ipp.room import IppRoom
from render.loop import RenderLoop
from render.rehearse import Rehearser
from render.workers import Cluster, Workers
from store import backups, safe_mode
from store.housekeeping import Housekeeper
from store.pulse import LoopState
from store.tables import Store
from web import Services, bodies, create_app

log = structlog.get_logger("process")

REMEMBER_TIME_EVERY_S = 60.0


class Process:
    """Everything that runs beside the web server, in the same process."""

    def __init__(self, settings: Settings) -> None:
        """Open the store and start the loops.

        Raises:
            StoreError: the data folder cannot be used; says why.
        """
        backups.finish(settings.data)  # where somebody asked for it, before anything is opened
        box = settings.box
        self._trial_file = box / "on-trial" if box else None
        self.store = Store(settings.data, on_trial=self._is_on_trial, expects_time_server=box is not None)
        is_safe = safe_mode.is_on(settings.data)
        settings, fixed = settings.with_panel(self.store.settings), settings.fixed
        if not self.store.settings.auto_start and not self.store.is_on_trial:
            self.store.pause(True)
        # What was read stays: Python's garbage collector need not look through a million of its objects, which takes
        # a quarter of a second, again and again.
        gc.freeze()
        self._stopping = threading.Event()
        self._has_begun = False
        render_loop = RenderLoop(
            self.store,
            Workers(settings.workers, settings.render_limit_s),
            settings.image_folders,
            settings.max_megapixels * 1_000_000,
            settings.max_memory_mb * 1_000_000,
            Cluster(settings.cluster),
            timedelta(seconds=settings.image_wait_s),
        )
        housekeeper = Housekeeper(self.store, settings.retention)
        alerts = Alerts(self.store, settings.min_free_mb * 1_000_000, self._states_to_tell)
        webhooks = Webhooks(self.store, self._stopping.is_set)
        hot_root = settings.hot_folders or self.store.folder.root / "hot"
        for folder in settings.shared_folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        limits = Limits(settings.max_image_mb * 1_000_000, settings.min_free_mb * 1_000_000)
        hot_folders = HotFolders(self.store, hot_root, limits, self._stopping.is_set)
        sample_printers = SamplePrinters(self.store)
        self._converters = Workers(1, settings.render_limit_s)
        self.tls = tls_context(self.store.folder.root / "tls", settings.local_names)
        box_fingerprint = fingerprint(self.store.folder.root / "tls")
        front_end = FrontEndSettings(
            host=settings.http_host,
            port=settings.ipp_port,
            panel_port=settings.http_port,
            networks=settings.ipp_networks or PRIVATE_NETWORKS,
            most_document_bytes=settings.max_document_mb * 1_000_000,
            min_free_bytes=settings.min_free_mb * 1_000_000,
            requests_per_s=settings.ipp_requests_per_s,
            tls=self.tls,
            fingerprint=box_fingerprint,
            announces=settings.discovery,
            local_name=settings.local_name,
            interfaces=settings.interfaces,
        )
        incoming = Incoming(self.store, self._converters, settings.max_megapixels * 1_000_000)
        self.room = IppRoom(
            self.store,
            settings.interfaces,
            settings.discovery,
            front_end=front_end,
            unreachable_limit=settings.unreachable_limit,
            convert=lambda task: self._converters.submit(convert, task),
            local_printers=box / "printers.json" if box else None,
        )
        max_pixels = settings.max_megapixels * 1_000_000
        self._rehearser = Rehearser(self.store.folder, settings.image_folders, max_pixels, self.store.reach)
        store = self.store
        working = (
            Loop("Drawing", store, render_loop.step, rest=render_loop.rest, end=render_loop.stop),
            Loop("Hot folders", store, hot_folders.step, end=hot_folders.stop),
            Loop("Print queues", store, incoming.step, wakes_on_change=True),
            Loop("Sample printers", store, sample_printers.step, end=sample_printers.stop),
        )
        quiet = (
            Loop("Housekeeping", store, housekeeper.step, stuck_after_s=0),  # a month of history may take its time
            Loop("Alerts", store, alerts.step),
            Loop("Webhooks", store, webhooks.step, wakes_on_change=True),
            Loop("Clock", store, self._remember_time),
        )
        self._loops = quiet if is_safe else (*working, *quiet)
        for loop in self._loops:
            loop.start()
        if is_safe:
            log.warning("process.safe_mode", drawing=False, printing=False)
        else:
            self.room.start()
        self.services = Services(
            store=self.store,
            room=self.room,
            rehearser=self._rehearser,
            image_folders=settings.image_folders,
            max_image_bytes=settings.max_image_mb * 1_000_000,
            max_streams=settings.threads // 4,
            max_wait_s=settings.max_wait_s,
            max_polls=settings.threads // 2,
            sync_requests_per_s=settings.sync_requests_per_s,
            requires_tls=settings.require_tls,
            fingerprint=box_fingerprint,
            min_free_bytes=settings.min_free_mb * 1_000_000,
            send_alert=send,
            send_webhook=try_to_send,
            hot_folder_root=hot_root,
            engine={name: getattr(settings, name) for name in PANEL},
            fixed=fixed,
            restart=restart,
            loops=self._states,
            version=version(),
            architecture=str(about().get("architecture", "")),
            box=Link(box / "agent.sock") if box else None,
            is_safe=is_safe,
            is_stopping=self._stopping.is_set,
        )
        self._has_begun = True
        self._app = create_app(self.services, _secret_key(self.store.folder.root / "secret"))
        log.info("process.started", data=str(settings.data), pid=os.getpid())

    def _states(self) -> list[LoopState]:
        return [*(loop.state for loop in self._loops), *([] if self.services.is_safe else self.room.states())]

    def _states_to_tell(self) -> list[LoopState]:
        """Whoever begins or ends in good order is no trouble."""
        return self._states() if self._has_begun and not self._stopping.is_set() else []

    def _remember_time(self, now: datetime) -> float:
        del now  # the store has its own
        if not self.store.is_on_trial:
            self.store.remember_time()
        return REMEMBER_TIME_EVERY_S

    def _is_on_trial(self) -> bool:
        return self._trial_file is not None and self._trial_file.exists()

    def app(self) -> WSGIApplication:
        """The web application over these parts."""
        return self._app

    def body_rule(self, environ: dict[str, Any]) -> bodies.BodyRule:
        """How large the body of a request to it may be."""
        return bodies.rule_of(self._app, environ)

    def announce_stop(self) -> None:
        """Let streams and long polls end, so that the server does not wait for them."""
        self._stopping.set()

    def stop(self) -> None:
        """End the loops and close the store; what was under way is resumed at the next start."""
        self._stopping.set()
        if not self.services.is_safe:
            self.room.stop()
        for loop in self._loops:
            loop.stop()
        for loop in self._loops:
            loop.join()
        self._rehearser.stop()
        self._converters.stop()
        self.store.close()
        log.info("process.stopped")


def restart() -> None:
    """End this worker in good order; its master starts the next one, with the settings of then."""
    os.kill(os.getpid(), signal.SIGTERM)


def _secret_key(path: Path) -> bytes:
    """The key that signs session cookies; made once."""
    try:
        key = path.read_bytes()
        if len(key) >= 32:
            return key
    except FileNotFoundError:
        pass
    key = secrets.token_bytes(32)
    temporary = path.with_suffix(".part")
    temporary.touch(mode=0o600)
    temporary.write_bytes(key)
    temporary.rename(path)
    return key
