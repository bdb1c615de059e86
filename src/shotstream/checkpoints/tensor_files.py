"""Reads tensors by name from safetensors files, checkpoints of ``torch.save``, and indices of shards of either.

Checkpoints are read without unpickling: tensors and plain containers only, all else is refused. FP8 weights, plain or
with a scale per tensor or per row, become ordinary numbers, and what training code and other programs put around a
network's parameter names is stripped. What does not fit a module is counted, with a guess at why.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from shotstream.checkpoints.safetensors_file import (
    LazyTensor,
    computed,
    in_file,
    narrowed,
    read_safetensors,
    refuse_lfs_pointer,
    short,
    what_it_is,
)
from shotstream.core.errors import WeightsError

_SHOWN = 3
# What a name gives away, the surest first.
_LOOKS = (
    (r"^lora_(unet|te|transformer)", "a LoRA as kohya writes them"),
    (r"\.(hada_w|lokr_w|oft_)", "a LoHa, LoKr or OFT adapter"),
    (r"\.lora_|\.lora\.", "a LoRA"),
    (r"\.(absmax|quant_map|quant_state)|\.qweight$|\.comfy_quant$", "weights quantised in another program's layout"),
    (r"vace_blocks\.|img_emb\.|\.k_img\.", "another kind of Wan model than text-to-video"),
    (r"condition_embedder\.|blocks\.\d+\.attn1\.", "a Wan transformer as diffusers names it"),
    (r"blocks\.\d+\.self_attn\.", "a Wan transformer"),
    (r"double_blocks\.|single_transformer_blocks\.", "a transformer of Flux's or Hunyuan's family"),
    (r"joint_blocks\.|input_blocks\.|down_blocks\.\d+\.attentions\.", "an image model of Stable Diffusion's family"),
    (r"encoder\.downsamples\.|decoder\.upsamples\.|encoder\.down_blocks\.", "a video autoencoder"),
    (r"blocks\.\d+\.attn\.q\.|SelfAttention|token_embedding\.", "a text encoder"),
)


class Shaped(Protocol):
    """A tensor, or what stands for one that has not been read."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def check_names_and_shapes(module: nn.Module, tensors: Mapping[str, Shaped], source: str) -> None:
    """Raise one short :class:`WeightsError` that says what of ``source`` is missing, extra or misshaped."""
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors]
    extra = [name for name in tensors if name not in expected]
    other = [
        f"{name} is {list(tensor.shape)} instead of {list(expected[name].shape)}"
        for name, tensor in tensors.items()
        if name in expected and tuple(tensor.shape) != expected[name].shape
    ]
    faults = [said("missing", missing), said("extra", extra), said("", other)]
    if any(faults):
        guess = _prefix(missing, extra) or looks_like(extra)
        raise WeightsError(f"{source}: not this model's weights: {'; '.join(filter(None, [*faults, guess]))}")


def said(what: str, names: Sequence[str]) -> str:
    """``what`` of these: how many, and the first three by name; empty for none."""
    if not names:
        return ""
    shown = ", ".join(name if len(name) <= 100 else name[:97] + "..." for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what} {shown}{more}".strip()


def looks_like(names: Iterable[str]) -> str:
    """What tensors of these names probably are, as "looks like ..."; empty if nothing is known of them."""
    names = list(names)
    guess = next((what for sign, what in _LOOKS if any(re.search(sign, name) for name in names)), "")
    return guess and f"looks like {guess}"


def _prefix(missing: Sequence[str], extra: Sequence[str]) -> str:
    """Is what is extra what is missing, behind a prefix?"""
    for name in missing[:1]:
        for one in extra:
            prefix = one.removesuffix(name)
            if one.endswith("." + name) and all(prefix + other in extra for other in missing):
                return f"the same names stand behind the prefix {prefix!r}"
    return ""


FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)
# Behind a layer's name: the weight's scale as ComfyUI, its later versions and others call it; what only the speed of
# the matmuls in eight bits are about; and a note of the layout.
_SCALES = ("scale_weight", "weight_scale", "weight.scale", "weight_scale_inv")
_IDLE = ("scale_input", "input_scale", "scale_output", "output_scale")
_NOTE, _MARKER = "comfy_quant", "scaled_fp8"


def without_fp8(tensors: Mapping[str, LazyTensor], source: str) -> dict[str, LazyTensor]:
    """``tensors`` with those in eight bits as ordinary numbers: bfloat16, which holds each of them, or float32 where
    a scale is applied. Raises :class:`WeightsError` for other layouts of few bits."""
    if not any(tensor.dtype in FP8 for tensor in tensors.values()):
        return dict(tensors)
    result: dict[str, LazyTensor] = {}
    used: set[str] = set()
    for name, tensor in tensors.items():
        layer = name.removesuffix(".weight")
        scale = next((one for end in _SCALES if (one := f"{layer}.{end}") in tensors), None)
        if tensor.dtype not in FP8:
            result[name] = tensor
        elif scale is None:
            result[name] = narrowed(tensor, torch.bfloat16)
        else:
            used.add(scale)
            result[name] = _scaled(name, tensor, tensors[scale], source)
    return {name: tensor for name, tensor in result.items() if name not in used and not _idle(name, tensor, source)}


def _idle(name: str, tensor: LazyTensor, source: str) -> bool:
    """Does ``name`` say nothing about the weights' values?"""
    end = name.rpartition(".")[2]
    if end == _NOTE:
        _check_note(tensor, source)
    return end in (*_IDLE, _NOTE, _MARKER)


def _check_note(tensor: LazyTensor, source: str) -> None:
    try:
        form = str(json.loads(bytes(tensor.read().to(torch.uint8).tolist()))["format"])
    except (ValueError, KeyError, TypeError):
        form = "unknown"
    if not form.startswith("float8"):
        raise WeightsError(f"{source}: quantised as {form}, which is not supported; give other weights")


def _scaled(name: str, tensor: LazyTensor, scale: LazyTensor, source: str) -> LazyTensor:
    rows = tensor.shape[0] if tensor.shape else 1
    shape = tuple(size for size in scale.shape if size != 1)
    if shape not in ((), (rows,)):
        raise WeightsError(
            f"{source}: {name}: scales of shape {list(scale.shape)} are not supported; one, or one a row"
        )

    def numbers() -> Tensor:
        factors = scale.read().float().reshape(-1, *([1] * (len(tensor.shape) - 1)))
        return tensor.read().float() * factors

    return computed(numbers, torch.float32, tensor.shape)


T = TypeVar("T")

# Modules that hold another one and add nothing: FSDP, torch.compile, activation checkpointing, DeepSpeed.
_INSIDE = ("_fsdp_wrapped_module", "_orig_mod", "_checkpoint_wrapped_module", "_forward_module")


def unwrapped(name: str) -> str:
    """``name`` without the wrappers that may stand anywhere in it."""
    return ".".join(part for part in name.split(".") if part not in _INSIDE)


def by_prefix(tensors: Mapping[str, T], anchors: tuple[str, ...]) -> dict[str, dict[str, T]]:
    """The networks in ``tensors``: whatever stands before a name that ends in one of the ``anchors`` is a prefix, and
    its network all that stands behind it. Without any anchor all is one network, behind no prefix."""
    plain = {unwrapped(name): tensor for name, tensor in tensors.items()}
    prefixes = {
        name.removesuffix(anchor)
        for name in plain
        for anchor in anchors
        if name == anchor or name.endswith("." + anchor)
    }
    if len(plain) != len(tensors) or not prefixes:
        return {"": dict(tensors)}
    return {
        prefix: {name.removeprefix(prefix): one for name, one in plain.items() if name.startswith(prefix)}
        for prefix in sorted(prefixes)
    }


# What torch raises for a file that is damaged, or made to look like a checkpoint.
DAMAGED = (
    *(OSError, RuntimeError, EOFError, ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError),
    *(AssertionError, NotImplementedError, ImportError, MemoryError, struct.error, zipfile.BadZipFile),
)
CHECKPOINTS = (".pt", ".pth", ".ckpt", ".bin")
_HARMLESS: tuple[type, ...] = (
    argparse.Namespace,
)  # holds values and runs nothing: the settings that trainers keep beside weights


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What ``torch.save`` wrote to ``path``: a dict, nested or not, in which a :class:`LazyTensor` stands for every
    tensor. Raises :class:`WeightsError` for anything but tensors, numbers, text and containers of these."""
    try:
        refuse_lfs_pointer(path)
        _refuse_packed(path)
        with FakeTensorMode(), torch.serialization.safe_globals([*_HARMLESS]):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; name one that is there") from fault
    except pickle.UnpicklingError as fault:
        kind = re.search(r"GLOBAL ([\w.]+)", str(fault))
        raise WeightsError(
            f"{path}: holds more than tensors{f' ({kind[1]})' if kind else ''}, and reading that could run a "
            "stranger's code; refused. Ask for a file of tensors alone, best as safetensors"
        ) from fault
    except DAMAGED as fault:
        raise WeightsError(f"{path}: not a readable checkpoint ({short(fault)}); fetch it again") from fault
    if not isinstance(found, Mapping):
        raise WeightsError(f"{path}: holds {type(found).__name__}, not tensors by name; give another file")
    size = path.stat().st_size
    return {str(name): _lazy(value, path, size) for name, value in found.items()}


def tensors_of(found: Mapping[str, Any]) -> dict[str, LazyTensor]:
    """The tensors of one level of a checkpoint."""
    return {name: value for name, value in found.items() if isinstance(value, LazyTensor)}


def _refuse_packed(path: Path) -> None:
    """Checkpoints are zip files whose parts lie in them as they are; others cannot be read where they lie."""
    if not zipfile.is_zipfile(path):
        with path.open("rb"):
            older = "not the zip format that torch has written since 1.6: save it again with a newer torch"
            named = "it is a safetensors file: name it .safetensors" if _is_safetensors(path) else ""
            raise ValueError(what_it_is(path) or named or older)
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError("its parts are compressed")


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _lazy(value: Any, path: Path, size: int) -> Any:
    """``value`` with every tensor replaced by where it lies."""
    if isinstance(value, Mapping):
        return {str(name): _lazy(inner, path, size) for name, inner in value.items()}
    if not isinstance(value, Tensor):
        return value
    if value.layout != torch.strided:
        raise WeightsError(f"{path}: holds a tensor that is not dense; give plain weights")
    storage = value.untyped_storage()
    beginning = storage._checkpoint_offset
    if beginning is None or beginning + storage.nbytes() > size:
        raise WeightsError(f"{path}: a tensor lies outside the file; fetch it again")
    at = beginning + int(value.storage_offset()) * value.dtype.itemsize
    return in_file(path, value.dtype, tuple(value.shape), at, None if value.is_contiguous() else tuple(value.stride()))


# Names of indices; the libraries of Hugging Face put a variant (fp16) into one of three places.
_INDEX = re.compile(r".+\.(safetensors|bin|pt|pth)(\.\w+)?\.index(\.\w+)?\.json")


def read_tensors(path: Path, *, check: bool = True) -> dict[str, LazyTensor]:
    """All tensors of ``path``, of an index those of every file it names. check: as for :func:`read_safetensors`.

    Of a checkpoint, those of its outermost level. Raises :class:`WeightsError`.
    """
    if path.suffix in CHECKPOINTS:
        return tensors_of(read_checkpoint(path))
    if path.suffix != ".json":
        return read_safetensors(path, check=check)
    names, files = _listed(path)
    found: dict[str, LazyTensor] = {}
    for file in files:
        part = read_tensors(path.parent / file, check=check)
        twice = [name for name in part if name in found]
        if twice:
            raise WeightsError(f"{path}: {said('more than one of its files holds', twice)}; fetch them again")
        found |= part
    lost = [name for name in names if name not in found]
    if lost:
        raise WeightsError(f"{path}: none of its files holds {said('', lost)}; fetch them again")
    return found


def is_index(path: Path) -> bool:
    """Is ``path`` called as an index of shards is?"""
    return _INDEX.fullmatch(path.name) is not None


def shards_of(index: Path) -> list[str]:
    """Names of the files that ``index`` names; all are there. Raises :class:`WeightsError`."""
    return _listed(index)[1]


def _listed(path: Path) -> tuple[list[str], list[str]]:
    """Names of the tensors that an index lists, and of the files that hold them: files beside it, nowhere else."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        files = sorted(set(listed.values()))
        if not files or any(not isinstance(name, str) or Path(name).name != name for name in files):
            raise ValueError("it names no files, or some outside its folder")
        if any(Path(name).suffix not in (".safetensors", *CHECKPOINTS) for name in files):
            raise ValueError("it names files that are no weights")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise WeightsError(f"{path}: not a readable index of weight files ({short(fault)}); fetch it again") from fault
    lost = [name for name in files if not (path.parent / name).is_file()]
    if lost:
        raise WeightsError(f"{path}: {len(lost)} of its {len(files)} files are not beside it ({lost[0]}); fetch them")
    return list(listed), files
