"""What a render profile is to render, and how it is told that it could not."""

from __future__ import annotations

from dataclasses import dataclass

from render.errors import RenderError
from render.frames import Picture
from store.profiles import RenderProfile
from store.pushed import ImageRef, Item
from store.records import ItemResult, Outcome


@dataclass(frozen=True)
class Wanted:
    """A picture that a profile is to render, with the line that ordered it."""

    image: ImageRef
    item: Item | None
    picture: Picture

    @property
    def line(self) -> tuple[str, str]:
        """(item id, image)."""
        return self.item.id if self.item else "", self.image.name

    @property
    def copies(self) -> int:
        """How many were ordered."""
        return self.item.quantity if self.item else 1


def failure(profile: RenderProfile, image: ImageRef, item: Item | None, error: RenderError) -> ItemResult:
    """The result of a line, or of a picture, that became no sheet."""
    return ItemResult(
        item=item.id if item else "",
        image=image.name,
        profile=profile.name,
        outcome=Outcome.FAILED,
        reason=str(error),
    )
