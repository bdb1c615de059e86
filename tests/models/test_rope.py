"""Rotary angles, checked against the formula written out for single tokens."""

from __future__ import annotations

import math

import pytest
import torch

from shotstream.models.config import TransformerConfig
from shotstream.models.rope import rotary_angles, rotate, rotation

CPU = torch.device("cpu")


def one_angle(config: TransformerConfig, frame: int, shot: int, row: int, column: int, pair: int) -> float:
    """Radians of one pair of one token, by the formula."""
    for axis, dims in enumerate(config.rope_dims):
        if pair < dims // 2:
            place = (frame, row, column)[axis]
            return place * config.rope_theta ** (-2 * pair / dims) + (shot / 6 if axis == 0 else 0)
        pair -= dims // 2
    raise AssertionError("no such pair")


def test_wans_split_of_the_head() -> None:
    config = TransformerConfig(in_channels=16, dim=1536, ffn_dim=8960, heads=12, layers=1, text_dim=8)
    assert config.rope_dims == (44, 42, 42)


@pytest.mark.parametrize("head_dim", [6, 24, 26, 48])
def test_angles_are_the_formula(head_dim: int) -> None:
    config = TransformerConfig(in_channels=4, dim=head_dim, ffn_dim=8, heads=1, layers=1, text_dim=8)
    angles = rotary_angles(torch.tensor([0, 7]), torch.tensor([0, 3]), 2, 3, config)
    assert angles.shape == (2 * 2 * 3, head_dim // 2)
    expected = [
        [one_angle(config, frame, shot, row, column, pair) for pair in range(head_dim // 2)]
        for frame, shot in ((0, 0), (7, 3))
        for row in range(2)
        for column in range(3)
    ]
    torch.testing.assert_close(angles, torch.tensor(expected, dtype=torch.float64))


def test_samples_may_have_their_own_shots(config: TransformerConfig) -> None:
    shots = torch.tensor([[0, 1], [4, 9]])
    both = rotary_angles(torch.arange(2), shots, 2, 2, config)
    for sample in range(2):
        torch.testing.assert_close(both[sample], rotary_angles(torch.arange(2), shots[sample], 2, 2, config))


def test_rotation_turns_neighbouring_pairs() -> None:
    x = torch.tensor([[[[1.0, 0.0, 0.0, 2.0]]]])
    turned = rotate(x, rotation(torch.tensor([[math.pi / 2, math.pi]]), CPU))
    torch.testing.assert_close(turned, torch.tensor([[[[0.0, 1.0, 0.0, -2.0]]]]), atol=1e-6, rtol=0)


def test_scores_depend_on_differences_of_position_only(config: TransformerConfig) -> None:
    q, k = torch.randn(1, 1, 1, config.head_dim), torch.randn(1, 1, 1, config.head_dim)

    def score(first: int, second: int) -> torch.Tensor:
        shots = torch.zeros(1)
        turns = [rotation(rotary_angles(torch.tensor([p]), shots, 1, 1, config), CPU) for p in (first, second)]
        return (rotate(q, turns[0]) * rotate(k, turns[1])).sum()

    torch.testing.assert_close(score(3, 1), score(12, 10))
