"""The captions of a story: varied English, and a record of exactly what each of them tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from random import Random

from shotstream.core.randomness import derive
from shotstream.core.words import words_of
from shotstream.data.world.captions_global import global_caption
from shotstream.data.world.captions_shot import shot_caption
from shotstream.data.world.scene import Scene
from shotstream.data.world.spec import WorldStory
from shotstream.data.world.told import Caption
from shotstream.data.world.voice import voice_of

# Words of a global caption, and of a global and a shot caption together, that fit a text encoder of 64 tokens.
GLOBAL_WORDS = 28
TOTAL_WORDS = 45
DRAFTS = 8


@dataclass(frozen=True, slots=True)
class StoryCaptions:
    """``whole``: the global caption; ``shots``: one caption per shot."""

    whole: Caption
    shots: tuple[Caption, ...]


def caption_story(story: WorldStory) -> StoryCaptions:
    """Write the captions of ``story``, from its seed and what it shows; captions it already has play no part."""
    blank = tuple(replace(shot, caption="") for shot in story.shots)
    return _caption(replace(story, global_caption="", shots=blank))


@lru_cache(maxsize=256)
def _caption(story: WorldStory) -> StoryCaptions:
    voice = voice_of(story)
    whole = _shortest(story.seed, "global", GLOBAL_WORDS, lambda rng: global_caption(rng, story, voice))
    room = TOTAL_WORDS - len(words_of(whole.text))
    shots = []
    for index in range(len(story.shots)):
        scene = Scene(story, index, voice, whole.told)
        shots.append(_shortest(story.seed, f"shot {index}", room, partial(_written, scene)))
    return StoryCaptions(whole, tuple(shots))


def _written(scene: Scene, rng: Random) -> Caption:
    return shot_caption(rng, scene)


def _shortest(seed: int, name: str, limit: int, write: Callable[[Random], Caption]) -> Caption:
    """The first draft within ``limit`` words, or the shortest if none is."""
    drafts = []
    for draft in range(DRAFTS):
        caption = write(Random(derive(seed, "captions", name, draft)))
        if len(words_of(caption.text)) <= limit:
            return caption
        drafts.append(caption)
    return min(drafts, key=lambda caption: len(words_of(caption.text)))
