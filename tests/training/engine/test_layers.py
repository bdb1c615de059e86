"""Checkpointed layers give the same losses and gradients, also where they write to a cache, and keep far less."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from shotstream.models.caches import Cache, GradientStorage
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.training.engine.loop import checkpoint_layers

CONFIG = TransformerConfig(in_channels=4, dim=24, ffn_dim=96, heads=2, layers=6, freq_dim=16, text_dim=12)


def made(checkpointed: bool) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    nn.init.normal_(model.head.head.weight, std=0.3)
    if checkpointed:
        checkpoint_layers([model])
    return model


def given(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole(model: Transformer) -> Tensor:
    """One pass over a shot."""
    return model(given(1, 6, 4, 4, 4, seed=1), torch.tensor([500.0]), given(1, 1, 5, 12, seed=2)).square().mean()


def remembered(model: Transformer) -> Tensor:
    """Three blocks, each seeing those before it, the passes that write the cache with gradients too."""
    cache, loss = Cache(GradientStorage(CONFIG.layers)), torch.zeros(())
    captions = model.encode_captions(given(1, 1, 5, 12, seed=2))
    for block in range(3):
        for timestep, keeps in ((500.0, False), (0.0, True)):
            latents = given(1, 2, 4, 4, 4, seed=3 + block)
            flow = model(
                latents, torch.tensor([timestep]), captions, positions=torch.arange(2) + 2 * block, cache=cache
            )
            loss = loss + flow.square().mean()
            if keeps:
                cache.commit(2 * 4)
    return loss


@pytest.mark.parametrize("loss", [whole, remembered])
def test_losses_and_gradients_are_the_same(loss: object) -> None:
    assert callable(loss)
    plain, checkpointed = made(False), made(True)
    values = [loss(model) for model in (plain, checkpointed)]
    assert torch.equal(values[0], values[1])
    for value in values:
        value.backward()
    for (name, ours), theirs in zip(checkpointed.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=lambda said, name=name: f"{name}: {said}")


@pytest.mark.parametrize("loss", [whole, remembered])
def test_far_less_is_kept_for_the_backward_pass(loss: object) -> None:
    assert callable(loss)
    kept = []
    for model in (made(False), made(True)):
        sizes: dict[int, int] = {}

        def note(tensor: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss(model)
        kept.append(sum(size for place, size in sizes.items() if place not in own))
    assert kept[1] < 0.5 * kept[0]
