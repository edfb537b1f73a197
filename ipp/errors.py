"""What can go wrong between us and a printer. For each: did paper move, and who acts?

* PrinterError
  + PrinterUnreachable   nothing was sent          try again, or another printer of the pool
    + PrinterWantsTls    nothing was sent          its watch goes on over ipps
  + PrinterBusy          the printer said "later"  try again: nothing was taken
  + PrinterRefused       the printer said no       a person changes the paper, the profile or the printer
  + PrintUncertain       sent, no answer came      ask the printer first; never resend unasked
* DocumentImpossible     nothing was sent          a person uses another printer
* MessageError           bytes that are not an IPP message
"""

from __future__ import annotations


class PrinterError(Exception):
    """A failure of one exchange with one printer; the text is for people."""


class PrinterUnreachable(PrinterError):
    """No connection, so nothing was sent."""


class PrinterWantsTls(PrinterUnreachable):
    """The printer answered HTTP 426: it speaks only over TLS (RFC 8010 §8.1)."""


class PrinterBusy(PrinterError):
    """The printer answered that it cannot take this now (RFC 8011 server-error-busy and its like)."""


class PrinterRefused(PrinterError):
    """The printer answered with an error status."""

    def __init__(self, status: int, status_name: str, detail: str, unsupported: tuple[str, ...]) -> None:
        self.status, self.status_name, self.detail, self.unsupported = status, status_name, detail, unsupported
        named = f" ({', '.join(unsupported)})" if unsupported else ""
        super().__init__(f"the printer refused: {detail or status_name}{named}")


class PrintUncertain(PrinterError):
    """Something was sent and no proper answer came: the printer may or may not have acted."""


class DocumentImpossible(Exception):
    """A sheet cannot be had in a format that its printer takes."""


class MessageError(Exception):
    """Bytes that do not follow RFC 8010."""


class MessageIncomplete(MessageError):
    """The bytes so far are the beginning of a message."""
