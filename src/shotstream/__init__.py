"""ShotStream: direct a film shot by shot while it plays.

``shotstream.load`` and ``shotstream.generate`` are the way in::

    director = shotstream.load("storyworld")
    with director.open(global_caption="A red fox in a snowy forest.", seed=7) as film:
        for block in film.shot("Wide shot. The fox walks to the left.", seconds=2):
            print(block.frames.shape)  # uint8 [frames, height, width, 3], as they are made
        film.export("fox.mp4")

Importing the package is light: torch and everything heavy are loaded at the first use of one of its names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "Block",
    "ClipPart",
    "Director",
    "Film",
    "InputError",
    "PromptWarning",
    "ShotStreamError",
    "ShotStreamPipeline",
    "StorageError",
    "Story",
    "Take",
    "WeightsError",
    "__version__",
    "generate",
    "load",
]

if TYPE_CHECKING:
    from shotstream.api import generate, load
    from shotstream.core.errors import InputError, PromptWarning, ShotStreamError, StorageError, WeightsError
    from shotstream.core.story import Story
    from shotstream.film.director import Director
    from shotstream.film.disk.own_material import ClipPart
    from shotstream.film.film import Film
    from shotstream.film.takes.take import Take
    from shotstream.pipeline import ShotStreamPipeline
    from shotstream.sampling.block import Block

_HOMES = {  # where each name lives, and what it is called there
    **{name: ("shotstream.api", name) for name in ("generate", "load")},
    **{
        name: ("shotstream.core.errors", name)
        for name in ("InputError", "PromptWarning", "ShotStreamError", "StorageError", "WeightsError")
    },
    "Story": ("shotstream.core.story", "Story"),
    "Director": ("shotstream.film.director", "Director"),
    "ClipPart": ("shotstream.film.disk.own_material", "ClipPart"),
    "Film": ("shotstream.film.film", "Film"),
    "Take": ("shotstream.film.takes.take", "Take"),
    "ShotStreamPipeline": ("shotstream.pipeline", "ShotStreamPipeline"),
    "Block": ("shotstream.sampling.block", "Block"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, called = _HOMES[name]
    return vars(import_module(module))[called]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
