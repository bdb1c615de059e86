"""Weights from one layout into another: to our self-describing files, or to the transformer of diffusers.

One tensor at a time passes through memory. Nothing is written before every name and shape has been checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch

from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import make_folder, ready_to_write, write_text
from shotstream.core.packed import LARGEST, matrix_names, rest_dtype
from shotstream.core.weight_check import check_names_and_shapes
from shotstream.models.presets import PRESET_FILE, PRESETS, Preset, preset, read_preset, write_preset
from shotstream.models.transformer import Transformer
from shotstream.models.wan_layouts import diffusers_config, sizes_in, to_diffusers
from shotstream.models.weights import Role, WeightsHeader
from shotstream.tools.safetensors_writer import Outgoing, narrowed, packed, write_safetensors
from shotstream.tools.transformer_source import Layout, TransformerSource, open_transformer

Target = Literal["shotstream", "diffusers"]
DIFFUSERS_FILE = "diffusion_pytorch_model.safetensors"


class Converted(Config):
    """What a conversion found and wrote. ``bytes``: of ``output``."""

    source: str
    layout: Layout
    output: str
    preset: str
    parameters: int
    bytes: int


def convert(
    source: Path,
    output: Path,
    *,
    to: Target = "shotstream",
    named: str | None = None,
    role: Role = "student",
    dtype: torch.dtype | None = None,
    levels: int = LARGEST,
    base: Path | None = None,
    force: bool = False,
) -> Converted:
    """Write the transformer of ``source`` to ``output``.

    output: a ``.safetensors`` file, or a folder in which it becomes ``student.safetensors`` (as ``role`` says); for
    ``to="diffusers"`` a folder that ``WanTransformer3DModel.from_pretrained`` takes. named: a preset, or the path of a
    preset's JSON file: it says what weights cannot (heads, schedule, sampler); None finds the known preset they fit.
    dtype: narrow the matrix products' weights to it and keep the rest in float32; None keeps every number to the bit,
    torch.int8 packs all matrices, the timestep's among them, into bytes (our layout alone), of whole numbers from
    -levels to levels.
    Raises :class:`WeightsError`, :class:`InputError`, :class:`StorageError`.
    """
    found = open_transformer(source, role=role, base=base)
    chosen = _preset_of(found, named)
    with torch.device("meta"):
        network = Transformer(chosen.transformer)
    check_names_and_shapes(network, found.tensors, str(found.path))
    tensors = found.tensors if dtype is None else _in_dtype(found.tensors, network, dtype, levels)
    if not 1 <= levels <= LARGEST or (levels != LARGEST and dtype is not torch.int8):
        raise InputError(f"levels {levels}: 1 to {LARGEST}, and fewer than {LARGEST} only in bytes; add --dtype int8")
    if to == "diffusers" and dtype is torch.int8:
        raise InputError("int8: diffusers cannot read packed weights; choose another dtype, or our layout")
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
    )


def _write_ours(
    tensors: Mapping[str, Outgoing], chosen: Preset, found: TransformerSource, role: Role, output: Path, force: bool
) -> Path:
    if output.suffix == ".safetensors":
        path = output
    else:
        make_folder(output)
        path = output / f"{role}.safetensors"
    ready_to_write(path, force=force)
    beside = path.parent / PRESET_FILE
    if beside.is_file() and not force and read_preset(beside) != chosen:
        raise InputError(f"{beside}: says otherwise than preset {chosen.name!r}; use another folder, or --force")
    versions = found.header.versions if found.header else {}
    header = WeightsHeader(role=role, preset=chosen.name, config=chosen.transformer, versions=versions)
    write_safetensors(path, tensors, {"shotstream": header.model_dump_json()})
    if beside.is_file() or PRESETS.get(chosen.name) != chosen:
        write_preset(chosen, path.parent)
    return path


def _write_diffusers(tensors: Mapping[str, Outgoing], chosen: Preset, output: Path, force: bool) -> Path:
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
    tensors: Mapping[str, Outgoing], network: Transformer, dtype: torch.dtype, levels: int
) -> dict[str, Outgoing]:
    if dtype is not torch.int8:
        products = network.product_names()
        return {name: narrowed(one, dtype if name in products else torch.float32) for name, one in tensors.items()}
    matrices = matrix_names(network)
    rest = rest_dtype(levels)
    ready: dict[str, Outgoing] = {}
    for name, one in tensors.items():
        ready |= packed(name, one, levels) if name in matrices else {name: narrowed(one, rest)}
    return ready


def _preset_of(found: TransformerSource, named: str | None) -> Preset:
    """The preset that says what the weights cannot: the one named, the one they name, or the known one they fit."""
    if named is not None:
        chosen = read_preset(Path(named)) if named.endswith(".json") else preset(named)
    elif found.header is not None:
        chosen = _of_our_file(found.header, found.path)
    else:
        sizes = sizes_in({name: tensor.shape for name, tensor in found.tensors.items()})
        fitting = [one for one in PRESETS.values() if sizes and _agrees(one, sizes) and _agrees(one, found.told)]
        if not fitting:
            said = ", ".join(f"{name} {size}" for name, size in (sizes | dict(found.told)).items())
            known = ", ".join(PRESETS)
            raise WeightsError(
                f"{found.path}: no known preset ({known}) is a network with {said or 'these tensors'}; "
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
    if not beside.is_file() and header.preset not in PRESETS:
        raise WeightsError(
            f"{path}: made for preset {header.preset!r}; put its preset.json beside it, or name --preset"
        )
    chosen = read_preset(beside) if beside.is_file() else PRESETS[header.preset]
    if chosen.transformer != header.config:
        raise WeightsError(f"{path}: its header describes another network than preset {chosen.name!r}; name --preset")
    return chosen
