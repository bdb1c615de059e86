"""Prompts are read once, and what was read before changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder
from shotstream.models.transformer import Transformer
from shotstream.sampling.branches import Branches
from shotstream.sampling.prompts import CachedTextEncoder, PromptCache


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
