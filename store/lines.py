"""Which ordered lines a render profile takes, and which nobody takes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from store.model import Model
from store.profiles import RenderProfile, Selection
from store.pushed import Item


class Why(StrEnum):
    """Why nobody takes a line."""

    NO_SUCH_PROFILE = "no such profile"  # it names one that the box does not have
    OTHER_PROFILE = "other profile"  # it names one that is not run now
    NOT_OFFERED = "not offered"  # no profile has its size or its product


class Orphan(Model):
    """A line that nobody takes."""

    item: str
    why: Why


def takes(profile: RenderProfile, item: Item) -> bool:
    """Whether a profile renders a line."""
    if wanted := item.render_profile.strip():
        return wanted == profile.name
    return (
        profile.selection is Selection.ITEMS
        and (not profile.only_sizes or any(item.size.is_same_paper(size) for size in profile.only_sizes))
        and (not profile.only_products or item.product in profile.only_products)
    )


def orphans(
    items: Collection[Item],
    profiles: Collection[RenderProfile],
    names: Collection[str],
    others: Iterable[RenderProfile] = (),
) -> tuple[Orphan, ...]:
    """The lines that nobody takes: said aloud, because a print that nobody makes is a lost one.

    Args:
        items: the record's lines.
        profiles: of all tickets that open together. Where none of them makes what was ordered, as for web galleries,
            lines are not their business.
        names: of all render profiles of the box.
        others: profiles that are run another time, and take what is left to them; unless there is nothing else to do.
    """
    if not any(profile.selection is Selection.ITEMS for profile in profiles):
        return ()
    left = [item for item in items if not any(takes(profile, item) for profile in profiles)]
    if len(left) < len(items):
        later = tuple(others)
        left = [item for item in left if not any(takes(profile, item) for profile in later)]
    return tuple(Orphan(item=item.id, why=_why(item, names)) for item in left)


def _why(item: Item, names: Collection[str]) -> Why:
    if not (wanted := item.render_profile.strip()):
        return Why.NOT_OFFERED
    return Why.OTHER_PROFILE if wanted in names else Why.NO_SUCH_PROFILE
