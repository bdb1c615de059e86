"""Where presets, weights, codecs and policies are put together: ``load`` a director, ``generate`` a film.

A model is a preset's name, a folder, or one weight file. A folder holds ``student.safetensors`` and
``teacher.safetensors``, and may hold ``autoencoder.safetensors``, ``text_encoder.safetensors`` and ``preset.json``
(a :class:`shotstream.models.presets.Preset`); what it lacks of these comes from the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from shotstream.codecs.video_autoencoder import LightVideoCodec
from shotstream.codecs.weights import load_autoencoder, load_text_encoder
from shotstream.core.devices import pick_device, pick_dtype
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint, ready_to_write
from shotstream.core.story import Story, make_story
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.film.render import OnProgress, ignore, render
from shotstream.film.report import RenderReport
from shotstream.media.story_file import read_story
from shotstream.models.presets import PRESETS, STORYWORLD, Preset, preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import load_transformer
from shotstream.sampling.director import ShotDirector
from shotstream.sampling.teacher_director import TeacherDirector

Role = Literal["student", "teacher"]
StoryLike = str | Path | Story | Mapping[str, Any]

EMBEDDED = STORYWORLD.name


def load(
    model: str | Path = EMBEDDED, *, device: str = "auto", dtype: str = "auto", role: Role = "student"
) -> Director:
    """A director for ``model``: a preset's name, a folder, or a weight file.

    device: auto, cpu, cuda, cuda:1, mps. dtype: auto, float32, bfloat16 (of the matrix products and the video codec).
    role: the streaming student, or the teacher, which makes a shot as a whole. Raises :class:`InputError` for an
    unknown model, device or dtype, :class:`WeightsError` for weights that are missing, damaged or do not fit.
    """
    if role not in ("student", "teacher"):
        raise InputError(f"no role is called {role!r}; use student or teacher")
    place = pick_device(device)
    numbers = pick_dtype(dtype, place)
    paths = _weights_of(str(model), role)
    network, header = load_transformer(paths.transformer, device=place, dtype=numbers)
    _check_codecs(paths, header.versions)
    chosen = _preset_of(paths, header.preset)
    text_encoder = load_text_encoder(paths.text_encoder)
    _check_fit(paths, network, chosen, text_encoder.text_dim)
    codec = LightVideoCodec(load_autoencoder(paths.autoencoder).to(place, numbers), chosen.geometry)
    if role == "teacher":
        shots: ShotDirector = TeacherDirector(network, text_encoder, codec, chosen)
    else:
        shots = ShotDirector(network, text_encoder, codec, settings=chosen.student, schedule=chosen.schedule)
    version = f"{role}-{_fingerprint(paths)}"
    return Director(shots, model_name=chosen.name, model_version=version, words=text_encoder.words)


def generate(
    story: StoryLike,
    *,
    model: str | Path = EMBEDDED,
    device: str = "auto",
    dtype: str = "auto",
    seed: int | None = None,
) -> Film:
    """The film of ``story`` (a file's path, a :class:`Story`, or its data), every shot made. ``seed``: not the story's.

    Raises as :func:`load` does, and :class:`InputError` for what is wrong with the story.
    """
    script = _story(story)
    director = load(model, device=device, dtype=dtype)
    film = director.open(global_caption=script.global_caption, seed=script.seed if seed is None else seed)
    for shot in script.shots:
        film.shot(shot.caption, shot.seconds, shot.seed).wait()
    return film


def render_story(
    story: StoryLike,
    output: str | Path,
    *,
    model: str | Path = EMBEDDED,
    device: str = "auto",
    dtype: str = "auto",
    seed: int | None = None,
    force: bool = False,
    keep_shots: bool = False,
    storyboard: bool = True,
    on_progress: OnProgress = ignore,
) -> RenderReport:
    """Make ``story`` into the MP4 ``output``, and with ``storyboard`` a PNG beside it; see :func:`film.render.render`.

    force: replace files that exist. Raises as :func:`load` does, :class:`InputError` for what is wrong with the story
    or the output's name, :class:`StorageError` when the disk refuses. Whatever goes wrong, no half-written file stays.
    """
    script, path = _story(story), Path(output)
    ready_to_write(path, force=force)
    if storyboard:
        ready_to_write(path.with_suffix(".png"), force=force)
    director = load(model, device=device, dtype=dtype)
    return render(
        director, script, path, seed=seed, keep_shots=keep_shots, storyboard=storyboard, on_progress=on_progress
    )


def _story(given: StoryLike) -> Story:
    if isinstance(given, Story):
        return given
    return make_story(given) if isinstance(given, Mapping) else read_story(given)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Weights:
    """The files one director is made of. ``preset``: a file that describes it, or None where the weights name it."""

    transformer: Path
    autoencoder: Path
    text_encoder: Path
    preset: Path | None


def _weights_of(model: str, role: Role) -> _Weights:
    """Find the files of ``model``. Raises :class:`InputError` if nothing is called that."""
    bundled = Path(str(files("shotstream") / "bundled"))
    if model == EMBEDDED:
        folder, transformer = bundled, bundled / f"{role}.safetensors"
    elif model in PRESETS:
        raise WeightsError(f"{model}: its weights do not come with the package; give the folder that holds them")
    elif Path(model).is_dir():
        folder, transformer = Path(model), Path(model) / f"{role}.safetensors"
    elif Path(model).is_file():
        folder, transformer = Path(model).parent, Path(model)
    else:
        near = get_close_matches(model.lower(), PRESETS, n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(PRESETS)}, or a folder, or a weight file"
        raise InputError(f"no model is called {model!r}; {mend}")
    own = {name: folder / f"{name}.safetensors" for name in ("autoencoder", "text_encoder")}
    codecs = {name: path if path.exists() else bundled / path.name for name, path in own.items()}
    described = folder / "preset.json"
    return _Weights(transformer=transformer, **codecs, preset=described if described.exists() else None)


def _preset_of(paths: _Weights, name: str) -> Preset:
    """The preset the folder describes, else the one the weights name."""
    if paths.preset is None and name not in PRESETS:
        raise WeightsError(f"{paths.transformer}: made for preset {name!r}; put its preset.json beside it")
    if paths.preset is None:
        return preset(name)
    try:
        return Preset.model_validate_json(paths.preset.read_bytes())
    except (ValidationError, OSError) as fault:
        raise WeightsError(f"{paths.preset}: not a preset ({str(fault).splitlines()[-1].strip()}); mend it") from fault


def _check_fit(paths: _Weights, network: Transformer, chosen: Preset, text_dim: int) -> None:
    """Refuse weights that were not made for each other, by name and number."""
    pairs = (
        ("latent channels", network.config.in_channels, chosen.name, chosen.geometry.latent_channels),
        ("patch", network.config.patch, chosen.name, chosen.geometry.patch),
        ("text width", network.config.text_dim, paths.text_encoder, text_dim),
    )
    for what, ours, other, theirs in pairs:
        if ours != theirs:
            raise WeightsError(
                f"{paths.transformer}: {what} {ours}, but {theirs} in {other}; these do not belong together"
            )


def _check_codecs(paths: _Weights, versions: Mapping[str, str]) -> None:
    """Refuse codecs other than those the transformer was trained on; its header names them by their content."""
    for kind, path in (("autoencoder", paths.autoencoder), ("text_encoder", paths.text_encoder)):
        if not path.is_file():
            raise WeightsError(f"{path}: no such file; fetch or train the weights first")
        found = fingerprint(path)
        if versions.get(kind, found) != found:
            raise WeightsError(
                f"{path}: is {kind} {found}, {paths.transformer.name} was trained on {versions[kind]}; "
                "the file is damaged or another version: fetch both again"
            )


def _fingerprint(paths: _Weights) -> str:
    """Eight letters that tell these weights from all others."""
    prints = [fingerprint(path) for path in (paths.transformer, paths.autoencoder, paths.text_encoder)]
    return hashlib.sha256("".join(prints).encode()).hexdigest()[:8]
