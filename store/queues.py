"""Print queues: what other computers print to, and the jobs that they sent. The moves stand in store/states."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from store.model import Model, Name, Sha256, Stored
from store.states import QueueJobState

QueuePath = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]


class QueueAccess(StrEnum):
    """Who may print."""

    OPEN = "open"  # everybody in the networks that the settings allow
    PASSWORD = "password"  # noqa: S105  (the word for it)
    OFF = "off"  # nobody; it is not announced


class OperatorAccess(StrEnum):
    """Who may pause a queue, or cancel other people's jobs, over IPP."""

    PEOPLE = "people of the panel"
    EVERYBODY = "everybody who may print"
    NOBODY = "nobody"


class PrintQueue(Stored):
    """A printer of the front end: a pool, or a render profile, under a name on the network."""

    name: Name
    path: QueuePath  # the end of its URI; it does not change, or the computers that have it would lose it
    uuid: str
    pool_id: int | None = None
    profile_id: int | None = None
    location: str = Field("", max_length=127)
    access: QueueAccess = QueueAccess.OPEN
    username: str = Field("", max_length=100)
    password_hash: str = ""  # argon2id
    operators: OperatorAccess = OperatorAccess.PEOPLE
    holds_new_jobs: bool = False  # until a person releases them
    is_accepting: bool = True
    is_paused: bool = False  # takes jobs and begins none
    is_shut_down: bool = False
    message: str = Field("", max_length=127)  # from the operator
    changed_at: datetime  # its settings
    state_changed_at: datetime

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.pool_id is None) == (self.profile_id is None):
            raise ValueError("choose a printer pool or a render profile")
        if self.access is QueueAccess.PASSWORD and not (self.username and self.password_hash):
            raise ValueError("write the user and the password with which people may print")
        return self


class QueueDocument(Model):
    """One document of a job; its content lies in the data folder under its token."""

    token: str
    format: str  # as the client said, or as its first bytes tell
    name: str = ""
    size: int
    at: datetime
    is_canceled: bool = False


class Page(Model):
    """A page as a picture."""

    sha256: Sha256
    document: int  # from 1
    page: int  # in its document, from 1


class QueueJob(Stored):
    """What somebody sent to a print queue. Its id is IPP's job-id."""

    queue_id: int
    name: str = Field(max_length=1023)
    user: str = Field(max_length=255)
    host: str = ""
    attributes: str = ""  # the job attributes as they came: an IPP message, in base64
    documents: tuple[QueueDocument, ...] = ()
    state: QueueJobState
    reason: str = ""  # why it stands where it stands, for people
    pin_hash: str = ""  # salt and digest; whoever types the PIN releases it
    is_proof: bool = False  # one copy first; the others when it is released
    priority: int = Field(50, ge=1, le=100)
    position: float = 0  # among those of its priority; smaller ones first
    ticket_id: int | None = None
    impressions: int | None = None  # pages, once they are known
    impressions_completed: int = 0
    created_at: datetime
    processing_at: datetime | None = None
    completed_at: datetime | None = None
