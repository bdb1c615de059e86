"""The base of every config: frozen, keyword-only, unknown keys are errors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A strict, immutable settings object. Construct with keywords; ``model_dump()`` prints it whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=False)
