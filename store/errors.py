"""What can go wrong with what is true.

* StoreError
  + StoreLocked        another process owns the data folder       end that process, or use another folder
  + StoreDamaged       the files cannot be read as they stand     `python -m appliance store check` says where
  + StoreUnavailable   the disk refused a change; it is undone    try again when the disk has room
  + StoreTooNew        written by a newer version                 install that version, or restore the copy kept
  + NotFound           no such thing in a table                   (a wrong id or number)
  + Conflict           the thing changed meanwhile, or is in use  look again and repeat
    - Overtaken        it moved on in other hands                 nothing: what it became counts
  + ImpossibleMove     an event that this state does not know     (a programming error, or a click too late)
"""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of the store; the text is for people and says what to do."""


class StoreLocked(StoreError):
    """Another process holds the data folder."""


class StoreDamaged(StoreError):
    """A file of the store cannot be read whole."""


class StoreUnavailable(StoreError):
    """The disk did not take a change. Nothing of the change is kept."""


class StoreTooNew(StoreError):
    """The data folder was written by a newer Printroom."""

    def __init__(self, text: str, schema: int) -> None:
        self.schema = schema  # of what is in it
        super().__init__(text)


class NotFound(StoreError):
    """There is no such thing in the table."""


class Conflict(StoreError):
    """The change does not fit what is stored."""


class Overtaken(Conflict):
    """The thing is not any more what it was when the change was decided."""


class ImpossibleMove(StoreError):
    """A state machine was given an event that its state does not know."""

    def __init__(self, what: str, state: str, event: str) -> None:
        self.what, self.state, self.event = what, state, event
        super().__init__(f"{what} is {state}: '{event}' is not possible now")
