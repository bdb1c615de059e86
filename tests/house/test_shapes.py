"""The checker of shapes: what it lets pass, what it refuses, and that the package's functions are under it."""

from __future__ import annotations

from typing import Annotated

import pytest
import torch
from shapes import ShapeError, checked, matches
from torch import Tensor

from shotstream.core.flow import add_noise
from shotstream.models.attention import attend
from shotstream.sampling.context import to_frames


@pytest.mark.parametrize(
    ("shape", "axes", "sizes", "fits"),
    [
        ((2, 3), "B T", {}, True),
        ((2, 3), "B B", {}, False),
        ((2, 3), "B T", {"B": 4}, False),
        ((2, 3), "T 3", {}, True),
        ((2, 3), "T 4", {}, False),
        ((2, 1), "B 1|F", {"F": 9}, True),
        ((2, 8), "B 1|F", {"F": 9}, False),
        ((7, 2, 3), "... B T", {}, True),
        ((7, 2, 3), "... B T", {"...": (6,)}, False),
        ((3,), "... B T", {}, False),
        ((2, 3), "_ _", {}, True),
    ],
)
def test_what_fits(shape: tuple[int, ...], axes: str, sizes: dict[str, object], fits: bool) -> None:
    assert matches(shape, axes, dict(sizes)) is fits


def test_arguments_and_results_are_compared() -> None:
    @checked
    def joined(x: Annotated[Tensor, "B T"], y: Annotated[Tensor, "B T | T"] | None = None) -> Annotated[Tensor, "B T"]:
        return x if y is None else x[:1] + y

    assert joined(torch.zeros(1, 3), torch.zeros(3)).shape == (1, 3)
    with pytest.raises(ShapeError, match=r"joined: y is \[1, 4\], not \[B T \| T\] \(B = 1, T = 3\)"):
        joined(torch.zeros(1, 3), torch.zeros(1, 4))
    with pytest.raises(ShapeError, match="what it returns"):
        joined(torch.zeros(2, 3), torch.zeros(3))


def test_the_packages_functions_are_checked() -> None:
    with pytest.raises(ShapeError, match="attend: k"):
        attend(torch.zeros(1, 4, 2, 8), torch.zeros(2, 4, 2, 8), torch.zeros(2, 4, 2, 8))
    with pytest.raises(ShapeError, match="to_frames: pixels"):
        to_frames(torch.zeros(5, 4, 8, 8))
    with pytest.raises(ShapeError, match="add_noise: noise"):
        add_noise(torch.zeros(2, 3), torch.zeros(1, 3), 500.0)
