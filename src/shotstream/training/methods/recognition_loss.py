"""What recognisers make of a student's predicted pictures: what they answer, and how their features differ.

The mean squared error of latents counts a leg that is somewhere else as much as grain in the sky. Recognisers look at
what viewers look at: a moment (three pictures) of every few samples is decoded, and read twice. *Answers*: the
cross-entropy of what is true of that moment. *Features*: how far their maps are from those of the true pictures
through the same decoder (LPIPS, arXiv 1801.03924, with all weights 1). Both are read where the world says the
characters are. Recognisers that a model has learnt from can no longer judge it: the packaged ones are refused.

Axes: N samples · F latent frames · C channels · h, w latent cells · M = 3 pictures of a moment · S slots
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from shotstream.codecs.protocols import VideoCodec
from shotstream.codecs.video_autoencoder import LightVideoCodec
from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.files import fingerprint
from shotstream.data.recognition.network import FRAMES, Readings, cropped, load_recogniser, moment_truth
from shotstream.data.world.render import ShotPainter
from shotstream.training.data.material import Material, find_weights
from shotstream.training.data.next_shot_batches import NextShotBatch
from shotstream.training.data.story_sources import PIXELS, WorldStories
from shotstream.training.engine.stage import LossReport
from shotstream.training.methods.transformer_stage import TransformerRecipe


class RecognitionSettings(Config):
    """``recognisers``: a file of theirs, not the packaged one. ``answers``, ``features``: weights of the two losses
    beside the flow's. ``moments``: how many of an update's samples are looked at."""

    recognisers: str
    answers: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    features: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    moments: int = Field(default=4, gt=0)


class RecognisedRecipe(TransformerRecipe):
    """Recipe of a stage whose predictions recognisers may look at."""

    recognition: RecognitionSettings | None = None

    @model_validator(mode="after")
    def _the_world_tells_what_is_to_be_seen(self) -> Self:
        if self.recognition and self.material.clips is not None:
            raise ValueError("recognition: clips do not tell what is to be seen in them; set it to null")
        return self


class RecognitionLoss:
    """Of predictions of shots of ``stories``, through ``codec``'s decoder."""

    def __init__(self, settings: RecognitionSettings, stories: WorldStories, codec: VideoCodec) -> None:
        """Raises :class:`InputError` for the packaged recognisers, and for a codec they cannot read pictures of."""
        path = find_weights(settings.recognisers, "recognisers")
        if fingerprint(path) == fingerprint(find_weights("bundled", "recognisers")):
            raise InputError("recognition.recognisers: the packaged ones judge films; train others with another seed")
        self._network = load_recogniser(path)[0].eval().requires_grad_(False)
        if not isinstance(codec, LightVideoCodec):
            raise InputError("recognition: nothing can be learnt through this model's decoder; set it to null")
        geometry, config = codec.geometry, self._network.config
        reads = (config.width, config.height, FRAMES, 4 * geometry.temporal)
        if reads != (geometry.width, geometry.height, geometry.block_frames, geometry.fps):
            raise InputError(
                f"recognition.recognisers: {path} reads moments of {FRAMES} pictures of {config.width}x{config.height} "
                f"a quarter of a second apart, and this model's blocks are other moments; set recognition to null"
            )
        self._settings, self._codec, self._geometry = settings, codec, geometry
        self._story = lru_cache(maxsize=64)(stories.story)

    @classmethod
    def of(cls, recipe: RecognisedRecipe, material: Material) -> RecognitionLoss | None:
        """What ``recipe`` asks for."""
        if recipe.recognition is None:
            return None
        assert material.world is not None  # the recipe sees to it
        return cls(recipe.recognition, material.world, material.codec)

    def __call__(
        self, draw: random.Random, batch: NextShotBatch, x0: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Mapping[str, float]]:
        """The weighted loss of ``x0`` [N, F, C, h, w], predictions of ``batch``, at one block of its shots; metrics.
        ``wanted``: what they should look like."""
        told = [row for row, caption in enumerate(batch.caption) if bool(caption.any())]
        if not told:
            return x0.sum() * 0, {}
        rows = sorted(draw.sample(told, min(self._settings.moments, len(told))))
        size = self._geometry.block_frames
        first = size * draw.randrange(x0.shape[1] // size)
        picture, person, boxes = self._truth([batch.shots[row] for row in rows], first)
        history = batch.target[rows].cpu()  # recognisers and decoder stay on the CPU, wherever the student is
        made = self._moment(x0[rows].cpu(), history, first)
        with torch.no_grad():
            true = self._moment(wanted[rows].cpu(), history, first)
        answers = answer_loss(self._network(made, boxes), picture, person)
        features = self._apart(made, true, boxes)
        loss = self._settings.answers * answers + self._settings.features * features
        return loss, {"answers": float(answers.detach()), "features": float(features.detach())}

    def added_to(
        self, loss: Tensor, draw: random.Random, batch: NextShotBatch, x0: Tensor, wanted: Tensor
    ) -> LossReport:
        """``loss`` of a stage's own, and this one; arguments as of a call."""
        seen, metrics = self(draw, batch, x0, wanted)
        return LossReport(loss + seen.to(loss.device), len(x0), {"own": float(loss.detach()), **metrics})

    def _truth(self, shots: Sequence[tuple[int, int]], first: int) -> tuple[Tensor, Tensor, Tensor]:
        """Labels [N, questions] and [N, S, questions], and boxes [N, S, 4], of the block from frame ``first``."""
        geometry = self._geometry
        _, height, width = geometry.latent_shape
        frames = [geometry.pixel_frames(first + one + 1) - 1 for one in range(FRAMES)]
        times = [frame / geometry.fps for frame in frames]
        rows = []
        for number, shot in shots:
            story = self._story(number)
            painter = ShotPainter(story, shot, PIXELS * width, PIXELS * height)
            rows.append(moment_truth(story, shot, painter.seen_at(times[1]), times))
        picture, person, boxes, _ = zip(*rows, strict=True)
        return torch.tensor(picture), torch.tensor(person), torch.tensor(boxes)

    def _moment(self, latents: Tensor, true: Tensor, first: int) -> Tensor:
        """The pictures [N, M, H, W, 3] in 0..255 of the block from ``first``: ``latents``, behind ``true`` ones."""
        autoencoder, size = self._codec.autoencoder, self._geometry.block_frames
        weights = autoencoder.decoder.enter.weight
        state = None
        if first:
            with torch.no_grad():  # the state it carries comes from the block before
                state = autoencoder.decode_groups(true[:, first - size : first].to(weights))[1]
        pixels = autoencoder.decode_groups(latents[:, first : first + size].to(weights), state)[0].float()
        last = pixels[:, (pixels.shape[1] - 1) % self._geometry.temporal :: self._geometry.temporal]
        return 127.5 * (last.permute(0, 1, 3, 4, 2) + 1)

    def _apart(self, made: Tensor, true: Tensor, boxes: Tensor) -> Tensor:
        """Mean squared difference of unit features, over both networks and all their depths."""
        network = self._network
        filled = (boxes[..., 2] > boxes[..., 0]).flatten()
        apart = []
        maps = []
        for moments in (made, true):
            pixels = moments.permute(0, 1, 4, 2, 3).flatten(1, 2) / 127.5 - 1
            near = cropped(pixels, boxes, network.config.crop).flatten(0, 1)[filled]
            whole = _depths(network.trunk, functional.avg_pool2d(pixels, 2))
            maps.append([*whole, *_depths(network.person_trunk, near)])
        for one, other in zip(*maps, strict=True):
            difference = functional.normalize(one.float(), dim=1) - functional.normalize(other.float(), dim=1)
            apart.append(difference.square().sum(1).mean())
        return torch.stack(apart).mean()


def answer_loss(readings: Readings, picture: Tensor, person: Tensor) -> Tensor:
    """Mean cross-entropy over questions; the person's count once per slot that is filled.

    picture [N, questions], person [N, S, questions]: labels, -1 where a question does not apply.
    """
    losses = []
    for place, logits in enumerate(readings.picture):
        losses.append(_cross_entropy(logits, picture[:, place]))
    for place, logits in enumerate(readings.person):
        losses.append(_cross_entropy(logits.flatten(0, 1), person[:, :, place].flatten()))
    return torch.stack(losses).mean()


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """0 where no label applies."""
    asked = labels >= 0
    return functional.cross_entropy(logits[asked], labels[asked]) if asked.any() else logits.sum() * 0


def _depths(trunk: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What enters every convolution of ``trunk`` but the first, and what leaves the last layer."""
    depths = []
    for place, layer in enumerate(trunk):
        if place and isinstance(layer, nn.Conv2d):
            depths.append(x)
        x = layer(x)
    return [*depths, x]
