"""Stories of the world as latents and caption embeddings, made once: what the transformer's stages learn from.

Every shot is drawn and coded whole; besides, the frames that dynamic sampling could ever pick from it are coded
alone, as the memory will see them. In a share of the stories those condition frames come from the *decoded* shot,
because a later shot's history has always been through the codec (the generation loss that streaming pays).

Axes: F latent frames · P picked frames · C latent channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import evenly_spread
from shotstream.core.files import whole_file, write_text
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.data.world.render import render_shot
from shotstream.data.world.spec import WORLD_VERSION
from shotstream.data.world.splits import Split
from shotstream.data.world.stories import make_story

SHARD = 32  # stories per file


@dataclass(frozen=True)
class LatentShot:
    """``latents`` [F, C, h, w]; ``picked`` {pixel frame: its place in ``singles`` [P, C, h, w]}; ``caption`` [L, D]."""

    latents: Tensor
    frames: int  # pixel frames
    picked: dict[int, int]
    singles: Tensor
    caption: Tensor


LatentStory = tuple[LatentShot, ...]


class LatentStore:
    """Reads stories by number; tensors stay on disk until asked for."""

    def __init__(self, folder: Path, stories: int, geometry: Geometry) -> None:
        self._geometry = geometry
        self._shards = [safe_open(_shard(folder, number), "pt") for number in range(-(-stories // SHARD))]
        self._headers = [json.loads(shard.metadata()["shots"]) for shard in self._shards]
        self.stories = stories

    def shots(self, story: int) -> int:
        """How many shots story number ``story`` has."""
        return len(self._headers[story // SHARD][story % SHARD])

    def frames(self, story: int, shot: int) -> int:
        """Latent frames of a shot."""
        return self._geometry.latent_frames(self._headers[story // SHARD][story % SHARD][shot])

    def shot(self, story: int, shot: int) -> LatentShot:
        """One shot, float32."""
        shard = self._shards[story // SHARD]
        frames = self._headers[story // SHARD][story % SHARD][shot]
        name = f"{story % SHARD}.{shot}"
        latents, singles, caption = (
            shard.get_tensor(f"{name}.{part}").float() for part in ("latents", "singles", "caption")
        )
        picked = {frame: place for place, frame in enumerate(pickable_frames(frames, self._geometry.context_frames))}
        return LatentShot(latents, frames, picked, singles, caption)


def pickable_frames(frames: int, budget: int) -> list[int]:
    """Every frame of a shot of ``frames`` that dynamic sampling could pick under a budget of ``budget``, ascending."""
    counts = {budget // shots for shots in range(1, budget + 1)} | {
        budget // shots + 1 for shots in range(2, budget + 1)
    }
    return sorted({frame for count in counts if count <= budget for frame in evenly_spread(frames, count)})


def build_latents(
    folder: Path,
    *,
    stories: int,
    seed: int,
    split: Split,
    decoded_share: float,
    codec: VideoCodec,
    codec_version: str,
    text: TextEncoder,
    progress: Callable[[int, int], None],
) -> LatentStore:
    """The store of ``stories`` stories in ``folder``; shards that are already there are kept."""
    made_by = {
        "world": WORLD_VERSION,
        "codec": codec_version,
        "seed": seed,
        "split": split,
        "decoded_share": decoded_share,
    }
    description = folder / "latents.json"
    if not description.exists() or json.loads(description.read_text()) != made_by:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("shard-*.safetensors"):
            stale.unlink()
        write_text(description, json.dumps(made_by))
    missing = [number for number in range(-(-stories // SHARD)) if not _shard(folder, number).exists()]
    wanted = [story for number in missing for story in range(number * SHARD, (number + 1) * SHARD)]
    coder = _Coder(codec, text, seed, split, decoded_share)
    drawn = _drawn(wanted, seed, split, codec.geometry)
    for place, number in enumerate(missing):
        tensors: dict[str, Tensor] = {}
        shots: list[list[int]] = []
        for local in range(SHARD):
            story, videos, captions = next(drawn)
            shots.append([len(video) for video in videos])
            tensors.update(coder.code(story, local, videos, captions))
            progress(place * SHARD + local + 1, len(wanted))
        with whole_file(_shard(folder, number)) as temporary:
            save_file(tensors, temporary, metadata={"shots": json.dumps(shots)})
    return LatentStore(folder, stories, codec.geometry)


def _shard(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.safetensors"


class _Coder:
    """Turns the frames and captions of one story into the tensors of a shard."""

    def __init__(self, codec: VideoCodec, text: TextEncoder, seed: int, split: Split, decoded_share: float) -> None:
        self._codec, self._text = codec, text
        self._seed, self._split, self._decoded_share = seed, split, decoded_share

    def code(self, story: int, local: int, videos: list[NDArray[np.uint8]], captions: list[str]) -> dict[str, Tensor]:
        decoded = random.Random(derive(self._seed, "history", self._split, story)).random() < self._decoded_share
        embeddings = self._text.encode(captions)
        tensors = {}
        for shot, video in enumerate(videos):
            pixels = torch.from_numpy(video).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
            latents = self._codec.encode(pixels[None])
            history = self._codec.decode(latents)[0] if decoded else pixels
            picks = pickable_frames(len(video), self._codec.geometry.context_frames)
            name = f"{local}.{shot}"
            tensors[f"{name}.latents"] = latents[0].half().contiguous()
            tensors[f"{name}.singles"] = self._codec.encode_images(history[picks]).half().contiguous()
            tensors[f"{name}.caption"] = embeddings[shot].half().contiguous()
        return tensors


Drawn = tuple[int, list[NDArray[np.uint8]], list[str]]


def _drawn(stories: list[int], seed: int, split: Split, geometry: Geometry) -> Iterator[Drawn]:
    """Stories drawn by one worker process, ahead of their coding but never far ahead."""
    jobs = [(story, seed, split, geometry) for story in stories]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        window = [pool.apply_async(_draw, (job,)) for job in jobs[:4]]
        for place in range(len(jobs)):
            if place + 4 < len(jobs):
                window.append(pool.apply_async(_draw, (jobs[place + 4],)))
            yield window.pop(0).get()


def _draw(job: tuple[int, int, Split, Geometry]) -> Drawn:
    number, seed, split, geometry = job
    story = make_story(derive(seed, "story", split, number), split=split)
    videos = [
        render_shot(
            story,
            place,
            frames=geometry.shot_frames(geometry.blocks_for(shot.seconds)),
            width=geometry.width,
            height=geometry.height,
            fps=geometry.fps,
        )[0]
        for place, shot in enumerate(story.shots)
    ]
    return number, videos, [f"{story.global_caption} {shot.caption}" for shot in story.shots]
