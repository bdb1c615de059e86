"""Codec weights on disk: safetensors that say in their header what they are and how they were built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from shotstream.codecs.text_encoder import TextEncoderConfig, TextTransformer, WorldTextEncoder
from shotstream.codecs.video_autoencoder import Decoder, VideoAutoencoder, VideoAutoencoderConfig
from shotstream.core.errors import WeightsError
from shotstream.core.files import whole_file
from shotstream.core.packed import LARGEST, SCALE, matrix_names, rest_dtype, stored, unpacked
from shotstream.core.weight_check import check_names_and_shapes

AUTOENCODER_VERSION = 1
LIGHT_DECODER_VERSION = 1
TEXT_ENCODER_VERSION = 1


def save_autoencoder(module: VideoAutoencoder, path: Path, levels: int | None = None) -> None:
    """Write ``module``, its config and version in the header: in half precision, or its convolutions a byte a weight
    in so many ``levels`` either side of zero."""
    header = {
        "kind": "video-autoencoder",
        "version": str(AUTOENCODER_VERSION),
        "config": module.config.model_dump_json(),
    }
    if levels is None:
        write_module(module, path, header)
    else:
        _write_packed(module, path, header, levels)


def load_autoencoder(path: Path) -> VideoAutoencoder:
    """Read what :func:`save_autoencoder` wrote, as float32. Raises :class:`WeightsError`."""
    header, tensors = read_tensors(path, "video-autoencoder")
    with _understood(path):
        module = VideoAutoencoder(VideoAutoencoderConfig.model_validate_json(header["config"]))
    fill(module, unpacked(tensors, str(path)), path)
    return module.eval()


def save_light_decoder(decoder: Decoder, config: VideoAutoencoderConfig, autoencoder: str, path: Path) -> None:
    """Write a light decoder, its convolutions a byte a weight. config: the sizes it was built with; autoencoder: the
    fingerprint of the one whose latents it reads."""
    header = {
        "kind": "light-decoder",
        "version": str(LIGHT_DECODER_VERSION),
        "config": config.model_dump_json(),
        "autoencoder": autoencoder,
    }
    _write_packed(decoder, path, header, LARGEST)


def load_light_decoder(path: Path, autoencoder: str) -> Decoder:
    """Read what :func:`save_light_decoder` wrote, as float32, for the latents of ``autoencoder`` (a fingerprint).

    Raises :class:`WeightsError`, also if it was made for another one's, or if there is none.
    """
    if not path.is_file():
        raise WeightsError(
            f"{path}: there is none; train one (shotstream train storyworld/light-decoder) and put it beside a copy of "
            "the weights, or decode without it"
        )
    header, tensors = read_tensors(path, "light-decoder")
    with _understood(path):
        made_for = header["autoencoder"]
        decoder = Decoder(VideoAutoencoderConfig.model_validate_json(header["config"]))
    if made_for != autoencoder:
        raise WeightsError(
            f"{path}: reads the latents of autoencoder {made_for}, not of {autoencoder}; train it anew "
            "(shotstream train storyworld/light-decoder) or decode without it"
        )
    fill(decoder, unpacked(tensors, str(path)), path)
    return decoder.eval()


def write_module(module: nn.Module, path: Path, header: dict[str, str]) -> None:
    """Write every tensor of ``module``, floats in half precision."""
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in module.state_dict().items()
    }
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def _write_packed(module: nn.Module, path: Path, header: dict[str, str], levels: int) -> None:
    """Write every tensor of ``module``, convolutions in bytes, the rest in ``rest_dtype``."""
    matrices = matrix_names(module)
    tensors: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if name in matrices:
            tensors[name], tensors[name + SCALE] = stored(value.contiguous(), levels)
        else:
            tensors[name] = value.contiguous()
    rest = rest_dtype(levels)
    tensors = {name: value.to(rest) if value.is_floating_point() else value for name, value in tensors.items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def read_tensors(path: Path, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors of a file whose header says ``kind``; floats as float32. Raises :class:`WeightsError`."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as fault:
        raise WeightsError(
            f"{path}: not a readable weight file ({str(fault).splitlines()[0]}); fetch it again"
        ) from fault
    if header.get("kind") != kind:
        raise WeightsError(
            f"{path}: holds {json.dumps(header.get('kind'))}, not {json.dumps(kind)}; give the right file"
        )
    return header, {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def fill(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load ``tensors`` into ``module``; every name or shape that disagrees is listed at once."""
    check_names_and_shapes(module, tensors, str(path))
    with torch.no_grad():
        module.load_state_dict(tensors)


def save_text_encoder(encoder: WorldTextEncoder, path: Path) -> None:
    """Write transformer, tokenizer and word list as one file."""
    header = {
        "kind": "text-encoder",
        "version": str(TEXT_ENCODER_VERSION),
        "config": encoder.transformer.config.model_dump_json(),
        "tokenizer": encoder.tokenizer.to_str(),
        "words": json.dumps(sorted(encoder.words)),
    }
    write_module(encoder.transformer, path, header)


def load_text_encoder(path: Path) -> WorldTextEncoder:
    """Read what :func:`save_text_encoder` wrote. Raises :class:`WeightsError`."""
    header, tensors = read_tensors(path, "text-encoder")
    with _understood(path):
        transformer = TextTransformer(TextEncoderConfig.model_validate_json(header["config"]))
        tokenizer, words = Tokenizer.from_str(header["tokenizer"]), json.loads(header["words"])
    fill(transformer, tensors, path)
    return WorldTextEncoder(transformer, tokenizer, words)


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn a header that lacks or garbles what it must say into one line."""
    try:
        yield
    except Exception as fault:  # tokenizers raises plain Exception
        said = str(fault).splitlines()[0]
        raise WeightsError(f"{path}: its header cannot be understood ({said}); fetch it again") from fault
