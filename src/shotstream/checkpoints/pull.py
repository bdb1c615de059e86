"""Pulls a model: from local folders first, then from the hub, into the layout that ``load`` reads.

Every part is finished before the next begins, so a pull that was stopped goes on with the part it was at. YAML files
that are published beside the weights are kept with the model, and compared with its preset. They are of the
Self-Forcing line (github.com/guandeh17/Self-Forcing), whose names are used here. What a preset has no setting for, such
as batch sizes, is not compared.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from shotstream.checkpoints.convert import convert
from shotstream.checkpoints.convert_codecs import convert_codec
from shotstream.checkpoints.model_files import UNFINISHED, HubFile, fetch, list_files, list_model, snapshot_of
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import make_folder, model_folder, whole_file, write_bytes
from shotstream.core.flow import STEPS
from shotstream.families.family import Family, HubPart, family_of, known_families, preset
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
    for path in _yaml_in(local):
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


def _yaml_in(local: Sequence[Path]) -> Iterator[Path]:
    for folder in local:
        for place in (folder, folder / "configs"):
            yield from sorted(path for path in place.glob("*") if path.suffix in YAML)


Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a model needs. ``file``: the one in the model's folder that shows it is there; ``make``: writes it
    from the downloaded file."""

    source: HubFile
    file: str
    make: Callable[[Path, Path], None]


def parts_of(family: Family, preset: str) -> tuple[Part, ...]:
    """How each published file of the model ``preset`` becomes what lies in its folder."""
    return tuple(Part(HubFile(one.repo, one.name), one.file, _maker(family, preset, one)) for one in family.hub[preset])


def _maker(family: Family, preset: str, part: HubPart) -> Callable[[Path, Path], None]:
    if part.becomes == "student":
        return lambda source, folder: _student(source, folder, preset)
    if part.becomes == "same":
        return lambda source, folder: _same(source, folder / part.file)
    codec = next(one for one in family.codecs.foreign if one.folder == part.becomes)
    return lambda source, folder: convert_codec(codec, source, folder / codec.folder, force=True)


def _student(source: Path, folder: Path, preset: str) -> None:
    convert(source, folder, named=preset, dtype=torch.bfloat16, force=True)


def _same(source: Path, target: Path) -> None:
    make_folder(target.parent)
    with whole_file(target) as temporary:
        shutil.copyfile(source, temporary)


def pull(
    name: str,
    *,
    local: Sequence[Path] = (),
    keep: bool = False,
    endpoint: str | None = None,
    tell: Tell = lambda line: None,
) -> Path:
    """Fetch the model ``name``, a preset or the hub id of a model in our layout; returns its folder.

    local: folders that may hold the published files, under their published names; what is found there is not
    downloaded. keep: leave the downloaded originals beside what was made of them. Raises :class:`InputError` for a
    name that cannot be pulled, :class:`WeightsError`, :class:`StorageError`.
    """
    folder, family = model_folder(name), family_of(name)
    if family is not None and name in family.hub:
        parts = parts_of(family, name)
        pull_parts(parts, folder, local=local, keep=keep, endpoint=endpoint, tell=tell)
        weights = next(one.repo for one in family.hub[name] if one.becomes == "student")
        keep_published(weights, preset(name), folder, local=local, endpoint=endpoint, tell=tell)
        return folder
    if len(name.split("/")) != 2:
        known = ", ".join(one for family in known_families() for one in family.hub)
        raise InputError(f"{name!r} cannot be pulled; name {known} or a hub id such as someone/model")
    files = list_model(name, endpoint=endpoint)
    make_folder(folder)
    (folder / UNFINISHED).touch()
    for file in files:
        if not (folder / file.name).is_file():
            tell(f"{file.repo}/{file.name}")
            fetch(file, folder, endpoint=endpoint)
    (folder / UNFINISHED).unlink()
    return folder


def pull_parts(
    parts: Sequence[Part], folder: Path, *, local: Sequence[Path], keep: bool, endpoint: str | None, tell: Tell
) -> Path:
    """Bring every part of a recipe into ``folder``. Raises as :func:`pull` does."""
    for place in local:
        if not place.is_dir():
            raise InputError(f"{place}: no such folder; --from names folders that hold published files")
    downloads = folder / "downloads"
    make_folder(folder)
    for part in parts:
        if (folder / part.file).is_file():
            tell(f"{part.file}: there already")
            continue
        found = _in(local, part.source)
        tell(f"{part.file}: from {found or f'{part.source.repo}/{part.source.name}'}")
        source = found or fetch(part.source, downloads / part.source.repo, endpoint=endpoint)
        part.make(source, folder)
        if found is None and not keep:
            source.unlink()
    if not keep:
        shutil.rmtree(downloads, ignore_errors=True)
    return folder


def _in(local: Sequence[Path], source: HubFile) -> Path | None:
    """The published file in one of ``local``: under its path in the repository, or its bare name."""
    places = [snapshot_of(folder) / name for folder in local for name in (source.name, Path(source.name).name)]
    return next((place for place in places if place.is_file()), None)
