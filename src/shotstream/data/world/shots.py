"""The shot list of a story: who is framed how, doing what, for how long; captions come later."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from shotstream.data.world.itinerary import Itinerary
from shotstream.data.world.phrases import OPPOSITE
from shotstream.data.world.spec import MOVING, Action, Direction, Framing, Role, WorldShot, ZoomDirection

OPENING_WEIGHTS: dict[Framing, int] = {"wide": 74, "pan": 10, "zoom": 10, "medium": 6}
LATER_WEIGHTS: dict[Framing, int] = {"wide": 26, "medium": 25, "close-up": 25, "pan": 12, "zoom": 12}
SHARED: tuple[Framing, ...] = ("wide", "pan", "zoom")  # framings in which two characters fit
ACTION_WEIGHTS: dict[Action, int] = {
    "stand": 14, "walk": 18, "run": 13, "jump": 12, "wave": 14, "dance": 11, "spin": 9, "sleep": 9,
}  # fmt: skip
# Close up, most of a run or a jump would happen outside the frame.
CLOSE_ACTION_WEIGHTS: dict[Action, int] = {
    "stand": 24, "walk": 6, "run": 3, "jump": 8, "wave": 24, "dance": 13, "spin": 10, "sleep": 12,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setup:
    """Camera and cast of one shot, before actions are handed out."""

    framing: Framing
    pan: Direction | None
    zoom: ZoomDirection | None
    cast: tuple[int, ...]
    reverse: Direction | None = None  # set in shot/reverse-shot: the side this one faces

    @property
    def scales(self) -> tuple[int, int]:
        """How near the camera is (0 wide, 1 medium, 2 close) when the shot begins and when it ends."""
        if self.framing == "zoom":
            return (0, 1) if self.zoom == "in" else (1, 0)
        near = {"wide": 0, "pan": 0, "medium": 1, "close-up": 2}[self.framing]
        return near, near


def make_shots(
    rng: Random, itinerary: Itinerary, cast_size: int, seconds: tuple[float, ...], weights: tuple[float, ...]
) -> tuple[WorldShot, ...]:
    """The shots along ``itinerary``, captions still empty. Lengths are drawn from ``seconds`` by ``weights``."""
    shots: list[WorldShot] = []
    for index, setup in enumerate(_setups(rng, itinerary.stops, cast_size)):
        time, weather = itinerary.lights[index]
        shots.append(
            WorldShot(
                place=itinerary.stops[index],
                time=time,
                weather=weather,
                framing=setup.framing,
                pan=setup.pan,
                zoom=setup.zoom,
                roles=_roles(rng, setup, shots[-1].roles if shots else ()),
                seconds=rng.choices(seconds, weights=weights)[0],
                caption="",
            )
        )
    return tuple(shots)


def _setups(rng: Random, stops: tuple[int, ...], cast_size: int) -> list[Setup]:
    setups: list[Setup] = []
    reverse_at = _reverse_at(rng, stops) if cast_size == 2 and rng.random() < 0.65 else None
    while len(setups) < len(stops):
        index = len(setups)
        moved = index > 0 and stops[index] != stops[index - 1]
        if index == reverse_at:
            setups += _shot_reverse_shot(rng, setups[-1], moved)
            continue
        setup = _setup(rng, index, cast_size)
        while index and not _reads_as_cut(setups[-1], setup, moved):
            setup = _setup(rng, index, cast_size)
        setups.append(setup)
    return setups


def _reverse_at(rng: Random, stops: tuple[int, ...]) -> int | None:
    """Where a shot/reverse-shot may start: not at the opening, and both halves in one place."""
    starts = [index for index in range(1, len(stops) - 1) if stops[index] == stops[index + 1]]
    return rng.choice(starts) if starts else None


def _shot_reverse_shot(rng: Random, before: Setup, moved: bool) -> list[Setup]:
    while True:
        framing: Framing = rng.choice(("medium", "close-up"))
        first = rng.randrange(2)
        pair = [
            Setup(framing, None, None, (first,), reverse="right"),
            Setup(framing, None, None, (1 - first,), reverse="left"),
        ]
        if _reads_as_cut(before, pair[0], moved):
            return pair


def _setup(rng: Random, index: int, cast_size: int) -> Setup:
    weights = LATER_WEIGHTS if index else OPENING_WEIGHTS
    framing: Framing = rng.choices(list(weights), weights=list(weights.values()))[0]
    both = cast_size == 2 and framing in SHARED and rng.random() < (0.6 if index else 0.75)
    return Setup(
        framing,
        rng.choice(("left", "right")) if framing == "pan" else None,
        rng.choices(("in", "out"), weights=(2, 1))[0] if framing == "zoom" else None,
        (0, 1) if both else (rng.randrange(cast_size),),
    )


def _reads_as_cut(before: Setup, after: Setup, moved: bool) -> bool:
    """Do two neighbouring shots differ enough: another place, another distance, or another face seen near?"""
    near = after.scales[0] > 0
    return moved or before.scales[1] != after.scales[0] or (near and before.cast != after.cast)


def _roles(rng: Random, setup: Setup, before: tuple[Role, ...]) -> tuple[Role, ...]:
    weights = CLOSE_ACTION_WEIGHTS if setup.framing == "close-up" else ACTION_WEIGHTS
    roles = [_role(rng, character, weights, setup.reverse, before) for character in setup.cast]
    if len(roles) == 2:
        one, two = roles
        if (one.action in MOVING and two.action in MOVING) or rng.random() < 0.4:
            # Together: two that both move go the same way at the same pace and never run through each other.
            roles[1] = Role(character=two.character, action=one.action, direction=one.direction)
        elif rng.random() < 0.5:
            roles[1] = Role(character=two.character, action=two.action, direction=OPPOSITE[one.direction])
    return tuple(roles)


def _role(
    rng: Random, character: int, weights: dict[Action, int], reverse: Direction | None, before: tuple[Role, ...]
) -> Role:
    last = next((role for role in before if role.character == character), None)
    action: Action = rng.choices(list(weights), weights=list(weights.values()))[0]
    while last and action == last.action and rng.random() < 0.7:
        action = rng.choices(list(weights), weights=list(weights.values()))[0]
    direction: Direction = rng.choice(("left", "right"))
    if last and last.action in MOVING and action in MOVING and rng.random() < 0.7:
        direction = last.direction  # a walk goes on the same way across a cut
    return Role(character=character, action=action, direction=reverse or direction)
