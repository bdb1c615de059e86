"""Stage 4: inter-shot self-forcing with distribution matching, on the student's own history; stage 2 of the paper's
two-stage distillation (arXiv 2603.25746, section 4.2).

Stories are generated shot by shot, through the codec: condition frames of a shot are frames of the shots the
student itself made and decoded before. Every shot is an update; whether student or critic learns goes by
(clip + shot), so that every place in a story comes to train the student.

Axes: B stories · K condition frames · P kept pictures · T pixel frames · F latent frames · C channels · h, w cells ·
L caption tokens · D text width
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from shotstream.codecs.protocols import VideoCodec
from shotstream.core.context_budget import POLICIES, PastShot, pickable_frames
from shotstream.core.errors import InputError
from shotstream.core.randomness import derive
from shotstream.families.preset import ContextSettings
from shotstream.sampling.context import ContextFrames, empty_context, to_frames, to_pixels
from shotstream.training.data.next_shot_batches import mean_length
from shotstream.training.engine.stage import names
from shotstream.training.methods.self_forcing import Rollout, SelfForcingRecipe, SelfForcingStage
from shotstream.training.recipes import Cost, Report, register


@register
class InterShotRecipe(SelfForcingRecipe):
    """Recipe of stage 4. Stories with at least ``shots`` shots lend their captions; no true picture is seen."""

    stage: Literal["inter-shot"] = "inter-shot"
    batch: int = Field(default=4, gt=0)  # stories of a clip
    shots: int = Field(default=5, gt=0)  # of a clip
    lengths: dict[int, float] = Field(default={6: 0.3, 9: 0.7})  # latent frames of a shot, and how often
    context_drop: float = Field(default=0.1, ge=0, le=1)  # samples whose condition latents and shot numbers are zeroed
    # A rollout ends at its exit step. With this, the history keeps the shot made again with all steps, as streaming
    # would; the published trainer keeps the rollout itself.
    full_history: bool = True

    def build(self, store: Path, progress: Report) -> InterShotStage:
        return InterShotStage(self, store, progress)

    def cost(self) -> Cost:
        again = len(self.student_steps) if self.full_history else 0
        return self.cost_of(self.batch, mean_length(self.lengths), max(self.lengths), again)


class InterShotStage(SelfForcingStage):
    """Shots after the student's own."""

    def __init__(self, recipe: InterShotRecipe, store: Path, progress: Report) -> None:
        super().__init__(recipe, recipe.lengths, store, progress)
        self.recipe = recipe
        train = self.material.train
        self._stories = [story for story in train.shown if train.shots(story) >= recipe.shots]
        if not self._stories:
            raise InputError(f"shots={recipe.shots}: no story is that long; ask for fewer shots or more stories")
        self._histories: dict[int, RolledHistory] = {}

    def learner(self, update: int) -> str:
        clip, shot = divmod(update, self.recipe.shots)
        return "student" if self.student_learns(update, clip + shot) else "critic"

    def roll_out(self, update: int, part: int, *, learning: bool) -> Rollout:
        """This update's shot, conditioned on the student's own earlier shots; it joins the history in turn."""
        recipe = self.recipe
        clip, shot = divmod(update, recipe.shots)
        if shot == 0:
            self._histories[part] = RolledHistory(self.material.codec, self.preset.context)
        history = self._histories[part]
        draw = random.Random(derive(recipe.seed, "shot", update))  # length and exit step: one for all parts
        frames = draw.choices(list(recipe.lengths), list(recipe.lengths.values()))[0]
        exit_step = self.exit_step(draw)
        caption = self._captions(clip, shot, part).to(self.student.device)
        context = history.context(caption).to(self.student.device)
        dropped = self._dropped(context, update, part)
        made = self.made(dropped, caption, frames, exit_step, update, part, learning=learning)
        if shot < recipe.shots - 1:
            kept = made
            if recipe.full_history:
                kept = self.made(context, caption, frames, self.last_step, update, part, learning=False)
            history.add(kept.latents, caption)
        return made

    def _captions(self, clip: int, shot: int, part: int) -> Tensor:
        """[B, L, D]: what the clip's stories say of this shot."""
        draw = random.Random(derive(self.recipe.seed, "clip", *names(clip, part)))
        stories = draw.choices(self._stories, k=self.recipe.batch)
        return torch.stack([self.material.train.shot(story, shot).caption for story in stories])

    def _dropped(self, context: ContextFrames, update: int, part: int) -> ContextFrames:
        """``context`` with condition latents and shot numbers zeroed in a share of the samples."""
        draw = random.Random(derive(self.recipe.seed, "drop", *names(update, part)))
        kept = torch.tensor([draw.random() >= self.recipe.context_drop for _ in range(self.recipe.batch)])
        return replace(
            context,
            latents=context.latents * kept[:, None, None, None, None].to(context.latents),
            shot_index=context.shot_index.expand(len(kept), -1) * kept[:, None],
        )

    def extra_state(self, parts: Collection[int]) -> dict[str, Any]:
        return {
            "histories": {str(part): self._histories[part].extra_state() for part in parts if part in self._histories}
        }

    def restore(self, state: dict[str, Any]) -> None:
        for part, shots in state["histories"].items():
            self._histories[int(part)] = RolledHistory(self.material.codec, self.preset.context)
            self._histories[int(part)].restore(shots)


@dataclass(frozen=True)
class _MadeShot:
    frames: int  # pixel frames
    pictures: Tensor  # uint8 [B, P, H, W, 3]: the frames that dynamic sampling could pick
    caption: Tensor  # [B, L, D]


class RolledHistory:
    """Earlier shots of B stories that advance together; every shot has the same length in all of them."""

    def __init__(self, codec: VideoCodec, settings: ContextSettings) -> None:
        self._codec, self._settings = codec, settings
        self._shots: list[_MadeShot] = []

    def __len__(self) -> int:
        return len(self._shots)

    def add(self, latents: Tensor, caption: Tensor) -> None:
        """Decode a finished shot [B, F, C, h, w] made from ``caption`` [B, L, D], and keep it."""
        geometry = self._codec.geometry
        frames = geometry.pixel_frames(latents.shape[1])
        picks = pickable_frames(frames, geometry.context_frames)
        videos = self._codec.decode(latents.detach().cpu())  # a codec may live elsewhere than the model
        pictures = torch.stack([torch.from_numpy(to_frames(video[picks])) for video in videos])
        self._shots.append(_MadeShot(frames, pictures, caption.detach()))

    def context(self, caption: Tensor) -> ContextFrames:
        """What conditions the next shot; ``caption`` is its own (a first shot's zeros read it)."""
        geometry = self._codec.geometry
        budget = geometry.context_frames
        chosen = POLICIES[self._settings.policy]([PastShot(shot.frames) for shot in self._shots], budget, "")
        if not chosen:
            return empty_context(caption, budget, geometry.latent_shape)
        used = sorted({frame.shot for frame in chosen})
        pictures = torch.stack(
            [
                self._shots[one.shot].pictures[
                    :, pickable_frames(self._shots[one.shot].frames, budget).index(one.frame)
                ]
                for one in chosen
            ],
            dim=1,
        )
        target = self._settings.captions == "target"
        captions = [caption] if target else [self._shots[number].caption for number in used]
        latents = self._codec.encode_images(to_pixels(pictures.flatten(0, 1).numpy()))
        return ContextFrames(
            latents=latents.unflatten(0, pictures.shape[:2]),
            shot_index=torch.tensor([one.shot for one in chosen]),
            captions=torch.stack(captions, dim=1),
            caption_index=torch.tensor([0 if target else used.index(one.shot) for one in chosen]),
        )

    def extra_state(self) -> list[dict[str, Any]]:
        """The shots as plain tensors, for a checkpoint."""
        return [{"frames": shot.frames, "pictures": shot.pictures, "caption": shot.caption} for shot in self._shots]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Restore what :meth:`extra_state` gave."""
        self._shots = [_MadeShot(**shot) for shot in state]
