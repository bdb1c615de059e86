"""ShotStream: direct a film shot by shot while it plays.

``shotstream.load`` and ``shotstream.generate`` are the way in. Importing the package is light:
torch and everything heavy are loaded at the first use of one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "generate", "load"]

if TYPE_CHECKING:
    from shotstream.api import generate, load


def __getattr__(name: str) -> object:
    if name not in ("generate", "load"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from shotstream import api

    return vars(api)[name]
