"""Wan's codecs into a model's folder: ``vae/`` as diffusers reads it, ``text_encoder/`` and ``tokenizer/`` as
transformers does. From a folder that has these already, or from the files of Wan's own release."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from shotstream.codecs.wan_folder import LIGHT_DECODER
from shotstream.core.errors import WeightsError
from shotstream.core.files import make_folder, ready_to_write, whole_file
from shotstream.core.weight_check import check_names_and_shapes
from shotstream.tools.convert import DIFFUSERS_FILE
from shotstream.tools.safetensors_writer import unchanged, write_safetensors
from shotstream.tools.stored_tensors import CHECKPOINTS, StoredTensor, read_checkpoint, read_safetensors

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan
    from transformers import UMT5EncoderModel

FOLDERS = ("vae", "text_encoder", "tokenizer")
VAE_FILE, TEXT_FILE, TOKENIZER_FOLDER = "Wan2.1_VAE", "models_t5_umt5-xxl-enc-bf16", "google/umt5-xxl"

_IN_A_BLOCK = {
    "norm1": "layer.0.layer_norm",
    "norm2": "layer.1.layer_norm",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
} | {f"attn.{part}": f"layer.0.SelfAttention.{part}" for part in "qkvo"}
_OUTSIDE_BLOCKS = {"token_embedding": "shared", "norm": "encoder.final_layer_norm"}


def bring_codecs(source: Path, folder: Path, *, force: bool = False) -> list[str]:
    """Put whatever codecs ``source`` holds into ``folder``; returns their names.

    Files that need no change are linked where the disk allows it, else copied. Raises :class:`WeightsError`,
    :class:`InputError` for what is there already, :class:`StorageError`.
    """
    brought = []
    for name in (*FOLDERS, LIGHT_DECODER):
        if (source / name).exists():
            _same(source / name, folder / name, force)
            brought.append(name)
    if (source / TOKENIZER_FOLDER).is_dir():
        _same(source / TOKENIZER_FOLDER, folder / "tokenizer", force)
        brought.append("tokenizer")
    for stem, name, change in ((VAE_FILE, "vae", convert_vae), (TEXT_FILE, "text_encoder", convert_text_encoder)):
        for suffix in (".pth", ".safetensors"):
            if name not in brought and (source / f"{stem}{suffix}").is_file():
                change(source / f"{stem}{suffix}", folder / name, force=force)
                brought.append(name)
    return brought


def convert_vae(source: Path, folder: Path, *, force: bool = False) -> None:
    """The video autoencoder of Wan's release -> a folder that ``AutoencoderKLWan.from_pretrained`` takes."""
    from diffusers import AutoencoderKLWan
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    found = _plain_tensors(source)
    named: dict[str, StoredTensor] = convert_wan_vae_to_diffusers(dict(found))
    first, last = found.get("encoder.conv1.weight"), found.get("conv2.weight")
    if first is None or last is None or len(first.shape) != 5:
        raise WeightsError(f"{source}: not Wan's video autoencoder; give {VAE_FILE}.pth of its release")
    module: AutoencoderKLWan = _on_meta(lambda: AutoencoderKLWan(base_dim=first.shape[0], z_dim=last.shape[0]))
    if module.config.z_dim != len(module.config.latents_mean):
        raise WeightsError(f"{source}: {module.config.z_dim} latent channels, whose statistics are not published")
    _write(module, named, source, folder / DIFFUSERS_FILE, force)
    module.save_config(folder)


def convert_text_encoder(source: Path, folder: Path, *, force: bool = False) -> None:
    """UMT5's encoder in the names of Wan's release -> a folder that ``UMT5EncoderModel.from_pretrained`` takes."""
    from transformers import UMT5Config, UMT5EncoderModel

    found = _plain_tensors(source)
    needed = ("token_embedding.weight", "blocks.0.attn.q.weight", "blocks.0.ffn.fc1.weight")
    buckets = found.get("blocks.0.pos_embedding.embedding.weight")
    if buckets is None or any(name not in found for name in needed):
        raise WeightsError(f"{source}: not UMT5's encoder; give {TEXT_FILE}.pth of Wan's release")
    (words, width), (inner, _), (ffn, _) = (found[name].shape for name in needed)
    config = UMT5Config(
        vocab_size=words,
        d_model=width,
        d_kv=inner // buckets.shape[1],
        d_ff=ffn,
        num_layers=len({name.split(".")[1] for name in found if name.startswith("blocks.")}),
        num_heads=buckets.shape[1],
        relative_attention_num_buckets=buckets.shape[0],
        feed_forward_proj="gated-gelu",
        dtype=found[needed[1]].dtype,
    )
    module: UMT5EncoderModel = _on_meta(lambda: UMT5EncoderModel(config))
    named = {_text_name(name): tensor for name, tensor in found.items()}
    _write(module, named, source, folder / "model.safetensors", force, tied=("encoder.embed_tokens.weight",))
    config.architectures = ["UMT5EncoderModel"]
    config.save_pretrained(folder)


def _text_name(name: str) -> str:
    """A parameter of UMT5 in Wan's names -> transformers'."""
    part = name.removesuffix(".weight")
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)", part)
    if found and found[2] in _IN_A_BLOCK:
        return f"encoder.block.{found[1]}.{_IN_A_BLOCK[found[2]]}.weight"
    return f"{_OUTSIDE_BLOCKS[part]}.weight" if part in _OUTSIDE_BLOCKS else name


def _plain_tensors(source: Path) -> dict[str, StoredTensor]:
    if source.suffix not in CHECKPOINTS:
        return read_safetensors(source)
    found = read_checkpoint(source)
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, StoredTensor)}


def _on_meta(make: Callable[[], Any]) -> Any:
    with torch.device("meta"):
        return make()


def _write(
    module: nn.Module,
    tensors: Mapping[str, StoredTensor],
    source: Path,
    path: Path,
    force: bool,
    tied: tuple[str, ...] = (),
) -> None:
    """Check ``tensors`` against ``module`` and write them, to the bit. ``tied``: names that only repeat others."""
    complete = {**tensors, **{name: tensors["shared.weight"] for name in tied if "shared.weight" in tensors}}
    check_names_and_shapes(module, complete, str(source))
    make_folder(path.parent)
    ready_to_write(path, force=force)
    write_safetensors(path, {name: unchanged(tensor) for name, tensor in tensors.items()}, {"format": "pt"})


def _same(source: Path, target: Path, force: bool) -> None:
    """The file or folder ``source`` once more as ``target``."""
    if source.is_dir():
        make_folder(target)
        for inner in sorted(source.iterdir()):
            if not inner.name.startswith("."):
                _same(inner, target / inner.name, force)
        return
    if target.exists() and target.samefile(source):
        return
    ready_to_write(target, force=force)
    with whole_file(target) as temporary:
        temporary.unlink()
        try:
            os.link(os.path.realpath(source), temporary)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, temporary)
