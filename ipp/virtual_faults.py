"""Odd answers of the virtual printer, by its levers: what real ones, and what stands in front of them, do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from ipp import codec
from ipp.attributes import Operation, attribute
from ipp.codec import Group, GroupTag, Message

ALWAYS = "*"
DONE = "done, "
_HEAD = (attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en"))


@dataclass(frozen=True)
class Fault:
    """One answer that is not the true one.

    `words` is one of: "http 503" (or another status), "0x0500" (or another IPP status), "garbage", "empty", "another"
    (the answer to another request), "hang up", "silence".
    """

    words: str
    is_done: bool  # what was asked for is done all the same

    async def answer(self, request: web.Request, asked: Message) -> web.Response:
        """What is answered; the request's body is read first, as most servers do.

        Raises:
            HTTPBadRequest: nobody knows such a fault.
        """
        if not self.is_done:
            async for _ in request.content.iter_any():
                pass
        if self.words.startswith("http "):
            return web.Response(status=int(self.words.removeprefix("http ")), text="an error page")
        if self.words.startswith("0x"):
            message = Message(int(self.words, 16), asked.request_id, [Group(GroupTag.OPERATION, list(_HEAD))])
            return web.Response(body=codec.encode(message), content_type="application/ipp")
        match self.words:
            case "garbage":
                return web.Response(body=b"<html>router login</html>")
            case "empty":
                return web.Response(body=b"", content_type="application/ipp")
            case "another":
                message = Message(0, asked.request_id + 77, [Group(GroupTag.OPERATION, list(_HEAD))])
                return web.Response(body=codec.encode(message), content_type="application/ipp")
            case "hang up":
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError("hung up by its lever")
            case "silence":
                await asyncio.sleep(3600)
        raise web.HTTPBadRequest(text=f"there is no fault '{self.words}'")


def next_fault(answers: dict[str, list[str]], code: int) -> Fault | None:
    """The next fault of an operation, taken from the levers; None where it answers truly.

    Args:
        answers: by the operation's name, such as "Send-Document" or "*" for all: what follows, one for each request; a
            word that ends in "*" stays, one that begins with "done, " is answered after the thing was done, and "" is
            the true answer.
        code: of the operation.
    """
    name = next((one.name.replace("_", "-").title() for one in Operation if one == code), "")
    waiting = answers.get(name) or answers.get("*")
    if not waiting:
        return None
    words = waiting[0]
    if not words.endswith(ALWAYS):
        waiting.pop(0)
    words = words.removesuffix(ALWAYS)
    return Fault(words.removeprefix(DONE), words.startswith(DONE)) if words else None


def shown_name(name: str, habit: str) -> str:
    """What a printer makes of a job's name.

    >>> [shown_name("printroom-1-2-abcd", habit) for habit in ("keep", "drop", "cut 9", "Photo")]
    ['printroom-1-2-abcd', '', 'printroom', 'Photo']
    """
    if habit == "keep":
        return name
    if habit == "drop":
        return ""
    return name[: int(habit.removeprefix("cut "))] if habit.startswith("cut ") else habit
