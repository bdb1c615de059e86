"""Speed in the GPU check: end to end, denoising alone, first frame; with and without each speed-up.

End to end is from a caption to frames in main memory. Writing an MP4 is not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch

from shotstream.core.config import Config
from shotstream.core.devices import wait_for
from shotstream.families.preset import Preset
from shotstream.sampling.context import BlankShot, ChosenContext
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest
from shotstream.tools.bench.roofline import GPUS, block_flops
from shotstream.tools.bench.script import GLOBAL_CAPTION, captions
from shotstream.tools.bench.setups import SPEEDUPS, setup_of
from shotstream.tools.gpu_check.run import Ledger

LONGEST_FAULT = 200  # characters
# What only films have, or what takes minutes to settle, is left to `shotstream bench`.
LEFT_OUT = ("bf16", "overlap-encode", "context-ahead", "text-ahead", "light-decoder", "window-2", "three-steps")


class ShotSpeed(Config):
    """One setup. Frames and operations per second, seconds, bytes. ``first_frame``: from the caption of a shot whose
    context is prepared. ``share_of_product``: of the speed of one large product; ``share_of_peak``: of the maker's."""

    width: int
    height: int
    blocks: int
    frames: int
    end_to_end_fps: float
    denoise_fps: float
    first_frame: float
    context: float
    flops: float
    share_of_product: float
    share_of_peak: float | None


class SpeedTest:
    """Shots of ``blocks`` blocks on ``device``, whose large product makes ``ceiling`` operations a second. past:
    are there earlier shots to encode condition frames of?"""

    def __init__(self, device: torch.device, ceiling: float, *, blocks: int, past: bool) -> None:
        self.device, self.ceiling, self.blocks, self._past = device, ceiling, blocks, past
        self._made = 0

    @torch.no_grad()
    def speed(self, shots: ShotGenerator) -> ShotSpeed:
        """Of one shot end to end and of one that is only denoised, behind one to warm up."""
        self._end_to_end(shots)
        whole, first, context = self._end_to_end(shots)
        denoising = self._denoising(shots)
        geometry = shots.preset.geometry
        frames = geometry.shot_frames(self.blocks)
        flops = denoising_flops(shots.preset, self.blocks, shots.text_encoder.text_len) / denoising
        peak = peak_of(self.device)
        return ShotSpeed(
            width=geometry.width,
            height=geometry.height,
            blocks=self.blocks,
            frames=frames,
            end_to_end_fps=frames / whole,
            denoise_fps=frames / denoising,
            first_frame=first,
            context=context,
            flops=flops,
            share_of_product=flops / self.ceiling,
            share_of_peak=None if peak is None else flops / peak,
        )

    def _end_to_end(self, shots: ShotGenerator) -> tuple[float, float, float]:
        """Seconds of a whole shot, to its first frame, and of its context."""
        context, request = self._next(shots)
        seen: list[float] = []
        began = self._now()
        prepared = shots.prepare(context)
        ready = self._now()
        request.on_first = lambda frame: seen.append(perf_counter())
        for _ in shots.shot(request, context, prepared):
            seen.append(perf_counter())
        return self._now() - began, seen[0] - ready, ready - began

    def _denoising(self, shots: ShotGenerator) -> float:
        context, request = self._next(shots)
        prepared = shots.prepare(context)
        began = self._now()
        for _ in shots.latents(request, prepared):
            pass
        return self._now() - began

    def _next(self, shots: ShotGenerator) -> tuple[ChosenContext, ShotRequest]:
        """Another caption after another shot, so that nothing is known already."""
        self._made += 1
        caption = captions(self._made)[-1]
        prompt = shots.preset.prompt(GLOBAL_CAPTION, caption, self._made)
        past = [BlankShot(shots.preset.geometry, str(self._made))] if self._past else []
        return shots.context.choose(past, prompt), ShotRequest(
            prompt=prompt, blocks=self.blocks, noise=NamedNoise(1, shot=self._made)
        )

    def _now(self) -> float:
        wait_for(self.device)
        return perf_counter()


def denoising_flops(preset: Preset, blocks: int, caption_tokens: int) -> float:
    """Operations of the passes over a shot's blocks: its steps, and refreshes of all blocks but the last."""
    settings = preset.student
    return sum(
        (settings.passes + (settings.refresh and block < blocks - 1)) * block_flops(preset, block, caption_tokens)
        for block in range(blocks)
    )


def peak_of(device: torch.device) -> float | None:
    """Dense bfloat16 operations a second, as the maker states them; None for what is not in the table."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device).replace(" ", "").upper()
    return next((flops for known, (flops, _) in GPUS.items() if known in name), None)


def measure_all(test: SpeedTest, shots: ShotGenerator, ledger: Ledger, names: Sequence[str], **told: Any) -> None:
    """The speed as it ships, then with each speed-up switched, as long as there is time; into ``ledger``."""
    ledger.tell(**told, setup="as shipped", **test.speed(setup_of(()).over(shots)).model_dump())
    for name in names:
        began = perf_counter()
        speedup = SPEEDUPS[name]
        setup = f"{'without' if speedup.ships_on else 'with'} {name}"
        try:
            switched = setup_of((*speedup.beside, name)).over(shots)
            ledger.tell(**told, setup=setup, beside=speedup.beside, **test.speed(switched).model_dump())
        except Exception as fault:  # noqa: BLE001  one speed-up that fails on a machine must not hide the others
            ledger.tell(**told, setup=setup, failed=one_line(fault))
        if ledger.left < 2 * (perf_counter() - began):
            return


def speedups_on(device: torch.device) -> list[str]:
    """Names of the speed-ups of shots to be measured on ``device``: first those that only a GPU has, then others that
    are off as shipped."""
    names = [
        name for name, one in SPEEDUPS.items() if name not in LEFT_OUT and (device.type != "cpu" or not one.gpu_only)
    ]
    return sorted(names, key=lambda name: (not SPEEDUPS[name].gpu_only, SPEEDUPS[name].ships_on))


def one_line(fault: BaseException) -> str:
    """What went wrong, in one line."""
    return f"{type(fault).__name__}: {' '.join(str(fault).split())[:LONGEST_FAULT]}"
