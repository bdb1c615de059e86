"""Where things are kept that outlive a run and can be fetched or made again: pulled models, embeddings of prompts."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "SHOTSTREAM_HOME"


def home() -> Path:
    """The folder for all of it: ``$SHOTSTREAM_HOME``, else ``~/.cache/shotstream``. It need not exist yet."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "shotstream"


def model_folder(name: str) -> Path:
    """Where the pulled model ``name`` (a preset, or a hub id such as ``someone/model``) lives."""
    return home() / "models" / name.replace("/", "--")


def embedding_folder() -> Path:
    """Where embeddings of prompts are remembered."""
    return home() / "embeddings"
