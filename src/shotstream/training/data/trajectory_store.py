"""The teacher's ODE trajectories on disk, with their prompts and contexts.

One file holds pairs of one length. Axes: B pairs · N states (the student's timesteps, then the clean end) ·
F latent frames · C channels · h, w cells · K condition frames · S captions · L caption tokens · D text width
"""

from __future__ import annotations

import json
import logging
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shotstream.core.errors import InputError
from shotstream.core.files import whole_file
from shotstream.sampling.context import ContextFrames
from shotstream.training.data.shards import claim, shard_file
from shotstream.training.distributed import ALONE, Processes

log = logging.getLogger(__name__)
DESCRIPTION = "trajectories.json"
_FLOATS = ("states", "condition", "captions", "caption")


def context_tensors(context: ContextFrames) -> dict[str, Tensor]:
    """``context`` by the names that files have for its tensors."""
    return {
        "condition": context.latents,
        "shot_index": context.shot_index,
        "captions": context.captions,
        "caption_index": context.caption_index,
    }


def context_of(tensors: Mapping[str, Tensor]) -> ContextFrames:
    """What :func:`context_tensors` took apart, from among ``tensors``."""
    return ContextFrames(
        latents=tensors["condition"],
        shot_index=tensors["shot_index"],
        captions=tensors["captions"],
        caption_index=tensors["caption_index"],
    )


@dataclass(frozen=True)
class Trajectories:
    """``states`` [B, N, F, C, h, w] at ``timesteps`` [N] (the last is 0), context and caption [B, L, D] asked for."""

    states: Tensor
    timesteps: Tensor
    context: ContextFrames
    caption: Tensor

    def take(self, rows: list[int]) -> Trajectories:
        """The pairs ``rows`` alone."""
        context = context_of({name: value[rows] for name, value in context_tensors(self.context).items()})
        return Trajectories(self.states[rows], self.timesteps, context, self.caption[rows])

    def whole_blocks(self, block_frames: int) -> Trajectories:
        """The same without the frames behind the last whole block."""
        frames = self.states.shape[2] // block_frames * block_frames
        return Trajectories(self.states[:, :, :frames], self.timesteps, self.context, self.caption)

    def to(self, device: torch.device) -> Trajectories:
        """All but timesteps and the small index tensors on ``device``."""
        return Trajectories(self.states.to(device), self.timesteps, self.context.to(device), self.caption.to(device))


Make = Callable[[int], Trajectories]


def build_trajectories(
    folder: Path,
    *,
    shards: int,
    made_by: Mapping[str, Any],
    make: Make,
    progress: Callable[[int, int], None],
    processes: Processes = ALONE,
) -> None:
    """Write ``shards`` files into ``folder``: whole files are kept, missing and damaged ones are (re)made.

    made_by: everything the trajectories depend on; files made by something else are thrown away.
    make: the pairs of a shard's number, always the same ones, whichever of the ``processes`` makes them.
    """
    with processes.first_before_others():
        claim(folder / DESCRIPTION, {**made_by, "shards": shards})
    for number in processes.parts(shards):
        path = shard_file(folder, number)
        if path.exists() and not is_whole(path):
            log.warning("%s: damaged; made again", path)
            path.unlink()
        if not path.exists():
            _write(path, make(number))
        progress(number + 1, shards)
    processes.wait()


def is_whole(path: Path) -> bool:
    """Is ``path`` a shard whose tensors are those that were written?"""
    try:
        with safe_open(path, "pt") as file:
            return bool(
                (file.metadata() or {}).get("crc") == _checksum({name: file.get_tensor(name) for name in _names(file)})
            )
    except (SafetensorError, OSError):
        return False


class TrajectoryStore:
    """Draws batches from a folder that :func:`build_trajectories` has filled. Raises :class:`InputError` if it lacks
    files."""

    def __init__(self, folder: Path) -> None:
        description = folder / DESCRIPTION
        if not description.is_file():
            raise InputError(
                f"{folder}: no trajectories here; make them first (recipe trajectories) or name another folder"
            )
        self.made_by: dict[str, Any] = json.loads(description.read_text())
        paths = [shard_file(folder, number) for number in range(self.made_by["shards"])]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise InputError(f"{missing[0]}: missing, and {len(missing) - 1} more; run the trajectories recipe again")
        self._shards = [safe_open(path, "pt") for path in paths]

    def batch(self, draw: random.Random, count: int) -> Trajectories:
        """``count`` pairs of one length, from one file."""
        whole = self.shard(draw.randrange(len(self._shards)))
        return whole.take([draw.randrange(len(whole.states)) for _ in range(count)])

    def shard(self, number: int) -> Trajectories:
        """All pairs of one file, float32."""
        file = self._shards[number]
        tensors = {name: file.get_tensor(name) for name in _names(file)}
        tensors.update({name: tensors[name].float() for name in _FLOATS})
        return Trajectories(tensors["states"], tensors["timesteps"], context_of(tensors), tensors["caption"])


def _write(path: Path, pairs: Trajectories) -> None:
    tensors = {"states": pairs.states, "timesteps": pairs.timesteps, "caption": pairs.caption}
    tensors |= context_tensors(pairs.context)
    narrow = {name: (value.half() if name in _FLOATS else value).contiguous() for name, value in tensors.items()}
    with whole_file(path) as temporary:
        save_file(narrow, temporary, metadata={"crc": _checksum(narrow)})


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].contiguous().flatten().view(torch.uint8).numpy().tobytes(), crc)
    return f"{crc:08x}"


def _names(file: Any) -> list[str]:
    return list(file.keys())
