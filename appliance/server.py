"""gunicorn around the process: one worker, restarted by its master when it dies."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from appliance import log
from appliance.config import Settings
from appliance.http_port.limits import Limits
from appliance.process import Process
from appliance.recovery import DiskDamaged, RecoveryMode, recovery
from store.errors import StoreError, StoreLocked, StoreUnavailable
from web import bodies
from web import recovery as recovery_page
from web.health import LOG_NAME
from web.recovery import create_recovery_app

_TMPFS = Path("/dev/shm")  # noqa: S108  (gunicorn's heartbeat file must not wait for a slow SD card)
_AGAIN_S = 2.0  # until a worker that could not start is followed by the next


class Server(BaseApplication):
    """Serves the panel and the sync API until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.process: Process | None = None
        self._recovery: RecoveryMode | None = None
        self._workers_begun = 0  # in the master, and as it was then in a worker
        self.tls: ssl.SSLContext | None = None
        self.body_rule: Callable[[dict[str, Any]], bodies.BodyRule] = lambda _: bodies.BodyRule(bodies.STRANGERS_BYTES)
        super().__init__()

    @property
    def _ports(self) -> list[int]:
        """Each speaks http and https; people's browsers try 80 and 443 by themselves."""
        second = [self._settings.https_port] if self._settings.https_port else []
        return [self._settings.http_port, *second]

    @property
    def limits(self) -> Limits:
        """For the worker."""
        settings = self._settings
        return Limits(
            threads=settings.threads,
            connections=settings.connections,
            slow_client_s=settings.slow_client_s,
            spool=settings.data if settings.data.is_dir() else None,
            min_free_bytes=settings.min_free_mb * 1_000_000,
        )

    def load_config(self) -> None:
        """gunicorn's settings; the reasons stand in DESIGN §4."""
        options = {
            "bind": [f"{self._settings.http_host}:{port}" for port in self._ports],
            "workers": 1,  # two would be two owners of the store
            "worker_class": "appliance.http_port.worker.Worker",
            "preload_app": False,  # the loops must live in the worker
            "timeout": 120,
            "graceful_timeout": 15,
            "worker_tmp_dir": str(_TMPFS) if _TMPFS.is_dir() else None,
            "accesslog": None,
            "loglevel": "warning",
            "control_socket_disable": True,
            "pre_fork": self._count_worker,
            "post_worker_init": self._ready,
            "worker_exit": self._stop,
            "proc_name": "printroom",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The WSGI application; called in the worker."""
        log.configure(self._settings.log_level, self._settings.data / "log" / LOG_NAME)
        if self._settings.one_core:
            keep_to_one_core()
        box = self._settings.box
        damaged = box / "data-problem" if box else None
        try:
            if damaged is not None and damaged.exists():
                raise DiskDamaged(damaged.read_text())
            self.process = Process(self._settings)
        except (StoreError, OSError) as error:
            print(f"printroom: {error}", file=sys.stderr, flush=True)
            if self._workers_begun > 1 and isinstance(error, (OSError, StoreUnavailable)):
                time.sleep(_AGAIN_S)  # it worked before: the disk may be full, or a share away
                sys.exit(1)  # the master starts another one
            if box is None or isinstance(error, StoreLocked):
                sys.exit(Arbiter.APP_LOAD_ERROR)  # the master ends instead of trying for ever
            self._recovery = recovery(self._settings, error)
            self.tls, page = self._recovery.tls, create_recovery_app(self._recovery.page)
            self.body_rule = partial(recovery_page.rule_of, page)
            return page
        self.tls, self.body_rule = self.process.tls, self.process.body_rule
        return self.process.app()

    def _count_worker(self, arbiter: Any, worker: Any) -> None:
        del arbiter, worker
        self._workers_begun += 1

    def _ready(self, worker: Any) -> None:
        process = self.process
        port = worker.sockets[0].getsockname()[1]
        address = f"http://{_shown_host(self._settings.http_host)}{'' if port == 80 else f':{port}'}/"
        if self._settings.local_name:  # printroom.local may be another box's; this one is nobody else's
            address += f"  or  http://{socket.gethostname()}.local/"
        if process is None:
            if self._recovery is not None:
                page = self._recovery.page
                lines = [f"Printroom CANNOT OPEN ITS DATA. Recovery: {address}", f"Recovery code: {page.code}"]
                _keep_for_the_console(console_file(self._settings), lines, page.fingerprint)
                print("\n".join(lines), file=sys.stdout, flush=True)
            return

        def told() -> list[str]:
            code = f"First-run code: {process.services.first_run_code}"
            return [f"Printroom is running. Panel: {address}", *(() if len(process.store.people) else (code,))]

        def keep() -> None:
            _keep_for_the_console(console_file(self._settings), told(), process.services.fingerprint)

        keep()
        process.services.first_run_is_over = keep
        lines = told()
        lines.append(f"Data: {self._settings.data}   Stop: Ctrl-C")
        print("\n".join(lines), file=sys.stdout, flush=True)

    def _stop(self, arbiter: Any, worker: Any) -> None:
        del arbiter, worker
        if self.process is not None:
            self.process.stop()
            self.process = None


def console_file(settings: Settings) -> Path:
    """Where what the console shows lies: with the box's own things, because the data may be what is damaged."""
    return settings.box / "panel" / "console" if settings.box else settings.data / "console"


def _keep_for_the_console(path: Path, lines: list[str], fingerprint: str) -> None:
    """What somebody who stands before the box may see: in the box image it is shown on the screen."""
    shown = " ".join(fingerprint[at : at + 4] for at in range(0, 16, 4))
    partial = path.with_suffix(".part")
    try:
        partial.write_text("\n".join(["", *lines, f"Its certificate's fingerprint begins with {shown}", "", ""]))
        partial.chmod(0o600)
        partial.rename(path)
    except OSError as error:  # a full disk: people are let in all the same, to make room
        structlog.get_logger("process").warning("process.console_not_written", error=str(error))


def keep_to_one_core() -> None:
    """Run this process on one processor core from now on; drawing processes use all of them.

    Python runs one thread at a time. On two cores the interpreter's lock wanders between them with every request, and
    each hand-over costs an interrupt: 16 clients get 1.5 times as many pushes a second on one core (make bench-sync).
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _shown_host(host: str) -> str:
    if host not in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        return host
    # The address that others on the LAN would use; a UDP socket that is "connected" sends nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
