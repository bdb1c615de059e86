"""A story: the script of a film. A global caption, and one caption per shot.

Limits that do not depend on a preset are stated here; how many frames ``seconds`` becomes is
:class:`shotstream.core.geometry.Geometry`'s business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from itertools import pairwise
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any
from unicodedata import category

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from shotstream.core.config import Config
from shotstream.core.context_budget import POLICIES, PolicyName, reference_name
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry

MIN_SECONDS = 0.3
MAX_SECONDS = 60.0  # a shot longer than the model was trained for is made with a rolling window
MAX_CAPTION = 10_000  # characters
MAX_SEED = 2**63 - 1
MAX_CHANGES = 100  # of one shot
MAX_REFERENCES = 20  # of a film

UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # kinds of signs that leave nothing on the paper: zero-width ones, too

Place = tuple[str | int, ...]  # where in a story: ("shots", 2, "seconds")


def _readable(text: str) -> str:
    """``text`` without the white space around it; refuses what no caption can hold."""
    text = text.strip()
    if all(category(sign) in UNSEEN for sign in text):
        raise PydanticCustomError("story_blank", "is blank; write what is to be seen")
    if any(ord(sign) < 32 and sign not in "\n\r\t" for sign in text):
        raise PydanticCustomError("story_sign", "holds a control character; remove it")
    return text


def _plain(given: Any) -> Any:
    """Numbers of NumPy and others as Python's own."""
    if isinstance(given, bool | int | float) or not isinstance(given, Real):
        return given
    return int(given) if isinstance(given, Integral) else float(given)


def _at_least_one(shots: tuple[Shot, ...]) -> tuple[Shot, ...]:
    """Not ``min_length``: that would also complain about a list whose only shot is faulty."""
    if not shots:
        raise PydanticCustomError("story_empty", "is empty; a story needs at least one")
    if early := [index for index, shot in enumerate(shots[:-1]) if shot.endless]:
        said = "has an endless shot, number {at}, that others wait behind, which would end it; only the last may be so"
        raise PydanticCustomError("story_changes", said, {"at": early[0]})
    return shots


def _naming(caption: str) -> str:
    if not reference_name(caption):
        raise PydanticCustomError(
            "story_reference", "names nothing; write a name, a colon and what is seen, as in 'the fox: a red fox'"
        )
    return caption


def _of_file(given: object) -> object:
    """The short form of a clip is its file alone."""
    return {"file": given} if isinstance(given, str) else given


Caption = Annotated[str, Field(max_length=MAX_CAPTION, json_schema_extra={"pattern": r"\S"}), AfterValidator(_readable)]
Seed = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED), BeforeValidator(_plain)]
Seconds = Annotated[
    float, Field(strict=True, ge=MIN_SECONDS, le=MAX_SECONDS, allow_inf_nan=False), BeforeValidator(_plain)
]
LoraName = Annotated[str, Field(min_length=1, max_length=80, pattern=r"\S")]
LoraWeight = Annotated[float, Field(ge=-4, le=4, allow_inf_nan=False)]
Lora = Annotated[dict[LoraName, LoraWeight], Field(max_length=8)]  # by name, how much of it; 1 is as it was trained
Moment = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False), BeforeValidator(_plain)]
Blend = Annotated[float, Field(strict=True, ge=0, le=MAX_SECONDS, allow_inf_nan=False), BeforeValidator(_plain)]
FileName = Annotated[str, Field(min_length=1, max_length=4096)]


class ShotChange(Config):
    """In mid-shot, without a cut, another caption takes over."""

    seconds: Seconds = Field(description="When, from the shot's beginning; rounded to whole blocks.")
    caption: Caption = Field(description="What the shot shows from then on.")
    blend: Blend | None = Field(
        default=None, description="Seconds in which it takes over, rounded to whole blocks; default: at once."
    )


class OwnClip(Config):
    """Footage of one's own instead of what the model would make: a clip, a part of one, or a picture."""

    file: FileName = Field(description="The clip or picture; a relative name begins at the story's folder.")
    start: Moment = Field(default=0.0, description="Where in the clip the shot begins.")
    stop: Moment | None = Field(default=None, description="Where it ends; default: with the clip.")

    @model_validator(mode="after")
    def _stops_after_start(self) -> OwnClip:
        if self.stop is not None and self.stop <= self.start:
            raise PydanticCustomError("story_changes", "stops before it has begun; give a later stop")
        return self


class StoryReference(Config):
    """A reference image: shots whose prompt names it are conditioned on it."""

    caption: Annotated[Caption, AfterValidator(_naming)] = Field(
        description="A name, a colon, and what is seen: `the fox: a red fox with a blue hat`."
    )
    picture: FileName = Field(description="The picture; a relative name begins at the story's folder.")


class Shot(Config):
    """What happens between two cuts."""

    caption: Caption = Field(description="What this shot shows.")
    seconds: Seconds | None = Field(
        default=None, description="Length; rounded to whole blocks. Default: the preset's usual shot (2.06)."
    )
    seed: Seed | None = Field(default=None, description="Seed of this shot alone; default: derived from the story's.")
    changes: tuple[ShotChange, ...] | None = Field(
        default=None, max_length=MAX_CHANGES, description="Other captions from some moment on, without a cut; in order."
    )
    endless: Annotated[bool, Field(strict=True)] | None = Field(
        default=None,
        description="It goes on, for `seconds` at least, until it is cut: of the last shot, played by a studio.",
    )
    lora: Lora | None = Field(
        default=None, description="LoRA adapters of this shot and their weights, by name; default: the story's."
    )
    clip: Annotated[OwnClip, BeforeValidator(_of_file, json_schema_input_type=FileName | OwnClip)] | None = Field(
        default=None,
        description="Footage of one's own: a file, or file, start and stop; what is made of it is one shot.",
    )

    def blocks(self, geometry: Geometry) -> int:
        """Blocks this shot is made of under ``geometry``: ``seconds`` rounded to the nearest length."""
        return geometry.default_blocks if self.seconds is None else geometry.blocks_for(self.seconds)

    @model_validator(mode="after")
    def _changes_in_order(self) -> Shot:
        if self.clip is not None and (self.changes or self.endless):
            said = "has a clip, which has an end and nothing changes, and changes or endless; leave out one"
            raise PydanticCustomError("story_changes", said)
        moments = [change.seconds for change in self.changes or ()]
        if any(later <= earlier for earlier, later in pairwise(moments)):
            raise PydanticCustomError("story_changes", "has changes that are not in order; give rising seconds")
        if moments and not self.endless and self.seconds is not None and moments[-1] >= self.seconds:
            raise PydanticCustomError("story_changes", "has a change when it is over; give it sooner, or a longer shot")
        return self


MEANT = {  # what people write where a story's key is meant, without what is between its words
    "seconds": ("duration", "length", "time", "secs", "durationseconds", "lengthseconds"),
    "caption": ("prompt", "text", "description", "shotcaption", "action"),
    "shots": ("scenes", "clips", "shotlist", "prompts", "segments"),
    "global_caption": ("globalprompt", "style", "prompt", "title", "setting", "global"),
    "seed": ("noiseseed", "randomseed"),
    "context_policy": ("memory", "context", "policy"),
    "endless": ("infinite", "forever", "infinity", "untilcut", "inf"),
    "clip": ("video", "footage", "file", "image", "picture"),
    "blend": ("over", "fade", "transition", "blendseconds"),
    "references": ("characters", "pictures", "pins", "pinned"),
}

PLAIN_PROMPT = "{global_caption} {caption}"


def full_prompt(global_caption: str, caption: str, shot: int = 0, form: str = PLAIN_PROMPT) -> str:
    """What the model reads for shot number ``shot`` (from 0), in the prompt form of its preset."""
    return form.format(global_caption=global_caption, caption=caption, shot=shot)


class Story(Config):
    """A global caption (who, where, look) and at least one shot.

    ::

        shotstream.Story(global_caption="A blue owl.", shots=[{"caption": "It sits."}, {"caption": "It flies."}])
    """

    global_caption: Caption = Field(description="Who is in the film, where, and how it looks; holds for every shot.")
    seed: Seed = Field(default=0, description="Random seed of the film.")
    context_policy: PolicyName | None = Field(
        default=None,
        description="How frames of earlier shots are chosen to condition later ones; default: the model's own way.",
    )
    lora: Lora | None = Field(
        default=None, description="LoRA adapters and their weights, by name; default: all that are loaded."
    )
    references: tuple[StoryReference, ...] | None = Field(
        default=None, max_length=MAX_REFERENCES, description="Reference images of characters and places."
    )
    shots: Annotated[tuple[Shot, ...], AfterValidator(_at_least_one)] = Field(
        description="The shots, in order.", json_schema_extra={"minItems": 1}
    )

    def finite(self, name: str = "story") -> Story:
        """Itself, to be rendered; errors call it ``name``. Raises :class:`InputError` if it has an endless shot: nobody
        is there to cut it."""
        if self.shots[-1].endless:
            raise InputError(
                f"{name}: shots[{len(self.shots) - 1}] is endless, and what is rendered needs an end; leave out "
                "`endless` (`seconds` says how long it is), or open the story in a studio, where you cut it"
            )
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The files it names: clips and pictures of one's own."""
        clips = [shot.clip.file for shot in self.shots if shot.clip is not None]
        return (*(one.picture for one in self.references or ()), *clips)

    def located(self, folder: Path) -> Story:
        """The same story, its relative file names beginning at ``folder``. Raises :class:`InputError` for a file that
        is not there."""
        for name in self.files:
            if not (folder / name).is_file():
                raise InputError(f"{folder / name}: no such file; the story names it")
        shots = tuple(
            shot
            if shot.clip is None
            else shot.model_copy(update={"clip": shot.clip.model_copy(update={"file": str(folder / shot.clip.file)})})
            for shot in self.shots
        )
        pictures = tuple(one.model_copy(update={"picture": str(folder / one.picture)}) for one in self.references or ())
        return self.model_copy(update={"shots": shots, "references": pictures or None})

    @property
    def prompts(self) -> list[str]:
        """What the model reads for each shot."""
        return [full_prompt(self.global_caption, shot.caption) for shot in self.shots]


def make_schema() -> str:
    """The JSON Schema of a story, for editors; the shipped file holds exactly this."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Story.model_json_schema()}
    schema["description"] = schema["description"].partition("\n")[0]  # what is behind it is Python
    return json.dumps(schema, indent=2) + "\n"


def shipped_schema() -> str:
    """The schema file that ships with the package: ``story.schema.json`` beside this module."""
    return files("shotstream.core").joinpath("story.schema.json").read_text(encoding="utf-8")


def make_shot(
    name: str,
    caption: str,
    seconds: float | None = None,
    seed: int | None = None,
    changes: Sequence[ShotChange | Mapping[str, object]] | None = None,
    lora: Mapping[str, float] | None = None,
    endless: bool | None = None,
) -> Shot:
    """A checked :class:`Shot`; ``name`` is what errors call it. Raises :class:`InputError`, one line."""
    try:
        told = {"caption": caption, "seconds": seconds, "seed": seed, "changes": changes, "endless": endless}
        return Shot.model_validate({**told, "lora": None if lora is None else dict(lora)})
    except ValidationError as fault:
        first = fault.errors()[0]
        raise InputError(f"{name}: {_said(first)}") from fault


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
        line, first = min(placed, key=lambda pair: (pair[0], pair[1]["type"] == "missing"))
        misspelt = [pair for pair in placed if pair[1]["type"] == "extra_forbidden" and _same_parent(pair[1], first)]
        if first["type"] == "missing" and misspelt:  # what is missing is most likely what is not known
            line, first = misspelt[0]
        where = f"{name}, line {line}" if line else name
        raise InputError(f"{where}: {_said(first)}") from fault


def _line(place: Place, lines: Mapping[Place, int]) -> int:
    """The line of ``place``, or of the nearest thing around it; 0 when no lines are known."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 0)


def _same_parent(one: ErrorDetails, other: ErrorDetails) -> bool:
    return one["loc"][:-1] == other["loc"][:-1]


def describe(place: Place) -> str:
    """A place in words: ``shots[2].seconds`` (shots counted from 0), ``global_caption``."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return steps.lstrip(".") or "the story"


def _said(detail: ErrorDetails) -> str:
    """One fault as a sentence that says what is wrong and what to write instead."""
    kind, place, given = detail["type"], tuple(detail["loc"]), detail["input"]
    what = describe(place)
    if kind == "extra_forbidden":
        return unknown_key(str(place[-1]), _kind_at(place).model_fields)
    if kind == "missing":
        return f"{what} is missing; add it"
    if place == ("context_policy",):
        return _needs(what, f"one of {', '.join(POLICIES)}", given)
    if kind in ("story_blank", "story_sign", "story_changes", "story_reference"):
        return f"{what} {detail['msg']}"
    if place == ("shots",):
        return f"{what} is empty; a story needs at least one" if not given else _needs(what, "a list", given)
    if place and place[-1] in ("seconds", "seed", "endless"):
        return _number(what, place[-1], given)
    if "lora" in place:
        return _needs(describe(place[: place.index("lora") + 1]), "at most 8 names with weights from -4 to 4", given)
    if place[2:3] == ("clip",):
        return _clip_said(what, place, given)
    if place[:1] == ("references",) and len(place) < 3:
        return _needs(what, f"a list of at most {MAX_REFERENCES} mappings with caption and picture", given)
    if place[-1:] == ("blend",):
        return _needs(what, f"0 to {MAX_SECONDS:g} seconds", given)
    if place[2:3] == ("changes",) and kind not in ("string_unicode", "string_too_long", "string_type"):
        return _needs(what, f"a list of at most {MAX_CHANGES} mappings with seconds and caption", given)
    if kind == "string_unicode":
        return f"{what} holds half a surrogate pair; remove it"
    if kind == "string_too_long":
        return f"{what} is longer than {MAX_CAPTION} characters; shorten it"
    if kind == "string_type":
        return f"{what} is blank; write what is to be seen" if given is None else _needs(what, "text in quotes", given)
    return _needs(
        what, "a mapping with the key caption" if len(place) == 2 else "a mapping with global_caption and shots", given
    )


def _kind_at(place: Place) -> type[Config]:
    """What the mapping is that has the key at ``place``."""
    if place[0] == "references":
        return StoryReference
    return OwnClip if place[2:3] == ("clip",) else (Story, Shot, ShotChange)[len(place) // 2]


def _clip_said(what: str, place: Place, given: object) -> str:
    if place[-1] in ("start", "stop"):
        return _needs(what, "a number of seconds, 0 or more", given)
    return _needs(what, "the name of a file" if place[-1] == "file" else "a file, or file, start and stop", given)


def _number(what: str, key: str | int, given: object) -> str:
    if key == "endless":
        return _needs(what, "true or false", given)
    if key == "seconds" and isinstance(given, str) and given.strip().lower() in ("endless", *MEANT["endless"]):
        return f"{what} is {_short(given)}; leave it out, and write endless: true"
    if isinstance(given, bool) or not isinstance(given, int | float):
        return _needs(what, "a number", given)
    if key == "seconds":
        return f"{what} is {_short(given)}; give {MIN_SECONDS:g} to {MAX_SECONDS:g}"
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
    plain = re.sub(r"[\W_]", "", key.lower())
    bare = {name.replace("_", ""): name for name in names}
    meant = [name for name in names if plain in MEANT.get(name, ())]
    near = meant or [bare[one] for one in get_close_matches(plain, bare, n=1)]
    mend = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
    return f"unknown key {_short(key)}; {mend}"
