"""Stories as latents and caption embeddings, made once: what the transformer's stages learn from.

Every shot is coded whole; besides, the frames that dynamic sampling could ever pick from it are coded
alone, as the memory will see them. In a share of the stories those condition frames come from the *decoded* shot,
because a later shot's history has always been through the codec (the generation loss that streaming pays).

Axes: F latent frames · P picked frames · C latent channels · h, w latent cells · L caption tokens · D text width
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import evenly_spread
from shotstream.core.files import whole_file
from shotstream.core.geometry import Geometry
from shotstream.training.shard_folder import claim, shard_file
from shotstream.training.shard_workers import make_shards

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
        self.folder = folder
        self._geometry = geometry
        self._shards = [safe_open(shard_file(folder, number), "pt") for number in range(-(-stories // SHARD))]
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


Drawn = tuple[int, Iterable[NDArray[np.uint8]], list[str]]  # story, a video [T, H, W, 3] per shot, a prompt per shot


class Source(Protocol):
    """Where stories come from: the world, or clips."""

    @property
    def made_by(self) -> Mapping[str, Any]:
        """Everything its stories depend on, codecs apart."""

    def held(self, number: int) -> int:
        """How many stories the shard ``number`` can hold."""

    def decoded(self, story: int) -> bool:
        """Do the condition frames of ``story`` come from its decoded shots?"""

    def drawn(self, stories: list[int]) -> Iterator[Drawn]:
        """The pictures and captions of ``stories``, in their order."""


def build_latents(
    folder: Path,
    source: Source,
    *,
    stories: int,
    codec: VideoCodec,
    codec_version: str,
    text: TextEncoder,
    side_by_side: bool,
    progress: Callable[[int, int], None],
) -> LatentStore:
    """The store of the first ``stories`` of ``source`` in ``folder``; shards that are already there are kept."""
    claim(folder / "latents.json", {**source.made_by, "codec": codec_version})
    missing = [number for number in range(-(-stories // SHARD)) if not shard_file(folder, number).exists()]
    total, done = sum(source.held(number) for number in missing), 0
    for more in make_shards(partial(_shard, folder, source, codec, text), missing, side_by_side=side_by_side):
        done += more
        progress(done, total)
    return LatentStore(folder, stories, codec.geometry)


def _shard(folder: Path, source: Source, codec: VideoCodec, text: TextEncoder, number: int) -> Iterator[int]:
    """Makes a shard; yields 1 for every story."""
    tensors: dict[str, Tensor] = {}
    shots: list[list[int]] = []
    drawn = source.drawn([number * SHARD + local for local in range(source.held(number))])
    for local, (story, videos, captions) in enumerate(drawn):
        lengths = []
        embeddings = text.encode(captions)
        for shot, video in enumerate(videos):
            coded = _coded(codec, video, decoded=source.decoded(story)) | {"caption": embeddings[shot]}
            tensors |= {f"{local}.{shot}.{part}": value.half().contiguous() for part, value in coded.items()}
            lengths.append(len(video))
        shots.append(lengths)
        yield 1
    with whole_file(shard_file(folder, number)) as temporary:
        save_file(tensors, temporary, metadata={"shots": json.dumps(shots)})


def _coded(codec: VideoCodec, video: NDArray[np.uint8], *, decoded: bool) -> dict[str, Tensor]:
    """The latents of a shot [T, H, W, 3], and those of the frames that could be picked from it, each alone."""
    pixels = torch.from_numpy(video).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    latents = codec.encode(pixels[None])
    history = codec.decode(latents)[0] if decoded else pixels
    picks = pickable_frames(len(video), codec.geometry.context_frames)
    return {"latents": latents[0].cpu(), "singles": codec.encode_images(history[picks]).cpu()}
