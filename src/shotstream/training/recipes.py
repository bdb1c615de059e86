"""Recipes: the base of every stage's, the registry of stages, and YAML files found by name or path; strict and typed.

A recipe class decorated with :func:`register` is all the rest of training knows of a stage: reading recipes, running
them and planning their cost follow from it. ``docs/training.md`` and CONTRIBUTING show how to add one. Presets that
recipes may name are the shipped ones, the nano one, or a file.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError
from torch import nn

from shotstream.checkpoints.quantisation import LEVELS
from shotstream.core.config import Config, first_fault
from shotstream.core.errors import InputError
from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.family import preset
from shotstream.families.preset import Preset, SamplerSettings, read_preset
from shotstream.models.config import TransformerConfig, forward_flops
from shotstream.training import stages
from shotstream.training.distributed import Processes
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings, Stage

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


Report = Callable[[int, int], None]  # told how much of the data is ready, and how much there will be
Networks = Mapping[str, tuple[nn.Module, OptimiserSettings | None]]  # by role; without an optimiser it is frozen


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a stage of transformers costs, estimated from sizes alone.

    batch, frames: samples and latent frames of the largest pass. flops: of a mean update (or other ``unit``), of which
    there are ``times``. cached: a rollout's KV cache is kept for the backward pass as well.
    """

    preset: Preset
    batch: int
    frames: int
    flops: float
    times: int
    unit: str = "update"
    cached: bool = False


def pass_flops(preset: Preset, kept: float, frames: float, seen: float) -> float:
    """One pass of ``kept`` condition frames and ``frames`` frames, all seeing the condition frames and ``seen``."""
    geometry = preset.geometry
    tokens = (kept + frames) * geometry.tokens_per_frame
    keys = (geometry.context_frames + seen) * geometry.tokens_per_frame
    return forward_flops(preset.transformer, round(tokens), round(keys))


class StageRecipe(Config):
    """Settings of a stage. Subclasses give ``stage`` its name: ``stage: Literal["teacher"] = "teacher"``."""

    stage: str
    seed: int = 1
    cpu_only: ClassVar[bool] = False  # its random numbers come from the CPU, and it was only ever trained there

    @abstractmethod
    def networks(self) -> Networks:
        """Every network of the stage. Called with ``meta`` as torch's default device: nothing is allocated."""

    def cost(self) -> Cost | None:
        """An estimate; None for networks so small that nobody asks."""
        return None


class TrainedRecipe(StageRecipe):
    """A stage that the training loop runs."""

    loop: LoopSettings

    @abstractmethod
    def build(self, store: Path, progress: Report) -> Stage:
        """The stage, its data made in (or found in) the folder ``store``."""


class SampledRecipe(StageRecipe):
    """A stage in which nothing learns: it makes files, and makes only missing ones when it is run again."""

    @abstractmethod
    def make(self, store: Path, folder: Path, progress: Report, processes: Processes) -> None:
        """Make the files in ``folder`` from data in ``store``; the ``processes`` share the work."""


Kind = TypeVar("Kind", bound=StageRecipe)
_KINDS: dict[str, type[StageRecipe]] = {}


def register(kind: type[Kind]) -> type[Kind]:
    """Class decorator: recipes whose ``stage`` is this class's are read as it."""
    name = kind.model_fields["stage"].default
    if _KINDS.setdefault(name, kind) is not kind:
        raise ValueError(f"stage {name!r} is registered twice: {_KINDS[name].__module__} and {kind.__module__}")
    return kind


def stage_kinds() -> Mapping[str, type[StageRecipe]]:
    """Name to recipe of every stage in the folder ``stages/``."""
    for module in pkgutil.iter_modules(stages.__path__, f"{stages.__name__}."):
        importlib.import_module(module.name)
    return _KINDS


class PipelineRecipe(Config):
    """Which recipes, in order, and which of their files make the model (``model``: file name to path)."""

    stage: Literal["pipeline"] = "pipeline"
    preset: str
    steps: tuple[str, ...]
    model: dict[str, str]


Recipe = StageRecipe | PipelineRecipe
_OLD_KEYS = {"figure_weight": "character_weight", "levels": "quantised"}
_FORMS = {levels: form for form, levels in LEVELS.items()}  # of ``levels``
RUN = "run:"  # begins a setting that is a path in the folder of runs: run:storyworld/teacher/teacher.safetensors


def recipe_names() -> list[str]:
    """Names of the recipes in the package, such as ``storyworld/teacher``."""
    root = resources.files("shotstream.training").joinpath("recipes")
    return sorted(
        f"{folder.name}/{file.name.removesuffix('.yaml')}"
        for folder in root.iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    )


def read_recipe(name: str, overrides: Sequence[str] = (), runs: Path = Path("build/train")) -> Recipe:
    """The recipe of a name or path, with ``key.sub=value`` overrides (values are YAML).

    runs: the folder that settings beginning with ``run:`` are paths in. Raises :class:`InputError`.
    """
    settings = _load(name)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise InputError(f"{override}: not an override; write key=value, for example loop.updates=100")
        _put(settings, key.split("."), yaml.safe_load(value), override)
    kinds: dict[str, type[Recipe]] = {"pipeline": PipelineRecipe, **stage_kinds()}
    kind = kinds.get(str(settings.get("stage")))
    if kind is None:
        raise InputError(f"{name}: stage {settings.get('stage')!r} is unknown; use one of {', '.join(sorted(kinds))}")
    try:
        return kind.model_validate(_placed(_renamed(settings), runs))
    except ValidationError as fault:
        raise InputError(f"{name}: {first_fault(fault, kind=kind)}") from fault


def _load(name: str) -> dict[str, Any]:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise InputError(f"{name}: no such recipe file; packaged recipes: {', '.join(recipe_names())}")
        text = path.read_text()
    elif name in recipe_names():
        text = resources.files("shotstream.training").joinpath("recipes", f"{name}.yaml").read_text()
    else:
        raise InputError(f"{name}: no such recipe; use a path or one of {', '.join(recipe_names())}")
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise InputError(f"{name}: not valid YAML ({' '.join(str(fault).split())})") from fault
    if not isinstance(settings, dict):
        raise InputError(f"{name}: a recipe is a mapping of settings")
    return settings


def _renamed(settings: Any) -> Any:
    """``settings`` with keys that recipes of earlier runs had made those of today."""
    if not isinstance(settings, dict):
        return settings
    renamed = {_OLD_KEYS.get(key, key): _renamed(value) for key, value in settings.items()}
    if isinstance(levels := settings.get("levels"), int) and levels in _FORMS:
        renamed["quantised"] = _FORMS[levels]
    return renamed


def _placed(settings: Any, runs: Path) -> Any:
    """``settings`` with every ``run:`` path made a path under ``runs``."""
    if isinstance(settings, dict):
        return {key: _placed(value, runs) for key, value in settings.items()}
    if isinstance(settings, str) and settings.startswith(RUN):
        return str(runs / settings.removeprefix(RUN))
    return settings


def _put(settings: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        settings = settings.setdefault(key, {})
        if not isinstance(settings, dict):
            raise InputError(f"{override}: {key} is a single value and has no parts")
    settings[keys[-1]] = value


def describe(recipe: Config) -> str:
    """The resolved recipe as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
