"""Where a story goes and in what light: places, visits with returns, time and weather of every shot."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, TypeVar

from shotstream.data.world.spec import (
    COLOURS,
    LANDMARKS,
    PLACES,
    THIRDS,
    TIMES,
    Landmark,
    Place,
    PlaceKind,
    Time,
    Weather,
)

LightPlan = Literal["constant", "by visit", "one change"]
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


@dataclass(frozen=True, slots=True)
class Itinerary:
    """The places of a story, and for every shot the index of its place and its light."""

    places: tuple[Place, ...]
    stops: tuple[int, ...]
    lights: tuple[Light, ...]


def make_itinerary(rng: Random, shots: int) -> Itinerary:
    """Places, visits and lights of a story of ``shots`` shots."""
    count = rng.choices((1, 2, 3), weights=(45, 38 if shots > 1 else 0, 17 if shots > 3 else 0))[0]
    route = rng.choice([route for route in ROUTES[count] if len(route) <= shots])
    ends = [*sorted(rng.sample(range(1, shots), len(route) - 1)), shots]
    visits = [sum(end <= shot for end in ends) for shot in range(shots)]
    stops = tuple(route[visit] for visit in visits)
    return Itinerary(_places(rng, count), stops, _lights(rng, stops, visits))


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
                layout=rng.getrandbits(31),
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
