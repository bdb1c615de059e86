"""``python -m shotstream.tools.gpu_check.part``: one part of the check, in a process with a time limit."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from shotstream.core.config import Config
from shotstream.core.devices import pick_device, pick_dtype
from shotstream.core.errors import InputError
from shotstream.core.process import peak_memory_bytes
from shotstream.tools.bench.roofline import matmul_ceiling
from shotstream.tools.gpu_check.run import Ledger
from shotstream.tools.gpu_check.speed import (
    RECIPE,
    Sizes,
    SpeedTest,
    measure_all,
    one_line,
    packaged,
    random_wan,
    sizes_for,
    speedups_on,
    with_light_decoder,
)
from shotstream.tools.verify import TOLERANCES, verify
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


class Asked(Config):
    """What a part is told. ``recordings``: the folder of the reference's; ``out``: where weights go; ``settings``: of
    the training, changed by a person."""

    device: str
    recordings: str
    out: str
    settings: tuple[str, ...] = ()


def recorded(asked: Asked, ledger: Ledger) -> None:
    """Replay the reference's recordings in every number format."""
    files = sorted(Path(asked.recordings).glob("*.safetensors"))
    if not files:
        ledger.tell(skipped=f"{asked.recordings}: no recordings; run in the repository, or name them: --recordings DIR")
    for dtype in TOLERANCES:
        for file in files:
            found = verify([file], device=asked.device, dtype=dtype)
            told = {"largest_relative_error": found["max_relative_error"], "ok": found["ok"]}
            ledger.tell(recording=file.stem, dtype=dtype, tolerance=found["tolerance"], **told)


def wan(asked: Asked, ledger: Ledger) -> None:
    """Wan with random weights at each size; the light decoder too; every speed-up at the first size."""
    device = pick_device(asked.device)
    sizes = sizes_for(device)
    ceiling = _ceiling(device, sizes.side, ledger)
    for size in sizes.wan:
        _forget_peak(device)
        shots, whole = random_wan(sizes, size, device)
        test = SpeedTest(device, ceiling, blocks=sizes.blocks, past=whole)
        told = {"model": sizes.preset.name, "size": size}
        measure_all(test, shots, ledger, (), **told, decoder=_decoder(whole))
        if whole:
            measure_all(test, with_light_decoder(shots, sizes), ledger, (), **told, decoder="light")
        ledger.tell(**told, peak_memory_bytes=peak_memory_bytes(device))
    for size in reversed(sizes.wan):  # the smallest first: most of them fit into the time there
        shots, whole = random_wan(sizes, size, device)
        test = SpeedTest(device, ceiling, blocks=sizes.blocks, past=whole)
        told = {"model": sizes.preset.name, "size": size, "decoder": _decoder(whole)}
        measure_all(test, shots, ledger, _speedups(sizes, device), **told)


def _decoder(whole: bool) -> str:
    return "Wan's" if whole else "light, shots without a past (diffusers is not installed)"


def _speedups(sizes: Sizes, device: torch.device) -> Sequence[str]:
    return speedups_on(device) if sizes.speedups is None else sizes.speedups


def embedded(asked: Asked, ledger: Ledger) -> None:
    """The packaged model."""
    device = pick_device(asked.device)
    sizes = sizes_for(device)
    shots = packaged(sizes.embedded, device)
    test = SpeedTest(device, _ceiling(device, sizes.side, ledger), blocks=min(sizes.blocks, 3), past=True)
    measure_all(test, shots, ledger, _speedups(sizes, device), model=shots.preset.name, size=sizes.embedded)


def training(asked: Asked, ledger: Ledger) -> None:
    """The embedded model's training; its data and its state are left nowhere."""

    sizes = sizes_for(pick_device(asked.device))
    with TemporaryDirectory(prefix="shotstream-gpu-check-") as work:
        settings = (*sizes.settings, *asked.settings)
        train_while_there_is_time(RECIPE, settings, Path(work), Path(asked.out), ledger)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _ceiling(device: torch.device, side: int, ledger: Ledger) -> float:
    flops = matmul_ceiling(device, pick_dtype("auto", device), side)
    ledger.tell(large_product_flops=flops, side=side)
    return flops


Work = Callable[[Asked, Ledger], None]
WORK: dict[str, Work] = {"verify": recorded, "wan": wan, "embedded": embedded, "training": training}


def main(name: str, file: str, seconds: str, asked: str) -> int:
    """Do the part ``name``; 1 if it failed, having said why in ``file``."""
    ledger = Ledger(Path(file), float(seconds))
    try:
        WORK[name](Asked.model_validate(json.loads(asked)), ledger)
    except Exception as fault:  # noqa: BLE001  whatever it is belongs into the report
        ledger.tell(failed=one_line(fault))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
