"""A story: the script of a film. A global caption, and one caption per shot.

Limits that do not depend on a preset are stated here; how many frames ``seconds`` becomes is
:class:`shotstream.core.geometry.Geometry`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry

MIN_SECONDS = 0.3
MAX_SECONDS = 5.5
MAX_CAPTION = 10_000  # characters
MAX_SEED = 2**63 - 1

Place = tuple[str | int, ...]  # where in a story: ("shots", 2, "seconds")


def _readable(text: str) -> str:
    """``text`` without the white space around it; refuses what no caption can hold."""
    text = text.strip()
    if not text:
        raise PydanticCustomError("story_blank", "is blank; write what is to be seen")
    if any(ord(sign) < 32 and sign not in "\n\r\t" for sign in text):
        raise PydanticCustomError("story_sign", "holds a control character; remove it")
    return text


def _at_least_one(shots: tuple[Shot, ...]) -> tuple[Shot, ...]:
    """Not ``min_length``: that would also complain about a list whose only shot is faulty."""
    if not shots:
        raise PydanticCustomError("story_empty", "is empty; a story needs at least one")
    return shots


Caption = Annotated[str, Field(max_length=MAX_CAPTION, json_schema_extra={"pattern": r"\S"}), AfterValidator(_readable)]
Seed = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
Seconds = Annotated[float, Field(strict=True, ge=MIN_SECONDS, le=MAX_SECONDS, allow_inf_nan=False)]


class Shot(Config):
    """What happens between two cuts."""

    caption: Caption = Field(description="What this shot shows.")
    seconds: Seconds | None = Field(
        default=None, description="Length; rounded to whole blocks. Default: the preset's usual shot (2.06)."
    )
    seed: Seed | None = Field(default=None, description="Seed of this shot alone; default: derived from the story's.")

    def blocks(self, geometry: Geometry) -> int:
        """Blocks this shot is made of under ``geometry``: ``seconds`` rounded to the nearest length."""
        return geometry.default_blocks if self.seconds is None else geometry.blocks_for(self.seconds)


def full_prompt(global_caption: str, caption: str) -> str:
    """What the model reads for one shot."""
    return f"{global_caption} {caption}"


class Story(Config):
    """A global caption (who, where, look) and at least one shot."""

    global_caption: Caption = Field(description="Who is in the film, where, and how it looks; holds for every shot.")
    seed: Seed = Field(default=0, description="One number that names every random draw of the film.")
    shots: Annotated[tuple[Shot, ...], AfterValidator(_at_least_one)] = Field(
        description="The shots, in order.", json_schema_extra={"minItems": 1}
    )

    @property
    def prompts(self) -> list[str]:
        """What the model reads for each shot."""
        return [full_prompt(self.global_caption, shot.caption) for shot in self.shots]


def make_story(data: object, name: str = "story", lines: Mapping[Place, int] | None = None) -> Story:
    """The :class:`Story` that plain ``data`` (mappings, lists, text, numbers) describes.

    ``name`` and ``lines`` (the line every key or item stands on) tell a person where the fault is.
    Raises :class:`InputError`, one line, for the first fault in reading order.
    """
    try:
        return Story.model_validate(data)
    except ValidationError as fault:
        known = lines or {}
        placed = [(_line(tuple(detail["loc"]), known), detail) for detail in fault.errors()]
        line, first = min(placed, key=lambda pair: pair[0])
        where = f"{name}, line {line}" if line else name
        raise InputError(f"{where}: {_said(first)}") from fault


def _line(place: Place, lines: Mapping[Place, int]) -> int:
    """The line of ``place``, or of the nearest thing around it; 0 when no lines are known."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 0)


def describe(place: Place) -> str:
    """A place in words: ``shots[2].seconds`` (shots counted from 0), ``global_caption``."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return steps.lstrip(".") or "the story"


def _said(detail: ErrorDetails) -> str:
    """One fault as a sentence that says what is wrong and what to write instead."""
    kind, place, given = detail["type"], tuple(detail["loc"]), detail["input"]
    what = describe(place)
    if kind == "extra_forbidden":
        return unknown_key(str(place[-1]), (Shot if len(place) > 1 else Story).model_fields)
    if kind == "missing":
        return f"{what} is missing; add it"
    if place == ("shots",):
        return f"{what} is empty; a story needs at least one" if not given else _needs(what, "a list", given)
    if place[-1:] == ("seconds",) or place[-1:] == ("seed",):
        return _number(what, str(place[-1]), given)
    if kind in ("story_blank", "story_sign"):
        return f"{what} {detail['msg']}"
    if kind == "string_unicode":
        return f"{what} holds half a surrogate pair; remove it"
    if kind == "string_too_long":
        return f"{what} is longer than {MAX_CAPTION} characters; shorten it"
    if kind == "string_type":
        return f"{what} is blank; write what is to be seen" if given is None else _needs(what, "text in quotes", given)
    return _needs(
        what, "a mapping with the key caption" if len(place) == 2 else "a mapping with global_caption and shots", given
    )


def _number(what: str, key: str, given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return _needs(what, "a number", given)
    if key == "seconds":
        return f"{what} is {_short(given)}; give {MIN_SECONDS} to {MAX_SECONDS}"
    return f"{what} is {_short(given)}; give a whole number from 0 to {MAX_SEED}"


def _needs(what: str, wanted: str, given: object) -> str:
    return f"{what} must be {wanted}, not {_short(given)}"


def _short(given: Any) -> str:
    """``given`` in a few words, for an error that must stay on one line."""
    if isinstance(given, Mapping):
        return "a mapping"
    if isinstance(given, list | tuple):
        return "a list"
    if given is None:
        return "nothing"
    text = repr(given) if not (isinstance(given, int) and abs(given) > 10**20) else "a huge number"
    return text if len(text) <= 40 else text[:37] + "..."


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence for a key that is not among the ``known``, with the nearest one."""
    names = list(known)
    near = get_close_matches(key.lower(), names, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
    return f"unknown key {_short(key)}; {mend}"
