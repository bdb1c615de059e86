"""Operations worked out from sizes are those PyTorch's own counter sees."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from shotstream.models.caches import ContextCache, KeyValueStorage
from shotstream.models.config import forward_flops, key_value_bytes
from shotstream.models.transformer import Transformer


@torch.no_grad()
def test_the_layers_of_a_cached_pass(model: Transformer) -> None:
    tokens, cached, caption_tokens = 3 * 6, 2 * 6, 5
    memory = KeyValueStorage.allocate(
        model.config, batch=1, capacity=tokens + cached, device=torch.device("cpu"), dtype=torch.float32
    )
    cache = ContextCache(memory)
    cache.commit(cached)
    captions = model.encode_captions(torch.randn(1, 1, caption_tokens, 8))
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(1, 3, 4, 4, 6), torch.zeros(1), captions, cache=cache)
    counted = counter.get_flop_counts()
    layers = [f"Transformer.blocks.{layer}" for layer in range(model.config.layers)]
    seen = sum(sum(counted[name].values()) for name in layers)
    assert forward_flops(model.config, tokens, tokens + cached, caption_tokens) == seen
    assert key_value_bytes(model.config, tokens + cached, 4) == cache.bytes
