"""What a preset is: everything about a model that is not its weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from shotstream.core.config import Config, first_fault
from shotstream.core.context_budget import PolicyName
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import write_text
from shotstream.core.flow import STEPS, FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.core.story import PLAIN_PROMPT, full_prompt
from shotstream.models.config import TransformerConfig

ConditionTime = Literal["zero", "same"]
ConditionCaptions = Literal["own", "target"]
PRESET_FILE = "preset.json"  # beside weights: how they are sampled


class SamplerSettings(Config):
    """How a block of noise becomes a block of film. ``kind``: a name in :data:`shotstream.sampling.solvers.SAMPLERS`.

    ``few_step``: x0 predicted at ``timesteps``, with fresh noise added in between.
    ``euler``: that many steps of the flow's ODE, as the published teacher is sampled.
    """

    kind: str = "few_step"
    timesteps: tuple[int, ...] = (1000, 750, 500, 250)  # looked up in the shifted schedule
    steps: int = Field(default=20, gt=0)
    guidance: float = Field(default=1.0, ge=0)  # uncond + g (cond - uncond); 1 is none
    window: int | None = Field(default=None, ge=2)  # blocks of its shot a block sees, itself among them; None: all
    refresh: bool = True  # a pass at timestep 0 for every finished block; else its last step's keys and values stay

    @property
    def passes(self) -> int:
        """Denoising steps of a block."""
        return len(self.timesteps) if self.kind == "few_step" else self.steps

    @model_validator(mode="before")
    @classmethod
    def _former_name(cls, given: Any) -> Any:
        """Presets beside older weights, and overrides of older recipes, say ``listed``."""
        if isinstance(given, dict) and "listed" in given:
            return {name: value for name, value in given.items() if name != "listed"} | {"timesteps": given["listed"]}
        return given

    def fewer(self, steps: int) -> SamplerSettings:
        """The same in ``steps`` few steps, evenly spaced as its own are. Raises InputError for more than it has."""
        most = len(self.timesteps)
        if self.kind != "few_step" or not 1 <= steps <= most:
            able = f"1 to {most}" if self.kind == "few_step" else "the model's own number: it is not distilled"
            raise InputError(f"steps {steps}: give {able}")
        timesteps = tuple(round(STEPS * (steps - done) / steps) for done in range(steps))
        return self.model_copy(update={"timesteps": timesteps})


class ContextSettings(Config):
    """What a shot is conditioned on, in training and in films.

    ``policy``: how condition frames are chosen. ``captions``: they read the caption of the shot they are of ("own",
    the paper's), or that of the shot to come ("target", its ablation; the context pass then waits for the next prompt).
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
    prompt_form: str = PLAIN_PROMPT  # how a shot's prompt is put together; {shot} counts from 0
    negative_prompt: str | None = None  # what guidance leads away from; None: zeros in the place of a caption

    @model_validator(mode="after")
    def _agrees(self) -> Preset:
        pairs = (
            ("patch", self.geometry.patch, self.transformer.patch),
            ("latent channels", self.geometry.latent_channels, self.transformer.in_channels),
        )
        for what, grid, network in pairs:
            if grid != network:
                raise ValueError(f"{what}: the geometry says {grid}, the transformer {network}")
        try:
            empty = self.prompt("", "", 0)
        except (KeyError, IndexError, ValueError) as fault:
            raise ValueError("prompt_form: may name {global_caption}, {caption} and {shot}, nothing else") from fault
        if self.prompt("g", "", 0) == empty or self.prompt("", "c", 0) == empty:
            raise ValueError("prompt_form: must hold {global_caption} and {caption}")
        return self

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        """What the model reads for shot number ``shot``, counted from 0."""
        return full_prompt(global_caption, caption, shot, self.prompt_form)

    def sized(self, size: str | None) -> Preset:
        """The same for frames of another ``size``, as ``512x288``; None changes nothing. Raises InputError."""
        if size is None:
            return self
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
        if found is None:
            raise InputError(f"size {size!r}: give width and height in pixels, as 512x288")
        return self.model_copy(update={"geometry": self.geometry.sized(int(found[1]), int(found[2]))})

    def in_steps(self, steps: int | None) -> Preset:
        """The same with a student of at most its own number of steps; None changes nothing. Faster, but the frames
        differ (docs/performance.md). Raises InputError."""
        return self if steps is None else self.model_copy(update={"student": self.student.fewer(steps)})

    def looking_back(self, window: int | None, refresh: bool | None) -> Preset:
        """The same with a student that sees ``window`` blocks of its shot at most (itself, those before it, and from
        three on the first), with or without the ``refresh`` pass of finished blocks. The frames
        differ (docs/performance.md); None changes nothing. Raises InputError."""
        most = self.geometry.max_blocks
        if window is not None and not 2 <= window <= most:
            raise InputError(f"window {window}: give 2 to {most} blocks")
        own = self.student
        changes = {
            "window": own.window if window is None else window,
            "refresh": own.refresh if refresh is None else refresh,
        }
        return self.model_copy(update={"student": own.model_copy(update=changes)})


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
