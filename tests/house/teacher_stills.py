"""What a teacher draws from twelve held-out captions, beside the truth: one row per weight file, the truth on top.

``python tests/house/teacher_stills.py EARLY.safetensors LATE.safetensors`` draws the picture of docs/training.md anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sources import ROOT
from torch import Tensor

from shotstream.checkpoints.transformer_weights import load_transformer
from shotstream.codecs.protocols import VideoCodec
from shotstream.core.randomness import derive, stream
from shotstream.data.world.render import draw_shot
from shotstream.data.world.stories import WorldStory, make_story
from shotstream.families.preset import Preset
from shotstream.families.storyworld import STORYWORLD
from shotstream.sampling.context import to_frames
from shotstream.sampling.prompts import Branches
from shotstream.sampling.solvers import euler
from shotstream.training.data.material import open_text, open_video

STORIES, STEPS, GUIDANCE = 12, 12, 2.5


def moment(index: int, preset: Preset) -> tuple[WorldStory, int, int]:
    """A held-out story, a shot of it, and the frame in the middle of that shot."""
    geometry, story = preset.geometry, make_story(derive(77, "gate", index), split="held-out")
    shot = index % min(3, len(story.shots))
    return story, shot, geometry.shot_frames(geometry.blocks_for(story.shots[shot].seconds)) // 2


@torch.no_grad()
def drawn(weights: Path, captions: Tensor, codec: VideoCodec, preset: Preset) -> np.ndarray:
    """One still of every caption [B, W, text_dim], without memory: uint8 [B, height, width, 3]."""
    model, _ = load_transformer(weights)
    branches = Branches(GUIDANCE)
    read = branches.captions(captions[:, None])
    first = torch.tensor([preset.geometry.context_frames])

    def flow(x: Tensor, timestep: float) -> Tensor:
        both = branches.latents(x)
        times = torch.full((len(both),), timestep)
        return branches.guided(model(both, times, read, positions=first, shot_index=torch.ones(1)))

    noise = torch.randn(len(captions), 1, *preset.geometry.latent_shape, generator=stream(1, "stills"))
    latents = euler(flow, lambda _: noise, timesteps=preset.schedule.euler(STEPS))
    return np.concatenate([to_frames(codec.decode(one)[0])[:1] for one in latents.split(1)])


def main(weights: list[Path], out: Path) -> None:
    preset = STORYWORLD
    codec, text = open_video("bundled", preset.geometry)[0], open_text("bundled")[0]
    moments = [moment(index, preset) for index in range(STORIES)]
    prompts = [
        preset.prompt(story.global_caption, story.shots[shot].at(frame / preset.geometry.fps).caption, shot)
        for story, shot, frame in moments
    ]
    true = [draw_shot(story, shot, range(frame, frame + 1), preset.geometry) for story, shot, frame in moments]
    captions = torch.stack(list(text.encode(prompts)))
    rows = [np.concatenate(true), *(drawn(path, captions, codec, preset) for path in weights)]
    sheet = Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows]))
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).save(out, quality=85, method=6)
    for prompt in prompts:
        print(prompt)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]], ROOT / "docs" / "images" / "teacher-stills.webp")
