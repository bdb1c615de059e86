"""The stages' losses put every tensor where the model is. Fake tensors stand in for a GPU, see tests/sampling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.solvers import sampler
from shotstream.training.data.next_shot_batches import NextShotBatch
from shotstream.training.data.trajectory_store import Trajectories
from shotstream.training.methods import self_forcing
from shotstream.training.methods.losses import causal_flow_loss, flow_loss
from shotstream.training.methods.self_forcing import DmdSettings, critic_loss, roll_out
from shotstream.training.recipes import NANO, few_steps
from shotstream.training.stages.causal_init import initialisation_loss

ELSEWHERE = torch.device("meta")
CONFIG = TransformerConfig(in_channels=16, dim=24, ffn_dim=32, heads=2, layers=1, freq_dim=16, text_dim=12)
PRESET = few_steps(NANO, (1000, 500)).model_copy(update={"transformer": CONFIG})
SHAPE = PRESET.geometry.latent_shape
SOLVE = sampler(PRESET.student, PRESET.schedule)  # timesteps are looked up as numbers, which fakes have not


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transformer]:
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(self_forcing, "sampler", lambda *_: SOLVE)
    with FakeTensorMode():
        with ELSEWHERE:
            made = Transformer(CONFIG)
        yield made


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def batch() -> NextShotBatch:
    """As the store gives it: on the CPU."""
    index = torch.zeros(2, 6, dtype=torch.long)
    context = ContextFrames(
        latents=torch.randn(2, 6, *SHAPE), shot_index=index, captions=torch.randn(2, 1, 5, 12), caption_index=index
    )
    return NextShotBatch(context, torch.randn(2, 5, 12), torch.randn(2, 6, *SHAPE))


def test_a_batch_left_on_the_cpu_is_found(model: Transformer) -> None:
    with pytest.raises(RuntimeError):
        causal_flow_loss(model, PRESET, batch(), 0.1, generator())


def test_flow_matching(model: Transformer) -> None:
    moved = batch().to(ELSEWHERE)
    assert causal_flow_loss(model, PRESET, moved, 0.1, generator())[0].device == ELSEWHERE
    assert flow_loss(moved.target, moved.target, moved.target, torch.ones(2)).device == ELSEWHERE


def test_causal_initialisation(model: Transformer) -> None:
    given = batch()
    states = torch.randn(2, 3, 6, *SHAPE)
    pairs = Trajectories(states, torch.tensor([1000.0, 500.0, 0.0]), given.context, given.caption).to(ELSEWHERE)
    told = torch.ones(2).to(ELSEWHERE)
    assert initialisation_loss(model, pairs, told, 3, generator()).device == ELSEWHERE


@pytest.mark.parametrize("learning", [True, False])
def test_a_rollout_and_the_critics_loss(model: Transformer, learning: bool) -> None:
    moved = batch().to(ELSEWHERE)
    made = roll_out(
        model,
        PRESET,
        moved.context,
        moved.caption,
        frames=6,
        exit_step=1,
        seeds=[1, 2],
        learning=learning,
        context_gradient=True,
    )
    assert made.latents.device == ELSEWHERE
    assert critic_loss(made, model, PRESET, DmdSettings(), generator()).loss.device == ELSEWHERE
