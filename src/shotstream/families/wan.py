"""The family ``wan``: presets of Wan2.1-T2V-1.3B, its codecs, other programs' files of them, the hub's files."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch

from shotstream.codecs import tiny_decoder, umt5, wan_vae
from shotstream.codecs.text_encoder import read_tokenizer
from shotstream.codecs.tiny_decoder import TinyDecoder
from shotstream.codecs.umt5 import TEXT_LEN, Umt5TextEncoder
from shotstream.codecs.wan_vae import WanVideoCodec
from shotstream.core.errors import WeightsError
from shotstream.core.files import fingerprint_all
from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.core.story import PLAIN_PROMPT
from shotstream.families.family import (
    CodecFiles,
    CodecOptions,
    CodecReader,
    Codecs,
    CodecSizes,
    Family,
    ForeignCodec,
    HubPart,
    Rebuilt,
    SizesOf,
)
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig

LIGHT_DECODER = "taew2_1.pth"
PARTS = ("vae", "text_encoder", "tokenizer")
VAE_FILE, TEXT_FILE, TOKENIZER_FOLDER = "Wan2.1_VAE", "models_t5_umt5-xxl-enc-bf16", "google/umt5-xxl"
DIFFUSERS_FILE = "diffusion_pytorch_model.safetensors"
# Of Wan 2.1's release: the autoencoder's numbers, and the text encoder in bfloat16.
_VAE_NUMBERS, _TEXT_BYTES = 126_892_531, 2 * 5_680_910_336

# UMT5's parameters in Wan's names -> transformers'.
_IN_A_BLOCK = {
    "norm1": "layer.0.layer_norm",
    "norm2": "layer.1.layer_norm",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
} | {f"attn.{part}": f"layer.0.SelfAttention.{part}" for part in "qkvo"}
_OUTSIDE_BLOCKS = {"token_embedding": "shared", "norm": "encoder.final_layer_norm"}


@dataclass(frozen=True, slots=True)
class WanFolder:
    """A folder with Wan's codecs."""

    folder: Path
    reader: CodecReader

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.reader.files(self.folder / "vae"), *self.reader.files(self.folder / "text_encoder"))

    @property
    def versions(self) -> Mapping[str, str]:
        return dict.fromkeys(("autoencoder", "text_encoder"), fingerprint_all(self.files))

    @property
    def text_source(self) -> Path:
        return self.folder / "text_encoder"

    @property
    def sizes(self) -> SizesOf:
        numbers = sum(prod(shape) for shape in self.reader.shapes(self.folder / "vae").values())
        text = sum(path.stat().st_size for path in self.reader.files(self.folder / "text_encoder"))
        return partial(_sizes, numbers, text)

    def check(self, versions: Mapping[str, str], transformer: Path) -> None:
        """Wan's codecs are the same for every transformer; their shapes are checked when they are opened."""

    def open_video(self, geometry: Geometry, options: CodecOptions) -> WanVideoCodec:
        """The video codec; with the light decoder, that is ``taew2_1.pth``. Raises :class:`WeightsError`."""
        folder, maker = self.folder / "vae", None
        if options.light:
            path = self.folder / LIGHT_DECODER
            network, tensors = tiny_decoder.rebuilt(self.reader.tensors(path), str(path))
            self.reader.check(network, tensors, str(path))
            network.load_state_dict(tensors)
            network.to(options.device, options.dtype).eval().requires_grad_(False)
            maker = partial(TinyDecoder, network)
        module = self.reader.unread(folder, wan_vae.build)
        self.reader.fill(module, folder, options.device, options.dtype)
        return WanVideoCodec(module, geometry, maker)

    def open_text(self, options: CodecOptions, text_len: int = TEXT_LEN) -> Umt5TextEncoder:
        """The text encoder; its weights are read when the first unknown prompt comes. Raises :class:`WeightsError`."""
        folder, tokenizer = self.folder / "text_encoder", self.folder / "tokenizer" / "tokenizer.json"
        known_by = (folder / "config.json", tokenizer, *self.reader.files(folder))
        reads = read_tokenizer(tokenizer)
        return Umt5TextEncoder(
            self.reader.unread(folder, umt5.build),
            reads,
            read=lambda module, device: self.reader.fill(module, folder, device),
            device=options.device,
            placement=options.placement,
            store=options.store,
            identity=lambda: fingerprint_all(known_by),
            text_len=text_len,
        )


def find(folder: Path, reader: CodecReader) -> CodecFiles | None:
    """``folder`` if it holds Wan's codecs. Raises :class:`WeightsError` if it holds only some of them."""
    there = [name for name in PARTS if (folder / name).is_dir()]
    if not there:
        return None
    if len(there) < len(PARTS):
        missing = ", ".join(f"{name}/" for name in PARTS if name not in there)
        raise WeightsError(
            f"{folder}: lacks {missing}; bring it with shotstream models convert --codecs, or models pull"
        )
    return WanFolder(folder, reader)


def published_sizes(geometry: Geometry, dtype: torch.dtype, light: bool) -> CodecSizes:
    """What the published codecs take, without any files."""
    return _sizes(_VAE_NUMBERS, _TEXT_BYTES, geometry, dtype, light)


def _sizes(video_numbers: int, text: int, geometry: Geometry, dtype: torch.dtype, light: bool) -> CodecSizes:
    pixels = geometry.width * geometry.height
    decoder = tiny_decoder if light else wan_vae
    return CodecSizes(
        text_len=TEXT_LEN,
        video=video_numbers * dtype.itemsize,
        video_work=decoder.WORK_PER_PIXEL * pixels * dtype.itemsize,
        video_carried=decoder.CARRIED_PER_PIXEL * pixels * dtype.itemsize,
        text=text,
        text_layer=text // 16,  # published: 24 layers and a table of words, which stays where it is
    )


def is_vae(names: Mapping[str, Any]) -> bool:
    """Wan's autoencoder in the names of its release, which ComfyUI keeps."""
    return all(name in names for name in ("encoder.conv1.weight", "decoder.conv1.weight", "conv2.weight"))


def rebuild_vae(found: Mapping[str, Any], source: str) -> Rebuilt:
    """The autoencoder as diffusers' ``AutoencoderKLWan`` has it. Raises :class:`WeightsError` for another."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    first, last = found.get("encoder.conv1.weight"), found.get("conv2.weight")
    if first is None or last is None or len(first.shape) != 5:
        raise WeightsError(f"{source}: not Wan's video autoencoder; give {VAE_FILE}.pth of its release")
    module = _on_meta(lambda: wan_vae.build({"base_dim": first.shape[0], "z_dim": last.shape[0]}))
    if module.config.z_dim != len(module.config.latents_mean):
        raise WeightsError(f"{source}: {module.config.z_dim} latent channels, whose statistics are not published")
    named: dict[str, Any] = convert_wan_vae_to_diffusers(dict(found))
    return Rebuilt(module=module, tensors=named, file=DIFFUSERS_FILE, write_config=module.save_config)


def is_text_encoder(names: Mapping[str, Any]) -> bool:
    """UMT5's encoder, in the names of Wan's release or in transformers', which ComfyUI keeps."""
    ours = ("token_embedding.weight", "blocks.0.attn.q.weight")
    theirs = ("shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight")
    return any(all(name in names for name in both) for both in (ours, theirs))


def rebuild_text_encoder(found: Mapping[str, Any], source: str) -> Rebuilt:
    """The text encoder as transformers' ``UMT5EncoderModel`` has it. Raises :class:`WeightsError` for another."""
    from transformers import UMT5Config, UMT5EncoderModel

    named = {_text_name(name): tensor for name, tensor in found.items() if name != "spiece_model"}
    layer = "encoder.block.0.layer"
    needed = ("shared.weight", f"{layer}.0.SelfAttention.q.weight", f"{layer}.1.DenseReluDense.wi_0.weight")
    buckets = named.get(f"{layer}.0.SelfAttention.relative_attention_bias.weight")
    if buckets is None or any(name not in named for name in needed):
        raise WeightsError(f"{source}: not UMT5's encoder; give {TEXT_FILE}.pth of Wan's release")
    (words, width), (inner, _), (ffn, _) = (named[name].shape for name in needed)
    config = UMT5Config(
        vocab_size=words,
        d_model=width,
        d_kv=inner // buckets.shape[1],
        d_ff=ffn,
        num_layers=len({name.split(".")[2] for name in named if name.startswith("encoder.block.")}),
        num_heads=buckets.shape[1],
        relative_attention_num_buckets=buckets.shape[0],
        feed_forward_proj="gated-gelu",
        dtype=named[needed[1]].dtype,
    )
    module = _on_meta(lambda: UMT5EncoderModel(config))
    config.architectures = ["UMT5EncoderModel"]
    return Rebuilt(module=module, tensors=named, file="model.safetensors", write_config=config.save_pretrained)


def _text_name(name: str) -> str:
    """A parameter of UMT5 in Wan's names -> transformers'."""
    part = name.removesuffix(".weight")
    found = re.fullmatch(r"blocks\.(\d+)\.(.+)", part)
    if found and found[2] in _IN_A_BLOCK:
        return f"encoder.block.{found[1]}.{_IN_A_BLOCK[found[2]]}.weight"
    return f"{_OUTSIDE_BLOCKS[part]}.weight" if part in _OUTSIDE_BLOCKS else name


def _on_meta(make: Callable[[], Any]) -> Any:
    with torch.device("meta"):
        return make()


CODECS = Codecs(
    find=find,
    parts=PARTS,
    foreign=(
        ForeignCodec(
            folder="vae",
            published=VAE_FILE,
            anchors=("encoder.conv1.weight",),
            recognises=is_vae,
            rebuild=rebuild_vae,
        ),
        ForeignCodec(
            folder="text_encoder",
            published=TEXT_FILE,
            anchors=("token_embedding.weight", "shared.weight"),
            recognises=is_text_encoder,
            rebuild=rebuild_text_encoder,
        ),
    ),
    tokenizer="tokenizer",
    extra=(LIGHT_DECODER,),
    published_sizes=published_sizes,
)


# Published in Wan 2.1's own configuration, as `sample_neg_prompt`; its models were made to be guided away from it.
NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，"
    "静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)

WAN_1_3B = Preset(
    name="wan-1.3b",
    geometry=Geometry(width=832, height=480, spatial=8, latent_channels=16, default_blocks=7),
    transformer=TransformerConfig(in_channels=16, dim=1536, ffn_dim=8960, heads=12, layers=30, text_dim=4096),
    schedule=FlowSchedule(shift=8.0),
    student=SamplerSettings(timesteps=(1000, 740, 500, 260)),
    teacher=SamplerSettings(kind="euler", steps=50, guidance=6.0),
    condition_time="same",
    prompt_form="{global_caption}shot{shot}:{caption}",  # as the reference puts them together, spaces none
    negative_prompt=NEGATIVE_PROMPT,
)

# Student weights of Self-Forcing and its kin: Wan's network and codecs, other timesteps, prompts of one caption.
SELF_FORCING = WAN_1_3B.model_copy(
    update={
        "name": "self-forcing-1.3b",
        "schedule": FlowSchedule(shift=5.0),
        "student": SamplerSettings(timesteps=(1000, 750, 500, 250)),
        "prompt_form": PLAIN_PROMPT,
    }
)

_RELEASE = "Wan-AI/Wan2.1-T2V-1.3B"
FAMILY = Family(
    name="wan",
    presets=(WAN_1_3B, SELF_FORCING),
    codecs=CODECS,
    hub={
        WAN_1_3B.name: (
            HubPart(_RELEASE, f"{TOKENIZER_FOLDER}/tokenizer.json", "tokenizer/tokenizer.json", "same"),
            HubPart(_RELEASE, f"{VAE_FILE}.pth", "vae/config.json", "vae"),
            HubPart("KlingTeam/ShotStream", "shotstream_merged.pt", "student.safetensors", "student"),
            HubPart(_RELEASE, f"{TEXT_FILE}.pth", "text_encoder/config.json", "text_encoder"),
        )
    },
)
