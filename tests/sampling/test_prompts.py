"""Prompts are read once, and what was read before changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder
from shotstream.models.transformer import Transformer
from shotstream.sampling.prompts import Blend, Branches, CachedTextEncoder, PromptCache


class Counted:
    """A text encoder that remembers what it was asked."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder, self.asked = encoder, []
        self.text_len, self.text_dim = encoder.text_len, encoder.text_dim

    def encode(self, captions: Sequence[str]) -> Tensor:
        self.asked.append(list(captions))
        return self.encoder.encode(captions)

    def lost_words(self, text: str) -> list[str]:
        return []

    def unknown_words(self, text: str) -> list[str]:
        return ["zebra"]


@pytest.fixture
def counted(text_encoder: TextEncoder) -> Counted:
    return Counted(text_encoder)


def test_each_caption_is_encoded_alone_and_once(counted: Counted, text_encoder: TextEncoder) -> None:
    text = CachedTextEncoder(counted, kept=3)
    assert isinstance(text, TextEncoder)
    captions = ["a fox", "a bear", "a fox"]
    assert torch.equal(text.encode(captions), text_encoder.encode(captions))
    assert counted.asked == [["a fox"], ["a bear"]]
    assert (text.text_len, text.text_dim, text.unknown_words("")) == (5, 8, ["zebra"])
    text.encode(["c", "d", "a fox", "a bear"])
    assert counted.asked[2:] == [["c"], ["d"], ["a bear"]]  # the bear was the one not used for longest


@pytest.mark.parametrize(("guidance", "negative"), [(1.0, None), (2.0, None), (2.0, "blurred")])
def test_it_is_what_the_model_makes_of_both_branches(
    model: Transformer, text_encoder: TextEncoder, guidance: float, negative: str | None
) -> None:
    branches = Branches(guidance, None if negative is None else text_encoder.encode([negative])[0])
    reader = PromptCache(model, text_encoder, branches, kept=4)
    prompts = ["a fox", "a bear", "an owl"]
    expected = model.encode_captions(branches.captions(text_encoder.encode(prompts)[None]))
    for _ in range(2):
        read = reader.read(prompts)
        assert read.captions == 3
        for ours, theirs in zip((*read.keys, *read.values), (*expected.keys, *expected.values), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_a_prompt_is_read_once_and_the_same_to_the_bit(model: Transformer, counted: Counted) -> None:
    reader = PromptCache(model, counted, Branches(2.0), kept=2)
    alone = reader.read(["a fox"])
    beside = reader.read(["a bear", "a fox"])
    assert counted.asked == [["a fox"], ["a bear"]]
    again = PromptCache(model, counted, Branches(2.0), kept=0).read(["a fox"])
    for one, two, three in zip(alone.keys, beside.keys, again.keys, strict=True):
        assert torch.equal(one, two[:, 1:]) and torch.equal(one, three)
        assert not one.requires_grad


def test_drafts_push_out_nothing_but_each_other(model: Transformer, counted: Counted) -> None:
    reader = PromptCache(model, counted, Branches(1.0), kept=2)
    reader.read(["a fox", "a bear"])
    for draft in ("it", "it walks", "it walks", "it walks on"):
        reader.read_ahead(draft)
    assert counted.asked == [["a fox"], ["a bear"], ["it"], ["it walks"], ["it walks on"]]
    reader.read(["a fox", "a bear"])
    ahead = reader.read(["it walks on"])
    assert len(counted.asked) == 5
    fresh = PromptCache(model, counted, Branches(1.0), kept=2).read(["it walks on"])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(ahead.keys, fresh.keys, strict=True))


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_blend_goes_from_one_prompt_to_the_other(
    model: Transformer, text_encoder: TextEncoder, guidance: float
) -> None:
    reader = PromptCache(model, text_encoder, Branches(guidance), kept=4)
    generator = torch.Generator().manual_seed(3)
    batch = reader.branches.count
    x = torch.randn(batch, 3, *_latent_shape(model), generator=generator)

    def flow(prompt: str, blend: Blend | None = None) -> Tensor:
        captions = reader.read([prompt]) if blend is None else reader.read_blended(prompt, blend)
        with torch.no_grad():
            return model(x, torch.full((batch,), 500.0), captions)

    fox, bear = flow("a fox"), flow("a bear")
    torch.testing.assert_close(flow("a fox", Blend("a fox", 0.3)), fox, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(flow("a bear", Blend("a fox", 1e-7)), fox, atol=1e-5, rtol=1e-4)
    away = [(flow("a bear", Blend("a fox", share)) - fox).norm().item() for share in (0.2, 0.5, 0.8)]
    assert 0 < away[0] < away[1] < away[2] < (bear - fox).norm().item() * 1.01


def _latent_shape(model: Transformer) -> tuple[int, int, int]:
    return model.config.in_channels, 2 * model.config.patch, 2 * model.config.patch
