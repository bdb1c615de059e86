"""The base of every config: frozen, keyword-only, unknown keys are errors that name the nearest key."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """A strict, immutable settings object. Construct with keywords; ``model_dump()`` prints it whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=False)


def first_fault(fault: ValidationError, whole: str = "", kind: type[BaseModel] | None = None) -> str:
    """The first thing that is wrong and its place, ``loop.updates: Input should be ...``.

    whole: the place of what is wrong with all of it; such a fault is told without one otherwise. kind: what was to be
    made; then an unknown name is told with the one that is like it, or with all that are known.
    """
    faults = fault.errors(include_url=False, include_input=False)
    unknown = [one for one in faults if one["type"] == "extra_forbidden"]
    first = unknown[0] if unknown and faults[0]["type"] == "missing" else faults[0]
    place = ".".join(map(str, first["loc"])) or whole
    if first["type"] == "extra_forbidden" and kind is not None:
        *outer, name = first["loc"]
        known = _names(kind, outer)
        near = get_close_matches(str(name), known, n=1)
        mend = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known) or 'nothing'}"
        return f"unknown setting {place}; {mend}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _names(kind: type[BaseModel], outer: Sequence[int | str]) -> list[str]:
    """The names of the settings in the part of ``kind`` that ``outer`` leads to; none where that is no plain part."""
    for step in outer:
        field = kind.model_fields.get(str(step))
        found = None if field is None else field.annotation
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            return []
        kind = found
    return sorted(kind.model_fields)
