"""Where presets, weights, codecs and policies are put together: ``load`` a director, ``generate`` a film.

A model is a preset's name, a pulled hub id, a folder, or one weight file. A folder holds ``student.safetensors`` and
``teacher.safetensors``, and may hold ``preset.json`` (a :class:`shotstream.families.preset.Preset`) and codecs: our own
``autoencoder.safetensors`` and ``text_encoder.safetensors``, or Wan's in ``vae/``, ``text_encoder/``, ``tokenizer/``.
Codecs it lacks come from the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import torch

from shotstream.checkpoints.convert import read_lora
from shotstream.checkpoints.memory_plan import LoadOptions, MemoryPlan, plan_memory, refuse_what_does_not_fit
from shotstream.checkpoints.model_files import EMBEDDED, ModelFiles, find_model
from shotstream.checkpoints.quantisation import EightBit, check_eight_bit, keep_in_eight_bits
from shotstream.checkpoints.transformer_weights import load_transformer, read_header
from shotstream.codecs.protocols import VideoCodec
from shotstream.core.devices import free_bytes, pick_device, pick_dtype
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import embedding_folder, ready_to_write
from shotstream.core.process import keep_freed_pages
from shotstream.core.story import Story, make_story
from shotstream.families.family import CodecOptions, FamilyText
from shotstream.families.preset import Preset
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.film.render import OnProgress, ignore, render
from shotstream.film.report import RenderReport
from shotstream.media.film_paths import only_writer
from shotstream.media.sound import read_sound
from shotstream.media.story_file import read_story
from shotstream.models.attention import Backend, check_backend
from shotstream.models.caches import CachePlace
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.sampling.adapters import Changes, ReadLora
from shotstream.sampling.gpu_speedups import LEAVE_WEIGHTS, SEQUENCE_PARALLEL, check_speedups, switch_on, warmed_up
from shotstream.sampling.layer_runners import join_processes
from shotstream.sampling.shot_generator import ShotGenerator
from shotstream.sampling.teacher import TeacherGenerator

Role = Literal["student", "teacher"]
Size = str | tuple[int, int]  # 512x288, or (512, 288)
StoryLike = str | Path | Story | Mapping[str, Any]
LoraFiles = Mapping[str | Path, float] | Mapping[str, float] | Sequence[str | Path] | Sequence[str]
OnPlan = Callable[[MemoryPlan], None]
OnLoaded = Callable[[Director], None]


class Loading(TypedDict, total=False):
    """How a model is loaded; :func:`load` says what each of these means."""

    device: str | torch.device
    dtype: str | torch.dtype
    size: Size | None
    steps: int | None
    window: int | None
    refresh: bool | None
    memory: float | None
    light_decoder: bool
    attention: Backend
    eight_bit: EightBit | None
    speedups: Sequence[str] | None
    lora: LoraFiles | None
    on_plan: OnPlan | None


def load(  # noqa: PLR0913  what a person may ask for is named here, once
    model: str | Path = EMBEDDED,
    *,
    role: Role = "student",
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    size: Size | None = None,
    steps: int | None = None,
    window: int | None = None,
    refresh: bool | None = None,
    memory: float | None = None,
    light_decoder: bool = False,
    attention: Backend = "auto",
    eight_bit: EightBit | None = None,
    speedups: Sequence[str] | None = None,
    lora: LoraFiles | None = None,
    on_plan: OnPlan | None = None,
) -> Director:
    """Load ``model``: a preset's name, a folder, a weight file, or the id of a model that was pulled::

        director = shotstream.load("storyworld", steps=2)

    role: ``student``, which streams, or ``teacher``, which makes a shot as a whole.
    device, dtype: auto, or by name as on the command line, or torch's own. size: ``512x288`` or ``(512, 288)``.
    steps: of the student per block. window: how many blocks of its own shot a block attends to.
    refresh: run the refresh pass of finished blocks. light_decoder: decode Wan's latents with ``taew2_1.pth``.
    These four trade quality against speed (docs/performance.md); None is the preset's.
    attention, speedups: kernel, and speed-ups of a CUDA device, by name (docs/wan.md).
    eight_bit: hold the layers' weights in int8 or fp8, in half the memory; ``fp8-matmuls`` also multiplies in fp8.
    lora: files of LoRA adapters, or a mapping from file to weight.
    memory, on_plan: for Wan's codecs: gigabytes to plan for (None: what is free); called with the plan before loading.

    Raises :class:`InputError` for an unknown model, device, dtype, size or kernel and for a model that would not fit
    the memory, :class:`WeightsError` for weights that are missing, damaged or do not fit each other.
    """
    _check_role(role, steps=steps, window=window, refresh=refresh, speedups=speedups)
    _check_numbers(memory=memory, steps=steps, window=window)
    keep_freed_pages()
    place = _place(device, speedups or (), eight_bit)
    asked = LoadOptions(
        device=place,
        dtype=pick_dtype(dtype, place),
        free=free_bytes(place) if memory is None else int(memory * 1e9),
        light_decoder=light_decoder,
        teacher=role == "teacher",
        eight_bit=eight_bit,
    )
    files = find_model(str(model), role)
    header = read_header(files.transformer)
    chosen = files.preset(header.preset).sized(_size_said(size)).in_steps(steps).looking_back(window, refresh)
    _check_sizes(files, header.config, chosen)
    check_backend(attention, place, asked.dtype, header.config.head_dim)
    codecs = _open_codecs(files, header.versions, chosen, asked, on_plan)
    _check_fit(files, ("text width", header.config.text_dim, files.codecs.text_source, codecs.text.text_dim))
    made = _shot_generator(_network(files, asked, attention), codecs, chosen, role)
    made = warmed_up(switch_on(made, speedups or ()), speedups or ())
    version = "-".join(filter(None, (role, files.version(chosen), eight_bit)))
    read = _lora_reader(eight_bit, speedups or ())
    director = Director(made, model_name=chosen.name, model_version=version, words=codecs.text.words, read_lora=read)
    return _with_lora(director, lora or {})


def _with_lora(director: Director, lora: LoraFiles) -> Director:
    """``director`` with these adapters loaded."""
    for path, weight in _lora_files(lora):
        director.load_lora(path, weight=weight)
    return director


def _lora_files(said: LoraFiles) -> list[tuple[str, float]]:
    """Files of adapters and their weights. Raises :class:`InputError`."""
    if isinstance(said, Mapping):
        return [(str(path), weight) for path, weight in said.items()]
    found = []
    for one in map(str, said):
        path, _, weight = one.rpartition("=") if "=" in one and not Path(one).exists() else (one, "", "1")
        try:
            found.append((path, float(weight)))
        except ValueError as fault:
            raise InputError(f"lora {one}: give FILE, or FILE=WEIGHT with a number, such as 0.8") from fault
    return found


def _lora_reader(eight_bit: EightBit | None, speedups: Sequence[str]) -> ReadLora:
    """Reads LoRA files; or refuses them, where weights are quantised or a speed-up keeps what it made of them."""
    fixed = [name for name in speedups if name not in LEAVE_WEIGHTS]
    if eight_bit is None and not fixed:
        return read_lora
    why = " and ".join([*([f"its weights in {eight_bit}"] if eight_bit else []), *fixed])

    def refuse(path: Path, model: Transformer, alpha: float | None) -> Changes:
        raise InputError(f"{path}: LoRA adapters cannot be added to a model loaded with {why}; load it without")

    return refuse


def _network(files: ModelFiles, asked: LoadOptions, attention: Backend) -> Transformer:
    """The transformer on its device; quantised before it goes there, if it is to be held in eight bits."""
    first = torch.device("cpu") if asked.eight_bit else asked.device
    network, _ = load_transformer(files.transformer, device=first, dtype=asked.dtype)
    network.backend = attention
    return keep_in_eight_bits(network, asked.eight_bit).to(asked.device) if asked.eight_bit else network


def _place(device: str | torch.device, speedups: Sequence[str], eight_bit: EightBit | None) -> torch.device:
    """The device, checked for what is asked of it; with sequence parallelism, this process has joined the others."""
    place = pick_device(device)
    check_speedups(speedups, place.type)
    check_eight_bit(eight_bit, place)
    return join_processes(place.type) if SEQUENCE_PARALLEL in speedups else place


def unheard(director: Director) -> None:
    """Do nothing."""


def _check_role(role: str, **of_students: object) -> None:
    if role not in ("student", "teacher"):
        raise InputError(f"no role is called {role!r}; use student or teacher")
    for name, value in of_students.items():
        if role != "student" and value is not None:
            raise InputError(f"{name} {value}: this is a setting of the student; leave it out for a teacher")


def _check_numbers(*, memory: float | None, **whole: int | None) -> None:
    for name, value in {"memory": memory, **whole}.items():
        kind: type = Integral if name in whole else Real
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise InputError(f"{name} {value!r:.40}: give a {'whole ' if name in whole else ''}number")


def generate(
    story: StoryLike,
    *,
    model: str | Path = EMBEDDED,
    seed: int | None = None,
    **loading: Unpack[Loading],
) -> Film:
    """The film of ``story`` (a file's path, a :class:`Story`, or its data), every shot made::

        shotstream.generate({"global_caption": "A blue owl.", "shots": [{"caption": "It sits."}]}).export("owl.mp4")

    seed: instead of the story's. loading: as for :func:`load`.

    Raises as :func:`load` does, and :class:`InputError` for what is wrong with the story.
    """
    script = _finite(story)
    director = load(model, **loading)
    film = director.open(
        global_caption=script.global_caption,
        seed=script.seed if seed is None else seed,
        context_policy=script.context_policy,
    )
    film.follow(script)
    for shot in script.shots:
        film.add(shot).wait()
    return film


def render_story(  # noqa: PLR0913  as above
    story: StoryLike,
    output: str | Path,
    *,
    model: str | Path = EMBEDDED,
    seed: int | None = None,
    force: bool = False,
    keep_shots: bool = False,
    storyboard: bool = True,
    film: str | Path | None = None,
    sound: str | Path | None = None,
    on_loaded: OnLoaded = unheard,
    on_progress: OnProgress = ignore,
    **loading: Unpack[Loading],
) -> RenderReport:
    """Make ``story`` into the MP4 ``output``, and with ``storyboard`` a PNG beside it; see :func:`film.render.render`.

    force: replace files that exist. film: where to save the film itself, takes and all. sound: a file whose sound track
    is laid under the MP4. on_loaded: called with the director before anything is made; if it raises, nothing is.
    loading: as for :func:`load`. Raises as :func:`load` does, :class:`InputError` for what is wrong with the story, the
    sound or the output's name, :class:`StorageError` when the disk refuses. Whatever goes wrong, no half-written file
    stays.
    """
    script, path = _finite(story), Path(output)
    saved = None if film is None else Path(film)
    with only_writer(path):
        for file in (path, path.with_suffix(".png") if storyboard else None, saved):
            if file is not None:
                ready_to_write(file, force=force)
        heard = None if sound is None else read_sound(Path(sound))
        director = load(model, **loading)
        on_loaded(director)
        return render(
            director,
            script,
            path,
            seed=seed,
            keep_shots=keep_shots,
            storyboard=storyboard,
            saved=saved,
            sound=heard,
            on_progress=on_progress,
        )


def _finite(given: StoryLike) -> Story:
    """The story, which must have an end to be rendered."""
    return _story(given).finite(str(given) if isinstance(given, str | Path) else "story")


def _story(given: StoryLike) -> Story:
    if isinstance(given, Story):
        return given
    if isinstance(given, Mapping):
        return make_story(given)
    if isinstance(given, str | Path):
        return read_story(given)
    raise InputError(f"a story is a path, a Story, or a mapping with global_caption and shots, not {given!r:.40}")


def _size_said(size: Size | None) -> str | None:
    """``size`` as it is written. Raises :class:`InputError`."""
    if size is None or isinstance(size, str):
        return size
    try:
        width, height = size
    except (TypeError, ValueError) as fault:
        raise InputError(f"size {size!r:.40}: give width and height in pixels, as (512, 288) or 512x288") from fault
    return f"{width}x{height}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Codecs:
    """Text encoder, video codec, and where the KV caches are kept."""

    text: FamilyText
    video: VideoCodec
    cache_place: CachePlace = "device"


def _open_codecs(
    files: ModelFiles, versions: Mapping[str, str], chosen: Preset, asked: LoadOptions, on_plan: OnPlan | None
) -> _Codecs:
    """Check the codecs; plan the memory where they are large, say so, refuse what would not fit; then open them."""
    codecs = files.codecs
    codecs.check(versions, files.transformer)
    options = CodecOptions(device=asked.device, dtype=asked.dtype, light=asked.light_decoder)
    if codecs.sizes is None:
        return _Codecs(text=codecs.open_text(options), video=codecs.open_video(chosen.geometry, options))
    plan = plan_memory(chosen, codecs.sizes, asked)
    if on_plan is not None:
        on_plan(plan)
    refuse_what_does_not_fit(plan, chosen, codecs.sizes, asked)
    options = replace(options, placement=plan.text_placement, store=embedding_folder())
    video = codecs.open_video(chosen.geometry, options)
    return _Codecs(text=codecs.open_text(options), video=video, cache_place=plan.cache_place)


def _shot_generator(network: Transformer, codecs: _Codecs, chosen: Preset, role: Role) -> ShotGenerator:
    if role == "teacher":
        return TeacherGenerator(network, codecs.text, codecs.video, chosen)
    return ShotGenerator(network, codecs.text, codecs.video, chosen, cache_place=codecs.cache_place)


def _check_sizes(files: ModelFiles, config: TransformerConfig, chosen: Preset) -> None:
    geometry = chosen.geometry
    channels = ("latent channels", config.in_channels, chosen.name, geometry.latent_channels)
    _check_fit(files, channels, ("patch", config.patch, chosen.name, geometry.patch))


def _check_fit(files: ModelFiles, *pairs: tuple[str, int, object, int]) -> None:
    """Refuse parts that were not made for each other: (what, the transformer's, of whom else, theirs)."""
    for what, ours, other, theirs in pairs:
        if ours != theirs:
            raise WeightsError(
                f"{files.transformer}: {what} {ours}, but {theirs} in {other}; these do not belong together"
            )
