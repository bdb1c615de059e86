"""The small text encoder: padding is zero, unknown words are named and leave no trace, length is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from shotstream.checkpoints.codec_weights import load_text_encoder, save_text_encoder
from shotstream.codecs.protocols import TextEncoder
from shotstream.codecs.text_encoder import TextEncoderConfig, TextTransformer, WorldTextEncoder, token_ids
from shotstream.core.errors import WeightsError
from shotstream.training.stages.text_encoder import learn_tokenizer

WORDS = frozenset({"a", "red", "fox", "close-up", "of", "the", "it's", "walks"})


@pytest.fixture(scope="module")
def encoder() -> WorldTextEncoder:
    torch.manual_seed(0)
    tokenizer = learn_tokenizer(["a red fox walks .", "close-up of the fox , it's red ."], 80)
    config = TextEncoderConfig(vocabulary=80, text_len=12, text_dim=16, layers=2, heads=2, ffn_dim=16)
    return WorldTextEncoder(TextTransformer(config), tokenizer, WORDS)


def test_it_is_a_text_encoder(encoder: WorldTextEncoder) -> None:
    assert isinstance(encoder, TextEncoder)
    assert encoder.encode(["a red fox", "fox"]).shape == (2, 12, 16)


def test_padding_is_zero_and_changes_nothing(encoder: WorldTextEncoder) -> None:
    short = encoder.encode(["fox"])[0]
    used = int((short.abs().sum(-1) > 0).sum())
    assert 0 < used < 12
    assert not short[used:].any()
    torch.testing.assert_close(encoder.encode(["fox", "a red fox walks"])[0], short, atol=1e-5, rtol=0)


def test_unknown_words_are_named_once_in_order(encoder: WorldTextEncoder) -> None:
    text = "A weathered FOX walks; cinematic close-up of the weathered café. It’s red"
    assert encoder.unknown_words(text) == ["weathered", "cinematic", "café"]
    assert encoder.unknown_words("") == []


def test_unknown_words_leave_no_trace(encoder: WorldTextEncoder) -> None:
    assert torch.equal(encoder.encode(["a cinematic red fox"]), encoder.encode(["A red fox"]))


def test_a_caption_without_one_known_word_is_all_zeros(encoder: WorldTextEncoder) -> None:
    assert not encoder.encode(["quantum chromodynamics"]).any()


def test_a_long_caption_keeps_its_start_and_its_end(encoder: WorldTextEncoder) -> None:
    caption = "a " * 20 + "red fox"
    ids = token_ids([caption, "a " * 6, "red fox"], encoder.tokenizer, 12)
    start, end = encoder.tokenizer.encode("a").ids[0], encoder.tokenizer.encode("red fox").ids
    assert ids[0, :6].tolist() == [start] * 6
    assert ids[0, -len(end) :].tolist() == end


def test_one_file_holds_weights_tokenizer_and_words(encoder: WorldTextEncoder, tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    save_text_encoder(encoder, path)
    again = load_text_encoder(path)
    assert again.words == WORDS
    torch.testing.assert_close(again.encode(["a red fox"]), encoder.encode(["a red fox"]), atol=2e-2, rtol=0)


def test_a_garbled_header_is_one_line(encoder: WorldTextEncoder, tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    save_text_encoder(encoder, path)
    tensors = load_file(path)
    for header in ({"kind": "text-encoder"}, {"kind": "text-encoder", "config": "{}"}):
        save_file(tensors, path, metadata=header)
        with pytest.raises(WeightsError, match=r"text\.safetensors: its header cannot be understood"):
            load_text_encoder(path)


def test_what_the_cut_loses_is_named(encoder: WorldTextEncoder) -> None:
    assert encoder.lost_words("a red fox") == []
    assert encoder.lost_words("a " * 12) == []
    lost = encoder.lost_words("a " * 6 + "zebra red fox " + "a " * 6)
    assert lost == ["red", "fox"]  # the zebra is unknown: it was never going to be read
    kept = "a " * 6 + "a " * 6
    assert torch.equal(encoder.encode(["a " * 6 + "red fox " + "a " * 6]), encoder.encode([kept]))
