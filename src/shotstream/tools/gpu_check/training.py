"""Training in the GPU check: the embedded model's, for the time that is left; its weights in pieces.

The world is drawn on all cores, by processes beside the one that trains.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from shotstream.core.errors import InputError
from shotstream.tools.gpu_check.ledger import Ledger
from shotstream.training.distributed import joined
from shotstream.training.engine.loop import Progress, Run
from shotstream.training.recipes import TrainedRecipe, read_recipe

PIECE, MOST_PIECES = 15_500_000, 6  # bytes, files
RELEASE_SECONDS = 20.0  # kept back for the weights
TOLD_EVERY = 20.0  # seconds


class _TimeIsUpError(Exception):
    """The part's time is over: what was learned is to be released."""


def train_while_there_is_time(recipe: str, settings: Sequence[str], work: Path, out: Path, ledger: Ledger) -> None:
    """Train ``recipe`` with changed ``settings`` in ``work``, and leave the weights in ``out``, in pieces.

    Raises :class:`InputError` for a recipe that trains no network or weights that are too large.
    """
    chosen = read_recipe(recipe, settings, work)
    if not isinstance(chosen, TrainedRecipe):
        raise InputError(f"{recipe}: trains no network by itself; name a recipe such as storyworld/teacher")
    torch.set_float32_matmul_precision("high")
    began = told = ledger.left

    def made(done: int, total: int) -> None:
        nonlocal told
        if done == total or told - ledger.left > TOLD_EVERY:
            told = ledger.left
            ledger.tell(stories_drawn=done, of=total, seconds=began - told)

    with joined() as processes:
        stage = chosen.build(work / "data", made)
        run = Run(stage, work / "run", processes)
        ledger.tell(ready=True, seconds=began - ledger.left)
        watch = _Watch(ledger)
        try:
            run.train(watch)
        except _TimeIsUpError:
            run.release()
        watch.tell()
    for weights in sorted((work / "run").glob("*.safetensors")):
        ledger.tell(weights=weights.name, updates=run.update, **in_pieces(weights, out))


class _Watch:
    """Writes down how the training goes, and ends it when its time is over."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._last = ledger.left
        self._seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self._seen.append(progress)
        if self._last - self._ledger.left > TOLD_EVERY:
            self.tell()
        if self._ledger.left < RELEASE_SECONDS:
            raise _TimeIsUpError

    def tell(self) -> None:
        """The last stretch: its mean loss and its median speed."""
        if not self._seen:
            return
        self._last = self._ledger.left
        losses = [one.loss for one in self._seen]
        self._ledger.tell(
            update=self._seen[-1].update,
            loss=sum(losses) / len(losses),
            samples_per_second=median(one.samples_per_second for one in self._seen),
        )
        self._seen = []


def in_pieces(weights: Path, out: Path) -> dict[str, Any]:
    """Write ``weights`` into ``out`` in pieces small enough to be sent one by one; returns their names, and the command
    that joins them. Raises :class:`InputError` if there would be too many."""
    data = weights.read_bytes()
    starts = range(0, len(data), PIECE)
    if len(starts) > MOST_PIECES:
        raise InputError(f"{weights.name}: {len(data) / 1e6:.0f} MB are more than {MOST_PIECES} pieces hold")
    names = [f"{weights.name}.{number}" for number, _ in enumerate(starts, 1)]
    for name, start in zip(names, starts, strict=True):
        (out / name).write_bytes(data[start : start + PIECE])
    joined_by = f"cat {weights.name}.? > {weights.name}"
    return {"pieces": names, "join": joined_by, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
