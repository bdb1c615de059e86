"""The systems that ``shotstream eval suite`` knows, and how each is put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from shotstream.checkpoints.model_files import ModelFiles, find_model
from shotstream.checkpoints.transformer_weights import read_header
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint
from shotstream.core.geometry import Geometry
from shotstream.evaluation.run import ModelSystem, System, Truth
from shotstream.families.family import CodecOptions
from shotstream.families.storyworld import STORYWORLD

MODELS = ("teacher", "student", "student-without-context-cache", "student-with-pictures")
SYSTEMS = ("truth", "autoencoder", "shuffled", "noise", "still", "fading", *MODELS)
LABEL = r"[a-z0-9][a-z0-9-]{0,39}"  # of another student; it names a folder of results
USUAL = ("truth", "autoencoder", "shuffled", "noise", "still", "fading", "student")


def check_systems(names: Sequence[str]) -> None:
    """Raises :class:`InputError` if one of ``names`` is no system's, and no ``NAME=MODEL`` either."""
    called = labels(names)
    for name in names:
        label, equals, model = name.partition("=")
        if not equals and name not in SYSTEMS:
            known = ", ".join(SYSTEMS)
            raise InputError(f"no system is called {name!r}; known: {known}; or NAME=MODEL for another student")
        if equals and (label in SYSTEMS or not model or not re.fullmatch(LABEL, label)):
            raise InputError(
                f"system {name!r}: write NAME=MODEL with a name of small letters, digits and hyphens that is not taken"
            )
        if called.count(label) > 1:
            raise InputError(f"system {label!r}: named twice; each needs a name of its own")


def filmed_systems(folder: Path) -> list[str]:
    """Every system that has results in ``folder``: the known ones in their order, then others by name."""
    others = sorted(path.name for path in folder.glob("*") if path.is_dir() and path.name not in SYSTEMS)
    return [*SYSTEMS, *others]


def labels(names: Sequence[str]) -> list[str]:
    """What the systems ``names`` are called in results."""
    return [name.partition("=")[0] for name in names]


def build_systems(
    names: Sequence[str] | None, *, model: str, device: str, dtype: str
) -> tuple[list[System], dict[str, str]]:
    """The systems called ``names`` (``NAME=MODEL`` is the student of another model), or the usual ones.

    The truth, to which all are compared, is always first. Also which of the usual ones are absent, and why.
    Raises :class:`WeightsError` when a system that was asked for has no weights.
    """
    built: list[System] = []
    absent: dict[str, str] = {}
    for name in dict.fromkeys(("truth", *(names or USUAL))):
        try:
            built.append(_system(name, model, device, dtype))
        except (WeightsError, InputError) as fault:
            if names:
                raise
            absent[name] = str(fault)
    return built, absent


def _geometry_of(model: ModelFiles) -> Geometry:
    """At which size ``model`` films; a folder without a student that says nothing of it films at the embedded one's."""
    named = read_header(model.transformer).preset if model.transformer.is_file() else STORYWORLD.name
    return model.preset(named).geometry


def _system(name: str, model: str, device: str, dtype: str) -> System:
    name, equals, other = name.partition("=")
    model = other if equals else model
    if name not in MODELS and not equals:
        found = find_model(model, "student")
        geometry = _geometry_of(found)
        if name != "autoencoder":
            return Truth(name, geometry)
        options = CodecOptions(device=torch.device("cpu"), dtype=torch.float32)
        return Truth(name, geometry, found.codecs.open_video(geometry, options), fingerprint(found.codecs.files[0]))
    from shotstream.api import load

    role: Literal["teacher", "student"] = "teacher" if name == "teacher" else "student"
    director = load(model, device=device, dtype=dtype, role=role)
    context, pictures = name != "student-without-context-cache", name == "student-with-pictures"
    return ModelSystem(name, director, with_context=context, with_pictures=pictures)
