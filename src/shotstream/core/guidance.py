"""Classifier-free guidance, defined once: uncond + g (cond - uncond). g = 1 is no guidance."""

from __future__ import annotations

from torch import Tensor


def guide(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """uncond + scale (cond - uncond), element by element."""
    return uncond + scale * (cond - uncond)


def from_dmd_convention(scale: float) -> float:
    """Our scale for the reference's DMD convention, cond + scale (cond - uncond): its 3.0 is our 4.0.

    The reference's trajectory sampler already uses our convention: its 6.0 needs no conversion.
    """
    return scale + 1
