"""What can go wrong between us and a printer. What each answer means, and for which request, is in ipp/answers.

* PrinterError
  + PrinterLater         nothing was taken: ask again       the sender waits, or another printer of the pool takes it
    + PrinterBusy        it said "later"
    + PrinterUnreachable there was no connection
      + PrinterWantsTls  it speaks over TLS only            its watch goes on over ipps
  + PrinterRefused       the printer said no                another printer, or a person changes paper or profile
  + PrintUncertain       it may or may not have acted       ask the printer first; never resend unasked
  + JobGone              the printer does not know the job  look for it by what else identifies it
  + NotPossible          not in the state that the job is in  look what state that is
* DocumentImpossible     nothing was sent                   a person uses another printer
* DocumentLater          nothing was sent                   made again in a while: the disk is full, say
* MessageError           bytes that are not an IPP message
"""

from __future__ import annotations


class PrinterError(Exception):
    """A failure of one exchange with one printer; the text is for people."""


class PrinterLater(PrinterError):
    """The printer could not do it now, and took nothing."""


class PrinterBusy(PrinterLater):
    """The printer answered that it cannot take this now."""


class PrinterUnreachable(PrinterLater):
    """No connection, so nothing was sent."""


class PrinterWantsTls(PrinterUnreachable):
    """The printer answered HTTP 426: it speaks only over TLS (RFC 8010 §8.1)."""


class PrinterRefused(PrinterError):
    """The printer will not do this as it was asked for."""

    def __init__(self, status: int, status_name: str, detail: str, unsupported: tuple[str, ...]) -> None:
        self.status, self.status_name, self.detail, self.unsupported = status, status_name, detail, unsupported
        named = f" ({', '.join(unsupported)})" if unsupported else ""
        super().__init__(f"the printer refused: {detail or status_name}{named}")


class PrintUncertain(PrinterError):
    """No answer that says what became of the request: the printer may or may not have acted."""


class JobGone(PrinterError):
    """The printer knows no job with this id (any more)."""


class NotPossible(PrinterError):
    """The job is in a state in which this cannot be done: it has begun, has ended, or was never held."""


class DocumentImpossible(Exception):
    """A sheet cannot be had in a format that its printer takes."""


class DocumentLater(Exception):
    """A sheet cannot be had in the printer's format just now; nothing is wrong with it."""


class MessageError(Exception):
    """Bytes that do not follow RFC 8010."""


class MessageIncomplete(MessageError):
    """The bytes so far are the beginning of a message."""
