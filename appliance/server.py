"""gunicorn around the process: one gthread worker with many threads, restarted by its master when it dies."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
from pathlib import Path
from typing import Any, ClassVar, cast

import structlog
from gunicorn import http
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http.errors import NoMoreData
from gunicorn.workers.gthread import TConn, ThreadWorker

from appliance import log
from appliance.config import Settings
from appliance.process import Process
from appliance.recovery import DiskDamaged, RecoveryMode, recovery
from store.errors import StoreError, StoreLocked
from web.health import LOG_NAME
from web.recovery import create_recovery_app

_TMPFS = Path("/dev/shm")  # noqa: S108  (gunicorn's heartbeat file must not wait for a slow SD card)
GREETING_LIMIT_S = 15.0  # from a connection to its first byte, and for the TLS handshake


class Connection(TConn):
    """A connection that is TLS or not, as its first byte says: http and https share the port.

    gunicorn has TLS for all of its ports or for none. A TLS record of type handshake begins with 22 (RFC 8446 §5.1),
    which begins no HTTP request.
    """

    tls: ClassVar[ssl.SSLContext | None] = None

    def init(self) -> None:
        """Called in the thread that reads the first request, when there is something to read."""
        if not self.initialized and self.tls is not None:
            self.sock.setblocking(True)
            self.sock.settimeout(GREETING_LIMIT_S)
            try:
                if self.sock.recv(1, socket.MSG_PEEK) == b"\x16":
                    self.sock = self.tls.wrap_socket(self.sock, server_side=True)
                    self.cfg = cast(Config, _AsTls(self.cfg))
                    self.parser = http.get_parser(self.cfg, self.sock, self.client)
            except TimeoutError as error:
                raise NoMoreData from error
            self.sock.settimeout(None)
        super().init()


class _AsTls:
    """gunicorn's settings for one connection that turned out to be TLS."""

    is_ssl = True

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        return getattr(self._settings, name)


class Worker(ThreadWorker):
    """A gthread worker that tells the process when it begins to stop, and takes TLS and plain connections."""

    def accept(self, listener: Any) -> None:
        """As gunicorn's, with connections of ours."""
        try:
            sock, address = listener.accept()
            self.nr_conns += 1
            sock.setblocking(True)
            self.enqueue_req(Connection(self.cfg, sock, address, listener.getsockname()))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: streams end first, then the worker."""
        process = getattr(self.app, "process", None)
        if process is not None:
            process.announce_stop()
        super().handle_exit(sig, frame)


class Server(BaseApplication):
    """Serves the panel and the sync API until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.process: Process | None = None
        self._recovery: RecoveryMode | None = None
        super().__init__()

    @property
    def _ports(self) -> list[int]:
        """Each speaks http and https; people's browsers try 80 and 443 by themselves."""
        second = [self._settings.https_port] if self._settings.https_port else []
        return [self._settings.http_port, *second]

    def load_config(self) -> None:
        """gunicorn's settings; the reasons stand in DESIGN §4."""
        options = {
            "bind": [f"{self._settings.http_host}:{port}" for port in self._ports],
            "workers": 1,  # two would be two owners of the store
            "worker_class": "appliance.server.Worker",
            "threads": self._settings.threads,
            "preload_app": False,  # the loops must live in the worker
            "timeout": 120,
            "graceful_timeout": 15,
            "keepalive": 20,
            "max_requests": 0,
            "worker_tmp_dir": str(_TMPFS) if _TMPFS.is_dir() else None,
            "accesslog": None,
            "loglevel": "warning",
            "control_socket_disable": True,
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
            if box is None or isinstance(error, StoreLocked):
                sys.exit(Arbiter.APP_LOAD_ERROR)  # the master ends instead of trying for ever
            self._recovery = recovery(self._settings, error)
            Connection.tls = self._recovery.tls
            return create_recovery_app(self._recovery.page)
        Connection.tls = self.process.tls
        return self.process.app()

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
