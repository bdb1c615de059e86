"""What a training stage is: settings, roles, the learner of each update, a loss, sample images, what it releases."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from shotstream.checkpoints.quantisation import Form
from shotstream.core.config import Config


class LoraSettings(Config):
    """Low-rank adapters on every linear layer of every transformer layer; all else stays as it is."""

    rank: int = Field(gt=0)
    alpha: int | None = Field(default=None, gt=0)  # None: equal to the rank


class OptimiserSettings(Config):
    """How one role learns. Muon updates the layers' matrices, AdamW everything else (or everything)."""

    kind: Literal["muon", "adamw"] = "muon"
    rate: float = Field(default=6e-4, gt=0)  # AdamW
    matrix_rate: float = Field(default=3e-3, gt=0)  # Muon
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)  # largest gradient norm
    ema: float = Field(default=0.999, ge=0, lt=1)
    lora: LoraSettings | None = None  # train adapters instead of the weights
    quantised: Form | None = None  # quantisation-aware training: passes and released weights are of quantised matrices

    @model_validator(mode="after")
    def _quantised_or_adapted(self) -> OptimiserSettings:
        if self.quantised and self.lora:
            raise ValueError("quantised and lora cannot be combined; take out one of them")
        return self


class LoopSettings(Config):
    """Updates, their schedule (warm-up, stable, linear decay), and how often the run is saved and looked at."""

    updates: int = Field(gt=0)
    warmup: int = Field(default=50, ge=0)  # updates
    decay: float = Field(default=0.3, ge=0, le=1)  # the last share of the updates, in which the rate falls to zero
    save_every: int = Field(default=500, gt=0)  # updates
    save_minutes: float = Field(default=5.0, gt=0)  # and whenever so long ago
    look_every: int = Field(default=500, gt=0)  # updates
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"  # of the matmuls; auto: what the machine is faster in
    accumulate: int = Field(default=1, gt=0)  # parts of an update, one after the other, whose gradients are averaged
    diverged: float = Field(default=10.0, gt=1)  # stop when the loss stays at so many times its lowest level
    compile: bool = False  # fuse the transformer's small operations; needs a C++ compiler on CPU
    sharded: bool = (
        False  # over several processes: weights, gradients and moments in shards (FSDP2), else whole in each
    )
    checkpoint_activations: bool = False  # keep only what enters a layer, and run it again for the backward pass

    @model_validator(mode="after")
    def _compiled_or_not(self) -> LoopSettings:
        if self.compile and (self.sharded or self.checkpoint_activations):
            raise ValueError("compile does not go together with sharded or checkpoint_activations; choose one")
        return self

    @property
    def learning_passes(self) -> int:
        """Passes that an update is worth: forward, backward twice as much; with checkpointing, forward again."""
        return 3 + self.checkpoint_activations

    def rate_factor(self, update: int) -> float:
        """The share of the full learning rate at ``update`` (counted from 0)."""
        rise = min(1.0, (update + 1) / self.warmup) if self.warmup else 1.0
        decay_updates = self.decay * self.updates
        fall = min(1.0, (self.updates - update) / decay_updates) if decay_updates else 1.0
        return rise * max(fall, 0.0)


@dataclass(frozen=True)
class LossReport:
    """A scalar to descend, the samples it was computed from, and metrics for the curve."""

    loss: Tensor
    samples: int
    metrics: Mapping[str, float] = field(default_factory=dict)


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

    def learner(self, update: int) -> str:
        """Which role learns at ``update``."""

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        """The loss of ``role`` on part ``part`` of the update's samples (gradient accumulation, processes)."""

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        """A picture of what the averaged weights do, and metrics of how well."""

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        """Write inference weights into ``folder``."""


@runtime_checkable
class KeepsState(Protocol):
    """A stage that carries more from update to update than its weights; the loop saves and restores it."""

    def extra_state(self, parts: Collection[int]) -> dict[str, Any]:
        """What belongs to ``parts`` of an update: tensors, numbers, strings, lists and mappings of these."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`extra_state` gave; called once for every process that has saved."""


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
