"""Presets that recipes may name: the shipped ones, the nano one, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.preset import Preset, SamplerSettings, read_preset
from shotstream.families.registry import preset
from shotstream.models.config import TransformerConfig

NANO = Preset(
    name="nano",
    geometry=Geometry(width=96, height=64, spatial=16, latent_channels=16, max_blocks=3, default_blocks=2),
    transformer=TransformerConfig(in_channels=16, dim=96, ffn_dim=384, heads=4, layers=3, freq_dim=64, text_dim=64),
    schedule=FlowSchedule(shift=3.0),
    student=SamplerSettings(),
    teacher=SamplerSettings(kind="euler", steps=12, guidance=2.0),
)


FOUR_STEPS = (1000, 750, 500, 250)


def few_steps(preset: Preset, timesteps: tuple[int, ...], guidance: float = 1.0) -> Preset:
    """``preset`` with a student of the ``timesteps`` few steps; distillation makes one that needs no ``guidance``."""
    sampled = {"kind": "few_step", "timesteps": timesteps, "guidance": guidance}
    return preset.model_copy(update={"student": preset.student.model_copy(update=sampled)})


def undistilled(preset: Preset) -> Preset:
    """``preset`` with a student that is sampled as its teacher is: what flow matching leaves."""
    return preset.model_copy(update={"student": preset.teacher})


class PresetRecipe(Config):
    """What recipes of transformers say of their preset: a name or a JSON file, and what shall be otherwise."""

    preset: str = "storyworld"
    changes: Mapping[str, Any] = Field(default_factory=dict)  # {transformer: {shot_phase: 0}}, {context: {...}}


def training_preset(choice: PresetRecipe) -> Preset:
    """The preset a recipe chooses, with its changes: ``changes.transformer.shot_phase=0`` for an ablation.

    Raises :class:`InputError` for an unknown name and for changes that do not fit, :class:`WeightsError` for a file
    that describes none.
    """
    chosen = named_preset(choice.preset)
    try:
        if choice.changes:
            chosen = Preset.model_validate(_merged(chosen.model_dump(), choice.changes))
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(("changes", *map(str, first["loc"])))
        raise InputError(f"{place}: {first['msg'].removeprefix('Value error, ')}; mend it, or leave it out") from fault
    if chosen.context.policy == "retrieval":
        raise InputError(
            "context.policy: 'retrieval' compares words, and training has embeddings alone; choose another"
        )
    return chosen


def named_preset(name: str) -> Preset:
    """The preset called ``name``, or described by the JSON file ``name``. Raises as :func:`training_preset` does."""
    if name == NANO.name:
        return NANO
    return read_preset(Path(name)) if name.endswith(".json") else preset(name)


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with ``changes`` put in at every depth."""
    merged = dict(settings)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
