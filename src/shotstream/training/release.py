"""What a stage of transformers leaves: averaged weights in half precision, and the preset they are sampled by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import torch
from torch import nn

from shotstream.models.presets import Preset, write_preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import Role, WeightsHeader, save_transformer


def release_transformers(
    averaged: Mapping[str, nn.Module],
    roles: Iterable[Role],
    preset: Preset,
    versions: Mapping[str, str],
    folder: Path,
) -> None:
    """Write ``<role>.safetensors`` of each of ``roles`` and preset.json into ``folder``, which is a model then.

    versions: of the codecs, by their content.
    """
    for role in roles:
        header = WeightsHeader(role=role, preset=preset.name, config=preset.transformer, versions=dict(versions))
        save_transformer(cast(Transformer, averaged[role]), folder / f"{role}.safetensors", header, dtype=torch.float16)
    write_preset(preset, folder)
