"""What the transformer's stages share: frozen codecs and latent stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import Field, model_validator

from shotstream.checkpoints.codec_weights import load_autoencoder, load_text_encoder
from shotstream.checkpoints.model_files import codecs_in
from shotstream.checkpoints.tensor_files import check_names_and_shapes
from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.codecs.protocols import Placement, TextEncoder, VideoCodec
from shotstream.codecs.video_autoencoder import LightVideoCodec, fitted
from shotstream.core.config import Config
from shotstream.core.devices import pick_dtype
from shotstream.core.errors import InputError
from shotstream.core.files import embedding_folder, fingerprint, model_folder
from shotstream.core.geometry import Geometry
from shotstream.data.clip_manifest import read_clips
from shotstream.families.family import CodecFiles, CodecOptions
from shotstream.families.preset import Preset
from shotstream.models.transformer import Transformer
from shotstream.training.data.latent_store import LatentStore, Source, build_latents
from shotstream.training.data.picture_store import PictureStore, WorldPictures, build_pictures
from shotstream.training.data.story_sources import CharacterWeights, ClipStories, WorldStories

Progress = Callable[[int, int], None]


class MaterialSettings(Config):
    """Which codecs, and how many stories are drawn (or read) and coded with them."""

    autoencoder: str  # safetensors file, or "bundled"; or a model's folder, or the name of a pulled model
    text_encoder: str  # the same
    clips: str | None = None  # a CSV of clips, its last ``held_out_stories`` rows held out; None draws the world
    root: str | None = None  # the folder the CSV's paths are relative to; None: that of the CSV, or the current one
    stories: int = Field(default=2000, gt=0)  # of clips: at most
    held_out_stories: int = Field(default=32, gt=0)
    picture_stories: int = Field(default=0, ge=0)  # others, single pictures of which are drawn; 0: of the same stories
    seed: int = 1
    decoded_share: float = Field(
        default=0.5, ge=0, le=1
    )  # stories whose condition frames went through the codec before

    @model_validator(mode="after")
    def _only_the_world_draws_more(self) -> MaterialSettings:
        if self.clips is not None and self.picture_stories:
            raise ValueError("picture_stories: clips have no other stories to draw; set it to 0")
        return self


class Material:
    """Codecs and stores, of the stories a ``preset`` is trained on.

    ``versions`` names the codecs by their content, for the headers of what is trained on them. ``unconditional``: the
    text [L, D] that guidance leads away from, the preset's negative prompt; None for zeros.
    """

    def __init__(self, settings: MaterialSettings, preset: Preset, store: Path, progress: Progress) -> None:
        self._store, self._progress = store, progress
        self.codec, video_version = open_video(settings.autoencoder, preset.geometry)
        self.text, text_version = open_text(settings.text_encoder)
        self.versions = {"autoencoder": video_version, "text_encoder": text_version}
        (train, stories), (held_out, others) = sources(settings, preset)
        self._source = train
        self.train = self._latents("train", train, stories)
        self.held_out = self._latents("held-out", held_out, others)
        self.unconditional = None if preset.negative_prompt is None else self.text.encode([preset.negative_prompt])[0]
        self.pictures = self._pictures(settings, preset) if settings.picture_stories else None

    @property
    def world(self) -> WorldStories | None:
        """The training stories as the world knows them; None for clips."""
        return self._source if isinstance(self._source, WorldStories) else None

    def character_weights(self, extra: float) -> CharacterWeights | None:
        """What a loss counts characters of the training stories for; None if ``extra`` is 0."""
        if not extra:
            return None
        assert self.world is not None  # recipes ask for none of clips (CharacterWeightedRecipe)
        return CharacterWeights(self.world, self.codec.geometry, extra)

    def _pictures(self, settings: MaterialSettings, preset: Preset) -> PictureStore:
        return build_pictures(
            self._store / "pictures",
            WorldPictures(seed=settings.seed, split="train", preset=preset),
            stories=settings.picture_stories,
            codec=self.codec,
            codec_version="+".join(self.versions.values()),
            text=self.text,
            side_by_side=isinstance(self.codec, LightVideoCodec),
            progress=self._progress,
        )

    def _latents(self, name: str, source: Source, stories: int) -> LatentStore:
        return build_latents(
            self._store / f"latents-{name}",
            source,
            stories=stories,
            codec=self.codec,
            codec_version="+".join(self.versions.values()),
            text=self.text,
            side_by_side=isinstance(self.codec, LightVideoCodec),
            progress=self._progress,
        )


def sources(settings: MaterialSettings, preset: Preset) -> tuple[tuple[Source, int], tuple[Source, int]]:
    """(source, how many of its stories) to train on, and held out. Raises :class:`InputError`."""
    seed, share = settings.seed, settings.decoded_share
    if settings.clips is None:
        train = WorldStories(seed=seed, split="train", decoded_share=share, preset=preset)
        held_out = WorldStories(seed=seed, split="held-out", decoded_share=share, preset=preset)
        return (train, settings.stories), (held_out, settings.held_out_stories)
    manifest = Path(settings.clips)
    clips = read_clips(manifest, None if settings.root is None else Path(settings.root))
    first = len(clips) - settings.held_out_stories
    if first < 1:
        raise InputError(
            f"{manifest}: has {len(clips)} rows, of which held_out_stories={settings.held_out_stories} are held out; "
            "hold fewer out or add clips"
        )
    version = fingerprint(manifest)
    parts = (clips[: min(first, settings.stories)], clips[first:])
    learnt, kept = (
        ClipStories(clips=part, version=version, seed=seed, decoded_share=share, preset=preset) for part in parts
    )
    return (learnt, len(learnt.clips)), (kept, len(kept.clips))


def open_video(name: str, geometry: Geometry) -> tuple[VideoCodec, str]:
    """The video codec ``name`` and what tells it from others. Raises :class:`InputError`, :class:`WeightsError`."""
    codecs = _codecs(name)
    if codecs is None:
        path = find_weights(name, "autoencoder")
        dtype = pick_dtype("auto", torch.device("cpu"))
        autoencoder = fitted(load_autoencoder(path), geometry)
        return LightVideoCodec(autoencoder.to(dtype), geometry), fingerprint(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options = CodecOptions(device=device, dtype=pick_dtype("auto", device))
    return codecs.open_video(geometry, options), codecs.versions["autoencoder"]


def open_text(name: str) -> tuple[TextEncoder, str]:
    """The text encoder ``name`` and what tells it from others. Raises :class:`InputError`, :class:`WeightsError`."""
    codecs = _codecs(name)
    if codecs is None:
        path = find_weights(name, "text_encoder")
        return load_text_encoder(path), fingerprint(path)
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    placement: Placement = "streamed" if gpu else "cpu"
    options = CodecOptions(device=device, dtype=torch.float32, placement=placement, store=embedding_folder())
    return codecs.open_text(options), codecs.versions["text_encoder"]


def _codecs(name: str) -> CodecFiles | None:
    """The codecs in the folder ``name``, or in the pulled model called so; None where ``name`` is no folder."""
    folder = next((path for path in (Path(name), model_folder(name)) if path.is_dir()), None)
    if folder is None:
        return None
    found = codecs_in(folder)
    if found is None:
        raise InputError(f"{folder}: holds no model's codecs; pull or convert them first")
    return found


def find_weights(name: str, bundled: str) -> Path:
    """A weight file by path, or a packaged one: ``bundled`` is that of ``bundled``, ``bundled/student`` the student's.
    Raises :class:`InputError` if there is none."""
    role = {"bundled": bundled, "bundled/student": "student", "bundled/teacher": "teacher"}.get(name)
    path = Path(name) if role is None else Path(__file__).parents[2] / "bundled" / f"{role}.safetensors"
    if not path.is_file():
        raise InputError(f"{path}: no such weights; train the {bundled} first or name another file")
    return path


def start_from(model: Transformer, name: str, bundled: str) -> None:
    """Copy weights of the same network into ``model``: the start of a later stage, or a warm start."""
    loaded, _ = load_transformer(find_weights(name, bundled))
    check_names_and_shapes(model, loaded.state_dict(), name)
    model.load_state_dict(loaded.state_dict())
