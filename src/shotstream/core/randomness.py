"""Named random streams: one seed, and a generator for every purpose.

``stream(7, "shot", 3, "take", 0, "block", 2, "noise")`` is the same generator on every machine and in
every process, whatever was drawn before: retaking a shot never changes another one's noise.
"""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit integer that depends on ``seed`` and every name, in order."""
    text = "/".join([str(int(seed)), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator named by ``names``. Noise is drawn on the CPU in float32 on every device."""
    return torch.Generator().manual_seed(derive(seed, *names))
