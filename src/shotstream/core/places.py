"""Cache folders: pulled models, prompt embeddings, interrupted renders."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "SHOTSTREAM_CACHE"


def cache_folder() -> Path:
    """The folder for all of it: ``$SHOTSTREAM_CACHE``, else ``shotstream`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. It
    need not exist yet. As the XDG specification asks, a relative ``$XDG_CACHE_HOME`` is ignored."""
    named, shared = os.environ.get(VARIABLE), Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named:
        return Path(named).expanduser()
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "shotstream"


def model_folder(name: str) -> Path:
    """Where the pulled model ``name`` (a preset, or a hub id such as ``someone/model``) lives."""
    return cache_folder() / "models" / name.replace("/", "--")


def embedding_folder() -> Path:
    """Where embeddings of prompts are kept."""
    return cache_folder() / "embeddings"


def locks_folder() -> Path:
    """Where programs say which files they are making."""
    return cache_folder() / "locks"


def renders_folder() -> Path:
    """Where interrupted renders wait until the same story is rendered again."""
    return cache_folder() / "renders"
