"""The one process that owns the truth: opens the store, starts the loops, and stops them in reverse."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path
from wsgiref.types import WSGIApplication

import structlog

from appliance.alerts import Alerts, send
from appliance.certificate import tls_context
from appliance.config import Settings
from appliance.convert import convert
from appliance.incoming import Incoming
from ipp.front_end import PRIVATE_NETWORKS, FrontEndSettings
from ipp.room import IppRoom
from render.loop import RenderLoop
from render.rehearse import Rehearser
from render.workers import Cluster, Workers
from store.housekeeping import Housekeeper
from store.tables import Store
from web import Services, create_app

log = structlog.get_logger("process")


class Process:
    """Everything that runs beside the web server, in the same process."""

    def __init__(self, settings: Settings) -> None:
        """Open the store and start the loops.

        Raises:
            StoreError: the data folder cannot be used; says why.
        """
        self.store = Store(settings.data)
        self._stopping = threading.Event()
        render_loop = RenderLoop(
            self.store,
            Workers(settings.workers, settings.render_limit_s),
            settings.image_roots,
            settings.max_megapixels * 1_000_000,
            settings.max_memory_mb * 1_000_000,
            Cluster(settings.cluster),
        )
        self._render = threading.Thread(target=render_loop.run, args=(self._stopping,), name="render", daemon=True)
        housekeeper = Housekeeper(self.store, settings.retention)
        self._housekeeping = threading.Thread(
            target=housekeeper.run, args=(self._stopping,), name="housekeeping", daemon=True
        )
        alerts = Alerts(self.store, settings.min_free_mb * 1_000_000)
        self._alerts = threading.Thread(target=alerts.run, args=(self._stopping,), name="alerts", daemon=True)
        self._converters = Workers(1, settings.render_limit_s)
        front_end = FrontEndSettings(
            host=settings.http_host,
            port=settings.ipp_port,
            panel_port=settings.http_port,
            networks=settings.ipp_networks or PRIVATE_NETWORKS,
            most_document_bytes=settings.max_document_mb * 1_000_000,
            min_free_bytes=settings.min_free_mb * 1_000_000,
            requests_per_s=settings.ipp_requests_per_s,
            tls=tls_context(self.store.folder.root / "tls"),
            announces=settings.discovery,
            interfaces=settings.interfaces,
        )
        incoming = Incoming(self.store, self._converters, settings.max_megapixels * 1_000_000)
        self._incoming = threading.Thread(target=incoming.run, args=(self._stopping,), name="incoming", daemon=True)
        self.room = IppRoom(
            self.store,
            settings.interfaces,
            settings.discovery,
            front_end=front_end,
            unreachable_limit=settings.unreachable_limit,
            convert=lambda task: self._converters.submit(convert, task),
        )
        self._rehearser = Rehearser(self.store.folder, settings.image_roots, settings.max_megapixels * 1_000_000)
        self._render.start()
        self._housekeeping.start()
        self._alerts.start()
        self._incoming.start()
        self.room.start()
        self.services = Services(
            store=self.store,
            room=self.room,
            rehearser=self._rehearser,
            image_roots=settings.image_roots,
            max_image_bytes=settings.max_image_mb * 1_000_000,
            max_streams=settings.threads // 4,
            min_free_bytes=settings.min_free_mb * 1_000_000,
            send_alert=send,
            is_stopping=self._stopping.is_set,
        )
        log.info("process.started", data=str(settings.data), pid=os.getpid())

    def app(self) -> WSGIApplication:
        """The web application over these parts."""
        return create_app(self.services, _secret_key(self.store.folder.root / "secret"))

    def announce_stop(self) -> None:
        """Let streams and long polls end, so that the server does not wait for them."""
        self._stopping.set()

    def stop(self) -> None:
        """End the loops and close the store; what was under way is resumed at the next start."""
        self._stopping.set()
        self.room.stop()
        self._render.join()
        self._housekeeping.join()
        self._alerts.join()
        self._incoming.join()
        self._rehearser.stop()
        self._converters.stop()
        self.store.close()
        log.info("process.stopped")


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
