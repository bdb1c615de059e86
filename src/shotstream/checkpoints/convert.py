"""Converts transformer weights between layouts: to our self-describing files, or to diffusers.

One tensor at a time passes through memory. Nothing is written before every name and shape has been checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch

from shotstream.checkpoints.lazy_tensor import LazyTensor, narrowed
from shotstream.checkpoints.quantisation import Form, matrix_names, quantised, rest_dtype
from shotstream.checkpoints.safetensors_file import write_safetensors
from shotstream.checkpoints.transformer_source import Layout, TransformerSource, Wanted, open_transformer
from shotstream.checkpoints.transformer_weights import Role, WeightsHeader
from shotstream.checkpoints.weight_check import check_names_and_shapes
from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import make_folder, ready_to_write, write_text
from shotstream.families.preset import PRESET_FILE, Preset, read_preset, write_preset
from shotstream.families.registry import known_presets, preset
from shotstream.families.wan_layouts import diffusers_config, sizes_in, to_diffusers
from shotstream.models.transformer import Transformer

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
        products = network.matmul_names()
        return {name: narrowed(one, dtype if name in products else torch.float32) for name, one in tensors.items()}
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
