"""The text encoder is transformers' own: the same numbers, padding zeroed, every prompt read once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from shotstream.checkpoints.codec_weights import READER
from shotstream.codecs.protocols import Placement, TextEncoder
from shotstream.codecs.umt5 import EmbeddingStore, Umt5TextEncoder, plain
from shotstream.core.errors import WeightsError
from shotstream.families.family import CodecOptions
from shotstream.families.wan import WanFolder

transformers = pytest.importorskip("transformers")
CAPTIONS = ["a red fox in the snow.", "it walks", "", "owl " * 40, "wide shot - the fox"]
LENGTH = 16


def encoder(folder: Path, store: Path | None = None, placement: Placement = "cpu") -> Umt5TextEncoder:
    device = torch.device("cpu")
    options = CodecOptions(device=device, dtype=torch.float32, placement=placement, store=store)
    return WanFolder(folder, READER).open_text(options, text_len=LENGTH)


def by_transformers(folder: Path, captions: list[str]) -> Tensor:
    """As diffusers' Wan pipeline does it: padded and masked, then zeros for the padding."""
    path = folder / "tokenizer" / "tokenizer.json"
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path), pad_token="<pad>")
    tokens = tokenizer(captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    module = transformers.UMT5EncoderModel.from_pretrained(folder / "text_encoder").eval()
    with torch.no_grad():
        states = module(tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
    return states * tokens.attention_mask[..., None]


@pytest.mark.parametrize("placement", ["cpu", "device", "streamed"])
def test_it_says_what_transformers_says(tiny_wan: Path, placement: Placement) -> None:
    text = encoder(tiny_wan, placement=placement)
    assert isinstance(text, TextEncoder) and (text.text_len, text.text_dim) == (LENGTH, 32)
    ours, expected = text.encode(CAPTIONS), by_transformers(tiny_wan, CAPTIONS)
    assert ours.shape == (len(CAPTIONS), LENGTH, 32)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    assert [int((row.abs().sum(-1) > 0).sum()) for row in ours] == [8, 3, 1, LENGTH, 6]
    assert text.unknown_words("zebra") == []
    assert [len(text.lost_words(caption)) for caption in CAPTIONS] == [0, 0, 0, 40 - (LENGTH - 1), 0]


def test_a_prompt_is_read_once(tiny_wan: Path, tmp_path: Path) -> None:
    first = encoder(tiny_wan, tmp_path).encode(CAPTIONS)
    files = list(tmp_path.rglob("*.safetensors"))
    assert len(files) == len(CAPTIONS)
    for file in files:  # were they read again, this would show
        save_file({"embedding": load_file(file)["embedding"] + 1}, file)
    again = encoder(tiny_wan, tmp_path)
    second = again.encode(CAPTIONS)
    told = first.abs().sum(-1, keepdim=True) > 0
    torch.testing.assert_close(second, first + told, atol=1e-6, rtol=1e-6)
    assert next(again._module.parameters()).is_meta  # not even the weights were needed
    files[0].write_bytes(b"damaged")
    assert encoder(tiny_wan, tmp_path).encode(CAPTIONS).shape == first.shape


def test_another_encoder_does_not_share_embeddings(tiny_wan: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_wan, other)
    weights = load_file(other / "text_encoder" / "model.safetensors")
    weights["encoder.final_layer_norm.weight"] *= 2
    save_file(weights, other / "text_encoder" / "model.safetensors")
    store = tmp_path / "store"
    first, second = (encoder(folder, store).encode(["a fox"]) for folder in (tiny_wan, other))
    assert not torch.allclose(first, second)


def test_the_store_forgets_the_least_recently_read(tmp_path: Path) -> None:
    import os

    store = EmbeddingStore(tmp_path, "e", limit=3)
    for age, text in enumerate("abc"):
        store.put(text, torch.full((1, 2), float(age)))
        os.utime(store._path(text), (age, age))
    assert store.get("a") is not None  # read now: the youngest
    store.put("d", torch.zeros(1, 2))
    assert [store.get(text) is not None for text in "abcd"] == [True, False, True, True]


def test_captions_are_cleaned_as_wan_cleans_them() -> None:
    assert plain("  a \n fox\t&amp;amp; \u201cowl\u201d ") == 'a fox & "owl"'


def test_files_that_do_not_fit_are_named_before_any_prompt(tiny_wan: Path, tmp_path: Path) -> None:
    for name in ("text_encoder", "tokenizer"):
        shutil.copytree(tiny_wan / name, tmp_path / name)
    weights = load_file(tmp_path / "text_encoder" / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "final_layer_norm" not in name}
    save_file(kept, tmp_path / "text_encoder" / "model.safetensors")
    with pytest.raises(WeightsError, match=r"missing encoder\.final_layer_norm\.weight"):
        encoder(tmp_path)
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"tokenizer\.json: not a tokenizer"):
        encoder(tmp_path)
    (tmp_path / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.json: no such file"):
        encoder(tmp_path)
