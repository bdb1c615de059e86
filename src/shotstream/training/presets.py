"""Presets as recipes name them: the shipped ones, the nano one that only the pipeline trains, or a file."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.models.config import TransformerConfig
from shotstream.models.presets import Preset, SamplerSettings, preset, read_preset

NANO = Preset(
    name="nano",
    geometry=Geometry(width=96, height=64, spatial=16, latent_channels=16, max_blocks=3, default_blocks=2),
    transformer=TransformerConfig(in_channels=16, dim=96, ffn_dim=384, heads=4, layers=3, freq_dim=64, text_dim=64),
    schedule=FlowSchedule(shift=3.0),
    student=SamplerSettings(),
    teacher=SamplerSettings(kind="euler", steps=12, guidance=2.0),
)


FOUR_STEPS = (1000, 750, 500, 250)


def few_steps(preset: Preset, listed: tuple[int, ...], guidance: float = 1.0) -> Preset:
    """``preset`` with a student of the ``listed`` few steps; distillation makes one that needs no ``guidance``."""
    return preset.model_copy(update={"student": SamplerSettings(kind="few_step", listed=listed, guidance=guidance)})


def undistilled(preset: Preset) -> Preset:
    """``preset`` with a student that is sampled as its teacher is: what flow matching leaves."""
    return preset.model_copy(update={"student": preset.teacher})


def training_preset(name: str) -> Preset:
    """The preset called ``name``, or described by the JSON file ``name``. Raises :class:`InputError`
    for an unknown name, :class:`WeightsError` for a file that describes none."""
    if name == NANO.name:
        return NANO
    return read_preset(Path(name)) if name.endswith(".json") else preset(name)
