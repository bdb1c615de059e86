"""Floating-point operations and bytes of the transformer, computed from sizes alone.

Operations count 2 per multiply-add, and only matmuls: not norms, softmax, the patch embedding, the head, the
timestep layers, or the keys and values of captions, which are computed once per prompt.
"""

from __future__ import annotations

from shotstream.models.config import TransformerConfig


def forward_flops(config: TransformerConfig, tokens: int, keys: float, caption_tokens: int = 0) -> float:
    """One pass of ``tokens`` queries that each see ``keys`` keys (on average) and a caption of ``caption_tokens``."""
    products = 6 * config.dim**2 + 2 * config.dim * config.ffn_dim  # q k v o, cross q and o; ffn
    attention = 2 * (keys + caption_tokens) * config.dim  # scores and sums
    return 2.0 * config.layers * tokens * (products + attention)


def key_value_bytes(config: TransformerConfig, tokens: int, bytes_per_number: int) -> int:
    """Keys and values of ``tokens`` tokens in every layer."""
    return 2 * config.layers * config.dim * tokens * bytes_per_number
