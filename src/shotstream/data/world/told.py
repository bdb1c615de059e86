"""What a caption tells, kept beside its text from the moment it is composed.

Nothing has to be parsed back out of English: the composer that writes a fact also notes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shotstream.data.world.spec import PlaceKind, Time, Weather

Aspect = Literal["kind", "colour", "action", "direction", "hat", "scarf", "crown", "bow", "backpack", "balloon"]
RoleFacts = frozenset[tuple[int, Aspect]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The facts in one caption.

    ``framing`` includes the side of a pan and the way of a zoom. ``cast``: pairs of a character's index
    and what is told of it.
    """

    places: tuple[PlaceKind, ...] = ()
    time: Time | None = None
    weather: Weather | None = None
    framing: bool = False
    cast: RoleFacts = field(default_factory=frozenset)

    @property
    def place(self) -> PlaceKind | None:
        """The place, if exactly one is named."""
        return self.places[0] if len(self.places) == 1 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """A caption and exactly what it tells."""

    text: str
    told: Told
