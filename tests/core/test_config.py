"""What is wrong with settings is said in a few words, with its place."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError, model_validator

from shotstream.core.config import Config, first_fault


class Inner(Config):
    count: int = Field(default=1, gt=0)


class Outer(Config):
    inner: Inner = Inner()
    low: int = 0
    high: int = 1

    @model_validator(mode="after")
    def _ordered(self) -> Outer:
        if self.low > self.high:
            raise ValueError("low: above high; lower it")
        return self


@pytest.mark.parametrize(
    ("given", "whole", "said"),
    [
        ({"inner": {"count": 0}}, "", "inner.count: Input should be greater than 0"),
        ({"inner": {"count": 0}}, "the file", "inner.count: Input should be greater than 0"),
        ({"other": 1}, "", "other: Extra inputs are not permitted"),
        ({"low": 2}, "", "low: above high; lower it"),
        ({"low": 2}, "the file", "the file: low: above high; lower it"),
    ],
)
def test_the_first_fault_has_its_place(given: dict[str, object], whole: str, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert first_fault(caught.value, whole) == said


def test_near_misses_of_settings_are_named() -> None:
    class Loop(Config):
        updates: int
        every: int = 1

    class Recipe(Config):
        loop: Loop
        seed: int = 0

    def said(**given: object) -> str:
        with pytest.raises(ValidationError) as caught:
            Recipe.model_validate(given)
        return first_fault(caught.value, kind=Recipe)

    assert said(loop={"updats": 3}) == "unknown setting loop.updats; did you mean updates?"
    assert said(loop={"updates": 3}, sed=1) == "unknown setting sed; did you mean seed?"
    assert said(loop={"updates": 3, "colour": 1}) == "unknown setting loop.colour; known here: every, updates"
    assert said(loop={"updates": "x"}).startswith("loop.updates: ")
