"""The YAML files that are published beside a model's weights: kept with the model, and compared with its preset.

They are of the Self-Forcing line (github.com/guandeh17/Self-Forcing), whose names are used here. What a preset has no
setting for, such as batch sizes, is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shotstream.checkpoints.hub import fetch, list_files
from shotstream.core.errors import WeightsError
from shotstream.core.files import make_folder, write_bytes
from shotstream.core.flow import STEPS
from shotstream.families.preset import Preset

FOLDER = "published"  # in the model's folder
YAML = (".yaml", ".yml")
_SAID = 60  # characters of a value

# What the published names say -> what the preset says of the same.
_SETTINGS: dict[str, Callable[[Preset], Any]] = {
    "denoising_step_list": lambda preset: list(preset.student.timesteps),
    "num_frame_per_block": lambda preset: preset.geometry.block_frames,
    "timestep_shift": lambda preset: preset.schedule.shift,
    "num_train_timestep": lambda preset: STEPS,
    "negative_prompt": lambda preset: preset.negative_prompt,
    "image_or_video_shape": lambda preset: [
        preset.geometry.max_blocks * preset.geometry.block_frames,
        *preset.geometry.latent_shape,
    ],
    "context_noise": lambda preset: 0,  # the timestep of the refresh pass
    "local_attn_size": lambda preset: preset.geometry.block_frames * (preset.student.window or 0) or -1,
}


def keep_published(
    repo: str, preset: Preset, folder: Path, *, local: Sequence[Path], endpoint: str | None, tell: Callable[[str], None]
) -> None:
    """Bring the YAML files of ``local`` folders, and of the hub's ``repo``, into ``folder``/published, and tell where
    they differ from ``preset``. A hub that does not answer is only told of: the model is complete without them."""
    target = folder / FOLDER
    for path in _in(local):
        make_folder(target)
        write_bytes(target / path.name, path.read_bytes())
    try:
        for file in list_files(repo, YAML, endpoint=endpoint):
            if not (target / file.name).is_file():
                fetch(file, target, endpoint=endpoint)
    except WeightsError as fault:
        tell(f"published configs: not fetched; {fault}")
    kept = [path for path in sorted(target.rglob("*")) if path.suffix in YAML]
    if not kept:
        tell(f"published configs: {repo} has none; the preset {preset.name} stands as it is")
    for path in kept:
        tell(f"{path.relative_to(folder)}: {_verdict(path, preset)}")


def _verdict(path: Path, preset: Preset) -> str:
    try:
        compared, differences = compare(yaml.safe_load(path.read_bytes()), preset)
    except (yaml.YAMLError, ValueError, RecursionError) as fault:  # a mapping may name itself
        return f"not read ({' '.join(str(fault).split())[:_SAID]})"
    if not compared:
        return "says nothing that the preset says"
    if not differences:
        return f"agrees with the preset {preset.name} in all it says of it ({', '.join(compared)})"
    return f"differs from the preset {preset.name}: {'; '.join(differences)}"


def compare(settings: Any, preset: Preset) -> tuple[list[str], list[str]]:
    """The settings that both have, and the differences, a line each."""
    compared, differences = [], []
    for name, value in _named(settings):
        ours, theirs = _SETTINGS[name](preset), _plain(name, value)
        compared.append(name)
        if ours != theirs:
            differences.append(f"{name} {_said(theirs)}, here {_said(ours)}")
    return compared, differences


def _named(settings: Any) -> Iterator[tuple[str, Any]]:
    """Every known name at any depth."""
    if not isinstance(settings, Mapping):
        return
    for name, value in settings.items():
        if name in _SETTINGS:
            yield name, value
        else:
            yield from _named(value)


def _plain(name: str, value: Any) -> Any:
    if name == "denoising_step_list" and isinstance(value, list):
        return value[:-1] if value and value[-1] == 0 else value  # some list where they end, too
    if name == "image_or_video_shape" and isinstance(value, list):
        return value[1:]  # without the batch
    return value


def _said(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SAID else f"{text[:_SAID]}..."


def _in(local: Sequence[Path]) -> Iterator[Path]:
    for folder in local:
        for place in (folder, folder / "configs"):
            yield from sorted(path for path in place.glob("*") if path.suffix in YAML)
