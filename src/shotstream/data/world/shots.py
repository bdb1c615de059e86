"""A story's itinerary and shot list: places, light, framing, actions, lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from shotstream.data.world.phrases import OPPOSITE
from shotstream.data.world.spec import (
    COLOURS,
    LANDMARKS,
    LAYOUTS,
    MOVING,
    PLACES,
    THIRDS,
    TIMES,
    Action,
    Direction,
    Framing,
    Landmark,
    Place,
    PlaceKind,
    Role,
    ShotChange,
    Time,
    Weather,
    WorldShot,
    ZoomDirection,
)

Light = tuple[Time, Weather]
Option = TypeVar("Option", bound=str)

TIME_WEIGHTS: dict[Time, int] = {"day": 4, "sunset": 3, "night": 4}
WEATHER_WEIGHTS: dict[Weather, int] = {"clear": 4, "rain": 3, "snow": 3}
# Orders in which places are visited, by the number of places; each letter is one visit of one or more shots.
ROUTES: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((0,),),
    2: ((0, 1), (0, 1, 0), (0, 1, 0)),
    3: ((0, 1, 2), (0, 1, 0, 2), (0, 1, 2, 0), (0, 1, 2, 1)),
}

LONG = 12  # shots; longer stories come and go as they like


@dataclass(frozen=True, slots=True)
class Itinerary:
    """The places of a story, and for every shot the index of its place and its light."""

    places: tuple[Place, ...]
    stops: tuple[int, ...]
    lights: tuple[Light, ...]


def make_itinerary(rng: Random, shots: int) -> Itinerary:
    """Places, visits and lights of a story of ``shots`` shots."""
    if shots > LONG:
        return _long_itinerary(rng, shots)
    count = rng.choices((1, 2, 3), weights=(45, 38 if shots > 1 else 0, 17 if shots > 3 else 0))[0]
    route = rng.choice([route for route in ROUTES[count] if len(route) <= shots])
    ends = [*sorted(rng.sample(range(1, shots), len(route) - 1)), shots]
    visits = [sum(end <= shot for end in ends) for shot in range(shots)]
    stops = tuple(route[visit] for visit in visits)
    return Itinerary(_places(rng, count), stops, _lights(rng, stops, visits))


def _long_itinerary(rng: Random, shots: int) -> Itinerary:
    """Three to five places, in visits of two to six shots; any place may come next but the one that was left."""
    count = rng.randint(3, 5)
    stops, visits = [0] * rng.randint(2, 6), 1
    numbers = [0] * len(stops)
    while len(stops) < shots:
        stay, stop = rng.randint(2, 6), rng.choice([place for place in range(count) if place != stops[-1]])
        stops += [stop] * stay
        numbers += [visits] * stay
        visits += 1
    seen = list(dict.fromkeys(stops[:shots]))  # places are numbered as they are first seen
    order = tuple(seen.index(stop) for stop in stops[:shots])
    return Itinerary(_places(rng, len(seen)), order, _lights(rng, order, numbers[:shots]))


def _places(rng: Random, count: int) -> tuple[Place, ...]:
    kinds = rng.sample(PLACES, count)
    free = list(LANDMARKS)
    places = []
    for kind in kinds:
        landmark = rng.choice([one for one in free if _fits(one, kind)])
        free.remove(landmark)  # two places of one story never share a landmark
        places.append(
            Place(
                kind=kind,
                layout=rng.randrange(LAYOUTS),
                landmark=landmark,
                landmark_colour=rng.choice(COLOURS),
                landmark_third=rng.choice(THIRDS),
            )
        )
    return tuple(places)


def _fits(landmark: Landmark, kind: PlaceKind) -> bool:
    """A boat needs the sea; everything else stands anywhere."""
    return landmark != "sailing boat" or kind == "beach"


def _lights(rng: Random, stops: tuple[int, ...], visits: list[int]) -> tuple[Light, ...]:
    plan = rng.choices(("constant", "by visit", "one change"), weights=(60, 22, 18))[0]
    first = _light(rng)
    if plan == "one change" and len(stops) > 1:
        turn, after = rng.randrange(1, len(stops)), _next_light(rng, first)
        return tuple(first if shot < turn else after for shot in range(len(stops)))
    if plan == "by visit":
        by_place = {stop: first if stop == 0 else _light(rng) for stop in dict.fromkeys(stops)}
        changed = rng.random() < 0.3  # time may have passed by the return to a place
        last = visits[-1]
        again = last > 0 and stops[-1] in stops[: visits.index(last)]
        late = _next_light(rng, by_place[stops[-1]])
        return tuple(
            late if changed and again and visit == last else by_place[stop]
            for stop, visit in zip(stops, visits, strict=True)
        )
    return (first,) * len(stops)


def _light(rng: Random) -> Light:
    return _weighted(rng, TIME_WEIGHTS), _weighted(rng, WEATHER_WEIGHTS)


def _next_light(rng: Random, light: Light) -> Light:
    """Either the day goes on or the weather turns, not both."""
    time, weather = light
    if rng.random() < 0.5:
        return TIMES[(TIMES.index(time) + 1) % len(TIMES)], weather
    return time, _weighted(rng, {one: weight for one, weight in WEATHER_WEIGHTS.items() if one != weather})


def _weighted(rng: Random, weights: dict[Option, int]) -> Option:
    return rng.choices(list(weights), weights=list(weights.values()))[0]


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


def make_change(rng: Random, shot: WorldShot, moments: Sequence[float]) -> ShotChange | None:
    """A change of what is done in ``shot`` at one of ``moments`` (seconds); None if its camera allows none.

    A close-up is framed for a sleeper or for somebody awake. Two who share a picture stay in their places from
    the change on, so that nobody runs through the other; two who did the same do the same again.
    """
    close, roles = shot.framing == "close-up", shot.roles
    if close and "sleep" in shot.actions:
        return None
    weights = dict(CLOSE_ACTION_WEIGHTS if close else ACTION_WEIGHTS)
    barred: tuple[Action, ...] = ("sleep",) if close else MOVING if len(roles) == 2 else ()
    for one in barred:
        del weights[one]
    together = len({role.action for role in roles}) == 1
    changing = roles if together else (rng.choice(roles),)
    for role in changing:
        weights.pop(role.action, None)
    action: Action = rng.choices(list(weights), weights=list(weights.values()))[0]
    later = tuple(replace(role, action=action) if role in changing else role for role in roles)
    return ShotChange(seconds=rng.choice(moments), roles=later, caption="")
