"""Progress of a render, and its report at the end (the keys of ``--json``)."""

from __future__ import annotations

from dataclasses import dataclass

from shotstream.core.config import Config


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where the making of a film stands: ``blocks_done`` of ``blocks`` in shot ``shot`` (from 0) of ``shots``."""

    shot: int
    shots: int
    caption: str
    blocks_done: int
    blocks: int


class ShotReport(Config):
    """One shot of a finished film. Times in seconds: to its first decoded frame, and in all."""

    index: int
    caption: str
    first_frame: int
    frames: int
    seconds_to_first_frame: float
    seconds: float


class RenderReport(Config):
    """A finished film. Speeds (frames per second) exclude loading the model and one warm-up block; sizes are bytes.

    ``picked_up``: how many shots an interrupted render had made; times and speeds leave them out.
    """

    output: str
    storyboard: str | None
    model: str
    model_version: str
    device: str
    dtype: str
    seed: int
    width: int
    height: int
    fps: int
    frames: int
    shots: tuple[ShotReport, ...]
    picked_up: int = 0
    unknown_words: tuple[str, ...]
    end_to_end_fps: float
    denoise_fps: float
    seconds_to_first_frame: float
    peak_memory_bytes: int
