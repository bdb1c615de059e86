"""The stage that trains the recognisers: read every attribute of the world off true films, whole and through the codec.

Loss: cross-entropy of every question; the share of a slot's attention that falls outside its person's box, and how
far off the box read there is; and a supervised contrastive loss (Khosla et al. 2020, equation 2) that gives a
character, and a place, one embedding through all shots of its story, apart from those of others. While they learn,
persons are looked at where they truly are, give or take a little; half of the pictures are mirrored.

Axes: N moments · M frames of one · H, W pixels · S slots · E embedding
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from shotstream.checkpoints.codec_weights import load_autoencoder
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive, stream
from shotstream.data.recognition.moments import Moments, Pass, open_moments
from shotstream.data.recognition.network import PERSON, PICTURE, Recogniser, RecogniserConfig, save_recogniser
from shotstream.data.world.stories import Split
from shotstream.training.data.material import find_weights, fingerprint
from shotstream.training.engine.checkpoints import bars
from shotstream.training.engine.stage import LossReport, OptimiserSettings, Role, names
from shotstream.training.methods.recognition_loss import answer_loss
from shotstream.training.recipes import Networks, Report, TrainedRecipe, register
from shotstream.training.stages.autoencoder import roundtrip

_TEMPERATURE = 0.1


@register
class RecognisersRecipe(TrainedRecipe):
    """Recipe of this stage. ``autoencoder``: weights, "bundled", or None to learn from true films alone."""

    stage: Literal["recognisers"] = "recognisers"
    cpu_only: ClassVar[bool] = True
    geometry: Geometry
    network: RecogniserConfig = RecogniserConfig()
    autoencoder: str | None = "bundled"
    optimiser: OptimiserSettings
    stories: int = Field(default=1200, gt=0)
    decoded_stories: int = Field(default=200, gt=0)  # the same again through the autoencoder
    held_out_stories: int = Field(default=60, gt=0)
    batch_stories: int = Field(default=24, gt=0)  # of each a few moments: the contrastive loss needs returns
    batch_moments: int = Field(default=4, gt=0)
    decoded_share: float = Field(default=0.3, ge=0, le=1)  # of a batch's stories

    def networks(self) -> Networks:
        return {"recognisers": (Recogniser(self.network), self.optimiser)}

    def build(self, store: Path, progress: Report) -> RecognisersStage:
        return RecognisersStage(self, store, progress)


class RecognisersStage:
    """One role, ``recognisers``."""

    def __init__(self, recipe: RecognisersRecipe, store: Path, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        torch.manual_seed(derive(recipe.seed, "weights"))
        network = Recogniser(recipe.network)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = cast(Recogniser, network)
        self.roles = {"recognisers": Role(network, recipe.optimiser)}
        self.loop = recipe.loop
        codec, name = _codec(recipe.autoencoder)
        opened = partial(self._open, store, progress)
        self._train = [opened("train", recipe.stories)]
        self._held_out = {"truth": opened("held-out", recipe.held_out_stories)}
        if codec is not None:
            self._train.append(opened("train", recipe.decoded_stories, codec, name))
            self._held_out["autoencoder"] = opened("held-out", recipe.held_out_stories, codec, name)
        self._rows = [_rows_of_stories(moments) for moments in self._train]

    def _open(
        self,
        store: Path,
        progress: Callable[[int, int], None],
        split: Split,
        stories: int,
        codec: Pass | None = None,
        codec_name: str = "",
    ) -> Moments:
        recipe = self.recipe
        return open_moments(
            store / f"moments-{split}{'-decoded' if codec else ''}",
            stories=stories,
            seed=recipe.seed,
            split=split,
            geometry=recipe.geometry,
            config=recipe.network,
            progress=progress,
            codec=codec,
            codec_name=codec_name,
        )

    def learner(self, update: int) -> str:
        return "recognisers"

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        draw = np.random.default_rng(derive(self.recipe.seed, "batch", *names(update, part)))
        decoded = round(self.recipe.decoded_share * self.recipe.batch_stories) if len(self._train) > 1 else 0
        counts = (self.recipe.batch_stories - decoded, decoded)
        batch = joined([self._pick(draw, source, count) for source, count in enumerate(counts) if count])
        batch = mirrored(batch, draw.random(len(batch)) < 0.5)
        wear = stream(self.recipe.seed, "wear", *names(update, part))
        frames, boxes = worn(torch.from_numpy(batch.frames), wear), torch.from_numpy(batch.boxes)
        readings = self._network(frames, shaken(boxes, wear))
        answers = answer_loss(readings, torch.from_numpy(batch.picture), torch.from_numpy(batch.person))
        where = attention_loss(readings.where, boxes)
        edges = box_loss(readings.boxes, boxes)
        story = torch.from_numpy(batch.story)
        character = torch.from_numpy(batch.character)
        identity = contrastive_loss(
            readings.identity.flatten(0, 1),
            torch.where(character < 0, -1, 10 * story[:, None] + character).flatten(),
        )
        place = contrastive_loss(readings.place, 10 * story + torch.from_numpy(batch.place))
        metrics = {"answers": answers, "where": where, "boxes": edges, "identity": identity, "place": place}
        loss = answers + 0.2 * where + 0.3 * edges + 0.1 * identity + 0.1 * place
        return LossReport(loss, len(batch), {name: float(value.detach()) for name, value in metrics.items()})

    def _pick(self, draw: np.random.Generator, source: int, stories: int) -> Moments:
        """A few moments of each of ``stories`` random stories; decoded ones get story numbers of their own."""
        rows = self._rows[source]
        chosen = draw.choice(len(rows), size=stories, replace=False)
        picked = np.concatenate([draw.choice(rows[one], size=self.recipe.batch_moments) for one in chosen])
        moments = taken(self._train[source], picked)
        moments.story[:] = 2 * moments.story + source
        return moments

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        """Accuracy of every question on held-out films; the metrics are means over questions."""
        found = self._accuracy(averaged)
        means = {
            source: float(np.mean([value for name, value in found.items() if name.startswith(f"{source}/")]))
            for source in self._held_out
        }
        return bars(found, "accuracy on held-out films"), means

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        network = cast(Recogniser, averaged["recognisers"])
        save_recogniser(network, folder / "recognisers.safetensors", self._accuracy(averaged))

    def _accuracy(self, averaged: Mapping[str, nn.Module]) -> dict[str, float]:
        network = cast(Recogniser, averaged["recognisers"]).eval()
        return {
            f"{source}/{name}": value
            for source, moments in self._held_out.items()
            for name, value in accuracy(network, moments).items()
        }


def _codec(name: str | None) -> tuple[Pass | None, str]:
    if name is None:
        return None, ""
    path = find_weights(name, "autoencoder")
    return partial(roundtrip, load_autoencoder(path)), fingerprint(path)


def _rows_of_stories(moments: Moments) -> list[np.ndarray]:
    return [np.flatnonzero(moments.story == story) for story in np.unique(moments.story)]


def taken(moments: Moments, rows: np.ndarray) -> Moments:
    """Copies of some rows."""
    return Moments(*(getattr(moments, name)[rows] for name in Moments.__slots__))


def joined(parts: list[Moments]) -> Moments:
    """All rows of ``parts``."""
    return Moments(*(np.concatenate([getattr(part, name) for part in parts]) for name in Moments.__slots__))


def mirrored(moments: Moments, which: NDArray[np.bool_]) -> Moments:
    """Some rows with left and right exchanged: in pictures, boxes, slots and answers."""
    mirror = Moments(*(getattr(moments, name).copy() for name in Moments.__slots__))
    mirror.frames[which] = mirror.frames[which][:, :, :, ::-1]
    filled = mirror.boxes[..., 2] > mirror.boxes[..., 0]
    turned = mirror.boxes[..., [2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0]
    mirror.boxes[which] = np.where(filled[..., None], turned, 0)[which]
    pairs = which & filled.all(1)
    for name in ("boxes", "person", "character"):
        getattr(mirror, name)[pairs] = getattr(mirror, name)[pairs][:, ::-1]
    for answers, questions in ((mirror.picture, PICTURE), (mirror.person, PERSON)):
        for place, classes in enumerate(questions.values()):
            if "left" in classes and "right" in classes:
                left, right = classes.index("left"), classes.index("right")
                labels = answers[which][..., place]
                swapped = np.where(labels == left, right, np.where(labels == right, left, labels))
                answers[which, ..., place] = swapped
    return mirror


def shaken(boxes: Tensor, noise: torch.Generator) -> Tensor:
    """Boxes [N, S, 4] a little beside where they are, and a little larger or smaller; empty ones stay empty."""
    size = torch.stack([boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]], -1)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    middle = middle + 0.07 * size * torch.randn(middle.shape, generator=noise)
    half = size / 2 * torch.exp(0.12 * torch.randn((*boxes.shape[:2], 1), generator=noise))
    return torch.cat([middle - half, middle + half], -1)


def worn(frames: Tensor, noise: torch.Generator) -> Tensor:
    """Pictures uint8 [N, M, H, W, 3] as a model might render them: a little brighter or darker, grainy, or soft."""
    count = len(frames)
    gain = 1 + 0.1 * (2 * torch.rand(count, 1, 1, 1, 1, generator=noise) - 1)
    shift = 20 * (torch.rand(count, 1, 1, 1, 1, generator=noise) - 0.5)
    grain = 12 * torch.rand(count, 1, 1, 1, 1, generator=noise).square()
    soft = torch.rand(count, generator=noise) < 0.3
    pixels = frames.float()
    planes = pixels[soft].permute(0, 1, 4, 2, 3).flatten(0, 2)[:, None]
    if len(planes):
        blurred = functional.avg_pool2d(planes, 3, stride=1, padding=1, count_include_pad=False)
        shape = pixels[soft].permute(0, 1, 4, 2, 3).shape
        pixels[soft] = blurred.reshape(shape).permute(0, 1, 3, 4, 2)
    pixels = (pixels - 128) * gain + 128 + shift + grain * torch.randn(pixels.shape, generator=noise)
    return pixels.round().clamp(0, 255).to(torch.uint8)


def attention_loss(where: Tensor, boxes: Tensor) -> Tensor:
    """-log of the attention [N, S, h, w] inside the boxes [N, S, 4], over filled slots."""
    height, width = where.shape[2:]
    rows = (torch.arange(height) + 0.5)[:, None] / height
    columns = (torch.arange(width) + 0.5)[None] / width
    left, top, right, bottom = (boxes[..., edge, None, None] for edge in range(4))
    margin_x, margin_y = 0.5 / width, 0.5 / height  # a cell that the box touches by half counts
    inside = (columns > left - margin_x) & (columns < right + margin_x)
    inside = inside & (rows > top - margin_y) & (rows < bottom + margin_y)
    filled = boxes[..., 2] > boxes[..., 0]
    share = (where * inside).sum((2, 3))[filled]
    return -(share + 1e-4).log().mean() if filled.any() else where.sum() * 0


def box_loss(found: Tensor, boxes: Tensor) -> Tensor:
    """Mean distance of the edges found [N, S, 4] from the true ones, in longer sides of the box, over filled slots."""
    side = torch.maximum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
    filled = side > 0
    apart = (found - boxes).abs()[filled] / side[filled][:, None]
    return apart.clamp(max=2).mean() if filled.any() else found.sum() * 0


def contrastive_loss(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Supervised contrastive loss of unit embeddings [N, E]; label -1 takes no part."""
    known = labels >= 0
    embeddings, labels = embeddings[known], labels[known]
    itself = torch.eye(len(labels), dtype=torch.bool)
    likely = (embeddings @ embeddings.T / _TEMPERATURE).masked_fill(itself, -torch.inf).log_softmax(1)
    same = (labels[:, None] == labels) & ~itself
    has_partner = same.any(1)
    if not has_partner.any():
        return embeddings.sum() * 0
    mean = likely.masked_fill(~same, 0).sum(1)[has_partner] / same.sum(1)[has_partner]
    return -mean.mean()


@torch.no_grad()
def accuracy(network: Recogniser, moments: Moments) -> dict[str, float]:
    """Share of right answers by question, where it applies; a person's over all filled slots."""
    right: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(moments), 64):
        rows = np.arange(first, min(first + 64, len(moments)))
        readings = network(torch.from_numpy(moments.frames[rows]))
        answers = [*readings.picture, *readings.person]
        labels = [*moments.picture[rows].T, *np.moveaxis(moments.person[rows], 2, 0)]
        for name, logits, label in zip((*PICTURE, *PERSON), answers, labels, strict=True):
            right.setdefault(name, []).append((logits.argmax(-1).numpy() == label)[label >= 0])
    return {name: float(np.concatenate(parts).mean()) for name, parts in right.items()}
