"""The stage that trains the embedded preset's text encoder: read every attribute of the world off its captions.

Each attribute has one learned query that attends over the encoder's output and a linear classifier; "left open"
is a class of its own. Queries and classifiers are dropped afterwards; the encoder is frozen.

Axes: N captions · L tokens · D width · A attributes
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as functional
from PIL import Image
from pydantic import Field
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn

from shotstream.checkpoints.codec_weights import save_text_encoder
from shotstream.codecs.text_encoder import (
    PADDING,
    TextEncoderConfig,
    TextTransformer,
    WorldTextEncoder,
    known_text,
    token_ids,
)
from shotstream.core.randomness import derive
from shotstream.core.story import full_prompt
from shotstream.data.world.captions import vocabulary
from shotstream.data.world.spec import WorldStory
from shotstream.data.world.stories import TRAINING_STYLE, make_story
from shotstream.data.world.truth import ASKED, read_attributes
from shotstream.training.engine.checkpoints import bars
from shotstream.training.engine.stage import LossReport, OptimiserSettings, Role, names
from shotstream.training.recipes import Networks, Report, TrainedRecipe, register

Example = tuple[str, list[int]]


@register
class TextEncoderRecipe(TrainedRecipe):
    """Recipe of this stage; the tokenizer is learned first, from captions alone."""

    stage: Literal["text-encoder"] = "text-encoder"
    cpu_only: ClassVar[bool] = True
    encoder: TextEncoderConfig
    optimiser: OptimiserSettings
    stories: int = Field(default=20_000, gt=0)
    held_out_stories: int = Field(default=300, gt=0)
    batch: int = Field(default=128, gt=0)
    word_drop: float = Field(default=0.05, ge=0, le=1)  # words left out, as unknown words will be
    pair_share: float = Field(default=0.4, ge=0, le=1)  # of a batch: captions of which two characters are read
    shift_share: float = Field(default=0.25, ge=0, le=1)  # of the batches: captions begin anywhere in the text's length

    def networks(self) -> Networks:
        return {"reader": (Reader(self.encoder), self.optimiser)}

    def build(self, store: Path, progress: Report) -> TextEncoderStage:
        return TextEncoderStage(self, progress)


class Reader(nn.Module):
    """The encoder with one query and one classifier per attribute: ids [N, L] -> logits, one [N, classes + 1] each."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.encoder = TextTransformer(config)
        self.queries = nn.Parameter(0.1 * torch.randn(len(ASKED), config.text_dim))
        self.classifiers = nn.ModuleList(nn.Linear(config.text_dim, len(attribute.classes) + 1) for attribute in ASKED)

    def forward(self, ids: Tensor) -> list[Tensor]:
        tokens = self.encoder(ids)
        scores = self.queries @ tokens.transpose(1, 2) * tokens.shape[-1] ** -0.5
        read = scores.masked_fill((ids == PADDING)[:, None], -torch.inf).softmax(-1) @ tokens
        return [classify(read[:, place]) for place, classify in enumerate(self.classifiers)]


class TextEncoderStage:
    """One role, ``reader``."""

    def __init__(self, recipe: TextEncoderRecipe, progress: Callable[[int, int], None]) -> None:
        self.recipe = recipe
        self._words = vocabulary()
        self._examples = list(_examples(recipe.seed, "train", recipe.stories, progress))
        self._held_out = list(_examples(recipe.seed, "held-out", recipe.held_out_stories, progress))
        self.tokenizer = learn_tokenizer(
            [known_text(text, self._words) for text, _ in self._examples], recipe.encoder.vocabulary
        )
        other = [attribute.name for attribute in ASKED].index("other.kind")
        self._pairs = [one for one in self._examples if one[1][other] < len(ASKED[other].classes)]
        torch.manual_seed(derive(recipe.seed, "weights"))
        self._reader = Reader(recipe.encoder)
        self.roles = {"reader": Role(self._reader, recipe.optimiser)}
        self.loop = recipe.loop

    def learner(self, update: int) -> str:
        return "reader"

    def extra_state(self, parts: Collection[int]) -> dict[str, Any]:
        """The tokenizer: learning it again may break ties otherwise, and the weights would read other words."""
        return {"tokenizer": self.tokenizer.to_str()}

    def restore(self, state: dict[str, Any]) -> None:
        self.tokenizer = Tokenizer.from_str(state["tokenizer"])

    def loss(self, update: int, role: str, part: int = 0) -> LossReport:
        draw = random.Random(derive(self.recipe.seed, "batch", *names(update, part)))
        pairs = round(self.recipe.pair_share * self.recipe.batch) if self._pairs else 0
        examples = draw.choices(self._pairs, k=pairs) + draw.choices(self._examples, k=self.recipe.batch - pairs)
        captions = [self._thinned(draw, text) for text, _ in examples]
        labels = torch.tensor([labels for _, labels in examples])
        ids = self._ids(captions)
        if draw.random() < self.recipe.shift_share:
            ids = _shifted(draw, ids, self.recipe.encoder.text_len)
        logits = self._reader(ids)
        losses = [functional.cross_entropy(answer.float(), labels[:, place]) for place, answer in enumerate(logits)]
        return LossReport(torch.stack(losses).mean(), len(examples))

    def _thinned(self, draw: random.Random, text: str) -> str:
        """``text`` without a few words, part of the time."""
        if draw.random() < 0.7:
            return text
        return " ".join(word for word in text.split() if draw.random() >= self.recipe.word_drop)

    def _ids(self, captions: list[str]) -> Tensor:
        known = [known_text(text, self._words) for text in captions]
        ids = token_ids(known, self.tokenizer, self.recipe.encoder.text_len)
        return ids[:, : int((ids != PADDING).sum(1).max())]  # columns that are padding throughout teach nothing

    def look(self, averaged: Mapping[str, nn.Module]) -> tuple[Image.Image, Mapping[str, float]]:
        """Accuracy on stated attributes of held-out captions, per attribute and over all."""
        reader = averaged["reader"].eval()
        labels = torch.tensor([labels for _, labels in self._held_out])
        answers = torch.stack(
            [logits.argmax(-1) for logits in reader(self._ids([text for text, _ in self._held_out]))], dim=1
        )
        stated = labels < torch.tensor([len(attribute.classes) for attribute in ASKED])
        right = (answers == labels) & stated
        shares = {a.name: float(right[:, i].sum() / stated[:, i].sum().clamp(min=1)) for i, a in enumerate(ASKED)}
        overall = {
            "accuracy": float(right.sum() / stated.sum()),
            "left_open": float((answers == labels)[~stated].float().mean()),
        }
        return bars(shares, "accuracy on stated attributes"), overall

    def release(self, averaged: Mapping[str, nn.Module], folder: Path) -> None:
        reader = cast(Reader, averaged["reader"])
        save_text_encoder(
            WorldTextEncoder(reader.encoder, self.tokenizer, self._words), folder / "text_encoder.safetensors"
        )


def learn_tokenizer(captions: list[str], vocabulary_size: int) -> Tokenizer:
    """Byte-pair encoding over words; id 0 is padding."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]"]
    tokenizer.train_from_iterator(
        captions, trainers.BpeTrainer(vocab_size=vocabulary_size, special_tokens=special, show_progress=False)
    )
    return tokenizer


def _shifted(draw: random.Random, ids: Tensor, length: int) -> Tensor:
    """``ids`` [N, L] behind padding of any length that leaves them whole: [N, length]. Captions rarely reach the last
    positions, which must be read all the same when one does."""
    longest = ids.shape[1]
    shifted = ids.new_full((len(ids), length), PADDING)
    for row, caption in enumerate(ids):
        start = draw.randint(0, length - longest)
        shifted[row, start : start + longest] = caption
    return shifted


def _examples(
    seed: int, split: Literal["train", "held-out"], stories: int, progress: Callable[[int, int], None]
) -> Iterator[Example]:
    """(global caption + shot caption, labels), one per shot and change; "left open" is the class after the last."""
    for number in range(stories):
        story: WorldStory = make_story(derive(seed, "captions", split, number), split=split, style=TRAINING_STYLE)
        for shot, spec in enumerate(story.shots):
            captions = [(spec.caption, 0.0)]
            if spec.change:
                captions.append((spec.change.caption, spec.change.seconds))
            for caption, time in captions:
                read = read_attributes(story, shot, time)
                labels = [read[a.name] if read[a.name] >= 0 else len(a.classes) for a in ASKED]
                yield full_prompt(story.global_caption, caption), labels
        progress(number + 1, stories)
