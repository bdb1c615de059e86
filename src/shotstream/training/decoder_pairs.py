"""What a decoder is given in a film, and what it should have shown: latents as the student leaves them, made once.

Of every shot there are three, all with the true blocks before each block and the true shots before the shot: the
student's own, which show what it made up; denoised ones, true latents that went through a few of its last steps, so
that they have its faults and still show the true frames; and the true ones.

Axes: V versions · F latent frames · T pixel frames · C channels · h, w latent cells · H, W pixels · R roles
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from shotstream.core.devices import pick_dtype
from shotstream.core.files import fingerprint, whole_file
from shotstream.core.flow import add_noise
from shotstream.core.randomness import derive
from shotstream.data.clips import boxes_of
from shotstream.data.world.render import render_shot
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.models.weights import load_transformer
from shotstream.sampling.noise import NamedNoise
from shotstream.sampling.solvers import few_step
from shotstream.sampling.streaming import StreamingShot
from shotstream.training.latent_store import SHARD, LatentStore
from shotstream.training.next_shot_batches import NextShotBatch, NextShotSampler, NextShotSettings
from shotstream.training.shard_folder import claim, shard_file
from shotstream.training.shard_workers import make_shards
from shotstream.training.story_sources import WorldStories

OWN, DENOISED, TRUE = range(3)  # places among the versions


@dataclass(frozen=True, slots=True)
class Pair:
    """``latents`` float32 [V, F, C, h, w], ``frames`` uint8 [T, H, W, 3], ``boxes`` [T, R, 4] in fractions."""

    latents: Tensor
    frames: Tensor
    boxes: Tensor


class DecoderPairs:
    """Reads pairs by number; tensors stay on disk until asked for."""

    def __init__(self, folder: Path, shards: int) -> None:
        self._shards = [safe_open(shard_file(folder, number), "pt") for number in range(shards)]
        self._places = [
            (shard, name.removesuffix(".frames"))
            for shard in self._shards
            for name in sorted(shard.keys())
            if name.endswith(".frames")
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> Pair:
        shard, name = self._places[number]
        latents, frames, boxes = (shard.get_tensor(f"{name}.{part}") for part in ("latents", "frames", "boxes"))
        return Pair(latents.float(), frames, boxes)


def build_pairs(
    folder: Path,
    store: LatentStore,
    source: WorldStories,
    preset: Preset,
    student: Path,
    *,
    blocks: int,
    made_with: str,
    progress: Callable[[int, int], None],
) -> DecoderPairs:
    """The first ``blocks`` blocks of every shot of ``store`` that is so long, in ``folder``; files there are kept.

    source: what ``store`` was drawn from. student: its weights, which ``preset`` says how to sample. made_with: what
    else the latents depend on.
    """
    made_by = {**source.made_by, "made_with": made_with, "student": fingerprint(student), "blocks": blocks}
    claim(folder / "pairs.json", {**made_by, "sampler": preset.student.model_dump()})
    shards = -(-store.stories // SHARD)
    missing = [number for number in range(shards) if not shard_file(folder, number).exists()]
    work = _Work(folder, store.folder, store.stories, source, preset, student, blocks)
    done = 0
    for more in make_shards(partial(_shard, work), missing, side_by_side=True):
        done += more
        progress(done, len(missing) * SHARD)
    return DecoderPairs(folder, shards)


@dataclass(frozen=True, slots=True)
class _Work:
    """Everything a shard is made from."""

    folder: Path
    latents: Path
    stories: int
    source: WorldStories
    preset: Preset
    student: Path
    blocks: int


def _shard(work: _Work, number: int) -> Iterator[int]:
    """Makes a shard; yields 1 for every story."""
    model = _student(work.student)
    geometry = work.preset.geometry
    length = work.blocks * geometry.block_frames
    store = LatentStore(work.latents, work.stories, geometry)
    shots = NextShotSampler(store, work.preset, NextShotSettings())
    tensors: dict[str, Tensor] = {}
    for story in range(number * SHARD, min((number + 1) * SHARD, work.stories)):
        drawn = work.source.story(story)
        for shot in range(store.shots(story)):
            if store.frames(story, shot) < length:
                continue
            batch = shots.of(story, shot, length)
            size = {"width": geometry.width, "height": geometry.height, "fps": geometry.fps}
            pictures, truths = render_shot(drawn, shot, frames=geometry.pixel_frames(length), **size)
            name = f"{story % SHARD:02d}.{shot}"
            tensors[f"{name}.latents"] = _versions(model, work.preset, batch, work.source.seed, story, shot).half()
            tensors[f"{name}.frames"] = torch.from_numpy(pictures)
            tensors[f"{name}.boxes"] = torch.from_numpy(boxes_of(truths))
        yield 1
    with whole_file(shard_file(work.folder, number)) as temporary:
        save_file(tensors, temporary)


@cache
def _student(path: Path) -> Transformer:
    """The weights, once per process."""
    return load_transformer(path, dtype=pick_dtype("auto", torch.device("cpu")))[0]


def _versions(model: Transformer, preset: Preset, batch: NextShotBatch, seed: int, story: int, shot: int) -> Tensor:
    """[V, F, C, h, w] of one shot; the denoised version enters at a random step but the first, the same in all
    blocks."""
    last = len(preset.student.listed) - 1
    entered = random.Random(derive(seed, "entered", story, shot)).randint(min(1, last), last)
    made = {
        OWN: streamed(model, preset, batch, NamedNoise(derive(seed, "own", story), shot=shot), 0),
        DENOISED: streamed(model, preset, batch, NamedNoise(derive(seed, "denoised", story), shot=shot), entered),
        TRUE: batch.target[0],
    }
    return torch.stack([made[version] for version in sorted(made)])


@torch.no_grad()
def streamed(model: Transformer, preset: Preset, batch: NextShotBatch, noise: NamedNoise, step: int) -> Tensor:
    """What the student makes of the true latents [F, C, h, w] under the noise of its step ``step``, block by block
    behind true blocks; at step 0 noise is all there is."""
    timesteps = preset.schedule.few_step(preset.student.listed)[step:]
    shot = StreamingShot(
        model, batch.context, max_frames=batch.target.shape[1], guidance=preset.student.guidance, fuse=True
    )
    shot.read(batch.caption)
    made = []
    for block, true in enumerate(batch.target.split(preset.geometry.block_frames, dim=1)):

        def draw(place: int, block: int = block, true: Tensor = true) -> Tensor:
            fresh = noise.draw(block, place, true.shape[1:])
            return add_noise(true, fresh, timesteps[0]) if place == 0 and step else fresh

        made.append(few_step(shot.flow, draw, timesteps=timesteps))
        shot.finish(true)
    return torch.cat(made, dim=1)[0]
