"""Codec weights on disk: our own self-describing files, and folders in the layout of diffusers or transformers.

The libraries' own loaders start what a file lacks from random numbers and go on with a warning; these refuse.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from shotstream.checkpoints.quantisation import Form, matrix_names, quantised, rest_dtype, unpacked
from shotstream.checkpoints.safetensors_file import (
    LazyTensor,
    held,
    narrowed,
    read_header,
    read_safetensors,
    write_safetensors,
)
from shotstream.checkpoints.tensor_files import CHECKPOINTS, check_names_and_shapes, is_index, read_tensors, shards_of
from shotstream.codecs.text_encoder import WorldTextEncoder
from shotstream.codecs.video_autoencoder import VideoAutoencoder
from shotstream.core.errors import WeightsError
from shotstream.core.files import plain_entries
from shotstream.families.family import CodecReader
from shotstream.families.storyworld import AUTOENCODER, TEXT_ENCODER, build_autoencoder, read_text_encoder

AUTOENCODER_VERSION = 1
TEXT_ENCODER_VERSION = 1
Module = TypeVar("Module", bound=nn.Module)
T = TypeVar("T")


def save_autoencoder(module: VideoAutoencoder, path: Path, form: Form | None = None) -> None:
    """Write ``module``, its config and version in the header: in half precision, or its convolutions quantised."""
    header = {
        "kind": AUTOENCODER,
        "version": str(AUTOENCODER_VERSION),
        "config": module.config.model_dump_json(),
    }
    write_module(module, path, header, form)


def load_autoencoder(path: Path) -> VideoAutoencoder:
    """Read what :func:`save_autoencoder` wrote, as float32. Raises :class:`WeightsError`."""
    return load_module(path, AUTOENCODER, build_autoencoder)[0]


def save_text_encoder(encoder: WorldTextEncoder, path: Path) -> None:
    """Write transformer, tokenizer and word list as one file."""
    header = {
        "kind": TEXT_ENCODER,
        "version": str(TEXT_ENCODER_VERSION),
        "config": encoder.transformer.config.model_dump_json(),
        "tokenizer": encoder.tokenizer.to_str(),
        "words": json.dumps(sorted(encoder.words)),
    }
    write_module(encoder.transformer, path, header)


def load_text_encoder(path: Path) -> WorldTextEncoder:
    """Read what :func:`save_text_encoder` wrote. Raises :class:`WeightsError`."""
    return read_text_encoder(path, READER)


def write_module(module: nn.Module, path: Path, header: Mapping[str, str], form: Form | None = None) -> None:
    """Write every tensor of ``module``, floats in half precision; or its large matrices in ``form`` and the rest as
    belongs beside it. Raises :class:`StorageError`."""
    matrices = matrix_names(module) if form is not None else frozenset()
    rest = torch.float16 if form is None else rest_dtype(form)
    tensors: dict[str, LazyTensor] = {}
    for name, value in module.state_dict().items():
        one = held(value.detach().cpu().contiguous())
        if form is not None and name in matrices:
            tensors |= quantised(name, one, form)
        else:
            tensors[name] = narrowed(one, rest) if value.is_floating_point() else one
    write_safetensors(path, tensors, header)


def load_module(path: Path, kind: str, build: Callable[[Mapping[str, str]], Module]) -> tuple[Module, dict[str, str]]:
    """What :func:`write_module` wrote, floats as float32, and the file's header, which must say ``kind`` and of which
    ``build`` makes the module without its numbers. Raises :class:`WeightsError`, one line."""
    header, tensors = read_own(path, kind)
    with _understood(path):
        module = build(header)
    check_names_and_shapes(module, tensors, str(path))
    with torch.no_grad():
        module.load_state_dict(tensors)
    return module.eval(), header


def read_own(path: Path, kind: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors of a file whose header says ``kind``; floats, and what was quantised, as float32. Raises
    :class:`WeightsError`."""
    header = read_header(path).metadata
    if header.get("kind") != kind:
        raise WeightsError(
            f"{path}: holds {json.dumps(header.get('kind'))}, not {json.dumps(kind)}; give the right file"
        )
    tensors = {name: one.read() for name, one in unpacked(read_safetensors(path), str(path)).items()}
    return header, {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def empty_from_folder(folder: Path, make: Callable[[dict[str, Any]], Module]) -> Module:
    """The module that ``make`` makes of the folder's config, without numbers yet.

    Raises :class:`WeightsError` that names the file, or lists all that its files lack, have too much or misshaped.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        with torch.device("meta"):
            module = make(config)
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; fetch or convert the weights first") from fault
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise WeightsError(f"{path}: cannot be understood ({str(fault).splitlines()[0]}); fetch it again") from fault
    with torch.device("meta"):
        shapes = {name: torch.empty(shape) for name, shape in shapes_in(folder).items()}
    check_names_and_shapes(module, repeated(module, shapes), str(folder))
    return module.eval().requires_grad_(False)


def fill_from_folder(module: nn.Module, folder: Path, device: torch.device, dtype: torch.dtype | None = None) -> None:
    """Give ``module`` the numbers of the folder's files, on ``device``; ``dtype`` None leaves them as they are.

    What need not be moved or changed is memory-mapped: it stays on disk until it is used.
    """
    tensors = {name: one.read().to(device, dtype) for name, one in _tensors(folder).items()}
    module.load_state_dict(repeated(module, tensors), assign=True)
    module.requires_grad_(False)


def weight_files(folder: Path) -> list[Path]:
    """The files of ``folder`` that hold weights: safetensors, else those of ``torch.save``; all that an index names.
    Raises :class:`WeightsError` if there are none, or not all."""
    there = plain_entries(folder) if folder.is_dir() else []
    for index in (path for path in there if is_index(path)):
        shards_of(index)
    for suffix in (".safetensors", *CHECKPOINTS):
        found = [path for path in there if path.suffix == suffix]
        if found:
            return found
    raise WeightsError(f"{folder}: no *.safetensors in it; fetch or convert the weights first")


def repeated(module: nn.Module, tensors: Mapping[str, T]) -> dict[str, T]:
    """``tensors`` with those of tied parameters under every name they have in ``module``; files hold them once."""
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    complete = dict(tensors)
    for same in names.values():
        there = next((name for name in same if name in tensors), None)
        complete |= {name: tensors[there] for name in same if there is not None}
    return complete


def shapes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all tensors in the folder's files."""
    return {name: tensor.shape for name, tensor in _tensors(folder, check=False).items()}


def _tensors(folder: Path, *, check: bool = True) -> dict[str, LazyTensor]:
    found: dict[str, LazyTensor] = {}
    for path in weight_files(folder):
        found |= read_tensors(path, check=check)
    return found


class _Reader:
    """The one loader of codecs: a :class:`shotstream.families.family.CodecReader`."""

    single = staticmethod(load_module)
    unread = staticmethod(empty_from_folder)
    fill = staticmethod(fill_from_folder)
    check = staticmethod(check_names_and_shapes)
    shapes = staticmethod(shapes_in)

    @staticmethod
    def tensors(path: Path) -> dict[str, Tensor]:
        return {name: tensor.read() for name, tensor in read_tensors(path).items()}

    @staticmethod
    def files(folder: Path) -> tuple[Path, ...]:
        return tuple(weight_files(folder))


READER: CodecReader = _Reader()


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn a header that lacks or garbles what it must say into one line."""
    try:
        yield
    except Exception as fault:  # tokenizers raises plain Exception
        said = str(fault).splitlines()[0]
        raise WeightsError(f"{path}: its header cannot be understood ({said}); fetch it again") from fault
