"""A print queue over IPP, request by request: what it takes, refuses, holds, orders and tells."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipp import codec
from ipp.attributes import JobState, Operation, Status, attribute, no_value
from ipp.codec import Attribute, Group, GroupTag, Message, Range, Tag, Value
from ipp.queue import PoolQueue, new_token, order_of
from ipp.queue_attributes import OPERATIONS
from ipp.served import Asker, Received
from ipp.server import HANDLERS, respond
from ipp.subscriptions import Subscriptions, job_events, seen
from store import progress, queue_jobs
from store.queue_setup import offer
from store.queues import PrintQueue, QueueJob
from store.records import Printer, PrinterPool, PrinterState, PrinterStatus
from store.sizes import parse_size
from store.states import QueueJobState, TicketState
from store.tables import Store
from tests.studio import NOW

URI = "ipp://box:8631/ipp/print/lab"
KIM, ALEX = Asker("kim", "10.0.0.5"), Asker("alex", "10.0.0.6")
OPERATOR = Asker("robin", is_authenticated=True, is_operator=True)
READY = PrinterStatus(state=PrinterState.IDLE, max_copies=99, media_ready=(parse_size("4x6"),), since=NOW)
JPEG = b"\xff\xd8\xff\xe0 a photo"


class Client:
    """Sends requests to a queue and gives back the answers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        pool = store.printer_pools.add(PrinterPool(name="Lab"))
        printer = store.printers.add(Printer(name="Lab One", uri="ipp://one", pool_id=pool.id))
        store.printer_status.put(READY.with_(id=printer.id))
        self.queue = offer(store, "Lab", NOW, pool_id=pool.id)
        self.subscriptions = Subscriptions()
        self._ids = itertools.count(1)

    def ask(
        self,
        operation: int,
        *attributes: Attribute,
        job: list[Attribute] | None = None,
        document: bytes | None = None,
        asker: Asker = KIM,
        groups: list[Group] | None = None,
        document_format: str = "image/jpeg",
    ) -> Message:
        head = [attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en")]
        head += [attribute("printer-uri", URI), *attributes]
        message = Message(operation, next(self._ids), [Group(GroupTag.OPERATION, head)])
        if job:
            message.groups.append(Group(GroupTag.JOB, job))
        message.groups += groups or []
        received = None
        if document is not None:
            path = self.store.folder.queued / new_token()
            path.write_bytes(document)
            received = Received(path, len(document), document_format)
        request, _ = codec.decode(codec.encode(message))
        served = PoolQueue(self.store, self.queue.id, self.store.clock.monotonic())
        answer = respond(request, served, URI, received, asker, self.subscriptions)
        again, _ = codec.decode(codec.encode(answer))  # every answer can be written
        return again

    def print(self, *job: Attribute, asker: Asker = KIM, name: str = "photo") -> int:
        answer = self.ask(Operation.PRINT_JOB, attribute("job-name", name), job=list(job), document=JPEG, asker=asker)
        assert answer.code < 0x0100, answer
        return answer.group(GroupTag.JOB).number("job-id") or 0

    def job(self, job_id: int) -> QueueJob:
        return self.store.queue_jobs.get(job_id)

    def told(self, job_id: int) -> Group:
        return self.ask(Operation.GET_JOB_ATTRIBUTES, attribute("job-id", job_id)).group(GroupTag.JOB)

    def begin(self, job_id: int) -> int:
        """Make a pending job a ticket that is being printed, as the box does; returns the ticket's id."""
        from appliance.incoming import record_of
        from ipp.job_ticket import profile_of, read
        from ipp.queue import ticket_of
        from store.queues import Page

        job = queue_jobs.move(self.store, self.job(job_id), "convert", NOW)
        asked = read(ticket_of(job), parse_size("4x6"))
        push = record_of(self.settings, job, asked, (Page(sha256="0" * 64, document=1, page=1),))
        ticket = queue_jobs.open_ticket(
            self.store, job_id, self.settings, push, profile_of(self.settings, None, asked, True), NOW
        )
        return ticket.id

    @property
    def settings(self) -> PrintQueue:
        return self.store.print_queues.get(self.queue.id)


@pytest.fixture
def client(store: Store) -> Iterator[Client]:
    yield Client(store)


def status(answer: Message) -> Status:
    return Status(answer.code)


def test_everything_that_is_offered_is_there(client: Client) -> None:
    assert set(OPERATIONS) <= set(HANDLERS)
    assert status(client.ask(Operation.PRINT_URI)) is Status.OPERATION_NOT_SUPPORTED
    assert status(client.ask(0x3FFF)) is Status.OPERATION_NOT_SUPPORTED


def test_a_job_is_kept_with_its_document_and_what_it_asks(client: Client) -> None:
    job_id = client.print(attribute("copies", 3), name="wedding")
    job = client.job(job_id)
    assert (job.name, job.user, job.host, job.state) == ("wedding", "kim", "10.0.0.5", QueueJobState.PENDING)
    (document,) = job.documents
    assert (client.store.folder.queued / document.token).read_bytes() == JPEG and document.format == "image/jpeg"
    told = client.told(job_id)
    assert told.number("copies") == 3 and told.number("job-state") == JobState.PENDING
    assert told.text("job-originating-user-name") == "kim" and told.text("job-uri") == f"{URI}/{job_id}"


@pytest.mark.parametrize(
    "wrong",
    [
        attribute("media", "na_ledger_11x17in"),
        Attribute("media-col", (Value(Tag.KEYWORD, "na_index-4x6_4x6in"),)),
        attribute("media", "choice_of_paper"),
    ],
)
def test_paper_that_the_pool_does_not_have_is_refused_whatever_is_insisted_on(client: Client, wrong: Attribute) -> None:
    client.store.printers.put(client.store.printers.get(1).with_(allowable_print_sizes=("4x6", "8x10")))
    for insists in (True, False):
        answer = client.ask(Operation.VALIDATE_JOB, attribute("ipp-attribute-fidelity", insists), job=[wrong])
        assert status(answer) is Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED
        assert answer.group(GroupTag.UNSUPPORTED).attributes[0].name == wrong.name
    assert status(client.ask(Operation.VALIDATE_JOB, job=[attribute("media", "na_govt-letter_8x10in")])) is Status.OK


def test_what_else_cannot_be_had_is_named_and_only_refused_when_it_is_insisted_on(client: Client) -> None:
    odd = [attribute("sides", "two-sided-long-edge"), attribute("copies", 5000), attribute("print-quality", 5)]
    odd.append(Attribute("x-fold", (Value(Tag.KEYWORD, "z"),)))
    taken = client.ask(Operation.PRINT_JOB, job=odd, document=JPEG)
    assert status(taken) is Status.OK_IGNORED_OR_SUBSTITUTED
    unsupported = {item.name: item.values[0] for item in taken.group(GroupTag.UNSUPPORTED).attributes}
    assert set(unsupported) == {"sides", "copies", "x-fold"}
    assert unsupported["x-fold"].tag == Tag.UNSUPPORTED and unsupported["sides"].content == "two-sided-long-edge"
    strict = client.ask(Operation.PRINT_JOB, attribute("ipp-attribute-fidelity", True), job=odd, document=JPEG)
    assert status(strict) is Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED and len(client.store.queue_jobs) == 1


def test_formats_compressions_and_empty_documents(client: Client) -> None:
    word = client.ask(Operation.PRINT_JOB, document=b"x", document_format="application/msword")
    assert status(word) is Status.DOCUMENT_FORMAT_NOT_SUPPORTED
    packed = client.ask(Operation.VALIDATE_JOB, attribute("compression", "compress"))
    assert status(packed) is Status.COMPRESSION_NOT_SUPPORTED
    assert status(client.ask(Operation.PRINT_JOB)) is Status.BAD_REQUEST
    assert len(client.store.queue_jobs) == 0


def test_a_job_of_several_documents_waits_for_the_last_one_and_blocks_nobody(client: Client) -> None:
    created = client.ask(Operation.CREATE_JOB, attribute("job-name", "album"))
    job_id = attribute("job-id", created.group(GroupTag.JOB).number("job-id") or 0)
    other = client.print()
    assert client.job(other).state is QueueJobState.PENDING
    for last in (False, False):
        sent = client.ask(Operation.SEND_DOCUMENT, job_id, attribute("last-document", last), document=JPEG)
        assert sent.group(GroupTag.JOB).texts("job-state-reasons") == ["job-incoming"]
    assert status(client.ask(Operation.SEND_DOCUMENT, job_id, document=JPEG)) is Status.BAD_REQUEST
    # RFC 8011 §4.3.1: a last one without a document closes the job.
    closed = client.ask(Operation.SEND_DOCUMENT, job_id, attribute("last-document", True))
    assert closed.group(GroupTag.JOB).number("job-state") == JobState.PENDING
    late = client.ask(Operation.SEND_DOCUMENT, job_id, attribute("last-document", True), document=JPEG)
    assert status(late) is Status.NOT_POSSIBLE
    documents = client.ask(Operation.GET_DOCUMENTS, job_id).all_groups(GroupTag.DOCUMENT)
    assert [group.number("document-number") for group in documents] == [1, 2]


def test_a_client_that_never_sends_its_document_is_given_up_on(client: Client) -> None:
    client.ask(Operation.CREATE_JOB)
    seen: dict[int, queue_jobs.Progress] = {}
    queue_jobs.expire_incoming(client.store, 60, seen)
    seen[1] = replace(seen[1], since_s=seen[1].since_s - 59)
    queue_jobs.expire_incoming(client.store, 60, seen)
    assert client.job(1).state is QueueJobState.INCOMING
    seen[1] = replace(seen[1], since_s=seen[1].since_s - 2)
    queue_jobs.expire_incoming(client.store, 60, seen)
    assert client.told(1).number("job-state") == JobState.ABORTED


def test_close_job(client: Client) -> None:
    client.ask(Operation.CREATE_JOB)
    number = attribute("job-id", 1)
    assert status(client.ask(Operation.CLOSE_JOB, number)) is Status.NOT_POSSIBLE  # nothing to print
    client.ask(Operation.SEND_DOCUMENT, number, attribute("last-document", False), document=JPEG)
    assert status(client.ask(Operation.CLOSE_JOB, number)) is Status.OK
    assert client.job(1).state is QueueJobState.PENDING


def test_held_jobs_wait_for_their_release(client: Client) -> None:
    job_id = client.print(attribute("job-hold-until", "indefinite"))
    assert client.told(job_id).texts("job-state-reasons") == ["job-hold-until-specified"]
    assert status(client.ask(Operation.RELEASE_JOB, attribute("job-id", job_id), asker=ALEX)) is Status.NOT_AUTHORIZED
    assert status(client.ask(Operation.RELEASE_JOB, attribute("job-id", job_id))) is Status.OK
    assert status(client.ask(Operation.RELEASE_JOB, attribute("job-id", job_id))) is Status.NOT_POSSIBLE
    assert status(client.ask(Operation.HOLD_JOB, attribute("job-id", job_id))) is Status.OK
    assert client.job(job_id).state is QueueJobState.HELD


def test_hold_new_jobs_holds_what_comes_and_releasing_lets_only_those_go(client: Client) -> None:
    own = client.print(attribute("job-hold-until", "indefinite"))
    client.ask(Operation.HOLD_NEW_JOBS, asker=OPERATOR)
    new = client.print()
    assert client.job(new).state is QueueJobState.HELD
    client.ask(Operation.RELEASE_HELD_NEW_JOBS, asker=OPERATOR)
    assert client.job(new).state is QueueJobState.PENDING and client.job(own).state is QueueJobState.HELD
    assert client.job(client.print()).state is QueueJobState.PENDING


def test_who_may_do_what(client: Client) -> None:
    job_id = client.print()
    number = attribute("job-id", job_id)
    assert status(client.ask(Operation.CANCEL_JOB, number, asker=ALEX)) is Status.NOT_AUTHORIZED
    assert status(client.ask(Operation.PAUSE_PRINTER, asker=KIM)) is Status.NOT_AUTHENTICATED
    known = Asker("kim", is_authenticated=True)
    assert status(client.ask(Operation.PAUSE_PRINTER, asker=known)) is Status.NOT_AUTHORIZED
    assert status(client.ask(Operation.CANCEL_JOB, number, asker=OPERATOR)) is Status.OK
    assert status(client.ask(Operation.CANCEL_JOB, number)) is Status.NOT_POSSIBLE
    assert client.told(job_id).number("job-state") == JobState.CANCELED


def test_pausing_stopping_and_starting(client: Client) -> None:
    client.ask(Operation.PAUSE_PRINTER, asker=OPERATOR)
    told = client.ask(Operation.GET_PRINTER_ATTRIBUTES).group(GroupTag.PRINTER)
    assert told.number("printer-state") == 5 and told.texts("printer-state-reasons") == ["paused"]
    waiting = client.print()
    assert client.told(waiting).texts("job-state-reasons") == ["printer-stopped"]
    client.ask(Operation.RESUME_PRINTER, asker=OPERATOR)
    client.ask(Operation.DISABLE_PRINTER, asker=OPERATOR)
    assert status(client.ask(Operation.PRINT_JOB, document=JPEG)) is Status.NOT_ACCEPTING_JOBS
    client.ask(Operation.ENABLE_PRINTER, asker=OPERATOR)
    client.ask(Operation.SHUTDOWN_PRINTER, asker=OPERATOR)
    assert status(client.ask(Operation.PRINT_JOB, document=JPEG)) is Status.NOT_ACCEPTING_JOBS
    client.ask(Operation.STARTUP_PRINTER, asker=OPERATOR)
    told = client.ask(Operation.GET_PRINTER_ATTRIBUTES).group(GroupTag.PRINTER)
    assert told.number("printer-state") == 3 and told.first("printer-is-accepting-jobs") is True


def test_pausing_stops_what_is_being_printed_and_pausing_after_it_does_not(client: Client) -> None:
    ticket_id = client.begin(client.print())
    client.ask(Operation.PAUSE_PRINTER_AFTER_CURRENT_JOB, asker=OPERATOR)
    assert not client.store.tickets.get(ticket_id).is_paused
    client.ask(Operation.RESUME_PRINTER, asker=OPERATOR)
    client.ask(Operation.PAUSE_PRINTER, asker=OPERATOR)
    assert client.store.tickets.get(ticket_id).is_paused
    assert client.told(1).number("job-state") == JobState.PROCESSING_STOPPED
    client.ask(Operation.RESUME_PRINTER, asker=OPERATOR)
    assert not client.store.tickets.get(ticket_id).is_paused


def test_the_current_job_is_suspended_resumed_and_canceled(client: Client) -> None:
    assert status(client.ask(Operation.SUSPEND_CURRENT_JOB)) is Status.NOT_POSSIBLE
    ticket_id = client.begin(client.print())
    assert status(client.ask(Operation.SUSPEND_CURRENT_JOB, asker=ALEX)) is Status.NOT_AUTHORIZED
    assert status(client.ask(Operation.SUSPEND_CURRENT_JOB)) is Status.OK
    assert client.told(1).texts("job-state-reasons") == ["job-suspended"]
    assert status(client.ask(Operation.RESUME_JOB, attribute("job-id", 1))) is Status.OK
    assert not client.store.tickets.get(ticket_id).is_paused
    assert status(client.ask(Operation.CANCEL_CURRENT_JOB)) is Status.OK
    assert client.store.tickets.get(ticket_id).state is TicketState.CANCELED
    assert client.job(1).state is QueueJobState.CANCELED


def waiting_order(client: Client) -> list[int]:
    pending = client.store.queue_jobs.by("queue_state", (client.queue.id, QueueJobState.PENDING.value))
    return [job.id for job in sorted(pending, key=order_of)]


def test_waiting_jobs_go_by_priority_and_can_be_moved(client: Client) -> None:
    for priority in (50, 50, 80, 50):
        client.print(attribute("job-priority", priority))
    assert waiting_order(client) == [3, 1, 2, 4]
    client.ask(Operation.PROMOTE_JOB, attribute("job-id", 4), asker=OPERATOR)
    assert waiting_order(client) == [4, 3, 1, 2]
    client.ask(
        Operation.SCHEDULE_JOB_AFTER,
        attribute("job-id", 3),
        attribute("predecessor-job-id", 1),
        asker=OPERATOR,
    )
    assert waiting_order(client) == [4, 1, 3, 2]
    client.ask(Operation.SCHEDULE_JOB_AFTER, attribute("job-id", 4), attribute("predecessor-job-id", 2), asker=OPERATOR)
    assert waiting_order(client) == [1, 3, 2, 4]
    gone = client.ask(
        Operation.SCHEDULE_JOB_AFTER, attribute("job-id", 4), attribute("predecessor-job-id", 99), asker=OPERATOR
    )
    assert status(gone) is Status.NOT_FOUND and waiting_order(client) == [1, 3, 2, 4]


def ids(answer: Message) -> list[int | None]:
    return [group.number("job-id") for group in answer.all_groups(GroupTag.JOB)]


def test_get_jobs_with_every_filter(client: Client) -> None:
    for asker in (KIM, ALEX, KIM, KIM):
        client.print(asker=asker)
    client.ask(Operation.CANCEL_JOB, attribute("job-id", 1))
    client.ask(Operation.HOLD_JOB, attribute("job-id", 3))
    assert ids(client.ask(Operation.GET_JOBS)) == [2, 3, 4]
    assert ids(client.ask(Operation.GET_JOBS, attribute("my-jobs", True))) == [3, 4]
    assert ids(client.ask(Operation.GET_JOBS, attribute("limit", 2))) == [2, 3]
    assert ids(client.ask(Operation.GET_JOBS, attribute("first-index", 2), attribute("limit", 2))) == [3, 4]
    for which, wanted in {
        "completed": [1], "all": [1, 2, 3, 4], "canceled": [1], "pending": [2, 4], "pending-held": [3],
        "processing": [], "aborted": [], "proof-print": [], "processing-stopped": [],
    }.items():  # fmt: skip
        assert ids(client.ask(Operation.GET_JOBS, attribute("which-jobs", which))) == wanted, which
    assert ids(client.ask(Operation.GET_JOBS, attribute("job-ids", 4, 1))) == [4, 1]
    assert status(client.ask(Operation.GET_JOBS, attribute("job-ids", 9))) is Status.NOT_FOUND
    assert status(client.ask(Operation.GET_JOBS, attribute("limit", 0))) is Status.BAD_REQUEST
    odd = client.ask(Operation.GET_JOBS, attribute("which-jobs", "lost"))
    assert status(odd) is Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED
    both = client.ask(Operation.GET_JOBS, attribute("which-jobs", "all"), attribute("job-ids", 1))
    assert status(both) is Status.CONFLICTING_ATTRIBUTES


def test_cancel_my_jobs_cancels_mine_and_all_or_none_of_those_named(client: Client) -> None:
    for asker in (KIM, ALEX, KIM):
        client.print(asker=asker)
    named = client.ask(Operation.CANCEL_MY_JOBS, attribute("job-ids", 1, 2))
    assert status(named) is Status.NOT_POSSIBLE and client.job(1).state is QueueJobState.PENDING
    client.ask(Operation.CANCEL_MY_JOBS)
    states = [client.job(number).state for number in (1, 2, 3)]
    assert states == [QueueJobState.CANCELED, QueueJobState.PENDING, QueueJobState.CANCELED]
    client.ask(Operation.PURGE_JOBS, asker=OPERATOR)
    assert len(client.store.queue_jobs) == 0


def test_a_job_that_has_ended_is_printed_again_as_itself_or_as_a_copy(client: Client) -> None:
    job_id = client.print(attribute("copies", 2))
    number = attribute("job-id", job_id)
    assert status(client.ask(Operation.RESTART_JOB, number)) is Status.NOT_POSSIBLE  # it has not ended
    client.ask(Operation.CANCEL_JOB, number)
    assert status(client.ask(Operation.RESTART_JOB, number)) is Status.OK
    assert client.job(job_id).state is QueueJobState.PENDING
    client.ask(Operation.CANCEL_JOB, number)
    for operation in (Operation.REPROCESS_JOB, Operation.RESUBMIT_JOB):
        copy = client.ask(operation, number).group(GroupTag.JOB).number("job-id") or 0
        assert copy != job_id and client.job(copy).state is QueueJobState.PENDING
        assert client.told(copy).number("copies") == 2
    (client.store.folder.queued / client.job(job_id).documents[0].token).unlink()
    assert status(client.ask(Operation.RESTART_JOB, number)) is Status.NOT_POSSIBLE  # not kept any more


def test_a_job_that_has_not_begun_is_changed(client: Client) -> None:
    job_id = client.print(attribute("copies", 2), attribute("print-quality", 5))
    number = attribute("job-id", job_id)
    changed = client.ask(
        Operation.SET_JOB_ATTRIBUTES,
        number,
        job=[
            attribute("copies", 4),
            attribute("job-name", "renamed"),
            attribute("job-priority", 90),
            no_value("print-quality", Tag.DELETE_ATTRIBUTE),
        ],
    )
    assert status(changed) is Status.OK
    told = client.told(job_id)
    assert (told.number("copies"), told.text("job-name"), told.number("job-priority")) == (4, "renamed", 90)
    assert told.attribute("print-quality") is None
    wrong = client.ask(Operation.SET_JOB_ATTRIBUTES, number, job=[attribute("copies", 0)])
    assert status(wrong) is Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED and client.told(job_id).number("copies") == 4
    client.ask(Operation.SET_JOB_ATTRIBUTES, number, job=[attribute("job-hold-until", "indefinite")])
    assert client.job(job_id).state is QueueJobState.HELD
    client.ask(Operation.SET_JOB_ATTRIBUTES, number, job=[attribute("job-hold-until", "no-hold")])
    client.begin(job_id)
    late = client.ask(Operation.SET_JOB_ATTRIBUTES, number, job=[attribute("copies", 1)])
    assert status(late) is Status.NOT_POSSIBLE


def test_the_printer_is_renamed_and_tells_what_can_be_set(client: Client) -> None:
    group = Group(GroupTag.PRINTER, [attribute("printer-location", "cellar"), attribute("printer-info", "Cellar lab")])
    assert status(client.ask(Operation.SET_PRINTER_ATTRIBUTES, groups=[group], asker=OPERATOR)) is Status.OK
    told = client.ask(Operation.GET_PRINTER_ATTRIBUTES).group(GroupTag.PRINTER)
    assert (told.text("printer-location"), told.text("printer-info")) == ("cellar", "Cellar lab")
    odd = Group(GroupTag.PRINTER, [attribute("printer-state", 5)])
    refused = client.ask(Operation.SET_PRINTER_ATTRIBUTES, groups=[odd], asker=OPERATOR)
    assert status(refused) is Status.ATTRIBUTES_NOT_SETTABLE
    offered = client.ask(Operation.GET_PRINTER_SUPPORTED_VALUES).group(GroupTag.PRINTER)
    assert {item.name for item in offered.attributes} == set(told.texts("printer-settable-attributes-supported"))


def test_documents_are_told_renamed_and_canceled(client: Client) -> None:
    client.ask(Operation.CREATE_JOB)
    number = attribute("job-id", 1)
    for last in (False, True):
        client.ask(Operation.SEND_DOCUMENT, number, attribute("last-document", last), document=JPEG)
    second = attribute("document-number", 2)
    group = Group(GroupTag.DOCUMENT, [attribute("document-name", "cover.jpg")])
    assert status(client.ask(Operation.SET_DOCUMENT_ATTRIBUTES, number, second, groups=[group])) is Status.OK
    told = client.ask(Operation.GET_DOCUMENT_ATTRIBUTES, number, second).group(GroupTag.DOCUMENT)
    assert told.text("document-name") == "cover.jpg" and told.first("last-document") is True
    client.ask(Operation.CANCEL_DOCUMENT, number, second)
    told = client.ask(Operation.GET_DOCUMENT_ATTRIBUTES, number, second).group(GroupTag.DOCUMENT)
    assert told.number("document-state") == 7 and client.job(1).state is QueueJobState.PENDING
    client.ask(Operation.CANCEL_DOCUMENT, number, attribute("document-number", 1))
    assert client.job(1).state is QueueJobState.CANCELED  # nothing is left to print
    none = client.ask(Operation.GET_DOCUMENT_ATTRIBUTES, number, attribute("document-number", 3))
    assert status(none) is Status.NOT_FOUND


def test_a_job_follows_its_ticket_to_its_end(client: Client) -> None:
    for event, wanted in (("finish", JobState.COMPLETED), ("fail", JobState.ABORTED)):
        job_id = client.print()
        ticket_id = client.begin(job_id)
        assert client.told(job_id).texts("job-state-reasons") == ["job-transforming"]
        with client.store.transaction():
            ticket = progress.move_ticket(client.store, client.store.tickets.get(ticket_id), "start", NOW)
            ticket = progress.move_ticket(client.store, ticket, "drawn", NOW)
            assert client.told(job_id).texts("job-state-reasons") == ["job-printing"]
            progress.explain_ticket(client.store, ticket, "load 4x6 paper in Lab One")
        assert client.told(job_id).number("job-state") == JobState.PROCESSING_STOPPED
        assert client.told(job_id).text("job-state-message") == "load 4x6 paper in Lab One"
        with client.store.transaction():
            ticket = progress.explain_ticket(client.store, client.store.tickets.get(ticket_id), "")
            results = () if event == "finish" else (failure(),)
            progress.end_ticket(client.store, ticket, results, NOW)
        assert client.told(job_id).number("job-state") == wanted
    assert client.store.changes.all() == []  # desktops have nothing to do with it


def failure() -> Any:
    from store.records import ItemResult, Outcome

    return ItemResult(item="1", image="x", profile="p", outcome=Outcome.FAILED, reason="torn")


def test_a_proof_comes_out_once_and_the_rest_when_it_is_released(client: Client) -> None:
    proof = Attribute("proof-print", (Value(Tag.BEGIN_COLLECTION, ()),))
    job_id = client.print(attribute("copies", 5), proof)
    assert ids(client.ask(Operation.GET_JOBS, attribute("which-jobs", "proof-print"))) == [job_id]
    ticket_id = client.begin(job_id)
    assert [item.quantity for item in client.store.instructions.get(ticket_id).record.items] == [1]
    with client.store.transaction():
        ticket = progress.move_ticket(client.store, client.store.tickets.get(ticket_id), "start", NOW)
        progress.end_ticket(client.store, progress.move_ticket(client.store, ticket, "drawn", NOW), (), NOW)
    assert client.job(job_id).state is QueueJobState.HELD
    client.ask(Operation.RELEASE_JOB, attribute("job-id", job_id))
    again = client.begin(job_id)
    assert [item.quantity for item in client.store.instructions.get(again).record.items] == [5]


def test_the_whole_pools_trouble_is_the_printers(client: Client) -> None:
    client.store.printer_status.put(
        READY.with_(id=1, state=PrinterState.STOPPED, state_reasons=("media-empty-error",), message="no paper")
    )
    told = client.ask(Operation.GET_PRINTER_ATTRIBUTES).group(GroupTag.PRINTER)
    assert told.number("printer-state") == 5 and told.texts("printer-state-reasons") == ["media-empty-error"]
    assert told.text("printer-state-message") == "Lab One is stopped (no paper): look at its display"
    # One that works is enough.
    two = client.store.printers.add(Printer(name="Lab Two", uri="ipp://two", pool_id=1))
    client.store.printer_status.put(READY.with_(id=two.id))
    told = client.ask(Operation.GET_PRINTER_ATTRIBUTES).group(GroupTag.PRINTER)
    assert told.number("printer-state") == 3 and told.texts("printer-state-reasons") == ["media-empty-error"]


def test_paper_is_what_the_pool_has_loaded_and_may_print(client: Client) -> None:
    client.store.printers.put(client.store.printers.get(1).with_(allowable_print_sizes=("4x6", "8x12")))
    told = client.ask(
        Operation.GET_PRINTER_ATTRIBUTES, attribute("requested-attributes", "all", "media-col-database")
    ).group(GroupTag.PRINTER)
    assert told.texts("media-supported") == ["na_index-4x6_4x6in", "custom_photo_8x12in"]
    assert told.texts("media-ready") == ["na_index-4x6_4x6in"] and told.text("media-default") == "na_index-4x6_4x6in"
    assert len(told.all("media-col-database")) == 2 and len(told.all("media-col-ready")) == 1
    without = client.ask(Operation.GET_PRINTER_ATTRIBUTES).group(GroupTag.PRINTER)
    assert without.attribute("media-col-database") is None


@pytest.mark.parametrize(
    ("asked", "has", "has_not"),
    [
        (["job-template"], "copies-supported", "printer-uuid"),
        (["printer-description"], "printer-uuid", "copies-supported"),
        (["printer-name"], "printer-name", "printer-uuid"),
        (["subscription-template"], "notify-events-supported", "printer-uuid"),
    ],
)
def test_printer_attributes_by_group_and_name(client: Client, asked: list[str], has: str, has_not: str) -> None:
    told = client.ask(Operation.GET_PRINTER_ATTRIBUTES, attribute("requested-attributes", *asked))
    names = {item.name for item in told.group(GroupTag.PRINTER).attributes}
    assert has in names and has_not not in names


def test_ranges_and_overrides_that_make_no_sense_are_named(client: Client) -> None:
    for wrong in (
        attribute("page-ranges", Range(5, 2)),
        attribute("page-ranges", Range(3, 4), Range(1, 2)),
        Attribute("overrides", (Value(Tag.BEGIN_COLLECTION, (attribute("copies", 2),)),)),
        attribute("job-priority", 101),
        attribute("print-scaling", "wild"),
    ):
        answer = client.ask(Operation.VALIDATE_JOB, job=[wrong])
        assert status(answer) is Status.OK_IGNORED_OR_SUBSTITUTED, wrong.name
        assert [item.name for item in answer.group(GroupTag.UNSUPPORTED).attributes] == [wrong.name]


# -- subscriptions ------------------------------------------------------------------------------------------------


def subscribed(client: Client, *events: str, asker: Asker = KIM, **fields: Any) -> int:
    wanted = [attribute("notify-pull-method", "ippget"), attribute("notify-events", *events)]
    wanted += [attribute(name.replace("_", "-"), value) for name, value in fields.items()]
    group = Group(GroupTag.SUBSCRIPTION, wanted)
    answer = client.ask(Operation.CREATE_PRINTER_SUBSCRIPTIONS, groups=[group], asker=asker)
    assert answer.code == Status.OK, answer
    return answer.group(GroupTag.SUBSCRIPTION).number("notify-subscription-id") or 0


def heard(client: Client, number: int, first: int = 1) -> list[Group]:
    answer = client.ask(
        Operation.GET_NOTIFICATIONS,
        attribute("notify-subscription-ids", number),
        attribute("notify-sequence-numbers", first),
    )
    return answer.all_groups(GroupTag.EVENT_NOTIFICATION)


def test_what_happens_to_jobs_is_told_in_order_and_once_for_each_number(client: Client) -> None:
    number = subscribed(client, "job-state-changed", "job-completed", notify_user_data=b"me")
    served = PoolQueue(client.store, client.queue.id, client.store.clock.monotonic())
    before = seen(served.jobs())
    client.print()
    for event in job_events(before, served.jobs()):
        client.subscriptions.publish(event)
    before = seen(served.jobs())
    client.ask(Operation.CANCEL_JOB, attribute("job-id", 1))
    for event in job_events(before, served.jobs()):
        client.subscriptions.publish(event)
    told = heard(client, number)
    assert [group.number("notify-sequence-number") for group in told] == [1, 2]
    assert [group.number("job-state") for group in told] == [JobState.PENDING, JobState.CANCELED]
    assert told[0].first("notify-user-data") == b"me"
    assert len(heard(client, number, first=2)) == 1 and heard(client, number, first=3) == []


def test_subscriptions_are_listed_renewed_and_canceled_by_their_owner(client: Client) -> None:
    number = attribute("notify-subscription-id", subscribed(client, "job-completed", notify_lease_duration=60))
    subscribed(client, "printer-stopped", asker=ALEX)
    listed = client.ask(Operation.GET_SUBSCRIPTIONS).all_groups(GroupTag.SUBSCRIPTION)
    assert [group.number("notify-subscription-id") for group in listed] == [1, 2]
    told = client.ask(Operation.GET_SUBSCRIPTION_ATTRIBUTES, number).group(GroupTag.SUBSCRIPTION)
    assert told.number("notify-lease-duration") == 60 and told.texts("notify-events") == ["job-completed"]
    longer = Group(GroupTag.SUBSCRIPTION, [attribute("notify-lease-duration", 7200)])
    renewed = client.ask(Operation.RENEW_SUBSCRIPTION, number, groups=[longer])
    assert renewed.group(GroupTag.SUBSCRIPTION).number("notify-lease-duration") == 7200
    assert status(client.ask(Operation.CANCEL_SUBSCRIPTION, number, asker=ALEX)) is Status.NOT_AUTHORIZED
    assert status(client.ask(Operation.CANCEL_SUBSCRIPTION, number)) is Status.OK
    assert status(client.ask(Operation.CANCEL_SUBSCRIPTION, number)) is Status.NOT_FOUND


def test_subscriptions_that_cannot_be_had_say_why(client: Client) -> None:
    wrong = Group(GroupTag.SUBSCRIPTION, [attribute("notify-recipient-uri", "mailto:a@b.example")])
    answer = client.ask(Operation.CREATE_PRINTER_SUBSCRIPTIONS, groups=[wrong])
    assert answer.code == Status.IGNORED_ALL_SUBSCRIPTIONS
    assert answer.group(GroupTag.SUBSCRIPTION).number("notify-status-code") is not None
    none = client.ask(Operation.GET_NOTIFICATIONS, attribute("notify-subscription-ids", 99))
    assert status(none) is Status.NOT_FOUND


def test_a_jobs_subscription_ends_with_the_job(client: Client) -> None:
    group = Group(GroupTag.SUBSCRIPTION, [attribute("notify-pull-method", "ippget")])
    created = client.ask(Operation.PRINT_JOB, document=JPEG, groups=[group])
    number = created.group(GroupTag.SUBSCRIPTION).number("notify-subscription-id") or 0
    served = PoolQueue(client.store, client.queue.id, client.store.clock.monotonic())
    before = seen(served.jobs())
    client.ask(Operation.CANCEL_JOB, attribute("job-id", 1))
    for event in job_events(before, served.jobs()):
        client.subscriptions.publish(event)
    answer = client.ask(Operation.GET_NOTIFICATIONS, attribute("notify-subscription-ids", number))
    assert answer.code == Status.OK_EVENTS_COMPLETE and len(answer.all_groups(GroupTag.EVENT_NOTIFICATION)) == 1


def test_what_is_too_long_or_twice_is_refused(client: Client) -> None:
    long = client.ask(Operation.VALIDATE_JOB, attribute("job-name", "x" * 256))
    assert status(long) is Status.REQUEST_VALUE_TOO_LONG
    twice = client.ask(Operation.VALIDATE_JOB, attribute("job-name", "a"), attribute("job-name", "b"))
    assert status(twice) is Status.BAD_REQUEST
    assert Path(client.store.folder.queued).is_dir()


def test_a_job_with_a_pin_waits_for_it(client: Client) -> None:
    pin = Attribute("job-password", (Value(Tag.OCTET_STRING, b"4711"),))
    taken = client.ask(Operation.PRINT_JOB, pin, document=JPEG)
    assert status(taken) is Status.OK and client.job(1).state is QueueJobState.HELD
    assert client.told(1).attribute("job-password") is None and "4711" not in client.job(1).pin_hash
    assert queue_jobs.release_by_pin(client.store, "0000", NOW) == []
    assert [job.id for job in queue_jobs.release_by_pin(client.store, "4711", NOW)] == [1]
    assert client.job(1).state is QueueJobState.PENDING
    secret = client.ask(Operation.PRINT_JOB, pin, attribute("job-password-encryption", "sha2-256"), document=JPEG)
    assert status(secret) is Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED


def test_what_the_studio_or_a_pin_holds_cannot_be_had_by_another_operation(client: Client) -> None:
    pin = Attribute("job-password", (Value(Tag.OCTET_STRING, b"4711"),))
    client.ask(Operation.PRINT_JOB, pin, document=JPEG)
    client.ask(Operation.HOLD_NEW_JOBS, asker=OPERATOR)
    client.print()
    for job_id in (1, 2):
        number = attribute("job-id", job_id)
        assert status(client.ask(Operation.RELEASE_JOB, number)) is Status.NOT_AUTHORIZED
        let_go = client.ask(Operation.SET_JOB_ATTRIBUTES, number, job=[attribute("job-hold-until", "no-hold")])
        assert status(let_go) is Status.NOT_AUTHORIZED
        client.ask(Operation.CANCEL_JOB, number)
        for operation in (Operation.RESTART_JOB, Operation.RESUBMIT_JOB):
            client.ask(operation, number)
            client.ask(Operation.CANCEL_JOB, number)
    states = {job.state for job in client.store.queue_jobs.all()}
    assert states == {QueueJobState.HELD, QueueJobState.CANCELED}
    assert len(queue_jobs.release_by_pin(client.store, "4711", NOW)) == 1  # its copy has the same PIN
