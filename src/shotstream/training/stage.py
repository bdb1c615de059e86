"""What a stage of training is: roles, whose turn it is (counted in updates), a loss, pictures, what it leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

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
    """One stage. Everything random in ``loss`` is derived from the update's number and part: a resumed run is the
    same run."""

    @property
    def roles(self) -> Mapping[str, Role]: ...

    @property
    def loop(self) -> LoopSettings: ...

    def turn(self, update: int) -> str:
        """Which role learns at ``update``."""

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        """The loss of ``role`` on part ``part`` of the update's samples (gradient accumulation, processes)."""

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        """A picture of what the averaged weights do, and figures of how well."""

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        """Write inference weights into ``folder``."""


@runtime_checkable
class Remembering(Protocol):
    """A stage that carries more from update to update than its weights; the loop saves and restores it."""

    def memory(self, parts: Collection[int]) -> dict[str, Any]:
        """What belongs to ``parts`` of an update: tensors, numbers, strings, lists and mappings of these."""

    def recall(self, memory: dict[str, Any]) -> None:
        """Take up what :meth:`memory` gave; called once for every process that has saved."""


def names(update: int, part: int) -> tuple[str | int, ...]:
    """The names of one part of an update, for :func:`shotstream.core.randomness.derive`."""
    return (update, "part", part) if part else (update,)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Nothing in ``module`` asks for gradients meanwhile: a rollout for the critic alone builds no graph."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
