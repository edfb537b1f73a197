"""What a printer's answer means for what we asked: one table for every answer and every operation. Pure.

Five things can follow (`Meaning`); what is done then depends on where the print job stands:

* LATER. intended: wait, or let another printer of the pool have it. created, sending, sent: wait and ask again.
* NO. intended: another printer. created, sending: cancel the job, then another printer. sent: go on following.
* UNKNOWN. intended, created, sending: look whether the printer lists the job. sent: ask again.
* GONE. created, sending: the job went without a document. sent: look for it by what else it is known by, else doubt.
* NOT_POSSIBLE. created, sending: the job takes no document any more. sent: look at its state.

Silence (the link broke, nothing came in time, or what came was no answer to what was asked) is UNKNOWN, too; where
there was no connection at all, nothing was sent: LATER. So no answer ever makes a sheet "failed" whose document was on
its way. Two facts of the protocol decide the rest:

* A request that only reads, or that does the same when it is done twice (Release-Job, Cancel-Job), is simply asked
  again, whatever went wrong with it.
* Create-Job carries no document (RFC 8011 §4.2.4), so no paper can come of it, whatever became of it. Send-Document
  (§4.3.1) and Print-Job (§4.2.1) do: only an answer that by its own definition comes from a printer that took nothing
  (Appendix B: busy, not accepting, service unavailable, too many jobs) is LATER; any other trouble is UNKNOWN.
"""

from __future__ import annotations

from enum import StrEnum

from ipp.attributes import Operation, Status


class Meaning(StrEnum):
    """What an answer means."""

    LATER = "later"  # nothing was taken; the same may be asked again
    NO = "no"  # nothing was taken, and will not be as it was asked for
    UNKNOWN = "unknown"  # it may or may not have acted
    GONE = "gone"  # it knows no such job
    NOT_POSSIBLE = "not possible"  # not in the state that the job is in


class Asked(StrEnum):
    """Kinds of requests, by what a doubt about them costs."""

    READ = "read"  # Get-Printer-Attributes, Get-Jobs, Validate-Job, Identify-Printer
    JOB = "job"  # Get-Job-Attributes
    CREATE = "create"  # Create-Job: at most an empty job
    DOCUMENT = "document"  # Send-Document
    PRINT = "print"  # Print-Job: everything at once
    ACT = "act"  # Release-Job, Cancel-Job: done twice is done once


KINDS: dict[int, Asked] = {
    Operation.GET_JOB_ATTRIBUTES: Asked.JOB,
    Operation.CREATE_JOB: Asked.CREATE,
    Operation.SEND_DOCUMENT: Asked.DOCUMENT,
    Operation.PRINT_JOB: Asked.PRINT,
    Operation.RELEASE_JOB: Asked.ACT,
    Operation.CANCEL_JOB: Asked.ACT,
}

# Every error that RFC 8011 Appendix B.1.4 and B.1.5 know, and what it says by its definition there.
_TOOK_NOTHING = frozenset(
    {
        Status.SERVICE_UNAVAILABLE,  # B.1.5.3: "temporarily unable to service the request"
        Status.NOT_ACCEPTING_JOBS,  # B.1.5.7
        Status.BUSY,  # B.1.5.8: too busy, "the client SHOULD try later"
        Status.TOO_MANY_JOBS,  # PWG 5100.7
    }
)
# A server's trouble in the middle of it: what it took by then is not said.
_IN_THE_MIDDLE = frozenset(
    {
        Status.INTERNAL_ERROR,  # B.1.5.1
        Status.DEVICE_ERROR,  # B.1.5.5: a jam, say, "while processing a Print or Send operation"
        Status.TEMPORARY_ERROR,  # B.1.5.6: a full buffer, memory or disk while processing
        Status.JOB_CANCELED,  # B.1.5.9: canceled by an operator while it was being processed
    }
)
_HTTP_LATER = frozenset({401, 403, 407, 408, 421, 425, 426, 429})  # a login, patience or TLS is wanted: people hear it
_NO_SUCH_JOB = frozenset({Status.NOT_FOUND, Status.GONE})  # B.1.4.7, B.1.4.8


def of_status(code: int, asked: Asked) -> Meaning:
    """What an IPP status other than success means (RFC 8011 Appendix B, and codes that nobody has defined yet).

    Args:
        code: from 0x0100 up.
        asked: what was asked for.
    """
    has_document = asked in (Asked.DOCUMENT, Asked.PRINT)
    if code in _NO_SUCH_JOB:
        # For an operation on a printer they speak of the printer itself: its path is wrong, or it is not up yet.
        return Meaning.GONE if asked in (Asked.DOCUMENT, Asked.ACT, Asked.JOB) else Meaning.LATER
    if code == Status.NOT_POSSIBLE:  # B.1.4.5: "would require a state change that is not possible"
        return Meaning.NOT_POSSIBLE if asked in (Asked.DOCUMENT, Asked.ACT) else Meaning.LATER
    if code == Status.TIMEOUT:  # B.1.4.6: it waited for more of the request
        return Meaning.UNKNOWN if has_document else Meaning.LATER
    if code in _TOOK_NOTHING:
        return Meaning.LATER
    if code in _IN_THE_MIDDLE:
        return Meaning.UNKNOWN if has_document else Meaning.LATER
    if code in (Status.OPERATION_NOT_SUPPORTED, Status.MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED):  # B.1.5.2, B.1.5.10
        return Meaning.NO
    if 0x0400 <= code < 0x0500:  # B.1.4: the request itself is wrong, and would be again
        return Meaning.NO
    # 0x0503 is dealt with before; what nobody knows is trouble of the printer's (B: treat as the class's first code).
    return Meaning.UNKNOWN if has_document else Meaning.LATER


def of_http(status: int, asked: Asked) -> Meaning:
    """What an HTTP status other than 200 means (RFC 8010 §3.4.3, RFC 9110 §15): it comes from before the IPP server."""
    if asked is Asked.DOCUMENT:
        return Meaning.UNKNOWN  # asking for the job costs nothing, and settles it
    if status >= 500:  # a server in front (502 to 504) may have handed it on
        return Meaning.UNKNOWN if asked in (Asked.CREATE, Asked.PRINT) else Meaning.LATER
    if status in _HTTP_LATER or asked in (Asked.ACT, Asked.JOB):
        return Meaning.LATER
    return Meaning.NO  # the address is wrong, or what stands there is no printer
