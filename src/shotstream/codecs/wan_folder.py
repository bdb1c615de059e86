"""Wan's codecs where a model's folder holds them: ``vae/``, ``text_encoder/``, ``tokenizer/``, ``taew2_1.pth``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import torch

from shotstream.codecs import tiny_decoder, wan_vae
from shotstream.codecs.tiny_decoder import TinyDecoder, load_tiny_network
from shotstream.codecs.umt5 import TEXT_LEN, Placement, Umt5TextEncoder
from shotstream.codecs.wan_vae import WanVideoCodec, load_vae
from shotstream.codecs.weight_folder import shapes_in, weight_files
from shotstream.core.config import Config
from shotstream.core.errors import WeightsError
from shotstream.core.geometry import Geometry

LIGHT_DECODER = "taew2_1.pth"
# Of Wan 2.1's release: the autoencoder's numbers, and the text encoder in bfloat16.
_VAE_NUMBERS, _TEXT_BYTES = 126_892_531, 2 * 5_680_910_336


class CodecSizes(Config):
    """What the codecs hold, in bytes. ``video_work``: at most while decoding, ``video_carried`` of it from push to
    push; ``text_layer``: the largest part of the text encoder that is needed at once. text_len: tokens per caption."""

    text_len: int
    video: int
    video_work: int
    video_carried: int
    text: int
    text_layer: int


@dataclass(frozen=True, slots=True)
class WanFolder:
    """A folder with Wan's codecs."""

    folder: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """What tells these codecs from others."""
        return (*weight_files(self.folder / "vae"), *weight_files(self.folder / "text_encoder"))

    def sizes(self, geometry: Geometry, dtype: torch.dtype, light: bool) -> CodecSizes:
        """What they will hold for pictures of ``geometry``. Raises :class:`WeightsError` for what is missing."""
        numbers = sum(prod(shape) for shape in shapes_in(self.folder / "vae").values())
        text = sum(path.stat().st_size for path in weight_files(self.folder / "text_encoder"))
        return _sizes(numbers, text, geometry, dtype, light)

    def open_video(self, geometry: Geometry, device: torch.device, dtype: torch.dtype, *, light: bool) -> WanVideoCodec:
        """The video codec on ``device``. light: decode with ``taew2_1.pth``. Raises :class:`WeightsError`."""
        maker = None
        if light:
            network = load_tiny_network(self.folder / LIGHT_DECODER, device=device, dtype=dtype)
            maker = partial(TinyDecoder, network)
        return WanVideoCodec(load_vae(self.folder / "vae", device=device, dtype=dtype), geometry, maker)

    def open_text(self, device: torch.device, placement: Placement, store: Path | None) -> Umt5TextEncoder:
        """The text encoder; its weights are read when the first unknown prompt comes. Raises :class:`WeightsError`."""
        folder, tokenizer = self.folder / "text_encoder", self.folder / "tokenizer"
        return Umt5TextEncoder(folder, tokenizer, device=device, placement=placement, store=store)


def wan_folder(folder: Path) -> WanFolder | None:
    """``folder`` if it holds Wan's codecs. Raises :class:`WeightsError` if it holds only some of them."""
    parts = ("vae", "text_encoder", "tokenizer")
    there = [name for name in parts if (folder / name).is_dir()]
    if not there:
        return None
    if len(there) < len(parts):
        missing = ", ".join(f"{name}/" for name in parts if name not in there)
        raise WeightsError(
            f"{folder}: lacks {missing}; bring it with shotstream models convert --codecs, or models pull"
        )
    return WanFolder(folder)


def published_sizes(geometry: Geometry, dtype: torch.dtype, light: bool) -> CodecSizes:
    """The same of the published codecs, without any files."""
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
