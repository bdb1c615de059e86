"""A story's pictures in one pass: each sees what it would see alone behind its memory, and nothing tells it itself."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shotstream.models.presets import Preset, read_preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import load_transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.teacher import next_shot_flow
from shotstream.training.material import Material
from shotstream.training.next_shot_batches import NextShotSettings
from shotstream.training.picture_chain import PictureChain, chain_flow, chain_loss, draw_chain

WHOLE = NextShotSettings(context_noise=0, caption_drop=0)


@pytest.fixture
def preset(preset_file: str) -> Preset:
    return read_preset(Path(preset_file))


@pytest.fixture
def model(tiny_model: Path) -> Transformer:
    return load_transformer(tiny_model / "teacher.safetensors")[0]


@pytest.fixture
def chain(preset: Preset) -> PictureChain:
    generator = torch.Generator().manual_seed(3)
    pictures = torch.randn(2, 4, *preset.geometry.latent_shape, generator=generator)
    captions = torch.randn(2, 4, 5, preset.transformer.text_dim, generator=generator)
    return PictureChain(pictures, pictures.clone(), captions, torch.tensor([[0, 1, 3, 4], [0, 2, 3, 5]]))


def flow_of(model: Transformer, chain: PictureChain, noisy: torch.Tensor) -> torch.Tensor:
    times = torch.tensor([[900.0, 1000.0, 500.0], [1000.0, 700.0, 800.0]])
    with torch.no_grad():
        return chain_flow(model, chain, noisy, times)


def test_the_second_picture_sees_the_first_as_a_shot_to_come_sees_its_memory(
    model: Transformer, chain: PictureChain
) -> None:
    noisy = torch.randn(chain.pictures[:, 1:].shape, generator=torch.Generator().manual_seed(1))
    context = ContextFrames(
        latents=chain.remembered[:, :1],
        shot_index=torch.zeros(2, 1, dtype=torch.long),
        captions=chain.captions[:, :1],
        caption_index=torch.zeros(2, 1, dtype=torch.long),
    )
    times = torch.tensor([900.0, 1000.0])
    with torch.no_grad():
        alone = next_shot_flow(
            model, context, chain.captions[:, 1], noisy[:, :1], times, "zero", chain.positions[:, :2]
        )
    torch.testing.assert_close(flow_of(model, chain, noisy)[:, :1], alone, atol=1e-5, rtol=1e-4)


def test_a_picture_sees_every_earlier_one_and_no_later_one_nor_itself_clean(
    model: Transformer, chain: PictureChain
) -> None:
    noisy = torch.randn(chain.pictures[:, 1:].shape, generator=torch.Generator().manual_seed(1))
    before = flow_of(model, chain, noisy)
    for changed in range(4):
        remembered = chain.remembered.clone()
        remembered[:, changed] += 1
        differs = (flow_of(model, replace(chain, remembered=remembered), noisy) - before).abs().amax((0, 2, 3, 4)) > 0
        assert differs.tolist() == [changed < picture for picture in (1, 2, 3)]


def test_chains_are_stories_in_their_order(found: Material) -> None:
    pictures = found.pictures
    assert pictures is not None
    wholes = [pictures.draw_story(random.Random(seed), 2)[0] for seed in range(60)]
    lengths = set()
    for seed in range(20):
        chain = draw_chain(pictures, random.Random(seed), WHOLE, 16, 2)
        count, length = chain.pictures.shape[:2]
        lengths.add(length)
        assert count == max(1, 16 // (2 * length - 1)) and torch.equal(chain.remembered, chain.pictures)
        assert (chain.positions[:, 0] == 0).all()
        assert all(1 <= step <= 2 // (length - 1) for step in chain.positions.diff().flatten().tolist())
        assert all(any(torch.equal(one[:2], whole) for whole in wholes) for one in chain.pictures)
    assert lengths == {2, 3}
    noisy = draw_chain(pictures, random.Random(1), NextShotSettings(context_noise=0.5, caption_drop=1), 16, 2)
    assert not noisy.captions.any() and not torch.equal(noisy.remembered, noisy.pictures)


def test_its_loss_learns(model: Transformer, chain: PictureChain) -> None:
    model.requires_grad_(True)
    loss = chain_loss(model, chain, torch.full((2, 3), 900.0), torch.Generator().manual_seed(0))
    loss.backward()
    assert torch.isfinite(loss) and all(one.grad is not None for one in model.blocks.parameters())
