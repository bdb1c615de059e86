"""A pipeline: recipes run one after the other, and the model they leave, ready to be loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.files import whole_file
from shotstream.models.presets import write_preset
from shotstream.training.presets import named_preset


class PipelineRecipe(Config):
    """Which recipes, in order, and which of their files make the model (``model``: file name to path)."""

    stage: Literal["pipeline"] = "pipeline"
    preset: str
    steps: tuple[str, ...]
    model: dict[str, str]


def run_pipeline(recipe: PipelineRecipe, out: Path, run: Callable[[str], None]) -> Path:
    """Run every step; return the folder ``out``/model, which ``shotstream.load`` takes.

    Steps that are done are passed over quickly: rerunning goes on where it stopped. Raises :class:`InputError` if a
    step has not left what the model needs.
    """
    for step in recipe.steps:
        run(step)
    folder = out / "model"
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in recipe.model.items():
        if not Path(source).is_file():
            raise InputError(f"{source}: not there; no step of the pipeline has left it")
        with whole_file(folder / name) as temporary:
            shutil.copyfile(source, temporary)
    write_preset(named_preset(recipe.preset), folder)
    return folder
