"""Pulls a model: from local folders first, then from the hub, into the layout that ``load`` reads.

Every part is finished before the next begins, so a pull that was stopped goes on with the part it was at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from shotstream.checkpoints.convert import convert
from shotstream.checkpoints.convert_codecs import convert_codec
from shotstream.checkpoints.hub import HubFile, fetch, list_model, snapshot_of
from shotstream.checkpoints.model_files import UNFINISHED
from shotstream.checkpoints.published_config import keep_published
from shotstream.core.errors import InputError
from shotstream.core.files import make_folder, whole_file
from shotstream.core.places import model_folder
from shotstream.families.family import Family, HubPart
from shotstream.families.registry import family_of, known_families, preset

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a model needs. ``product``: the file in the model's folder that shows it is there; ``make``: writes it
    from the downloaded file."""

    source: HubFile
    product: str
    make: Callable[[Path, Path], None]


def parts_of(family: Family, preset: str) -> tuple[Part, ...]:
    """How each published file of the model ``preset`` becomes what lies in its folder."""
    return tuple(
        Part(HubFile(one.repo, one.name), one.product, _maker(family, preset, one)) for one in family.hub[preset]
    )


def _maker(family: Family, preset: str, part: HubPart) -> Callable[[Path, Path], None]:
    if part.becomes == "student":
        return lambda source, folder: _student(source, folder, preset)
    if part.becomes == "same":
        return lambda source, folder: _same(source, folder / part.product)
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
        if (folder / part.product).is_file():
            tell(f"{part.product}: there already")
            continue
        found = _in(local, part.source)
        tell(f"{part.product}: from {found or f'{part.source.repo}/{part.source.name}'}")
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
