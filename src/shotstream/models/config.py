"""Sizes of a transformer, saved in the header of its weight file, and what follows from them alone.

Operations count 2 per multiply-add, and only matmuls: not norms, softmax, the patch embedding, the head, the
timestep layers, or the keys and values of captions, which are computed once per prompt.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from shotstream.core.config import Config


class TransformerConfig(Config):
    """Sizes of one transformer in Wan's layout. Teacher, student and critic of a preset share it."""

    in_channels: int = Field(gt=0)  # latent channels, in and out
    dim: int = Field(gt=0)  # width of a token
    ffn_dim: int = Field(gt=0)
    heads: int = Field(gt=0)
    layers: int = Field(gt=0)
    freq_dim: int = Field(default=256, gt=0, multiple_of=2)  # width of the sinusoidal timestep embedding
    text_dim: int = Field(gt=0)  # width of one caption token
    patch: int = Field(default=2, gt=0)  # latent cells per side of a token
    eps: float = Field(default=1e-6, gt=0)
    rope_theta: float = Field(default=10_000.0, gt=1)
    # What the head's numbers are. "flow": v itself, as Wan. "x0": the clean latents, turned into v by the forward pass
    # (arXiv 2511.13720); noise need not pass through the network, which tells where a token is nearly as wide as it.
    prediction: Literal["flow", "x0"] = "flow"
    x0_sigma: float = Field(default=0.3, gt=0, le=1)  # below this sigma the head's numbers tend to x_t - x0_sigma * v
    # Padding behind a caption: "seen" as in Wan, whose weights count on it; "hidden", and then never computed with.
    caption_padding: Literal["seen", "hidden"] = "seen"
    shot_phase: float = 1 / 6  # radians that every shot adds to its temporal rotary angles (the RoPE discontinuity)

    @model_validator(mode="after")
    def _heads_divide(self) -> TransformerConfig:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim {self.dim} does not divide into {self.heads} heads of even width")
        if self.head_dim < 6:
            raise ValueError(f"head width {self.head_dim} leaves no room for three rotary axes; use at least 6")
        return self

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def rope_dims(self) -> tuple[int, int, int]:
        """Rotated dimensions of (time, row, column); they sum to ``head_dim``."""
        spatial = 2 * (self.head_dim // 6)
        return (self.head_dim - 2 * spatial, spatial, spatial)


def forward_flops(config: TransformerConfig, tokens: int, keys: float, caption_tokens: int = 0) -> float:
    """One pass of ``tokens`` queries that each see ``keys`` keys (on average) and a caption of ``caption_tokens``."""
    matmuls = 6 * config.dim**2 + 2 * config.dim * config.ffn_dim  # q k v o, cross q and o; ffn
    attention = 2 * (keys + caption_tokens) * config.dim  # scores and sums
    return 2.0 * config.layers * tokens * (matmuls + attention)


def key_value_bytes(config: TransformerConfig, tokens: int, bytes_per_number: int) -> int:
    """Keys and values of ``tokens`` tokens in every layer."""
    return 2 * config.layers * config.dim * tokens * bytes_per_number
