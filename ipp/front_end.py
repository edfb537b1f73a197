"""The front end: every print queue as a printer over HTTP, with and without TLS on the same port."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from ipp import codec
from ipp.advertise import Advertiser
from ipp.attributes import Status, attribute
from ipp.codec import Group, GroupTag, Message
from ipp.doorman import Doorman
from ipp.errors import MessageError
from ipp.front_connections import IDLE_LIMIT_S, FrontConnection, FrontConnections
from ipp.open_connections import Stage
from ipp.queue import PoolQueue, new_token
from ipp.queue_attributes import MULTIPLE_OPERATION_LIMIT_S
from ipp.request_body import Body, TooSlow, make_durable
from ipp.served import Received, Refusal
from ipp.server import WITH_DOCUMENT, respond
from ipp.subscriptions import Event, Seen, Subscriptions, job_events, seen
from store import queue_jobs
from store.errors import StoreError
from store.queues import PrintQueue, QueueAccess
from store.records import Printer
from store.tables import Store

log = structlog.get_logger("front_end")

PATH = "/ipp/print"
ICONS = Path(__file__).parent / "icons"
PRIVATE_NETWORKS = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
        *("fe80::/10", "fc00::/7", "::1/128"),
    )
)


@dataclass(frozen=True)
class FrontEndSettings:
    """How the front end is reached, and its limits."""

    host: str = "0.0.0.0"  # noqa: S104  (a LAN appliance)
    port: int = 8631
    panel_port: int = 8080
    networks: Sequence[IPv4Network | IPv6Network] = PRIVATE_NETWORKS
    most_document_bytes: int = 1_000_000_000
    min_free_bytes: int = 0
    requests_per_s: float = 500.0
    tls: ssl.SSLContext | None = None
    fingerprint: str = ""  # of the certificate in tls
    announces: bool = True
    local_name: str = ""  # see Advertiser
    interfaces: Sequence[str] = ()
    stall_limit_s: float = 20.0


@dataclass
class _Followed:
    """What subscribers of a queue were told last."""

    jobs: Seen = field(default_factory=dict)
    printer: tuple[int, tuple[str, ...], str] | None = None


class FrontEnd:
    """Listens, answers, announces; lives on ipp's event loop."""

    def __init__(
        self, store: Store, settings: FrontEndSettings, identify: Callable[[Printer], None] | None = None
    ) -> None:
        """
        Args:
            store: the open store.
            settings: see there.
            identify: lets a printer show which one it is; called in a thread.
        """
        self._store, self._settings, self._identify = store, settings, identify
        self._began_s = store.clock.monotonic()
        self._doorman = Doorman(store, settings.networks, settings.requests_per_s)
        self._publishing = threading.Lock()
        self._subscriptions: dict[int, Subscriptions] = {}
        self._followed: dict[int, _Followed] = {}
        self._incoming: dict[int, queue_jobs.Progress] = {}
        self.port = settings.port
        self._advertiser: Advertiser | None = None

    @property
    def local_name(self) -> str:
        """See Advertiser."""
        return self._advertiser.name_taken if self._advertiser else ""

    async def run(self) -> None:
        """Serve for ever; ends by cancellation."""
        try:
            listener = _listener(self._settings.host, self._settings.port)
        except OSError as error:
            log.error(
                "front_end.no_port",
                port=self._settings.port,
                error=str(error),
                remedy="end the program that uses it, or choose another with ipp_port",
            )
            await asyncio.sleep(10)
            return  # and is begun again
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="front-end")
        app = web.Application(client_max_size=0)
        app.router.add_post("/{path:.*}", self._post)
        app.router.add_get("/icons/{px:48|128|512}.png", self._icon)
        app.router.add_get("/{path:.*}", self._page)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, keepalive_timeout=IDLE_LIMIT_S)
        await runner.setup()
        self.port = listener.getsockname()[1]
        log.info("front_end.ready", host=self._settings.host, port=self.port)
        self._connections = FrontConnections(runner.server, self._doorman.may_connect, self._settings.tls)
        tasks = [asyncio.create_task(self._follow())]
        if self._settings.announces:
            self._advertiser = advertiser = Advertiser(
                self._store,
                self.port,
                self._settings.interfaces,
                self._settings.panel_port,
                self._settings.tls is not None,
                self._settings.fingerprint,
                self._settings.local_name,
            )
            tasks.append(asyncio.create_task(self._announce(advertiser)))
        try:
            await self._connections.run(listener)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()
            self._threads.shutdown(wait=True, cancel_futures=True)

    async def _announce(self, advertiser: Advertiser) -> None:
        while True:
            try:
                await advertiser.run()
            except Exception as error:  # no network yet, say
                log.warning("front_end.not_announced", error=repr(error))
                await asyncio.sleep(10)

    # -- answering ------------------------------------------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.StreamResponse:
        connection = self._connections.of(request.protocol)
        connection.enter(Stage.MOVING)
        try:
            return await self._answer(request, connection)
        except ConnectionError as error:  # the client went away: what it had sent is forgotten
            log.info("front_end.broken_off", host=request.remote, error=repr(error))
            response = web.Response(status=400)
            response.force_close()
            return response
        except (TooSlow, MessageError) as error:
            log.info("front_end.bad_request", host=request.remote, error=repr(error))
            status = 408 if isinstance(error, TooSlow) else 400
            response = web.Response(status=status, text=f"{error or 'too slow'}\n")
            response.force_close()
            return response
        finally:
            connection.enter(Stage.WAITING)

    async def _answer(self, request: web.Request, connection: FrontConnection) -> web.StreamResponse:
        is_tls, host = request.secure, connection.address
        if not self._doorman.may_ask(host):
            return web.Response(status=429, text="too many requests: wait a second\n", headers={"Retry-After": "1"})
        if request.content_type != "application/ipp":
            return web.Response(status=415, text="print to this address with IPP (application/ipp)\n")
        queue = self._queue_at(request.path)
        if queue is None:
            return web.Response(status=404, text="there is no print queue at this address\n")
        loop = asyncio.get_running_loop()
        authorization = request.headers.get("Authorization", "")
        if queue.access is QueueAccess.PASSWORD and not is_tls and self._settings.tls is not None:
            return _upgrade()
        body = Body(request.content, self._settings.stall_limit_s)
        head = await body.head()
        operation = head.group(GroupTag.OPERATION)
        claimed = operation.text("requesting-user-name")
        if authorization:  # a password is checked in a thread: it takes its time
            asker = await loop.run_in_executor(self._threads, self._doorman.known, queue, authorization, claimed, host)
        else:
            asker = self._doorman.known(queue, "", claimed, host)
        if asker is None:
            return web.Response(status=401, headers={"WWW-Authenticate": f'Basic realm="{queue.path}"'})
        scheme = "ipps" if is_tls else "ipp"
        uri = f"{scheme}://{request.host}{PATH}/{queue.path}"
        panel = f"http://{urlsplit(f'//{request.host}').hostname}:{self._settings.panel_port}"
        base = f"{'https' if is_tls else 'http'}://{request.host}"
        served = PoolQueue(self._store, queue.id, self._began_s, panel, base, self._identify)
        document: Received | None = None
        try:
            _check_target(head, queue)
            if head.code in WITH_DOCUMENT:
                if not self._store.has_room(self._settings.min_free_bytes):
                    raise Refusal(Status.TEMPORARY_ERROR, "the box's disk is full: try again when there is room")
                target = self._store.folder.queued / new_token()
                document = await body.document(
                    target,
                    operation.text("compression"),
                    self._settings.most_document_bytes,
                    operation.text("document-format"),
                    operation.text("document-name"),
                )
            heard = self._subscriptions.setdefault(queue.id, Subscriptions())
            connection.enter(Stage.WORKING)  # from here on it happens, and the client must hear of it
            answer = await loop.run_in_executor(self._threads, self._respond, head, served, uri, document, asker, heard)
        except Refusal as refusal:
            answer = _refused(head, refusal)
        if document is not None and answer.code >= 0x0100:
            document.path.unlink(missing_ok=True)
        status = 200
        headers = {}
        if answer.code == Status.NOT_AUTHENTICATED:
            if not is_tls and self._settings.tls is not None:
                return _upgrade()
            status, headers = 401, {"WWW-Authenticate": f'Basic realm="{queue.path}"'}
        response = web.Response(
            status=status, body=codec.encode(answer), content_type="application/ipp", headers=headers
        )
        if not request.content.at_eof():
            response.force_close()  # what is left of the body is not read
        return response

    def _respond(
        self, head: Message, queue: PoolQueue, uri: str, document: Received | None, asker: Any, heard: Subscriptions
    ) -> Message:
        """In a thread: the disk is waited for here."""
        try:
            if document is not None:
                make_durable(document)
            if head.all_groups(GroupTag.SUBSCRIPTION):
                self._publish(queue.queue_id, heard)  # what is new is new from here on
            return respond(head, queue, uri, document, asker, heard)
        except (StoreError, OSError) as error:
            reason = f"the box cannot keep the job ({error}): try again later"
            return _refused(head, Refusal(Status.TEMPORARY_ERROR, reason))
        except Exception as error:  # a fault of ours must not become half an answer
            log.exception("front_end.surprise", operation=head.code, error=repr(error))
            return _refused(head, Refusal(Status.INTERNAL_ERROR, "a fault in the box: its log says more"))

    def _queue_at(self, path: str) -> PrintQueue | None:
        """The queue of an address: /ipp/print/NAME, with a job's number behind it or not; the first one without."""
        parts = [part for part in path.removeprefix(PATH).split("/") if part]
        if not path.startswith(PATH):
            return None
        if not parts:
            offered = (one for one in self._store.print_queues.all() if one.access is not QueueAccess.OFF)
            return next(offered, None)
        found = next(iter(self._store.print_queues.by("path", parts[0])), None)
        return found if found is not None and found.access is not QueueAccess.OFF else None

    # -- for browsers ---------------------------------------------------------------------------------------------

    async def _icon(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(ICONS / f"{request.match_info['px']}.png")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        host = urlsplit(f"//{request.host}").hostname
        return web.Response(text=f"Print here with IPP. The panel is at http://{host}:{self._settings.panel_port}/\n")

    # -- what goes on ---------------------------------------------------------------------------------------------

    def _expire_incoming(self) -> None:
        queue_jobs.expire_incoming(self._store, MULTIPLE_OPERATION_LIMIT_S, self._incoming)

    async def _follow(self) -> None:
        """Tell subscribers what happens, and give up on jobs whose client went away."""
        version = 0
        while True:
            try:
                version = await asyncio.to_thread(self._store.wait, version, 0.5)
                await asyncio.to_thread(self._expire_incoming)
                for queue_id, heard in list(self._subscriptions.items()):
                    if heard and self._store.print_queues.find(queue_id) is not None:
                        await asyncio.to_thread(self._publish, queue_id, heard)
                    elif not heard:
                        self._followed.pop(queue_id, None)
            except StoreError as error:
                log.error("front_end.store", error=str(error))
                await asyncio.sleep(5)
            await asyncio.sleep(0.1)

    def _publish(self, queue_id: int, heard: Subscriptions) -> None:
        """Tell a queue's subscribers what is new since the last time; the first time only remembers."""
        with self._publishing:
            self._publish_alone(queue_id, heard)

    def _publish_alone(self, queue_id: int, heard: Subscriptions) -> None:
        queue = PoolQueue(self._store, queue_id, self._began_s)
        jobs = queue.jobs()
        state = queue.printer_state()
        known = self._followed.get(queue_id)
        if known is not None:
            for event in job_events(known.jobs, jobs):
                heard.publish(event)
            if known.printer is not None and known.printer != state:
                names = {"printer-state-changed"} | ({"printer-stopped"} if state[0] == 5 else set())
                told = (
                    attribute("printer-state", state[0]),
                    attribute("printer-state-reasons", *state[1]),
                    attribute("printer-is-accepting-jobs", queue.is_accepting),
                )
                heard.publish(Event(frozenset(names), (state[2] or "the printer's state changed")[:255], told))
        self._followed[queue_id] = _Followed(seen(jobs), state)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(256)
    listener.setblocking(False)
    return listener


def _check_target(head: Message, queue: PrintQueue) -> None:
    """The target attribute must mean the queue at whose address it was sent (RFC 8011 §4.1.5)."""
    operation = head.group(GroupTag.OPERATION)
    target = operation.text("printer-uri") or operation.text("job-uri")
    path = urlsplit(target).path if target else ""
    name = next(iter(part for part in path.removeprefix(PATH).split("/") if part), "")
    if name and not name.isdecimal() and name != queue.path and path.startswith(PATH):
        raise Refusal(Status.NOT_FOUND, f"there is no print queue '{name}' at this address")


def _refused(head: Message, refusal: Refusal) -> Message:
    group = Group(
        GroupTag.OPERATION,
        [
            attribute("attributes-charset", "utf-8"),
            attribute("attributes-natural-language", "en"),
            attribute("status-message", refusal.message[:255]),
        ],
    )
    groups = [group, *([Group(GroupTag.UNSUPPORTED, refusal.unsupported)] if refusal.unsupported else [])]
    version = head.version if head.version[0] in (1, 2) else (2, 0)
    return Message(refusal.status, max(1, head.request_id), groups, version)


def _upgrade() -> web.Response:
    """RFC 2817 §4.2: the same again, but over TLS."""
    headers = {"Upgrade": "TLS/1.2,HTTP/1.1", "Connection": "Upgrade"}
    return web.Response(status=426, headers=headers, text="this needs TLS: use ipps\n")
