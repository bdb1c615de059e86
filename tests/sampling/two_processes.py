"""Makes shots in one process, or in several that share every pass, and writes down what each has made.

    torchrun --nproc-per-node 2 two_processes.py FOLDER

The shots outgrow their window, and change their prompt in the middle. ``RANK``.pt: the clean latents of every case, and
the bytes of the caches.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from runpy import run_path

import torch

from shotstream.core.errors import InputError
from shotstream.families.preset import SamplerSettings
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import BlankShot
from shotstream.sampling.layer_runners import SharedPasses, join_processes
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest

SMALL = run_path(str(Path(__file__).with_name("conftest.py")))  # the other tests' small model, outside of pytest
CASES = {"fused": (True, 1.0), "refreshed apart": (False, 1.0), "guided": (True, 2.0)}
CONFIG = TransformerConfig(in_channels=4, dim=96, ffn_dim=64, heads=4, layers=3, freq_dim=32, text_dim=8)


def made(*, fuse: bool, guidance: float, shared: bool) -> tuple[torch.Tensor, int]:
    """All latents of a shot, and the bytes of its caches."""
    torch.manual_seed(0)
    model = Transformer(CONFIG).requires_grad_(False)
    torch.nn.init.normal_(model.head.head.weight, std=0.1)
    preset = SMALL["preset_of"](model, SamplerSettings(timesteps=(1000, 500), guidance=guidance))
    shots = ShotGenerator(model, SMALL["LetterEncoder"](), SMALL["BlockCodec"](), preset, fuse=fuse)
    if shared:
        shots.share_passes()
    request = ShotRequest(prompt="a fox", blocks=preset.geometry.max_blocks + 2, noise=NamedNoise(3, shot=1))
    shot = shots.prepare(shots.context.choose([BlankShot(preset.geometry)], "a fox"))
    latents = []
    for block in shots.latents(request, shot):
        latents.append(block)
        request.prompt = "a bear" if len(latents) == 2 else request.prompt
    return torch.cat(latents, dim=1), shot.bytes


def said(heads: int, tokens: int) -> str:
    """What is said of heads and tokens that cannot be shared."""
    try:
        SharedPasses(CONFIG.model_copy(update={"heads": heads}), tokens)
    except InputError as fault:
        return str(fault)
    return ""


def main(folder: Path) -> None:
    join_processes("cpu")
    found = {name: made(fuse=fuse, guidance=guidance, shared=True) for name, (fuse, guidance) in CASES.items()}
    torch.save((found, [said(3, 6), said(4, 7), said(4, 6)]), folder / f"{os.environ['RANK']}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
