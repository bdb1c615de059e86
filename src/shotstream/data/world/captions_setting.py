"""Phrases for where and in what light: "in a snowy forest at night", "on a rainy evening", "night has fallen"."""

from __future__ import annotations

from random import Random

from shotstream.data.world.english import indefinite, likely, phrase, series
from shotstream.data.world.phrases import (
    CLEAR_PHRASES,
    DAY_ADJECTIVES,
    SUNNY,
    TIME_CHANGES,
    TIME_NOUNS,
    TIME_PHRASES,
    TIME_STATES,
    TIME_TAGS,
    WEATHER_ADJECTIVES,
    WEATHER_CHANGES,
    WEATHER_PHRASES,
    WEATHER_STATES,
    WEATHER_TAGS,
    Site,
)
from shotstream.data.world.spec import Time, Weather


def setting(
    rng: Random,
    site: Site | None,
    time: Time | None,
    weather: Weather | None,
    *,
    definite: bool = False,
    through: bool = False,
) -> str:
    """Place and light in one phrase; what is None stays unsaid. ``through``: for those who move across the place."""
    if site is None:
        return light(rng, time, weather)
    adjective = ""
    if site.weather_adjective and rng.random() < 0.5:
        if weather in ("rain", "snow"):
            adjective, weather = likely(rng, WEATHER_ADJECTIVES[weather], 0.6), None
        elif weather == "clear" and time == "day":
            adjective, weather, time = SUNNY, None, None
    noun = phrase(adjective, site.noun)
    named = f"the {noun}" if definite or site.article == "the" else indefinite(noun)
    return phrase(rng.choice(site.through if through else site.at), named, light(rng, time, weather))


def light(rng: Random, time: Time | None, weather: Weather | None) -> str:
    """As in "at night in the rain", "on a rainy night", "in the rain", or nothing."""
    if time and weather:
        if weather == "clear" and rng.random() < 0.7:
            return rng.choice(CLEAR_PHRASES[time])
        if rng.random() < 0.5:
            day = f"{likely(rng, DAY_ADJECTIVES[weather], 0.7)} {rng.choice(TIME_NOUNS[time])}"
            return f"on {indefinite(day)}"
    return phrase(
        likely(rng, TIME_PHRASES[time], 0.4) if time else "",
        likely(rng, WEATHER_PHRASES[weather], 0.5) if weather else "",
    )


def light_clause(rng: Random, time: Time | None, weather: Weather | None, *, changed: bool) -> str:
    """A clause of its own: "it is night and snow is falling"; ``changed``: "night has fallen"."""
    times, weathers = (TIME_CHANGES, WEATHER_CHANGES) if changed else (TIME_STATES, WEATHER_STATES)
    if time and weather:
        times, weathers = TIME_STATES, WEATHER_STATES  # "it is night now and now it rains" is no English
    parts = [rng.choice(times[time])] if time else []
    return series(parts + ([rng.choice(weathers[weather])] if weather else []))


def light_tags(rng: Random, time: Time | None, weather: Weather | None) -> list[str]:
    """Keywords: ["night", "rain"]."""
    tags = [likely(rng, TIME_TAGS[time], 0.6)] if time else []
    return tags + ([likely(rng, WEATHER_TAGS[weather], 0.6)] if weather else [])
