"""Wan's codecs out of the files of its release: the same modules, to the bit."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from wan_rig import TEXT, TINY_WAN, VAE, bring_codecs, original_vae_names, text_encoder, vae

from shotstream.checkpoints.codec_weights import READER
from shotstream.checkpoints.convert_codecs import convert_codec
from shotstream.cli.main import main
from shotstream.core.errors import InputError, WeightsError
from shotstream.families.family import CodecOptions
from shotstream.families.wan import CODECS, WanFolder

convert_vae, convert_text_encoder = (partial(convert_codec, codec) for codec in CODECS.foreign)


def test_the_autoencoder_is_the_one_diffusers_loads(wan_release: Path, tmp_path: Path) -> None:
    from diffusers import AutoencoderKLWan

    convert_vae(wan_release / VAE, tmp_path / "vae")
    loaded, said = AutoencoderKLWan.from_pretrained(tmp_path / "vae", output_loading_info=True)
    assert not any(said[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = vae().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_the_text_encoder_is_the_one_transformers_loads(wan_release: Path, tmp_path: Path) -> None:
    from transformers import UMT5EncoderModel

    convert_text_encoder(wan_release / TEXT, tmp_path / "text")
    loaded, said = UMT5EncoderModel.from_pretrained(tmp_path / "text", output_loading_info=True)
    assert not any(said[fault] for fault in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = text_encoder()
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    ids = torch.tensor([[3, 4, 5, 1]])
    with torch.no_grad():
        states = (loaded.eval()(ids).last_hidden_state, expected(ids).last_hidden_state)
    assert torch.equal(*states)


def test_folders_that_are_right_already_are_linked(wan_release: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    assert sorted(bring_codecs(wan_release, first)) == ["text_encoder", "tokenizer", "vae"]
    (first / "taew2_1.pth").write_bytes(b"light")
    assert sorted(bring_codecs(first, second)) == ["taew2_1.pth", "text_encoder", "tokenizer", "vae"]
    weights = Path("vae") / "diffusion_pytorch_model.safetensors"
    assert (first / weights).samefile(second / weights)
    bring_codecs(first, second)  # the same files once more: nothing to do
    (second / "tokenizer" / "tokenizer.json").unlink()
    (second / "tokenizer" / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="already exists"):
        bring_codecs(first, second)
    (tmp_path / "empty").mkdir()
    assert bring_codecs(tmp_path / "empty", tmp_path / "third") == []


def test_what_is_another_file_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(3)}, tmp_path / "other.pth")
    for change in (convert_vae, convert_text_encoder):
        with pytest.raises(WeightsError, match=r"other\.pth: not "):
            change(tmp_path / "other.pth", tmp_path / "out")
    tensors = original_vae_names(dict(vae().state_dict()))
    del tensors["decoder.head.2.bias"]
    tensors["encoder.surplus"] = torch.zeros(1)
    torch.save(tensors, tmp_path / "vae.pth")
    with pytest.raises(WeightsError, match=r"missing decoder\.conv_out\.bias.*extra encoder\.surplus"):
        convert_vae(tmp_path / "vae.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def tensors_in(path: Path) -> dict[str, torch.Tensor]:
    return {name: one.clone() for name, one in torch.load(path, weights_only=True).items()}


@pytest.fixture
def others(wan_release: Path, tmp_path: Path) -> Path:
    """The codecs as ComfyUI's users keep them: other names, sub-folders, transformers' names for the text encoder."""
    place = tmp_path / "ComfyUI" / "models"
    for name in ("vae", "text_encoders", "tokenizers/umt5"):
        (place / name).mkdir(parents=True)
    save_file(tensors_in(wan_release / VAE), place / "vae" / "wan_2.1_vae.safetensors")
    text = {name: one.clone() for name, one in text_encoder().state_dict().items() if "embed_tokens" not in name}
    save_file(text | {"spiece_model": torch.zeros(4, dtype=torch.uint8)}, place / "text_encoders" / "umt5.safetensors")
    tokenizer = wan_release / "google" / "umt5-xxl" / "tokenizer.json"
    (place / "tokenizers/umt5/tokenizer.json").write_bytes(tokenizer.read_bytes())
    return tmp_path / "ComfyUI"


def test_codecs_are_told_by_what_is_in_them(wan_release: Path, others: Path, tmp_path: Path) -> None:
    bring_codecs(wan_release, tmp_path / "wanted")
    assert sorted(bring_codecs(others, tmp_path / "found", complete=True)) == ["text_encoder", "tokenizer", "vae"]
    for name in ("vae/diffusion_pytorch_model", "text_encoder/model"):
        wanted, found = (load_file(tmp_path / place / f"{name}.safetensors") for place in ("wanted", "found"))
        assert wanted.keys() == found.keys() and all(torch.equal(one, found[key]) for key, one in wanted.items())
    options = CodecOptions(device=torch.device("cpu"), dtype=torch.float32, placement="cpu")
    encoders = [WanFolder(tmp_path / place, READER).open_text(options) for place in ("wanted", "found")]
    assert torch.equal(*(one.encode(["a red fox"]) for one in encoders))


def test_codecs_out_of_one_file_for_everything(wan_release: Path, others: Path, tmp_path: Path) -> None:
    """As ComfyUI's checkpoints keep them: every network behind a prefix of its own."""
    vae_file, text = (
        others / "models" / name for name in ("vae/wan_2.1_vae.safetensors", "text_encoders/umt5.safetensors")
    )
    both = {f"vae.{name}": one for name, one in load_file(vae_file).items()}
    both |= {f"text_encoders.umt5xxl.transformer.{name}": one for name, one in load_file(text).items()}
    for file in (vae_file, text):
        file.unlink()
    save_file(both, others / "all_in_one.safetensors")
    assert sorted(bring_codecs(others, tmp_path / "m", complete=True)) == ["text_encoder", "tokenizer", "vae"]
    bring_codecs(wan_release, tmp_path / "wanted")
    for name in ("vae/diffusion_pytorch_model", "text_encoder/model"):
        wanted, found = (load_file(tmp_path / place / f"{name}.safetensors") for place in ("wanted", "m"))
        assert wanted.keys() == found.keys() and all(torch.equal(one, found[key]) for key, one in wanted.items())


def test_a_text_encoder_in_eight_bits_is_scaled(others: Path, tmp_path: Path) -> None:
    path = others / "models" / "text_encoders" / "umt5.safetensors"
    plain, stored = load_file(path), {}
    for name, one in plain.items():
        matrix = one.ndim == 2 and "SelfAttention" in name and "bias" not in name
        stored[name] = (one / 0.5).to(torch.float8_e4m3fn) if matrix else one
        stored |= {name.removesuffix("weight") + "scale_weight": torch.tensor(0.5)} if matrix else {}
    save_file(stored | {"scaled_fp8": torch.zeros(0).to(torch.float8_e4m3fn)}, path)
    bring_codecs(others, tmp_path / "m", complete=True)
    found = load_file(tmp_path / "m" / "text_encoder" / "model.safetensors")
    name = "encoder.block.1.layer.0.SelfAttention.q.weight"
    assert torch.equal(found[name], (plain[name] / 0.5).to(torch.float8_e4m3fn).float() * 0.5)


def test_nothing_is_written_before_all_is_checked(wan_release: Path, others: Path, tmp_path: Path) -> None:
    (others / "models/tokenizers/umt5/tokenizer.json").rename(others / "models/tokenizers/umt5/spiece.model")
    target = tmp_path / "m"
    for complete in (True, False):
        with pytest.raises(WeightsError, match=r"spiece\.model: no tokenizer\.json beside it"):
            bring_codecs(others, target, complete=complete)
    (others / "models/tokenizers/umt5/spiece.model").unlink()
    with pytest.raises(WeightsError, match=r"no tokenizer/ .*sub-folders; bring what is missing, nothing was written"):
        bring_codecs(others, target, complete=True)
    (others / "models/tokenizers/umt5/tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(WeightsError, match="a Git LFS pointer"):
        bring_codecs(others, target, complete=True)
    (others / "models/tokenizers/umt5/tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError, match="not a tokenizer"):
        bring_codecs(others, target, complete=True)
    assert not target.exists()
    words = ["models", "convert", str(wan_release / "diffusion_pytorch_model.safetensors"), str(target)]
    (tmp_path / "tiny.json").write_text(TINY_WAN.model_dump_json())
    assert main([*words, "--preset", str(tmp_path / "tiny.json"), "--codecs", str(others)]) == 2
    assert not target.exists()


def test_the_cache_of_hugging_face_is_read_as_it_lies(wan_release: Path, tmp_path: Path) -> None:
    """A repository of the hub's cache: links of a snapshot to files that are called by their digests."""
    bring_codecs(wan_release, tmp_path / "wanted")
    repo = tmp_path / "models--someone--wan"
    for number, file in enumerate(path for path in (tmp_path / "wanted").rglob("*") if path.is_file()):
        blob = repo / "blobs" / f"{number:040x}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(file.read_bytes())
        link = repo / "snapshots" / "0123" / file.relative_to(tmp_path / "wanted")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (repo / "snapshots" / "4567").mkdir()
    (repo / "snapshots" / "0123" / "vae" / "._diffusion_pytorch_model.safetensors").write_bytes(bytes(82))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0123")
    assert bring_codecs(repo, tmp_path / "m", complete=True) == ["vae", "text_encoder", "tokenizer"]
    made = sorted(path for path in (tmp_path / "m").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "m") for path in made] == sorted(
        path.relative_to(tmp_path / "wanted") for path in (tmp_path / "wanted").rglob("*") if path.is_file()
    )
    assert not any(path.is_symlink() for path in made)
