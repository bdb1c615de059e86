"""The story used for measuring: as many different shots as needed, in words the model knows."""

from __future__ import annotations

from itertools import product

from shotstream.core.story import Shot, Story

GLOBAL_CAPTION = "A red fox with a blue hat lives in a snowy forest at night."
FRAMINGS = ("Wide shot.", "Medium shot.", "Close-up.", "A view from afar.", "A closer view.")
ACTIONS = (
    "The fox walks to the left.",
    "It waves hello.",
    "The fox runs to the right.",
    "It stands still in the snow.",
    "The fox dances in the forest.",
    "It jumps up and down.",
    "The fox looks to the left.",
    "It is fast asleep.",
    "The fox spins around.",
    "It strolls through the woods.",
)
STRIDE = 7  # shares no factor with their number: neighbours differ in both, and none comes twice

CAPTIONS = tuple(f"{framing} {action}" for framing, action in product(FRAMINGS, ACTIONS))


def captions(count: int) -> tuple[str, ...]:
    """``count`` captions of which no two within :data:`CAPTIONS`'s length are equal."""
    return tuple(CAPTIONS[STRIDE * index % len(CAPTIONS)] for index in range(count))


def script(shots: int, seconds: float | None = None) -> Story:
    """A story of that many shots, each ``seconds`` long (None: the preset's usual length)."""
    told = tuple(Shot(caption=caption, seconds=seconds) for caption in captions(shots))
    return Story(global_caption=GLOBAL_CAPTION, seed=1, shots=told)
