"""Rotary position embedding: position is data, angles are a pure function of it.

Axes: B batch, F latent frames, T tokens (T = F x rows x columns), H heads, D head width, D/2 pairs.
A token at concatenated frame position p, row r, column c of shot j rotates its pairs by

    time: p * freq + j * shot_phase      row: r * freq      column: c * freq

The one extra term ``j * shot_phase`` is ShotStream's RoPE discontinuity (arXiv 2603.25746, section 4.2).
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from shotstream.models.config import TransformerConfig

Angles = Annotated[Tensor, "... T D/2"]
Rotation = Annotated[Tensor, "... T 1 D/2 2"]
Heads = Annotated[Tensor, "B T H D"]


def axis_frequencies(dims: int, theta: float) -> Annotated[Tensor, "half"]:
    """[dims / 2] float64: radians per step of one axis, theta ** (-2 i / dims)."""
    return theta ** -(torch.arange(0, dims, 2, dtype=torch.float64) / dims)


def rotary_angles(
    positions: Annotated[Tensor, "... F"],
    shots: Annotated[Tensor, "_ | _ _"],
    rows: int,
    columns: int,
    config: TransformerConfig,
) -> Annotated[Tensor, "T D/2 | B T D/2"]:
    """Angles in radians, float64, [..., F * rows * columns, D/2].

    ``positions`` and ``shots`` are [F] or [B, F] (they broadcast): frame positions in the concatenated
    sequence and true shot numbers.
    """
    time_dims, row_dims, column_dims = config.rope_dims
    theta = config.rope_theta
    frame = positions.double().cpu()[..., None] * axis_frequencies(time_dims, theta)
    frame = frame + config.shot_phase * shots.double().cpu()[..., None]
    row = torch.arange(rows, dtype=torch.float64)[:, None] * axis_frequencies(row_dims, theta)
    column = torch.arange(columns, dtype=torch.float64)[:, None] * axis_frequencies(column_dims, theta)
    grid = (*frame.shape[:-1], rows, columns)
    angles = torch.cat(
        [
            frame[..., None, None, :].expand(*grid, -1),
            row[:, None, :].expand(*grid, -1),
            column.expand(*grid, -1),
        ],
        dim=-1,
    )
    return angles.flatten(-4, -2)


def time_shift(frames: int, config: TransformerConfig) -> Annotated[Tensor, "D/2 2"]:
    """[D/2, 2], for :func:`rotate`: it makes a rotated key of position p that of p + ``frames``."""
    time_dims, row_dims, column_dims = config.rope_dims
    still = torch.zeros((row_dims + column_dims) // 2, dtype=torch.float64)
    angles = torch.cat([frames * axis_frequencies(time_dims, config.rope_theta), still])
    return torch.stack([angles.cos(), angles.sin()], dim=-1).float()


def rotation(angles: Angles, device: torch.device) -> Rotation:
    """Cosines and sines of ``angles`` [..., T, D/2], float32 [..., T, 1, D/2, 2]: shaped to rotate [B, T, H, D]."""
    return torch.stack([angles.cos(), angles.sin()], dim=-1).float().unsqueeze(-3).to(device)


def rotate(x: Heads, by: Annotated[Tensor, "... T 1 D/2 2 | D/2 2"]) -> Heads:
    """Rotate neighbouring pairs of ``x`` [B, T, H, D] ``by`` what :func:`rotation` gives; float32."""
    pairs = x.float().unflatten(-1, (-1, 2))
    if not torch.compiler.is_compiling():
        return torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(by)).flatten(-2)
    # The compiler cannot fuse complex numbers; it does fuse this, which alone would be slower.
    even, odd = pairs.unbind(-1)
    cos, sin = by.unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)
