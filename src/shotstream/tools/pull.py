"""Fetching a model: from local folders first, from the hub what they lack, and into the layout that ``load`` takes.

Every part is finished before the next begins, so a pull that was stopped goes on with the part it was at.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from shotstream.core.errors import InputError
from shotstream.core.files import make_folder, whole_file
from shotstream.core.places import model_folder
from shotstream.models.presets import WAN_1_3B
from shotstream.tools.convert import convert
from shotstream.tools.convert_codecs import TEXT_FILE, TOKENIZER_FOLDER, VAE_FILE, convert_text_encoder, convert_vae
from shotstream.tools.hub import HubFile, fetch, list_model

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a model needs. ``product``: the file in the model's folder that shows it is there; ``make``: writes it
    from the downloaded file."""

    source: HubFile
    product: str
    make: Callable[[Path, Path], None]


def _student(source: Path, folder: Path) -> None:
    convert(source, folder, named=WAN_1_3B.name, dtype=torch.bfloat16, force=True)


def _video_codec(source: Path, folder: Path) -> None:
    convert_vae(source, folder / "vae", force=True)


def _text_encoder(source: Path, folder: Path) -> None:
    convert_text_encoder(source, folder / "text_encoder", force=True)


def _tokenizer(source: Path, folder: Path) -> None:
    make_folder(folder / "tokenizer")
    with whole_file(folder / "tokenizer" / "tokenizer.json") as temporary:
        shutil.copyfile(source, temporary)


_WAN = "Wan-AI/Wan2.1-T2V-1.3B"
RECIPES: dict[str, tuple[Part, ...]] = {
    WAN_1_3B.name: (
        Part(HubFile(_WAN, f"{TOKENIZER_FOLDER}/tokenizer.json"), "tokenizer/tokenizer.json", _tokenizer),
        Part(HubFile(_WAN, f"{VAE_FILE}.pth"), "vae/config.json", _video_codec),
        Part(HubFile("KlingTeam/ShotStream", "shotstream_merged.pt"), "student.safetensors", _student),
        Part(HubFile(_WAN, f"{TEXT_FILE}.pth"), "text_encoder/config.json", _text_encoder),
    )
}


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
    folder = model_folder(name)
    if name in RECIPES:
        return pull_parts(RECIPES[name], folder, local=local, keep=keep, endpoint=endpoint, tell=tell)
    if len(name.split("/")) != 2:
        raise InputError(f"{name!r} cannot be pulled; name {', '.join(RECIPES)} or a hub id such as someone/model")
    for file in list_model(name, endpoint=endpoint):
        if not (folder / file.name).is_file():
            tell(f"{file.repo}/{file.name}")
            fetch(file, folder, endpoint=endpoint)
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
    places = [folder / name for folder in local for name in (source.name, Path(source.name).name)]
    return next((place for place in places if place.is_file()), None)
