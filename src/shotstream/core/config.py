"""The base of every config: frozen, keyword-only, unknown keys are errors; and those errors in a few words."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """A strict, immutable settings object. Construct with keywords; ``model_dump()`` prints it whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=False)


def first_fault(fault: ValidationError, whole: str = "") -> str:
    """The first thing that is wrong and its place, ``loop.updates: Input should be ...``.

    whole: the place of what is wrong with all of it; such a fault is told without one otherwise.
    """
    first = fault.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or whole
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
