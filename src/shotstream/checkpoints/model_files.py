"""Finds the files of a model by preset name, folder, weight file or hub id, and lists weight files by their headers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any

from shotstream.checkpoints.codec_weights import READER
from shotstream.checkpoints.quantisation import SCALE
from shotstream.checkpoints.safetensors_file import read_header
from shotstream.checkpoints.weight_check import said
from shotstream.core.config import Config
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint_all, model_folder
from shotstream.families.family import CodecFiles, family_of, known_families, known_presets, preset
from shotstream.families.preset import PRESET_FILE, Preset, read_preset
from shotstream.families.storyworld import BUNDLED, STORYWORLD, bundled


class WeightFile(Config):
    """One safetensors file. ``metadata`` is its header's own text, ``bytes`` the size on disk."""

    name: str
    kind: str
    version: str
    bytes: int
    parameters: int
    metadata: dict[str, str]


def bundled_files() -> list[WeightFile]:
    """The weight files that ship with the package, by name."""
    folder = Path(str(files("shotstream").joinpath("bundled")))
    return [describe_file(path) for path in sorted(folder.rglob("*.safetensors"))]


def describe_file(path: Path) -> WeightFile:
    """What ``path`` says it is. Raises :class:`WeightsError` if it is no safetensors file."""
    header = read_header(path)
    kind, version = _what(header.metadata)
    return WeightFile(
        name=path.name,
        kind=kind,
        version=version,
        bytes=header.size,
        parameters=sum(_numbers(tensor) for name, tensor in header.entries.items() if not name.endswith(SCALE)),
        metadata=header.metadata,
    )


def _numbers(entry: Mapping[str, Any]) -> int:
    """How many weights a tensor holds; unsigned bytes hold two each (see :mod:`.quantisation`)."""
    return prod(entry["shape"]) * (2 if entry["dtype"] == "U8" else 1)


def _what(metadata: dict[str, str]) -> tuple[str, str]:
    """Kind and version: codecs say them plainly, transformers inside their one JSON entry
    (:class:`shotstream.checkpoints.transformer_weights.WeightsHeader`)."""
    if "shotstream" not in metadata:
        return metadata.get("kind", "unknown"), metadata.get("version", "unknown")
    inside = json.loads(metadata["shotstream"])
    base = inside.get("base")
    kind = f"{inside['role']} {inside['kind']}"
    return f"{kind}, added to the {base['role']}" if base else kind, inside.get("version", "1")


EMBEDDED = STORYWORLD.name
UNFINISHED = ".pulling"  # in a folder whose pull has not come to its end


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """``described``: a preset's JSON, or None where the weights name it. ``codecs``: those of the folder, of whichever
    family, or the package's."""

    transformer: Path
    described: Path | None
    codecs: CodecFiles

    def preset(self, name: str) -> Preset:
        """The preset the folder describes, else the known one called ``name``. Raises :class:`WeightsError`."""
        if self.described is not None:
            return read_preset(self.described)
        if name not in known_presets():
            raise WeightsError(f"{self.transformer}: made for preset {name!r}; put its preset.json beside it")
        return preset(name)

    def version(self, chosen: Preset) -> str:
        """Eight letters that tell films of these weights, made as ``chosen`` says, from all others."""
        # What is younger than the first films counts only where it is not as it was when they were made.
        young = {
            "student": {"window", "refresh"},
            "transformer": {"caption_padding"},
            "": {"context", "prompt_form", "negative_prompt"},
        }
        left_out: dict[str, Any] = {"name": True, "teacher": {"window", "refresh"}}
        for part, fields in young.items():
            whole = getattr(chosen, part) if part else chosen
            usual = {name for name in fields if getattr(whole, name) == type(whole).model_fields[name].default}
            left_out |= {part: usual} if part else dict.fromkeys(usual, True)
        how = chosen.model_dump_json(exclude=left_out).replace('"timesteps":', '"listed":')  # their name at that time
        content = fingerprint_all((self.transformer, *self.codecs.files))
        return hashlib.sha256(f"{content}{how}".encode()).hexdigest()[:8]


def find_model(model: str, role: str) -> ModelFiles:
    """The files of ``model``. Raises :class:`InputError` if nothing is called that, :class:`WeightsError` for a known
    model that is not here."""
    folder = BUNDLED if model == EMBEDDED else _folder_of(model)
    transformer = folder / f"{role}.safetensors"
    if folder.is_file():
        folder, transformer = folder.parent, folder
    found = (family.codecs.find(folder, READER) for family in known_families())
    codecs = next((one for one in found if one is not None), None)
    described = folder / PRESET_FILE
    return ModelFiles(
        transformer=transformer,
        described=described if described.exists() else None,
        codecs=bundled(folder, READER) if codecs is None else codecs,
    )


def is_pulled(name: str) -> bool:
    """Was the model ``name`` pulled, to its end?"""
    folder = model_folder(name)
    return folder.is_dir() and not missing_parts(name, folder)


def missing_parts(name: str, folder: Path) -> list[str]:
    """What a pull of the model ``name`` into ``folder`` that was stopped has still to bring."""
    family = family_of(name)
    parts = () if family is None else family.hub.get(name, ())
    missing = [part.product for part in parts if not (folder / part.product).is_file()]
    return missing or (["the rest"] if (folder / UNFINISHED).exists() else [])


def _folder_of(model: str) -> Path:
    """The folder (or weight file) called ``model``, or where it was pulled to."""
    pulled = model_folder(model)
    if model not in known_presets() and model and Path(model).exists():
        return Path(model)
    if model and is_pulled(model):
        return pulled
    if model and pulled.is_dir() and missing_parts(model, pulled):
        raise WeightsError(
            f"{model}: is not completely downloaded ({said('missing', missing_parts(model, pulled))}); "
            f"shotstream models pull {model} resumes"
        )
    if model in known_presets() or _like_a_hub_id(model):
        raise WeightsError(
            f"{model}: its weights are not here; fetch them (shotstream models pull {model}), "
            "or give the folder that holds them"
        )
    known = known_presets()
    near = get_close_matches(model.lower(), known, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}, or a folder, or a weight file"
    raise InputError(f"no model is called {model!r}; {mend}")


def _like_a_hub_id(model: str) -> bool:
    """``someone/model``: two names and one stroke."""
    parts = model.split("/")
    return len(parts) == 2 and all(part and not part.startswith(".") for part in parts) and "\\" not in model
