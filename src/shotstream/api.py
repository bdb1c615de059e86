"""Where presets, weights, codecs and policies are put together: ``load`` a director, ``generate`` a film.

A model is a preset's name, a pulled hub id, a folder, or one weight file. A folder holds ``student.safetensors`` and
``teacher.safetensors``, and may hold ``preset.json`` (a :class:`shotstream.models.presets.Preset`) and codecs: our own
``autoencoder.safetensors`` and ``text_encoder.safetensors``, or Wan's in ``vae/``, ``text_encoder/``, ``tokenizer/``.
Codecs it lacks come from the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.codecs.video_autoencoder import LightVideoCodec
from shotstream.codecs.wan_folder import WanFolder
from shotstream.codecs.weights import load_autoencoder, load_light_decoder, load_text_encoder
from shotstream.core.allocator import keep_freed_pages
from shotstream.core.context_budget import POLICIES
from shotstream.core.devices import free_bytes, pick_device, pick_dtype
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import fingerprint, ready_to_write
from shotstream.core.places import embedding_folder
from shotstream.core.story import Story, make_story
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.film.render import OnProgress, ignore, render
from shotstream.film.report import RenderReport
from shotstream.media.story_file import read_story
from shotstream.models.attention import Backend, check_backend
from shotstream.models.caches import CachePlace
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import load_transformer, read_header
from shotstream.sampling.director import ShotDirector
from shotstream.sampling.teacher_director import TeacherDirector
from shotstream.tools.memory_plan import MemoryPlan, Wishes, plan_memory, refuse_what_does_not_fit
from shotstream.tools.model_files import EMBEDDED, ModelFiles, find_model

Role = Literal["student", "teacher"]
StoryLike = str | Path | Story | Mapping[str, Any]
OnPlan = Callable[[MemoryPlan], None]


class Loading(TypedDict, total=False):
    """How a model is loaded; :func:`load` says what each of these means."""

    device: str
    dtype: str
    size: str | None
    steps: int | None
    window: int | None
    refresh: bool | None
    memory: float | None
    light_decoder: bool
    attention: Backend
    on_plan: OnPlan | None


def load(
    model: str | Path = EMBEDDED,
    *,
    role: Role = "student",
    device: str = "auto",
    dtype: str = "auto",
    size: str | None = None,
    steps: int | None = None,
    window: int | None = None,
    refresh: bool | None = None,
    memory: float | None = None,
    light_decoder: bool = False,
    attention: Backend = "auto",
    on_plan: OnPlan | None = None,
) -> Director:
    """A director for ``model``: a preset's name, a folder, a weight file, or a hub id that was pulled.

    role: the streaming student, or the teacher, which makes a shot as a whole. device: auto, cpu, cuda, cuda:1, mps.
    dtype: auto, float32, bfloat16 (of the matrix products and the video codec). size: of the pictures, as ``512x288``;
    None is the preset's. attention: the kernel, by name.
    Other pictures, mostly sooner (docs/performance.md): steps: of the student per block, fewer than it was made for;
    window: blocks of its shot a block sees, at most; refresh: is a block remembered by a pass of its own, or as its
    last step left it (so the embedded model does); light_decoder: decode with the folder's
    ``light_decoder.safetensors`` (none is packaged: the embedded model's own decoder is light), or with Wan's codecs
    its ``taew2_1.pth``.
    None is the preset's.
    With Wan's codecs also memory: gigabytes to plan for, instead of those free on the device; on_plan: told before
    anything is loaded what will be taken.

    Raises :class:`InputError` for an unknown model, device, dtype, size or kernel and for a model that would not fit
    the memory, :class:`WeightsError` for weights that are missing, damaged or do not fit each other.
    """
    if role not in ("student", "teacher"):
        raise InputError(f"no role is called {role!r}; use student or teacher")
    if role != "student":
        _refuse_for_teacher(steps=steps, window=window, refresh=refresh)
    keep_freed_pages()
    place = pick_device(device)
    wishes = Wishes(
        device=place,
        dtype=pick_dtype(dtype, place),
        free=free_bytes(place) if memory is None else int(memory * 1e9),
        light_decoder=light_decoder,
        teacher=role == "teacher",
    )
    files = find_model(str(model), role)
    header = read_header(files.transformer)
    chosen = files.preset(header.preset).sized(size).in_steps(steps).looking_back(window, refresh)
    config, geometry = header.config, chosen.geometry
    channels = ("latent channels", config.in_channels, chosen.name, geometry.latent_channels)
    _check_fit(files, channels, ("patch", config.patch, chosen.name, geometry.patch))
    check_backend(attention, place, wishes.dtype, config.head_dim)
    codecs = _open_codecs(files, header.versions, chosen, wishes, on_plan)
    _check_fit(files, ("text width", config.text_dim, files.text_source, codecs.text.text_dim))
    network, _ = load_transformer(files.transformer, device=place, dtype=wishes.dtype)
    network.backend = attention
    shots = _shot_director(network, codecs, chosen, role)
    version = f"{role}-{files.version(chosen, light_decoder)}"
    return Director(shots, model_name=chosen.name, model_version=version, words=codecs.words)


def _refuse_for_teacher(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} {value}: only the student makes do with less; leave it out for a teacher")


def generate(
    story: StoryLike,
    *,
    model: str | Path = EMBEDDED,
    seed: int | None = None,
    **loading: Unpack[Loading],
) -> Film:
    """The film of ``story`` (a file's path, a :class:`Story`, or its data), every shot made. ``seed``: not the story's;
    ``loading``: as for :func:`load`.

    Raises as :func:`load` does, and :class:`InputError` for what is wrong with the story.
    """
    script = _story(story)
    director = load(model, **loading)
    film = director.open(global_caption=script.global_caption, seed=script.seed if seed is None else seed)
    for shot in script.shots:
        film.shot(shot.caption, shot.seconds, shot.seed).wait()
    return film


def render_story(
    story: StoryLike,
    output: str | Path,
    *,
    model: str | Path = EMBEDDED,
    seed: int | None = None,
    force: bool = False,
    keep_shots: bool = False,
    storyboard: bool = True,
    on_progress: OnProgress = ignore,
    **loading: Unpack[Loading],
) -> RenderReport:
    """Make ``story`` into the MP4 ``output``, and with ``storyboard`` a PNG beside it; see :func:`film.render.render`.

    force: replace files that exist. loading: as for :func:`load`. Raises as :func:`load` does, :class:`InputError` for
    what is wrong with the story or the output's name, :class:`StorageError` when the disk refuses. Whatever goes wrong,
    no half-written file stays.
    """
    script, path = _story(story), Path(output)
    ready_to_write(path, force=force)
    if storyboard:
        ready_to_write(path.with_suffix(".png"), force=force)
    director = load(model, **loading)
    return render(
        director, script, path, seed=seed, keep_shots=keep_shots, storyboard=storyboard, on_progress=on_progress
    )


def _story(given: StoryLike) -> Story:
    if isinstance(given, Story):
        return given
    return make_story(given) if isinstance(given, Mapping) else read_story(given)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Codecs:
    """What stands between words, numbers and pixels, and where the caches shall live. ``words``: all the text encoder
    knows, empty if it reads any."""

    text: TextEncoder
    video: VideoCodec
    words: frozenset[str] = frozenset()
    cache_place: CachePlace = "device"


def _open_codecs(
    files: ModelFiles, versions: Mapping[str, str], chosen: Preset, wishes: Wishes, on_plan: OnPlan | None
) -> _Codecs:
    if files.wan is None:
        return _our_codecs(files, versions, chosen, wishes)
    return _wan_codecs(files.wan, chosen, wishes, on_plan)


def _our_codecs(files: ModelFiles, versions: Mapping[str, str], chosen: Preset, wishes: Wishes) -> _Codecs:
    files.check_codecs(versions)
    text = load_text_encoder(files.text_encoder)
    autoencoder = load_autoencoder(files.autoencoder).to(wishes.device, wishes.dtype)
    if files.brings_no_codecs and autoencoder.config.misfit(chosen.geometry):
        raise WeightsError(
            f"{files.transformer.parent}: holds no codecs, and the package's own are of another kind; bring them with "
            "shotstream models convert --codecs FOLDER"
        )
    light = None
    if wishes.light_decoder:
        light = load_light_decoder(files.light_decoder, fingerprint(files.autoencoder)).to(wishes.device, wishes.dtype)
    return _Codecs(text=text, video=LightVideoCodec(autoencoder, chosen.geometry, light), words=text.words)


def _wan_codecs(folder: WanFolder, chosen: Preset, wishes: Wishes, on_plan: OnPlan | None) -> _Codecs:
    """Plan the memory, say so, refuse what would not fit; then open them."""
    plan = plan_memory(chosen, folder.sizes, wishes)
    if on_plan is not None:
        on_plan(plan)
    refuse_what_does_not_fit(plan, chosen, folder.sizes, wishes)
    video = folder.open_video(chosen.geometry, wishes.device, wishes.dtype, light=wishes.light_decoder)
    text = folder.open_text(wishes.device, plan.text_placement, embedding_folder())
    return _Codecs(text=text, video=video, cache_place=plan.cache_place)


def _shot_director(network: Transformer, codecs: _Codecs, chosen: Preset, role: Role) -> ShotDirector:
    if role == "teacher":
        return TeacherDirector(network, codecs.text, codecs.video, chosen)
    return ShotDirector(
        network,
        codecs.text,
        codecs.video,
        settings=chosen.student,
        schedule=chosen.schedule,
        policy=POLICIES[chosen.context.policy],
        captions=chosen.context.captions,
        cache_place=codecs.cache_place,
    )


def _check_fit(files: ModelFiles, *pairs: tuple[str, int, object, int]) -> None:
    """Refuse parts that were not made for each other: (what, the transformer's, of whom else, theirs)."""
    for what, ours, other, theirs in pairs:
        if ours != theirs:
            raise WeightsError(
                f"{files.transformer}: {what} {ours}, but {theirs} in {other}; these do not belong together"
            )
