"""What a stage of training is: roles, whose turn it is (counted in updates), a loss, pictures, what it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image
from torch import Tensor, nn

from shotstream.training.settings import LoopSettings, OptimiserSettings


@dataclass(frozen=True)
class LossReport:
    """A scalar to descend, the samples it was computed from, and figures for the curve."""

    loss: Tensor
    samples: int
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Role:
    """A module that learns in this stage, and how."""

    module: nn.Module
    optimiser: OptimiserSettings


class Stage(Protocol):
    """One stage. Everything random in ``loss`` is derived from the update's number: a resumed run is the same run."""

    @property
    def roles(self) -> Mapping[str, Role]: ...

    @property
    def loop(self) -> LoopSettings: ...

    def turn(self, update: int) -> str:
        """Which role learns at ``update``."""

    def loss(self, update: int, role: str) -> LossReport: ...

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        """A picture of what the averaged weights do, and figures of how well."""

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        """Write inference weights into ``folder``."""
