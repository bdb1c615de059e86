"""The files a model is made of: found by a preset's name, a folder, a weight file, or the hub id of a pulled model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from shotstream.codecs.wan_folder import WanFolder, wan_folder
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint, fingerprint_all
from shotstream.core.places import model_folder
from shotstream.models.presets import (
    PRESET_FILE,
    PRESETS,
    STORYWORLD,
    ContextSettings,
    Preset,
    SamplerSettings,
    preset,
    read_preset,
)

EMBEDDED = STORYWORLD.name
USUAL = SamplerSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """``described``: a preset's JSON, or None where the weights name it. ``wan``: the folder's own codecs are Wan's;
    then ``autoencoder``, ``text_encoder`` and ``light_decoder`` are not used."""

    transformer: Path
    autoencoder: Path
    text_encoder: Path
    light_decoder: Path
    described: Path | None
    wan: WanFolder | None

    @property
    def brings_no_codecs(self) -> bool:
        """Are the codecs the package's, for want of others?"""
        return self.wan is None and self.autoencoder.parent != self.transformer.parent

    @property
    def text_source(self) -> Path:
        """The file or folder the text encoder is read from."""
        return self.text_encoder if self.wan is None else self.wan.folder / "text_encoder"

    def preset(self, name: str) -> Preset:
        """The preset the folder describes, else the known one called ``name``. Raises :class:`WeightsError`."""
        if self.described is not None:
            return read_preset(self.described)
        if name not in PRESETS:
            raise WeightsError(f"{self.transformer}: made for preset {name!r}; put its preset.json beside it")
        return preset(name)

    def check_codecs(self, versions: Mapping[str, str]) -> None:
        """Refuse codecs other than those the transformer was trained on; its header names them by their content."""
        for kind, path in (("autoencoder", self.autoencoder), ("text_encoder", self.text_encoder)):
            if not path.is_file():
                raise WeightsError(f"{path}: no such file; fetch or train the weights first")
            found = fingerprint(path)
            if versions.get(kind, found) != found:
                raise WeightsError(
                    f"{path}: is {kind} {found}, {self.transformer.name} was trained on {versions[kind]}; "
                    "the file is damaged or another version: fetch both again"
                )

    def version(self, chosen: Preset, light_decoder: bool = False) -> str:
        """Eight letters that tell films of these weights, made as ``chosen`` says, from all others. light_decoder: it
        decoded them, and is our own."""
        light = (self.light_decoder,) if light_decoder and self.wan is None else ()
        codecs = (self.autoencoder, self.text_encoder, *light) if self.wan is None else self.wan.files
        # What is younger than the first films counts only where it is not as it was when they were made.
        young = {name for name in ("window", "refresh") if getattr(chosen.student, name) == getattr(USUAL, name)}
        usual = {"context"} if chosen.context == ContextSettings() else set()
        left_out = dict.fromkeys(("name", *usual), True) | {"student": young, "teacher": {"window", "refresh"}}
        how = chosen.model_dump_json(exclude=left_out)
        return hashlib.sha256(f"{fingerprint_all((self.transformer, *codecs))}{how}".encode()).hexdigest()[:8]


def find_model(model: str, role: str) -> ModelFiles:
    """The files of ``model``. Raises :class:`InputError` if nothing is called that, :class:`WeightsError` for a known
    model that is not here."""
    bundled = Path(str(files("shotstream") / "bundled"))
    folder = bundled if model == EMBEDDED else _folder_of(model)
    transformer = folder / f"{role}.safetensors"
    if folder.is_file():
        folder, transformer = folder.parent, folder
    own = {name: folder / f"{name}.safetensors" for name in ("autoencoder", "text_encoder", "light_decoder")}
    codecs = {name: path if path.exists() else bundled / path.name for name, path in own.items()}
    described = folder / PRESET_FILE
    return ModelFiles(
        transformer=transformer,
        **codecs,
        described=described if described.exists() else None,
        wan=None if own["autoencoder"].exists() else wan_folder(folder),
    )


def _folder_of(model: str) -> Path:
    """The folder (or weight file) called ``model``, or where it was pulled to."""
    pulled = model_folder(model)
    if model not in PRESETS and Path(model).exists():
        return Path(model)
    if pulled.is_dir():
        return pulled
    if model in PRESETS or _like_a_hub_id(model):
        raise WeightsError(
            f"{model}: its weights are not here; fetch them (shotstream models pull {model}), "
            "or give the folder that holds them"
        )
    near = get_close_matches(model.lower(), PRESETS, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(PRESETS)}, or a folder, or a weight file"
    raise InputError(f"no model is called {model!r}; {mend}")


def _like_a_hub_id(model: str) -> bool:
    """``someone/model``: two names and one stroke."""
    parts = model.split("/")
    return len(parts) == 2 and all(part and not part.startswith(".") for part in parts) and "\\" not in model
