"""gunicorn's worker for the port: its master starts it again when it dies, or when its event loop hangs."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import uvloop
from gunicorn.workers.base import Worker as BaseWorker

from appliance.http_port.exchange import Exchanges
from appliance.http_port.port import Port

_HEARTBEAT_S = 1.0


class Worker(BaseWorker):
    """Runs the port's event loop; tells the application's process when it begins to stop."""

    _loop: asyncio.AbstractEventLoop | None = None
    _told_to_stop: asyncio.Event

    def run(self) -> None:
        """Serve until told to stop."""
        signal.set_wakeup_fd(-1)  # gunicorn's, which nobody reads; the loop has its own
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._told_to_stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        server: Any = self.app
        port = Port(Exchanges(self.wsgi, server.body_rule, server.limits), server.tls, server.limits)
        port.listen(self.sockets)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            await self._wait_for_stop()
        # The process needs its share of gunicorn's patience, to close the store.
        stopping = asyncio.create_task(port.stop(self.cfg.graceful_timeout / 2))
        while not stopping.done():
            self.notify()
            await asyncio.wait([stopping], timeout=_HEARTBEAT_S)
        stopping.result()

    async def _wait_for_stop(self) -> None:
        try:
            async with asyncio.timeout(_HEARTBEAT_S):
                await self._told_to_stop.wait()
        except TimeoutError:
            return

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: streams end first, then the worker."""
        process = getattr(self.app, "process", None)
        if process is not None:
            process.announce_stop()
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told_to_stop.set)
