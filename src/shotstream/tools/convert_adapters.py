"""Adapters kept apart: a weight file of what they add to another that lies beside it."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint, ready_to_write
from shotstream.core.packed import LARGEST
from shotstream.models.adapters import check_fit, pairs_of
from shotstream.models.weights import BaseWeights, Role, WeightsHeader, read_header
from shotstream.tools.safetensors_writer import Outgoing, packed, unchanged, write_safetensors
from shotstream.tools.stored_tensors import read_safetensors
from shotstream.tools.transformer_source import find_weights, open_transformer


def convert_adapters(
    source: Path, output: Path, *, base: Path, role: Role = "student", levels: int | None = LARGEST, force: bool = False
) -> WeightsHeader:
    """Write the adapters of ``source`` (peft's ``adapter_model.safetensors``, or its folder) to ``output``.

    base: the whole weights they were trained on, in our layout, called after their role; loading finds them beside
    ``output`` and refuses others. levels: packed into bytes, of whole numbers from -levels to levels; None keeps them.
    Raises :class:`WeightsError`, :class:`InputError`, :class:`StorageError`.
    """
    path = find_weights(source, role)
    pairs = pairs_of({name: unchanged(tensor) for name, tensor in read_safetensors(path).items()}, str(path))
    below = open_transformer(base)
    check_fit(below.tensors, pairs, str(path))
    if below.header is None:
        raise WeightsError(f"{base}: is not in our layout; convert it first")
    if below.header.base is not None or output.name == base.name:
        raise InputError(f"{base}: adapters are added to whole weights of another role, beside which they lie")
    if base.name != f"{below.header.role}.safetensors":
        raise InputError(f"{base}: will be looked for as {below.header.role}.safetensors; name it so")
    ready_to_write(output, force=force)
    tensors: dict[str, Outgoing] = {}
    for name, sides in pairs.items():
        for letter, side in zip("AB", sides, strict=True):
            named = f"{name.removesuffix('.weight')}.lora_{letter}.weight"
            tensors |= {named: side} if levels is None else packed(named, side, levels)
    added_to = BaseWeights(role=below.header.role, fingerprint=fingerprint(base))
    header = read_header(base).model_copy(update={"role": role, "base": added_to})
    write_safetensors(output, tensors, {"shotstream": header.model_dump_json()})
    return header
