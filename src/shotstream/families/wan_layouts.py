"""Wan's transformer in other programs' files: parameter names and configs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shotstream.core.errors import WeightsError
from shotstream.models.config import TransformerConfig

# Ours (and Wan's) -> diffusers', without layer number and without .weight or .bias.
_OUTSIDE_LAYERS = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}
_IN_A_LAYER = {
    f"{ours}.{part}": f"{theirs}.{renamed}"
    for ours, theirs in (("self_attn", "attn1"), ("cross_attn", "attn2"))
    for part, renamed in (
        ("q", "to_q"),
        ("k", "to_k"),
        ("v", "to_v"),
        ("o", "to_out.0"),
        ("norm_q", "norm_q"),
        ("norm_k", "norm_k"),
    )
} | {"norm3": "norm2", "ffn.0": "ffn.net.0.proj", "ffn.2": "ffn.net.2", "modulation": "scale_shift_table"}
_PARTS = re.compile(r"(?P<layer>blocks\.\d+\.)?(?P<part>.*?)(?P<kind>\.weight|\.bias)?")


def to_diffusers(name: str) -> str:
    """Our name of a parameter -> diffusers'; a name that is not ours stays as it is."""
    return _renamed(name, _OUTSIDE_LAYERS, _IN_A_LAYER)


def from_diffusers(name: str) -> str:
    """The inverse of :func:`to_diffusers`."""
    return _renamed(name, _turned(_OUTSIDE_LAYERS), _turned(_IN_A_LAYER))


def is_diffusers(names: Mapping[str, Any]) -> bool:
    """Are these diffusers' names?"""
    return any(name.startswith("condition_embedder.") for name in names)


def diffusers_config(config: TransformerConfig) -> dict[str, Any]:
    """What diffusers' ``config.json`` says of this network (its class: ``WanTransformer3DModel``)."""
    return {
        "_class_name": "WanTransformer3DModel",
        "patch_size": [1, config.patch, config.patch],
        "num_attention_heads": config.heads,
        "attention_head_dim": config.head_dim,
        "in_channels": config.in_channels,
        "out_channels": config.in_channels,
        "text_dim": config.text_dim,
        "freq_dim": config.freq_dim,
        "ffn_dim": config.ffn_dim,
        "num_layers": config.layers,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "eps": config.eps,
        "rope_max_seq_len": 1024,
    }


def known_sizes(foreign: Mapping[str, Any]) -> dict[str, Any]:
    """What a ``config.json`` of Wan or of diffusers says in our words; what it leaves out is left out.

    Raises WeightsError if it describes a network that is not plain text-to-video.
    """
    image = foreign.get("image_dim") or foreign.get("added_kv_proj_dim")
    if foreign.get("model_type", "t2v") != "t2v" or image:
        raise WeightsError("its config.json describes another kind of Wan model; give text-to-video weights")
    if "num_attention_heads" in foreign:
        names = {"heads": "num_attention_heads", "layers": "num_layers", "in_channels": "in_channels"}
    else:
        names = {"heads": "num_heads", "layers": "num_layers", "in_channels": "in_dim", "dim": "dim"}
    names |= {same: same for same in ("ffn_dim", "freq_dim", "text_dim", "eps")}
    return {ours: foreign[theirs] for ours, theirs in names.items() if theirs in foreign}


def sizes_in(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The sizes that the shapes of parameters (in our names) tell; all but the number of heads. Empty if they tell
    nothing."""
    needed = ("patch_embedding.weight", "text_embedding.0.weight", "time_embedding.0.weight", "blocks.0.ffn.0.weight")
    if any(name not in shapes for name in needed) or len(shapes[needed[0]]) != 5:
        return {}
    patch, text, time, ffn = (shapes[name] for name in needed)
    layers = {int(name.split(".")[1]) for name in shapes if re.match(r"blocks\.\d+\.", name)}
    return {
        "in_channels": patch[1],
        "dim": patch[0],
        "patch": patch[-1],
        "text_dim": text[-1],
        "freq_dim": time[-1],
        "ffn_dim": ffn[0],
        "layers": max(layers) + 1,
    }


def _turned(table: Mapping[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in table.items()}


def _renamed(name: str, outside: Mapping[str, str], inside: Mapping[str, str]) -> str:
    found = _PARTS.fullmatch(name)
    assert found is not None  # the pattern matches every text
    layer, part, kind = found["layer"] or "", found["part"], found["kind"] or ""
    table = inside if layer else outside
    return f"{layer}{table[part]}{kind}" if part in table else name
