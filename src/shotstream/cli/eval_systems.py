"""Which systems ``shotstream eval suite`` knows, and how each is put together."""

from __future__ import annotations

from collections.abc import Sequence

from shotstream.codecs.video_autoencoder import LightVideoCodec
from shotstream.codecs.weights import load_autoencoder
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint
from shotstream.core.geometry import Geometry
from shotstream.evaluation.systems import ModelSystem, System, Truth
from shotstream.models.presets import STORYWORLD
from shotstream.models.weights import read_header
from shotstream.tools.model_files import ModelFiles, find_model

MODELS = ("teacher", "student", "student-without-context-cache")
SYSTEMS = ("truth", "autoencoder", "shuffled", "noise", "still", "fading", *MODELS)
USUAL = ("truth", "autoencoder", "shuffled", "noise", "still", "fading", "student")


def check_systems(names: Sequence[str]) -> None:
    """Raises :class:`InputError` if one of ``names`` is no system's."""
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown:
        raise InputError(f"no system is called {unknown[0]!r}; known: {', '.join(SYSTEMS)}")


def build_systems(
    names: Sequence[str] | None, *, model: str, device: str, dtype: str
) -> tuple[list[System], dict[str, str]]:
    """The systems called ``names``, or the usual ones; the truth, to which all are compared, always first.

    Also which of the usual ones are absent, and why. Raises :class:`WeightsError` when a system that was asked for
    has no weights.
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
    if name not in MODELS:
        found = find_model(model, "student")
        geometry = _geometry_of(found)
        if name != "autoencoder":
            return Truth(name, geometry)
        codec = LightVideoCodec(load_autoencoder(found.autoencoder), geometry)
        return Truth(name, geometry, codec, fingerprint(found.autoencoder))
    from shotstream.api import load

    director = load(model, device=device, dtype=dtype, role="teacher" if name == "teacher" else "student")
    return ModelSystem(name, director, remembers=name != "student-without-context-cache")
