"""Converts transformer weights between layouts: to our self-describing files, whole or as adapters, or to diffusers.

One tensor at a time passes through memory. Nothing is written before every name and shape has been checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from shotstream.checkpoints.lora import changes_of, read_adapters
from shotstream.checkpoints.quantisation import Form, matrix_names, quantised, rest_dtype
from shotstream.checkpoints.safetensors_file import LazyTensor, computed, held, narrowed, read_header, write_safetensors
from shotstream.checkpoints.tensor_files import check_names_and_shapes
from shotstream.checkpoints.transformer_source import (
    Layout,
    TransformerSource,
    Wanted,
    lora_in,
    open_transformer,
    transformer_file,
)
from shotstream.checkpoints.transformer_weights import BaseWeights, Role, WeightsHeader
from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint, make_folder, ready_to_write, write_text
from shotstream.families.family import known_presets, preset
from shotstream.families.preset import PRESET_FILE, Preset, read_preset, write_preset
from shotstream.families.wan_layouts import diffusers_config, sizes_in, to_diffusers
from shotstream.models.transformer import Transformer

Sides = tuple[LazyTensor, LazyTensor]  # A and B
ROUNDING = 2e-3  # differences below this share of a tensor's size are half precision's


class Adapted(Config):
    """What was written. ``kept``: of the squared difference from the base, the share that the adapters hold."""

    output: str
    base: str
    bytes: int
    rank: int
    kept: float


def convert_adapters(
    source: Path,
    output: Path,
    *,
    base: Path,
    role: Role = "student",
    rank: int | None = None,
    form: Form | None = "int8",
    alpha: float | None = None,
    force: bool = False,
) -> Adapted:
    """Write what ``source`` adds to ``base`` to ``output``, as adapters.

    source: a LoRA (a file, or peft's folder), whose scale goes into the adapters; or whole weights, whose difference
    from ``base`` is cut to ``rank`` by singular values. base: whole weights in our layout, called after their role,
    and beside ``output``, where loading looks for them and refuses others. form: quantised so; None keeps the numbers.
    alpha: of a LoRA that does not say its own.
    Raises :class:`WeightsError`, :class:`InputError`, :class:`StorageError`.
    """
    below, header = _whole(base, output)
    pairs, kept = _added(transformer_file(source, role), below, role, rank, alpha)
    ready_to_write(output, force=force)
    tensors: dict[str, LazyTensor] = {}
    for name, sides in pairs.items():
        for letter, side in zip("AB", sides, strict=True):
            named = f"{name.removesuffix('.weight')}.lora_{letter}.weight"
            tensors |= {named: side} if form is None else quantised(named, side, form)
    added_to = BaseWeights(role=header.role, fingerprint=fingerprint(base))
    header = header.model_copy(update={"role": role, "base": added_to})
    write_safetensors(output, tensors, {"shotstream": header.model_dump_json()})
    largest = max(a.shape[0] for a, _ in pairs.values())
    return Adapted(output=str(output), base=base.name, bytes=output.stat().st_size, rank=largest, kept=kept)


def read_lora(path: Path, model: Transformer, alpha: float | None) -> tuple[dict[str, Callable[[], Tensor]], str]:
    """What the LoRA in ``path`` (a file, or peft's folder) adds to each parameter of ``model``, and its fingerprint.

    alpha: of adapters of which nothing says theirs. Raises :class:`WeightsError` for what is no LoRA of this model.
    """
    file = transformer_file(path, "student")
    if file.suffix == ".safetensors" and "shotstream" in read_header(file).metadata:
        raise WeightsError(f"{file}: is a model of its own; load it as one. A LoRA is what peft or kohya write")
    found = lora_in(file, Wanted())
    if found is None:
        raise WeightsError(f"{file}: holds whole weights, no LoRA; load it as a model")
    base = {name: held(parameter) for name, parameter in model.named_parameters()}
    adapters = read_adapters(found[0], base, file, alpha=alpha, reference=found[1])
    return changes_of(adapters), fingerprint(file)


def _whole(base: Path, output: Path) -> tuple[Mapping[str, LazyTensor], WeightsHeader]:
    """The weights of ``base`` and what they say of themselves, if adapters beside ``output`` can be added to them."""
    below = open_transformer(base)
    if below.header is None:
        raise WeightsError(f"{base}: is not in our layout; convert it first")
    if below.header.base is not None or output.name == base.name:
        raise InputError(f"{base}: adapters are added to whole weights of another role, beside which they lie")
    if base.name != f"{below.header.role}.safetensors":
        raise InputError(f"{base}: will be looked for as {below.header.role}.safetensors; name it so")
    beside = output.with_name(base.name)
    if not beside.is_file() or fingerprint(beside) != fingerprint(base):
        raise InputError(f"{beside}: will be looked for beside {output.name} and is not {base}; copy it there first")
    return below.tensors, below.header


def _added(
    path: Path, base: Mapping[str, LazyTensor], role: Role, rank: int | None, alpha: float | None
) -> tuple[dict[str, Sides], float]:
    """The adapters that make the weights of ``path`` out of ``base``, and the share of the difference they hold."""
    found = lora_in(path, Wanted(role=role))
    if found is None:
        if rank is None:
            raise InputError(f"{path}: holds whole weights; say how many singular values are kept of each (--rank)")
        return _difference(open_transformer(path).tensors, base, rank, str(path))
    if rank is not None:
        raise InputError(f"{path}: holds adapters, whose rank is fixed; leave out --rank")
    adapters = read_adapters(found[0], base, path, alpha=alpha, reference=found[1])
    if adapters.differences:
        raise InputError(f"{path}: changes biases or norms, too; convert it to whole weights instead")
    return {name: (one.a, _times(one.b, one.scale)) for name, one in adapters.pairs.items()}, 1.0


def _times(tensor: LazyTensor, scale: float) -> LazyTensor:
    if scale == 1:
        return tensor
    return computed(lambda: tensor.read().float() * scale, torch.float32, tensor.shape)


def _difference(
    weights: Mapping[str, LazyTensor], base: Mapping[str, LazyTensor], rank: int, source: str
) -> tuple[dict[str, Sides], float]:
    """Adapters of the matrices in which ``weights`` differ from ``base``, and the share of the difference they hold."""
    if weights.keys() != base.keys():
        other = sorted(weights.keys() ^ base.keys())[0]
        raise WeightsError(f"{source}: is another network than its base: {other}")
    pairs: dict[str, Sides] = {}
    whole, kept = 0.0, 0.0
    for name in sorted(base):
        below = base[name].read().float()
        moved = weights[name].read().float() - below
        if moved.norm() <= ROUNDING * below.norm():
            continue
        if moved.ndim != 2:
            raise InputError(f"{source}: {name} differs from its base and is no matrix; keep these weights whole")
        left, values, right = torch.linalg.svd(moved, full_matrices=False)
        whole += float(values.square().sum())
        kept += float(values[:rank].square().sum())
        root = values[:rank].sqrt()
        pairs[name] = (held(root[:, None] * right[:rank]), held(left[:, :rank] * root))
    if not pairs:
        raise InputError(f"{source}: is its base; there is nothing to add")
    return pairs, kept / whole


Target = Literal["shotstream", "diffusers"]
DIFFUSERS_FILE = "diffusion_pytorch_model.safetensors"


class Converted(Config):
    """What a conversion found and wrote. ``bytes``: of ``output``; ``entry``, ``also``: of a checkpoint of several
    networks, the one that was taken and the others."""

    source: str
    layout: Layout
    output: str
    preset: str
    parameters: int
    bytes: int
    entry: str = ""
    also: tuple[str, ...] = ()
    fits: tuple[str, ...] = ()  # other presets of networks with the same sizes, where none was named


def convert(
    source: Path,
    output: Path,
    *,
    to: Target = "shotstream",
    named: str | None = None,
    role: Role = "student",
    dtype: torch.dtype | Form | None = None,
    base: Path | None = None,
    alpha: float | None = None,
    entry: str | None = None,
    force: bool = False,
) -> Converted:
    """Write the transformer of ``source`` to ``output``.

    output: a ``.safetensors`` file, or a folder in which it becomes ``student.safetensors`` (as ``role`` says); for
    ``to="diffusers"`` a folder that ``WanTransformer3DModel.from_pretrained`` takes. named: a preset, or the path of a
    preset's JSON file: it says what weights cannot (heads, schedule, sampler); None finds the known preset they fit.
    dtype: narrow the matmuls' weights to it and keep the rest in float32; "int8" or "int4" quantises all large
    matrices (our layout alone, see :mod:`.quantisation`); None keeps every number to the bit.
    base, alpha, entry: see :class:`Wanted`.
    Raises :class:`WeightsError`, :class:`InputError`, :class:`StorageError`.
    """
    found = open_transformer(source, Wanted(role=role, base=base, alpha=alpha, entry=entry))
    chosen = _preset_of(found, named)
    with torch.device("meta"):
        network = Transformer(chosen.transformer)
    check_names_and_shapes(network, found.tensors, str(found.path))
    if to == "diffusers" and isinstance(dtype, str):
        raise InputError(f"{dtype}: diffusers cannot read our quantised weights; choose another dtype, or our layout")
    tensors = found.tensors if dtype is None else _in_dtype(found.tensors, network, dtype)
    if to == "diffusers":
        path = _write_diffusers(tensors, chosen, output, force)
    else:
        path = _write_ours(tensors, chosen, found, role, output, force)
    return Converted(
        source=str(found.path),
        layout=found.layout,
        output=str(path),
        preset=chosen.name,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        bytes=path.stat().st_size,
        entry=found.entry,
        also=found.also,
        fits=() if named is not None or found.header is not None else _others_that_fit(found, chosen),
    )


def _write_ours(
    tensors: Mapping[str, LazyTensor], chosen: Preset, found: TransformerSource, role: Role, output: Path, force: bool
) -> Path:
    if output.suffix == ".safetensors":
        path = output
    else:
        make_folder(output)
        path = output / f"{role}.safetensors"
    ready_to_write(path, force=force)
    beside = path.parent / PRESET_FILE
    if beside.is_file() and not force and read_preset(beside) != chosen:
        raise InputError(f"{beside}: describes another preset than {chosen.name!r}; use another folder, or --force")
    versions = found.header.versions if found.header else {}
    header = WeightsHeader(role=role, preset=chosen.name, config=chosen.transformer, versions=versions)
    write_safetensors(path, tensors, {"shotstream": header.model_dump_json()})
    if beside.is_file() or known_presets().get(chosen.name) != chosen:
        write_preset(chosen, path.parent)
    return path


def _write_diffusers(tensors: Mapping[str, LazyTensor], chosen: Preset, output: Path, force: bool) -> Path:
    if chosen.transformer.prediction != "flow":
        raise WeightsError(
            f"preset {chosen.name!r} predicts {chosen.transformer.prediction}, diffusers' Wan transformer the flow; "
            "convert to our layout instead"
        )
    make_folder(output)
    path, config = output / DIFFUSERS_FILE, output / "config.json"
    for file in (path, config):
        ready_to_write(file, force=force)
    write_safetensors(path, {to_diffusers(name): tensor for name, tensor in tensors.items()}, {"format": "pt"})
    write_text(config, json.dumps(diffusers_config(chosen.transformer), indent=2) + "\n")
    return path


def _in_dtype(
    tensors: Mapping[str, LazyTensor], network: Transformer, dtype: torch.dtype | Form
) -> dict[str, LazyTensor]:
    if isinstance(dtype, torch.dtype):
        matmuls = network.matmul_names()
        return {name: narrowed(one, dtype if name in matmuls else torch.float32) for name, one in tensors.items()}
    matrices = matrix_names(network)
    ready: dict[str, LazyTensor] = {}
    for name, one in tensors.items():
        ready |= quantised(name, one, dtype) if name in matrices else {name: narrowed(one, rest_dtype(dtype))}
    return ready


def _fitting(found: TransformerSource) -> list[Preset]:
    """The known presets whose network has the sizes of ``found``."""
    sizes = sizes_in({name: tensor.shape for name, tensor in found.tensors.items()})
    return [one for one in known_presets().values() if sizes and _agrees(one, sizes) and _agrees(one, found.told)]


def _others_that_fit(found: TransformerSource, chosen: Preset) -> tuple[str, ...]:
    return tuple(one.name for one in _fitting(found) if one.name != chosen.name)


def _preset_of(found: TransformerSource, named: str | None) -> Preset:
    """The preset that says what the weights cannot: the one named, the one they name, or the known one they fit."""
    if named is not None:
        chosen = read_preset(Path(named)) if named.endswith(".json") else preset(named)
    elif found.header is not None:
        chosen = _of_our_file(found.header, found.path)
    else:
        fitting = _fitting(found)
        if not fitting:
            sizes = sizes_in({name: tensor.shape for name, tensor in found.tensors.items()})
            said = ", ".join(f"{name} {size}" for name, size in (sizes | dict(found.told)).items())
            names = ", ".join(known_presets())
            raise WeightsError(
                f"{found.path}: no known preset ({names}) is a network with {said or 'these tensors'}; "
                "name a preset, or the path of its JSON file, with --preset"
            )
        return fitting[0]
    if not _agrees(chosen, found.told):
        ours = chosen.transformer.model_dump()
        differing = {name: size for name, size in found.told.items() if ours[name] != size}
        wrong = "; ".join(f"{name} {size} here, {ours[name]} there" for name, size in differing.items())
        raise WeightsError(f"{found.path.parent / 'config.json'}: not the network of preset {chosen.name!r}: {wrong}")
    return chosen


def _agrees(one: Preset, sizes: Mapping[str, object]) -> bool:
    ours = one.transformer.model_dump()
    return all(ours[name] == size for name, size in sizes.items())


def _of_our_file(header: WeightsHeader, path: Path) -> Preset:
    """The preset beside one of our own files, or the known one it names."""
    beside = path.parent / PRESET_FILE
    if not beside.is_file() and header.preset not in known_presets():
        raise WeightsError(
            f"{path}: made for preset {header.preset!r}; put its preset.json beside it, or name --preset"
        )
    chosen = read_preset(beside) if beside.is_file() else known_presets()[header.preset]
    if chosen.transformer != header.config:
        raise WeightsError(f"{path}: its header describes another network than preset {chosen.name!r}; name --preset")
    return chosen
