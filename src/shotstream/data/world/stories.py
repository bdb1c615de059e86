"""Stories of the procedural world, made from a seed: cast, itinerary, shot list, captions."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from random import Random

from pydantic import Field, model_validator

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.randomness import derive
from shotstream.data.world.captions import caption_story
from shotstream.data.world.cast import make_cast
from shotstream.data.world.itinerary import make_itinerary
from shotstream.data.world.shots import make_shots
from shotstream.data.world.spec import WorldStory
from shotstream.data.world.splits import Split, split_of_story

MAX_SHOTS = 12


class StoryStyle(Config):
    """What stories are made of on average. Probabilities are in [0, 1], weights relative."""

    shot_weights: tuple[float, ...] = (0, 6, 20, 26, 24, 16, 5, 3)  # of 1, 2, ... 8 shots
    pairs: float = Field(default=0.4, ge=0, le=1)  # stories with two characters
    stated: float = Field(default=0.65, ge=0, le=1)  # accessories that captions name
    # Durations and their weights; the defaults are 1 to 7 blocks of 3 latent frames at 16 frames/s.
    seconds: tuple[float, ...] = (0.5625, 1.3125, 2.0625, 2.8125, 3.5625, 4.3125, 5.0625)
    seconds_weights: tuple[float, ...] = (18, 25, 37, 5, 6, 5, 4)

    @model_validator(mode="after")
    def _weights_fit(self) -> StoryStyle:
        if not 1 <= len(self.shot_weights) <= MAX_SHOTS:
            raise ValueError(f"{len(self.shot_weights)} shot_weights; give one for each of 1 to {MAX_SHOTS} shots")
        if len(self.seconds) != len(self.seconds_weights):
            raise ValueError(f"{len(self.seconds)} seconds but {len(self.seconds_weights)} seconds_weights")
        return self


def make_story(
    seed: int, *, split: Split = "train", shots: int | None = None, style: StoryStyle | None = None
) -> WorldStory:
    """The story called ``seed``: the same arguments give the same story on every machine.

    ``shots``: 1 to 12; drawn from the style when None. Plans that belong to the other split are drawn
    again, which makes pairs and many places a little rarer in training. Raises :class:`InputError` for
    another number of shots.
    """
    style = style or StoryStyle()
    if shots is not None and not 1 <= shots <= MAX_SHOTS:
        raise InputError(f"shots={shots}: a story of the world has 1 to {MAX_SHOTS} shots")
    plans = (_plan(Random(derive(seed, "world", split, attempt)), seed, shots, style) for attempt in count())
    return captioned(next(plan for plan in plans if split_of_story(plan) == split))


def captioned(story: WorldStory) -> WorldStory:
    """``story`` with its captions written. They depend on its seed and on what it shows."""
    captions = caption_story(story)
    shots = tuple(
        replace(shot, caption=caption.text) for shot, caption in zip(story.shots, captions.shots, strict=True)
    )
    return replace(story, global_caption=captions.whole.text, shots=shots)


def _plan(rng: Random, seed: int, shots: int | None, style: StoryStyle) -> WorldStory:
    number = shots or rng.choices(range(1, len(style.shot_weights) + 1), weights=style.shot_weights)[0]
    characters = make_cast(rng, 2 if rng.random() < style.pairs else 1, stated=style.stated)
    itinerary = make_itinerary(rng, number)
    return WorldStory(
        seed=seed,
        characters=characters,
        places=itinerary.places,
        global_caption="",
        shots=make_shots(rng, itinerary, len(characters), style.seconds, style.seconds_weights),
    )
