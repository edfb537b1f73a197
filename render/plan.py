"""From a ticket's frozen instructions to the sheets it needs. Pure: sizes of pictures in, geometry and names out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from render import colour
from render.compose import Composer
from render.errors import PictureUnreadable, RenderError
from render.frames import Picture
from render.sheets import SheetPlan
from render.wanted import Wanted, failure
from store import lines
from store.lines import Orphan, Why
from store.profiles import RenderProfile, Selection, Untagged
from store.pushed import ImageRef, Item
from store.records import Instructions, ItemResult, Outcome


def plan(
    instructions: Instructions,
    pictures: Mapping[str, Picture | RenderError],
    opened_at: datetime,
) -> tuple[list[SheetPlan], list[ItemResult]]:
    """The sheets of a ticket, and results for what cannot become one.

    Args:
        instructions: the ticket's; its id is the ticket's number.
        pictures: by image name: what is known of the picture, or why it cannot be used.
        opened_at: when the ticket opened, in the studio's time, for file names and covers.
    """
    sheets: list[SheetPlan] = []
    failures: list[ItemResult] = []
    if not instructions.profiles:
        reason = "the render job's profiles were deleted: choose others in the render job and set the status again"
        failures.append(ItemResult(item="", image="", profile="", outcome=Outcome.FAILED, reason=reason))
    for profile in instructions.profiles:
        wanted = list(_select(instructions, profile))
        if not wanted and not _is_choosy(instructions, profile):
            what = "ordered items" if profile.selection is Selection.ITEMS else "images"
            reason = f"the record has no {what} for the profile '{profile.name}': add them and set the status again"
            failures.append(ItemResult(item="", image="", profile=profile.name, outcome=Outcome.FAILED, reason=reason))
        usable: list[Wanted] = []
        for image, item in wanted:
            picture = pictures[image.name]
            try:
                if isinstance(picture, RenderError):
                    raise picture
                usable.append(Wanted(image, item, _allowed(picture, image, profile)))
            except RenderError as error:
                failures.append(failure(profile, image, item, error))
        made, failed = Composer(instructions, profile, opened_at).sheets(usable)
        sheets += made
        failures += failed
    failures += _left(instructions)
    return sheets, failures


def images_used(instructions: Instructions) -> list[ImageRef]:
    """The record's pictures that any profile needs, each once, in the record's order."""
    names_used = {image.name for profile in instructions.profiles for image, _ in _select(instructions, profile)}
    return [image for image in instructions.record.images if image.name in names_used]


def _select(instructions: Instructions, profile: RenderProfile) -> Iterator[tuple[ImageRef, Item | None]]:
    record = instructions.record
    if profile.selection is Selection.ALL_IMAGES:
        for image in record.images:
            yield image, None
    else:
        for item in record.items:
            if lines.takes(profile, item):
                yield record.image(item.image), item


def _is_choosy(instructions: Instructions, profile: RenderProfile) -> bool:
    """Whether a profile may well have nothing to do: it takes certain lines only, and there are lines."""
    return profile.selection is Selection.ITEMS and bool(instructions.record.items)


def _left(instructions: Instructions) -> Iterator[ItemResult]:
    """The lines that nobody takes, as failures."""
    items = {item.id: item for item in instructions.record.items}
    for orphan in _orphans(instructions):
        item = items[orphan.item]
        reason = _WHY[orphan.why].format(
            size=item.size, of=f" of {item.product!r}" if item.product else "", name=item.render_profile
        )
        yield ItemResult(item=item.id, image=item.image, profile="", outcome=Outcome.FAILED, reason=reason)


_WHY = {
    Why.NOT_OFFERED: (
        "no render profile of this render job takes {size}{of}: add one that does, or widen one's sizes, and set the "
        "status again"
    ),
    Why.NO_SUCH_PROFILE: (
        "there is no render profile named '{name}': correct the line or make a profile of that name, and set the "
        "status again"
    ),
    Why.OTHER_PROFILE: (
        "the line is for the render profile '{name}', which is not run with this status: add it to the render job, or "
        "set the status that starts it"
    ),
}


def _orphans(instructions: Instructions) -> Sequence[Orphan]:
    """As they were found when the ticket opened. A rehearsal does not know what else is run: a line that names another
    profile is then that profile's, unless there is nothing to do at all."""
    if instructions.orphans is not None:
        return instructions.orphans
    items = instructions.record.items
    found = lines.orphans(items, instructions.profiles, {item.render_profile.strip() for item in items})
    return found if len(found) == len(items) else [one for one in found if one.why is Why.NOT_OFFERED]


def _allowed(picture: Picture, image: ImageRef, profile: RenderProfile) -> Picture:
    """A picture with what the profile's rules on colour make of it told.

    Raises:
        PictureUnreadable: it says nothing of its colours, and the profile wants that it does.
    """
    if picture.is_tagged:
        return picture
    rule = profile.colour.untagged
    if picture.says_adobe_rgb:
        return picture.with_(flags=(*picture.flags, colour.SAYS_ADOBE_RGB))
    if rule is Untagged.REFUSE:
        raise PictureUnreadable(
            f"{image.name}: no colour profile in the file, and the profile '{profile.name}' refuses such files: "
            "save it with its profile embedded"
        )
    return picture.with_(flags=(*picture.flags, colour.UNTAGGED.format(rule.value)))
