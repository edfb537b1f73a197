"""Mail to people, by the studio's mail server: which may answer anything, or nothing."""

from __future__ import annotations

import contextlib
import io
import smtplib
import socket
from email.message import EmailMessage
from typing import Any

from appliance.calling import ANSWER_LIMIT_S, CONNECT_LIMIT_S, MOST_SHOWN, Limited, deadline, why
from appliance.names import readable
from store.alerts import AlertFailed
from store.records import AlertSettings, MailSecurity

MOST_SUBJECT = 150  # characters


class _Patient(smtplib.SMTP):
    """A conversation with a mail server, with limits on all of it."""

    file: Any  # what the server says

    def __init__(self, settings: AlertSettings) -> None:
        self._ends_s = deadline(ANSWER_LIMIT_S + CONNECT_LIMIT_S)
        # Without a name of our own smtplib asks the network for one, and waits for the answer.
        name = socket.gethostname()
        super().__init__(settings.smtp_host, settings.smtp_port, local_hostname=name, timeout=CONNECT_LIMIT_S)

    def getreply(self) -> tuple[int, bytes]:
        """What the server says next."""
        if self.file is None and self.sock is not None:
            self.file = io.BufferedReader(Limited(self.sock, self._ends_s))
        return super().getreply()


class _PatientTls(_Patient, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


def send_mail(settings: AlertSettings, text: str) -> None:
    """Mail a text; its first line is the subject, too.

    Raises:
        AlertFailed: it was not taken; says what to correct.
    """
    try:
        _send(settings, text)
    except OSError as error:  # as all of smtplib's are
        raise AlertFailed(
            f"the mail server {readable(settings.smtp_host)} did not take the mail: it {_why(error)}: "
            "check host, port, security, user and password"
        ) from error
    except Exception as error:  # letters, or addresses, that mail cannot have: Python's parser raises whatever it likes
        said = readable(str(error), MOST_SHOWN)
        raise AlertFailed(
            f"the mail cannot be sent ({said}): write addresses, host, user and password in plain letters"
        ) from error


def _send(settings: AlertSettings, text: str) -> None:
    message = EmailMessage()
    lines = text.splitlines()
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    message["Subject"] = readable(f"Printroom: {lines[0][:MOST_SUBJECT]}{more}")
    message["From"] = settings.mail_from or f"printroom@{socket.gethostname()}"
    message["To"] = settings.mail_to
    message.set_content(f"{text}\n\nOpen the panel of {socket.gethostname()} to see more.\n")
    kind = _PatientTls if settings.smtp_security is MailSecurity.TLS else _Patient
    server = kind(settings)
    try:
        if settings.smtp_security is MailSecurity.STARTTLS:
            server.starttls()
        if settings.smtp_username:
            server.login(settings.smtp_username, settings.smtp_password)
        server.send_message(message)
        with contextlib.suppress(OSError, smtplib.SMTPException, ValueError):
            server.quit()  # the mail is taken, whatever becomes of the farewell
    finally:
        server.close()


def _why(error: OSError) -> str:
    """Why a mail was not taken, after "it"."""
    match error:
        case smtplib.SMTPServerDisconnected() if isinstance(error.__context__, OSError):
            return why(error.__context__)
        case smtplib.SMTPServerDisconnected():
            return "closed the connection"
        case smtplib.SMTPRecipientsRefused():
            return f"refused {readable(', '.join(map(str, error.recipients)), MOST_SHOWN)}"
        case smtplib.SMTPResponseException():
            said = error.smtp_error
            words = said.decode(errors="replace") if isinstance(said, bytes) else said
            return f"said {error.smtp_code} {readable(words, MOST_SHOWN)}"
        case smtplib.SMTPException():
            return f"cannot be spoken to ({readable(str(error), MOST_SHOWN)})"
        case _:
            return why(error)
