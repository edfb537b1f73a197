"""The answering side of IPP: a request message in, a response message out. No sockets, no files, no HTTP.

Whoever carries the bytes (ipp/front_end, or the virtual printer) has already received the whole document and shows that
it is whole; what a queue does with it is behind served.Queue.
"""

from __future__ import annotations

from collections.abc import Callable

from ipp import job_operations as jobs
from ipp import printer_operations as printers
from ipp.attributes import Operation, Status, attribute
from ipp.codec import Group, GroupTag, Message
from ipp.exchange import Exchange, check
from ipp.served import Asker, Queue, Received, Refusal
from ipp.subscriptions import Subscriptions

# Operations that are followed by a document.
WITH_DOCUMENT = frozenset({Operation.PRINT_JOB, Operation.SEND_DOCUMENT})
# What only an operator may do (RFC 8011 §4.2.7 to 4.2.9, RFC 3998).
FOR_OPERATORS = frozenset(
    {
        Operation.PAUSE_PRINTER,
        Operation.RESUME_PRINTER,
        Operation.PURGE_JOBS,
        Operation.SET_PRINTER_ATTRIBUTES,
        Operation.ENABLE_PRINTER,
        Operation.DISABLE_PRINTER,
        Operation.PAUSE_PRINTER_AFTER_CURRENT_JOB,
        Operation.HOLD_NEW_JOBS,
        Operation.RELEASE_HELD_NEW_JOBS,
        Operation.RESTART_PRINTER,
        Operation.SHUTDOWN_PRINTER,
        Operation.STARTUP_PRINTER,
        Operation.CANCEL_JOBS,
        Operation.PROMOTE_JOB,
        Operation.SCHEDULE_JOB_AFTER,
    }
)
NOBODY = Asker("anonymous")


def respond(
    request: Message,
    queue: Queue,
    uri: str,
    document: Received | None = None,
    asker: Asker = NOBODY,
    subscriptions: Subscriptions | None = None,
) -> Message:
    """Answer one request.

    Args:
        request: as decoded.
        queue: what the request's target stands for.
        uri: the printer-uri that clients should use.
        document: the document that followed the request, whole; None where there was none.
        asker: who sent it.
        subscriptions: the queue's, where it offers them.
    """
    head = [attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en")]
    version = request.version if request.version[0] in (1, 2) else (2, 0)
    answer = Message(Status.OK, request.request_id, [Group(GroupTag.OPERATION, head)], version)
    try:
        check(request)
        exchange = Exchange(request, queue, uri, document, asker, subscriptions)
        _check_rights(exchange)
        handler = HANDLERS.get(request.code)
        if handler is None or request.code not in queue.operations():
            raise Refusal(Status.OPERATION_NOT_SUPPORTED, f"operation 0x{request.code:04x} is not offered here")
        groups = handler(exchange)
        if exchange.ignored:  # RFC 8011 §4.1.7: taken all the same, and said so
            answer.code = Status.OK_IGNORED_OR_SUBSTITUTED
            answer.groups.append(Group(GroupTag.UNSUPPORTED, exchange.ignored))
        answer.groups.extend(groups)
        answer.code = exchange.status or answer.code
    except Refusal as refusal:
        answer.code = refusal.status
        answer.groups[0].attributes.append(attribute("status-message", refusal.message[:255]))
        if refusal.unsupported:
            answer.groups.append(Group(GroupTag.UNSUPPORTED, refusal.unsupported))
    return answer


def _check_rights(exchange: Exchange) -> None:
    code, asker = exchange.request.code, exchange.asker
    if code in FOR_OPERATORS and code in exchange.queue.operations() and not asker.is_operator:
        status = Status.NOT_AUTHORIZED if asker.is_authenticated else Status.NOT_AUTHENTICATED
        raise Refusal(status, "only an operator may do this: log in as somebody who has the panel")


HANDLERS: dict[int, Callable[[Exchange], list[Group]]] = {
    Operation.PRINT_JOB: jobs.print_job,
    Operation.VALIDATE_JOB: jobs.validate_job,
    Operation.CREATE_JOB: jobs.create_job,
    Operation.SEND_DOCUMENT: jobs.send_document,
    Operation.CANCEL_JOB: jobs.cancel_job,
    Operation.GET_JOB_ATTRIBUTES: jobs.get_job_attributes,
    Operation.GET_JOBS: jobs.get_jobs,
    Operation.GET_PRINTER_ATTRIBUTES: printers.get_printer_attributes,
    Operation.HOLD_JOB: jobs.hold_job,
    Operation.RELEASE_JOB: jobs.release_job,
    Operation.RESTART_JOB: jobs.again,
    Operation.REPROCESS_JOB: jobs.again,
    Operation.RESUBMIT_JOB: jobs.again,
    Operation.PURGE_JOBS: jobs.purge_jobs,
    Operation.SET_PRINTER_ATTRIBUTES: printers.set_printer,
    Operation.SET_JOB_ATTRIBUTES: jobs.set_job,
    Operation.GET_PRINTER_SUPPORTED_VALUES: printers.supported_values,
    Operation.CREATE_PRINTER_SUBSCRIPTIONS: printers.create_subscriptions,
    Operation.CREATE_JOB_SUBSCRIPTIONS: printers.create_subscriptions,
    Operation.GET_SUBSCRIPTION_ATTRIBUTES: printers.get_subscription_attributes,
    Operation.GET_SUBSCRIPTIONS: printers.get_subscriptions,
    Operation.RENEW_SUBSCRIPTION: printers.renew_subscription,
    Operation.CANCEL_SUBSCRIPTION: printers.cancel_subscription,
    Operation.GET_NOTIFICATIONS: printers.get_notifications,
    Operation.CANCEL_CURRENT_JOB: jobs.act_on_current_job,
    Operation.SUSPEND_CURRENT_JOB: jobs.act_on_current_job,
    Operation.RESUME_JOB: jobs.act_on_job,
    Operation.PROMOTE_JOB: jobs.act_on_job,
    Operation.SCHEDULE_JOB_AFTER: jobs.act_on_job,
    Operation.CANCEL_DOCUMENT: jobs.change_document,
    Operation.SET_DOCUMENT_ATTRIBUTES: jobs.change_document,
    Operation.GET_DOCUMENT_ATTRIBUTES: jobs.get_document_attributes,
    Operation.GET_DOCUMENTS: jobs.get_documents,
    Operation.CANCEL_JOBS: jobs.cancel_jobs,
    Operation.CANCEL_MY_JOBS: jobs.cancel_jobs,
    Operation.CLOSE_JOB: jobs.close_job,
    **dict.fromkeys(
        (
            Operation.PAUSE_PRINTER,
            Operation.RESUME_PRINTER,
            Operation.ENABLE_PRINTER,
            Operation.DISABLE_PRINTER,
            Operation.PAUSE_PRINTER_AFTER_CURRENT_JOB,
            Operation.HOLD_NEW_JOBS,
            Operation.RELEASE_HELD_NEW_JOBS,
            Operation.RESTART_PRINTER,
            Operation.SHUTDOWN_PRINTER,
            Operation.STARTUP_PRINTER,
            Operation.IDENTIFY_PRINTER,
        ),
        printers.act,
    ),
}
