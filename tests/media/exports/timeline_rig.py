"""A timeline to export: three shots of soft moving patterns, one of them changed while it was made."""

from __future__ import annotations

import numpy as np
from PIL import Image

from shotstream.core.story import Shot, Story
from shotstream.media.exports.timeline import Prompt, Timeline, TimelineShot
from shotstream.media.h264 import VideoFormat
from shotstream.media.provenance import FilmTags

VIDEO = VideoFormat(width=96, height=64, fps=16)
LENGTHS = (9, 33, 21)
PROMPTS = (
    (Prompt(frame=0, caption="Wide shot. The fox — it walks."),),
    (Prompt(frame=0, caption="Close-up.\n\nThe fox <waves> & --> nods."), Prompt(frame=21, caption="It rains.")),
    (Prompt(frame=0, caption="Füchslein schläft."),),
)


def clip(frames: int, seed: int, video: VideoFormat) -> np.ndarray:
    """A soft pattern that slides to the right, uint8 [frames, height, width, 3]."""
    blobs = np.random.default_rng(seed).integers(70, 190, (4, 6, 3), dtype=np.uint8)
    still = np.asarray(Image.fromarray(blobs).resize((video.width, video.height), Image.Resampling.BICUBIC))
    return np.stack([np.roll(still, frame, axis=1) for frame in range(frames)])


def make_timeline(lengths: tuple[int, ...] = LENGTHS, video: VideoFormat = VIDEO) -> Timeline:
    """Shots 0, 2, 3, ... of so many frames; shot 1 is not made."""
    pixels = [clip(length, seed, video) for seed, length in enumerate(lengths)]
    starts = np.cumsum([0, *lengths]).tolist()
    shots = tuple(
        TimelineShot(
            index=number + (number > 0),
            start=starts[number],
            frames=length,
            prompts=tuple(prompt for prompt in PROMPTS[number % 3] if prompt.frame < length),
            seed=2**62 + number,
            read=lambda wanted, number=number: pixels[number] if wanted is None else pixels[number][list(wanted)],
        )
        for number, length in enumerate(lengths)
    )
    story = Story(
        global_caption="A red fox in “winter” <&>.", seed=7, shots=tuple(Shot(caption=s.caption) for s in shots)
    )
    tags = FilmTags(title="my fox", story=story, seed=7, model="storyworld", model_version="1")
    return Timeline(tags=tags, video=video, shots=shots)
