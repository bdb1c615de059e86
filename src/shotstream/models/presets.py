"""The presets: everything about a model that is not its weights. Numbers of a preset live here and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from shotstream.core.config import Config, first_fault
from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import write_text
from shotstream.core.flow import STEPS, FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.models.config import TransformerConfig

ConditionTime = Literal["zero", "same"]
ConditionCaptions = Literal["own", "target"]
PRESET_FILE = "preset.json"  # beside weights: how they are sampled


class SamplerSettings(Config):
    """How a block of noise becomes a block of film.

    ``few_step``: x0 predicted at the listed timesteps, re-noised in between.
    ``euler``: that many steps of the flow's ODE, as the published teacher is sampled.
    """

    kind: Literal["few_step", "euler"] = "few_step"
    listed: tuple[int, ...] = (1000, 750, 500, 250)  # looked up in the shifted schedule
    steps: int = Field(default=20, gt=0)
    guidance: float = Field(default=1.0, ge=0)  # uncond + g (cond - uncond); 1 is none
    window: int | None = Field(default=None, ge=2)  # blocks of its shot a block sees, itself among them; None: all
    refresh: bool = True  # is a finished block remembered by a clean pass, or as its last step left it?

    def fewer(self, steps: int) -> SamplerSettings:
        """The same in ``steps`` few steps, evenly spaced as its own are. Raises InputError for more than it has."""
        most = len(self.listed)
        if self.kind != "few_step" or not 1 <= steps <= most:
            able = f"1 to {most}" if self.kind == "few_step" else "the model's own number: it is not distilled"
            raise InputError(f"steps {steps}: give {able}")
        listed = tuple(round(STEPS * (steps - done) / steps) for done in range(steps))
        return self.model_copy(update={"listed": listed})


class ContextSettings(Config):
    """What a shot remembers of those before it, in training and in films.

    ``policy``: how condition frames are chosen. ``captions``: they read the caption of the shot they are of ("own",
    the paper's), or that of the shot to come ("target", its ablation; memory then waits for the next prompt).
    """

    policy: PolicyName = "dynamic"
    captions: ConditionCaptions = "own"


class Preset(Config):
    """One model family: teacher, student and critic share everything here."""

    name: str
    geometry: Geometry
    transformer: TransformerConfig
    schedule: FlowSchedule
    student: SamplerSettings
    teacher: SamplerSettings
    # Timestep of the teacher's condition frames: "zero" also lets them see only each other, so that their
    # keys and values are computed once per shot; "same" is the reference (one timestep, full attention).
    condition_time: ConditionTime = "zero"
    context: ContextSettings = ContextSettings()

    @model_validator(mode="after")
    def _agrees(self) -> Preset:
        pairs = (
            ("patch", self.geometry.patch, self.transformer.patch),
            ("latent channels", self.geometry.latent_channels, self.transformer.in_channels),
        )
        for what, grid, network in pairs:
            if grid != network:
                raise ValueError(f"{what}: the geometry says {grid}, the transformer {network}")
        return self

    def sized(self, size: str | None) -> Preset:
        """The same for pictures of another ``size``, as ``512x288``; None changes nothing. Raises InputError."""
        if size is None:
            return self
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
        if found is None:
            raise InputError(f"size {size!r}: give width and height in pixels, as 512x288")
        return self.model_copy(update={"geometry": self.geometry.sized(int(found[1]), int(found[2]))})

    def in_steps(self, steps: int | None) -> Preset:
        """The same with a student of at most its own number of steps; None changes nothing. Faster, and not the same
        pictures (docs/performance.md). Raises InputError."""
        return self if steps is None else self.model_copy(update={"student": self.student.fewer(steps)})

    def looking_back(self, window: int | None, refresh: bool | None) -> Preset:
        """The same with a student that sees ``window`` blocks of its shot at most (itself, those before it, and from
        three on the first), and remembers blocks by a pass of their own (``refresh``) or as their last step left them.
        Not the same pictures (docs/performance.md); None changes nothing. Raises InputError."""
        most = self.geometry.max_blocks
        if window is not None and not 2 <= window <= most:
            raise InputError(f"window {window}: give 2 to {most} blocks")
        own = self.student
        changes = {
            "window": own.window if window is None else window,
            "refresh": own.refresh if refresh is None else refresh,
        }
        return self.model_copy(update={"student": own.model_copy(update=changes)})


STORYWORLD = Preset(
    name="storyworld",
    geometry=Geometry(width=256, height=160, spatial=16, latent_channels=16),
    transformer=TransformerConfig(
        in_channels=16, dim=288, ffn_dim=1152, heads=6, layers=8, text_dim=192, prediction="x0"
    ),
    # Fresh noise between the steps mends what a small network gets wrong; the flow's ODE adds it up (docs/log.md).
    schedule=FlowSchedule(shift=6.0),
    # No refresh: a pass less, and captions are followed better (docs/performance.md).
    student=SamplerSettings(listed=(1000, 689, 400, 143), refresh=False),
    teacher=SamplerSettings(listed=(1000, 875, 750, 625, 500, 375, 250, 125), guidance=2.0),
)

WAN_1_3B = Preset(
    name="wan-1.3b",
    geometry=Geometry(width=832, height=480, spatial=8, latent_channels=16, default_blocks=7),
    transformer=TransformerConfig(in_channels=16, dim=1536, ffn_dim=8960, heads=12, layers=30, text_dim=4096),
    schedule=FlowSchedule(shift=8.0),
    student=SamplerSettings(listed=(1000, 740, 500, 260)),
    teacher=SamplerSettings(kind="euler", steps=50, guidance=6.0),
    condition_time="same",
)

PRESETS = {preset.name: preset for preset in (STORYWORLD, WAN_1_3B)}


def preset(name: str) -> Preset:
    """The preset called ``name``; raises InputError that lists the known ones."""
    if name not in PRESETS:
        raise InputError(f"no preset is called {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]


def read_preset(path: Path) -> Preset:
    """The preset a JSON file describes. Raises WeightsError."""
    try:
        return Preset.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise WeightsError(f"{path}: cannot be read ({fault.strerror}); name a preset or its JSON file") from fault
    except ValidationError as fault:
        raise WeightsError(f"{path}: not a preset ({first_fault(fault, 'JSON')}); mend it") from fault


def write_preset(chosen: Preset, folder: Path) -> None:
    """Leave ``chosen`` beside the weights in ``folder``, where whoever loads them looks. Raises StorageError."""
    write_text(folder / PRESET_FILE, chosen.model_dump_json(indent=2) + "\n")
