"""Recipes: YAML files that ship with the package, found by name or path, with dotted overrides; strict and typed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shotstream.core.config import Config, first_fault
from shotstream.core.errors import InputError
from shotstream.training.pipeline import PipelineRecipe
from shotstream.training.stages.autoencoder import AutoencoderRecipe
from shotstream.training.stages.causal_flow import CausalFlowRecipe
from shotstream.training.stages.causal_init import CausalInitRecipe
from shotstream.training.stages.guidance import GuidanceRecipe
from shotstream.training.stages.inter_shot import InterShotRecipe
from shotstream.training.stages.intra_shot import IntraShotRecipe
from shotstream.training.stages.light_decoder import LightDecoderRecipe
from shotstream.training.stages.recognisers import RecognisersRecipe
from shotstream.training.stages.teacher import TeacherRecipe
from shotstream.training.stages.text_encoder import TextEncoderRecipe
from shotstream.training.stages.trajectories import TrajectoriesRecipe

StageRecipe = (
    AutoencoderRecipe
    | TextEncoderRecipe
    | TeacherRecipe
    | CausalFlowRecipe
    | CausalInitRecipe
    | GuidanceRecipe
    | IntraShotRecipe
    | InterShotRecipe
    | RecognisersRecipe
    | LightDecoderRecipe
)
Recipe = StageRecipe | TrajectoriesRecipe | PipelineRecipe
RUN = "run:"  # begins a setting that is a path in the folder of runs: run:storyworld/teacher/teacher.safetensors

_KINDS: dict[str, type[Recipe]] = {
    "autoencoder": AutoencoderRecipe,
    "text-encoder": TextEncoderRecipe,
    "teacher": TeacherRecipe,
    "causal-flow": CausalFlowRecipe,
    "trajectories": TrajectoriesRecipe,
    "causal-init": CausalInitRecipe,
    "guidance": GuidanceRecipe,
    "intra-shot": IntraShotRecipe,
    "inter-shot": InterShotRecipe,
    "recognisers": RecognisersRecipe,
    "light-decoder": LightDecoderRecipe,
    "pipeline": PipelineRecipe,
}


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
    kind = _KINDS.get(str(settings.get("stage")))
    if kind is None:
        raise InputError(f"{name}: stage {settings.get('stage')!r} is unknown; use one of {', '.join(_KINDS)}")
    try:
        return kind.model_validate(_placed(settings, runs))
    except ValidationError as fault:
        raise InputError(f"{name}: {first_fault(fault)}") from fault


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
