"""``python -m shotstream.tools.gpu_check.part``: one part of the check, in a process with a time limit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from shotstream.core.config import Config
from shotstream.core.devices import pick_device, pick_dtype
from shotstream.core.process import peak_memory_bytes
from shotstream.tools.bench.roofline import matmul_ceiling
from shotstream.tools.gpu_check.ledger import Ledger
from shotstream.tools.gpu_check.random_models import packaged, random_wan, with_light_decoder
from shotstream.tools.gpu_check.sizes import RECIPE, Sizes, sizes_for
from shotstream.tools.gpu_check.speed import SpeedTest, measure_all, one_line, speedups_on
from shotstream.tools.verify import TOLERANCES, verify


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
    from shotstream.tools.gpu_check.training import train_while_there_is_time  # drawing the world needs Skia

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
