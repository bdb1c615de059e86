"""Settings every recipe shares: how long, how fast, how often to save and look."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from shotstream.core.config import Config
from shotstream.core.packed import LARGEST


class LoraSettings(Config):
    """Low-rank adapters on every linear layer of every transformer layer; all else stays as it is."""

    rank: int = Field(gt=0)
    alpha: int | None = Field(default=None, gt=0)  # None: equal to the rank


class OptimiserSettings(Config):
    """How one role learns. Muon turns the layers' matrices, AdamW everything else (or everything)."""

    kind: Literal["muon", "adamw"] = "muon"
    rate: float = Field(default=6e-4, gt=0)  # AdamW
    matrix_rate: float = Field(default=3e-3, gt=0)  # Muon
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)  # largest gradient norm
    ema: float = Field(default=0.999, ge=0, lt=1)
    lora: LoraSettings | None = None  # train adapters instead of the weights
    # Learn through matrices rounded to so many whole numbers either side of zero (core/packed.py), and leave those.
    levels: int | None = Field(default=None, ge=1, le=LARGEST)

    @model_validator(mode="after")
    def _rounded_or_adapted(self) -> OptimiserSettings:
        if self.levels and self.lora:
            raise ValueError("levels: adapters leave the matrices as they are; take out levels or lora")
        return self


class LoopSettings(Config):
    """Updates, their schedule (warm-up, stable, linear decay), and how often the run is saved and looked at."""

    updates: int = Field(gt=0)
    warmup: int = Field(default=50, ge=0)  # updates
    decay: float = Field(default=0.3, ge=0, le=1)  # the last share of the updates, in which the rate falls to zero
    save_every: int = Field(default=500, gt=0)  # updates
    look_every: int = Field(default=500, gt=0)  # updates
    dtype: Literal["auto", "bfloat16", "float32"] = (
        "auto"  # of the matrix products; auto: what the machine is faster in
    )
    accumulate: int = Field(default=1, gt=0)  # parts of an update, one after the other, whose gradients are averaged
    diverged: float = Field(default=10.0, gt=1)  # stop when the loss stays at so many times its lowest level
    tensorboard: bool = False
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

    def rate_factor(self, update: int) -> float:
        """The share of the full learning rate at ``update`` (counted from 0)."""
        rise = min(1.0, (update + 1) / self.warmup) if self.warmup else 1.0
        decay_updates = self.decay * self.updates
        fall = min(1.0, (self.updates - update) / decay_updates) if decay_updates else 1.0
        return rise * max(fall, 0.0)
