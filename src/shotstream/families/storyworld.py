"""The embedded family, `storyworld`: small enough for a CPU, trained on the procedural world."""

from __future__ import annotations

from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families import world_codecs
from shotstream.families.family import Family
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig

STORYWORLD = Preset(
    name="storyworld",
    geometry=Geometry(width=256, height=160, spatial=16, latent_channels=16),
    transformer=TransformerConfig(
        in_channels=16,
        dim=288,
        ffn_dim=1152,
        heads=6,
        layers=8,
        text_dim=192,
        prediction="x0",
        caption_padding="hidden",
    ),
    # Fresh noise between the steps mends what a small network gets wrong; the flow's ODE adds it up (the log).
    schedule=FlowSchedule(shift=6.0),
    # No refresh: a pass less, and captions are followed better (docs/performance.md).
    student=SamplerSettings(timesteps=(1000, 689, 400, 143), refresh=False),
    teacher=SamplerSettings(timesteps=(1000, 875, 750, 625, 500, 375, 250, 125), guidance=2.0),
)

FAMILY = Family(name="storyworld", presets=(STORYWORLD,), codecs=world_codecs.CODECS)
