"""Stories as latents and caption embeddings, encoded once: training data of the transformer's stages.

Of every shot its video is coded; besides, the frames that dynamic sampling could ever pick from the whole shot (which
a clip's video may be a part of) are coded alone, as they will condition later shots. In a share of the stories those
condition frames have been through the codec before, as a later shot's history always has: they come from the decoded
video, or are decoded alone where it does not show the whole shot.

A shot may change in the middle, and has a second caption then. A story may have pinned pictures, each of a character
or a place with a caption of its own.

Axes: F latent frames · P picked frames, or pinned pictures · C latent channels · h, w latent cells · L caption tokens
D text width
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import pickable_frames
from shotstream.core.errors import InputError
from shotstream.core.files import whole_file
from shotstream.core.geometry import Geometry
from shotstream.data.clip_manifest import ShotFrames
from shotstream.sampling.context import to_pixels
from shotstream.training.data.shards import ShardsAhead, claim, make_missing, shard_file, shown_shards

SHARD = 32  # stories per file


@dataclass(frozen=True)
class LatentShot:
    """``latents`` [F, C, h, w]; ``picked`` {pixel frame: its place in ``singles`` [P, C, h, w]}; ``caption`` [L, D].

    ``change``: the latent frame from which on ``changed`` [L, D] is the caption; None where there is no change.
    """

    latents: Tensor
    frames: int  # pixel frames of the whole shot
    picked: dict[int, int]
    singles: Tensor
    caption: Tensor
    change: int | None
    changed: Tensor | None


class LatentStore:
    """Reads stories by number; tensors stay on disk until asked for. ``shown``: the stories to draw from."""

    def __init__(self, folder: Path, stories: int, geometry: Geometry, more: ShardsAhead | None = None) -> None:
        """more: makes shards behind those that are there; None where no others can be."""
        self.folder = folder
        self._geometry, self._more = geometry, more
        self._shards: list[Any] = []
        self._lengths: list[list[list[int]]] = []  # pixel frames of the shots' videos
        self._whole: list[list[list[int]]] = []  # and of the shots
        self._changes: list[list[list[int | None]]] = []
        self._open(-(-stories // SHARD))
        self._at_once = len(self._shards)
        self.shown = range(stories)

    def _open(self, shards: int) -> None:
        for number in range(len(self._shards), shards):
            self._shards.append(safe_open(shard_file(self.folder, number), "pt"))
            said = self._shards[number].metadata()
            self._lengths.append(json.loads(said["shots"]))
            self._whole.append(json.loads(said.get("whole", said["shots"])))
            self._changes.append(json.loads(said["changes"]))

    def learnt(self, shots: float, seen: float) -> None:
        """Draw on: after so many ``shots`` show other stories, so that each shot is drawn ``seen`` times on average."""
        assert self._more is not None  # the recipe asked for a world to draw
        held = sum(len(story) for story in self._lengths[0])
        window = shown_shards(self._at_once, shots, seen, held)
        if window.stop > len(self._shards):
            self._more.reach(window.stop)
            self._open(window.stop)
            self.shown = range(window.start * SHARD, window.stop * SHARD)

    def shots(self, story: int) -> int:
        """How many shots story number ``story`` has."""
        return len(self._lengths[story // SHARD][story % SHARD])

    def frames(self, story: int, shot: int) -> int:
        """Latent frames of a shot's video."""
        return self._geometry.latent_frames(self._lengths[story // SHARD][story % SHARD][shot])

    def change(self, story: int, shot: int) -> int | None:
        """The latent frame from which on a shot has another caption; None if it has one alone."""
        return self._changes[story // SHARD][story % SHARD][shot]

    def pinned(self, story: int) -> tuple[Tensor, Tensor]:
        """The pinned pictures [P, C, h, w] of a story and their captions [P, L, D], float32; P may be 0."""
        shard, name = self._shards[story // SHARD], f"{story % SHARD}.pinned"
        if name not in shard.keys():  # noqa: SIM118  not a mapping
            return torch.empty(0, *self._geometry.latent_shape), torch.empty(0)
        return shard.get_tensor(name).float(), shard.get_tensor(f"{name}_captions").float()

    def shot(self, story: int, shot: int) -> LatentShot:
        """One shot, float32."""
        shard = self._shards[story // SHARD]
        frames = self._whole[story // SHARD][story % SHARD][shot]
        name = f"{story % SHARD}.{shot}"
        latents, singles, caption = (
            shard.get_tensor(f"{name}.{part}").float() for part in ("latents", "singles", "caption")
        )
        picked = {frame: place for place, frame in enumerate(pickable_frames(frames, self._geometry.context_frames))}
        change = self.change(story, shot)
        changed = None if change is None else shard.get_tensor(f"{name}.changed").float()
        return LatentShot(latents, frames, picked, singles, caption, change, changed)


class Drawn(NamedTuple):
    """A story: per shot its frames, a prompt, and the (latent frame, prompt) of its change or None; pinned
    pictures [H, W, 3] with a caption each."""

    number: int
    shots: Iterable[ShotFrames]
    prompts: Sequence[str]
    changes: Sequence[tuple[int, str] | None]
    pinned: Sequence[tuple[NDArray[np.uint8], str]] = ()


class Source(Protocol):
    """Where stories come from: the world, which is ``endless``, or clips."""

    @property
    def endless(self) -> bool: ...

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
    work = partial(_shard, folder, source, codec, text)
    shards = -(-stories // SHARD)
    more = make_missing(folder, work, shards, source.held, side_by_side=side_by_side, progress=progress)
    return LatentStore(folder, stories, codec.geometry, more if source.endless else None)


def _shard(folder: Path, source: Source, codec: VideoCodec, text: TextEncoder, number: int) -> Iterator[int]:
    """Makes a shard; yields 1 for every story."""
    tensors: dict[str, Tensor] = {}
    shots: list[list[int]] = []
    whole: list[list[int]] = []
    changes: list[list[int | None]] = []
    drawn = source.drawn([number * SHARD + local for local in range(source.held(number))])
    for local, story in enumerate(drawn):
        lengths, in_all = [], []
        embeddings = text.encode(story.prompts)
        for shot, (frames, change) in enumerate(zip(story.shots, story.changes, strict=True)):
            coded = _coded(codec, frames, decoded=source.decoded(story.number)) | {"caption": embeddings[shot]}
            if change is not None:
                coded["changed"] = text.encode([change[1]])[0]
            tensors |= {f"{local}.{shot}.{part}": value.half().contiguous() for part, value in coded.items()}
            lengths.append(len(frames.video))
            in_all.append(frames.frames)
        shots.append(lengths)
        whole.append(in_all)
        changes.append([None if change is None else change[0] for change in story.changes])
        if story.pinned:
            pictures = np.stack([picture for picture, _ in story.pinned])
            tensors[f"{local}.pinned"] = codec.encode_images(to_pixels(pictures)).half().cpu().contiguous()
            tensors[f"{local}.pinned_captions"] = text.encode([caption for _, caption in story.pinned]).half()
        yield 1
    with whole_file(shard_file(folder, number)) as temporary:
        told = {"shots": shots, "whole": whole, "changes": changes}
        save_file(tensors, temporary, metadata={name: json.dumps(value) for name, value in told.items()})


def _coded(codec: VideoCodec, shot: ShotFrames, *, decoded: bool) -> dict[str, Tensor]:
    """The latents of a shot's video, and those of the frames that could be picked from the shot, each alone."""
    latents = codec.encode(to_pixels(shot.video)[None])
    if not decoded:
        history = to_pixels(shot.pickable)
    elif shot.frames == len(shot.video):
        history = codec.decode(latents)[0][pickable_frames(shot.frames, codec.geometry.context_frames)]
    else:
        history = codec.decode(codec.encode_images(to_pixels(shot.pickable))[:, None])[:, 0]
    return {"latents": latents[0].cpu(), "singles": codec.encode_images(history).cpu()}


Room = Callable[[int, int], int]  # story and shot -> latent frames a sample of it may have
Shots = dict[int, list[tuple[int, int]]]  # length in latent frames -> (story, shot) of that length


class ShotDraws(Protocol):
    """Draws what batches are of."""

    @property
    def shares(self) -> Mapping[int, float]:
        """Every length, and how often it is drawn."""

    def length(self, draw: random.Random) -> int:
        """Latent frames of a batch's samples."""

    def shot(self, draw: random.Random, length: int) -> tuple[int, int]:
        """A story and one of its shots, which has ``length`` latent frames or more."""


class ListedLengths:
    """``lengths`` with their shares. Samples are the beginnings of shots at least so long; ``first_share`` of them are
    of first shots. Raises :class:`InputError` if no shot is as long as one of the lengths."""

    def __init__(self, store: LatentStore, room: Room, first_share: float, lengths: Mapping[int, float]) -> None:
        self.shares = lengths
        self._store, self._room, self._first_share = store, room, first_share
        firsts, others = 0, 0
        for story in store.shown:
            firsts = max(firsts, room(story, 0))
            others = max([others, *(room(story, shot) for shot in range(1, store.shots(story)))])
        longest = min(firsts if first_share > 0 else others, others if first_share < 1 else firsts)
        wanted = max((length for length, part in lengths.items() if part > 0), default=0)
        if longest < wanted:
            raise InputError(f"lengths: {wanted} latent frames; the longest shot there is has {longest}")

    def length(self, draw: random.Random) -> int:
        return draw.choices(list(self.shares), list(self.shares.values()))[0]

    def shot(self, draw: random.Random, length: int) -> tuple[int, int]:
        first = draw.random() < self._first_share
        while True:
            story = draw.choice(self._store.shown)
            shots = self._store.shots(story)
            shot = 0 if first or shots == 1 else draw.randrange(1, shots)
            if (first or shot) and self._room(story, shot) >= length:
                return story, shot


class ClipLengths:
    """Every shot as long as it is, cut to a ``multiple`` of latent frames; shorter ones than ``shortest`` are left out.

    ``first_share`` of the samples are first shots; among these, and among the others, all shots are equally likely.
    Raises :class:`InputError` if there are none of a kind that is asked for.
    """

    def __init__(
        self, store: LatentStore, room: Room, first_share: float, *, multiple: int = 1, shortest: int = 1
    ) -> None:
        self._store, self._room, self._first_share = store, room, first_share
        self._multiple, self._shortest = multiple, max(multiple, shortest)
        self._look(store.shown)

    def _look(self, shown: range) -> None:
        """Sort the shots of the stories ``shown`` by their length."""
        self._shown, self._first, self._later = shown, Shots(), Shots()
        for story in shown:
            for shot in range(self._store.shots(story)):
                length = self._room(story, shot) // self._multiple * self._multiple
                if length >= self._shortest:
                    (self._later if shot else self._first).setdefault(length, []).append((story, shot))
        self.shares: dict[int, float] = {}
        self._first_part: dict[int, float] = {}
        for name, shots, share in (
            ("first", self._first, self._first_share),
            ("later", self._later, 1 - self._first_share),
        ):
            if share > 0 and not shots:
                raise InputError(
                    f"lengths: no {name} shot has {self._shortest} latent frames; change first_share or the clips"
                )
            count = sum(map(len, shots.values()))
            for length, found in shots.items():
                part = share * len(found) / count
                self.shares[length] = self.shares.get(length, 0) + part
                if shots is self._first:
                    self._first_part[length] = part

    def length(self, draw: random.Random) -> int:
        if self._store.shown != self._shown:
            self._look(self._store.shown)
        return draw.choices(list(self.shares), list(self.shares.values()))[0]

    def shot(self, draw: random.Random, length: int) -> tuple[int, int]:
        first = draw.random() * self.shares[length] < self._first_part.get(length, 0)
        return draw.choice((self._first if first else self._later)[length])
