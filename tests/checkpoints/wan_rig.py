"""A tiny model in the form of Wan's release: the same file names and tensor names, a handful of numbers."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor

from shotstream.checkpoints.convert_codecs import find_codecs
from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer

TINY_WAN = Preset(
    name="tiny-wan",
    geometry=Geometry(width=48, height=32, spatial=8, latent_channels=16, default_blocks=1, max_blocks=2),
    transformer=TransformerConfig(in_channels=16, dim=24, ffn_dim=40, heads=2, layers=2, freq_dim=16, text_dim=32),
    schedule=FlowSchedule(shift=8.0),
    student=SamplerSettings(timesteps=(1000, 740)),
    teacher=SamplerSettings(kind="euler", steps=2, guidance=6.0),
    condition_time="same",
)
WORDS = ("a", "red", "fox", "in", "the", "snow", "wide", "shot", "it", "walks", ".", "-")
TRANSFORMER, VAE, TEXT = "diffusion_pytorch_model.safetensors", "Wan2.1_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth"

# Wan's names of UMT5's parameters, written from its published module (wan/modules/t5.py): block by block.
T5_BLOCK = {
    "norm1": "layer.0.layer_norm",
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm2": "layer.1.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
}


def transformer_weights(preset: Preset = TINY_WAN, seed: int = 0) -> dict[str, Tensor]:
    """Random weights in Wan's names, of a head that says something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(preset.transformer)
        torch.nn.init.normal_(model.head.head.weight, std=0.3)
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def wan_config(preset: Preset = TINY_WAN) -> dict[str, Any]:
    """``config.json`` of Wan's release."""
    config = preset.transformer
    return {
        "_class_name": "WanModel",
        "dim": config.dim,
        "eps": config.eps,
        "ffn_dim": config.ffn_dim,
        "freq_dim": config.freq_dim,
        "in_dim": config.in_channels,
        "model_type": "t2v",
        "num_heads": config.heads,
        "num_layers": config.layers,
        "out_dim": config.in_channels,
        "text_len": 512,
    }


def make_release(folder: Path) -> None:
    """Write a whole release into ``folder``."""
    save_file(transformer_weights(), folder / TRANSFORMER)
    (folder / "config.json").write_text(json.dumps(wan_config()))
    torch.save(original_vae_names(dict(vae().state_dict())), folder / VAE)
    torch.save(original_text_names(dict(text_encoder().state_dict())), folder / TEXT)
    tokenizer = folder / "google" / "umt5-xxl"
    tokenizer.mkdir(parents=True)
    make_tokenizer().save(str(tokenizer / "tokenizer.json"))


def vae() -> Any:
    """A narrow autoencoder with the published number of layers, and some life in its norms."""
    from diffusers import AutoencoderKLWan

    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = AutoencoderKLWan(base_dim=4)
        for name, parameter in module.named_parameters():
            if name.endswith("gamma"):
                torch.nn.init.normal_(parameter, mean=1.0, std=0.2)
    return module.eval().requires_grad_(False)


def text_encoder() -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    with torch.random.fork_rng():
        torch.manual_seed(2)
        config = UMT5Config(
            vocab_size=len(WORDS) + 3,
            d_model=TINY_WAN.transformer.text_dim,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
        )
        module = UMT5EncoderModel(config)
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return module.eval().requires_grad_(False)


def make_tokenizer() -> Tokenizer:
    """One token per word and an end, as UMT5's tokenizer ends a caption; 0 is padding."""
    vocabulary = {word: index for index, word in enumerate(("<pad>", "</s>", "<unk>", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def original_text_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    named = {"token_embedding.weight": state["shared.weight"], "norm.weight": state["encoder.final_layer_norm.weight"]}
    for block in range(2):
        for ours, theirs in T5_BLOCK.items():
            named[f"blocks.{block}.{ours}.weight"] = state[f"encoder.block.{block}.{theirs}.weight"]
    return named


def original_vae_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The release's names, found by asking diffusers' own converter what it makes of every name there could be."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    residual = [f"residual.{place}.{kind}" for place, kind in product((0, 2, 3, 6), ("gamma", "weight", "bias"))]
    attention = ["norm.gamma", *(f"{part}.{kind}" for part, kind in product(("to_qkv", "proj"), ("weight", "bias")))]
    steps = [f"{part}.{kind}" for part, kind in product(("shortcut", "resample.1", "time_conv"), ("weight", "bias"))]
    candidates = [f"{part}.{kind}" for part, kind in product(("conv1", "conv2"), ("weight", "bias"))]
    for side, row in (("encoder", "downsamples"), ("decoder", "upsamples")):
        candidates += [f"{side}.conv1.{kind}" for kind in ("weight", "bias")]
        candidates += [f"{side}.head.{end}" for end in ("0.gamma", "2.weight", "2.bias")]
        candidates += [f"{side}.middle.{place}.{end}" for place, end in product((0, 2), residual)]
        candidates += [f"{side}.middle.1.{end}" for end in attention]
        candidates += [f"{side}.{row}.{place}.{end}" for place, end in product(range(16), residual + steps)]
    named = {}
    for candidate in candidates:
        ((theirs, _),) = convert_wan_vae_to_diffusers({candidate: None}).items()
        if theirs in state:
            named[candidate] = state[theirs]
    assert len(named) == len(state), set(state) - {next(iter(convert_wan_vae_to_diffusers({n: 0}))) for n in named}
    return named


def tiny_decoder_weights(widths: tuple[int, ...] = (10, 8, 6, 4), channels: int = 16) -> dict[str, Tensor]:
    """A state dict with the names and shapes of taew2_1.pth (madebyollin/taehv), at other widths."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {"encoder.0.weight": torch.zeros(4, 3, 3, 3), "encoder.0.bias": torch.zeros(4)}

    def convolution(name: str, wide: int, narrow: int, *, bias: bool = True, size: int = 3) -> None:
        state[f"decoder.{name}.weight"] = (
            torch.randn(wide, narrow, size, size, generator=generator) / (narrow * size**2) ** 0.5
        )
        if bias:
            state[f"decoder.{name}.bias"] = torch.randn(wide, generator=generator) * 0.1

    convolution("1", widths[0], channels)
    for scale, (first, grown) in enumerate(((3, 7), (9, 13), (15, 19))):
        width = widths[scale]
        for block in range(first, first + 3):
            convolution(f"{block}.conv.0", width, 2 * width)
            convolution(f"{block}.conv.2", width, width)
            convolution(f"{block}.conv.4", width, width)
        convolution(f"{grown}.conv", width * (1, 2, 2)[scale], width, bias=False, size=1)
        convolution(str(grown + 1), widths[scale + 1], width, bias=False)
    convolution("22", 3, widths[3])
    return state


def bring_codecs(source: Path, folder: Path, *, complete: bool = False) -> list[str]:
    """Write the codecs of ``source`` into ``folder``, as ``shotstream convert`` does; their names."""
    found = find_codecs(source, folder, complete=complete)
    for part in found:
        part.write()
    return [part.name for part in found]
