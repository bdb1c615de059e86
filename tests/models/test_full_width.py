"""Wan's published width and depth, with random numbers, on a CPU within 6 GB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = 6_000_000_000  # bytes
PROGRAM = """
import json, resource, sys
from pathlib import Path
import torch
from shotstream.families.wan import WAN_1_3B
from shotstream.models.transformer import Transformer
from shotstream.checkpoints.transformer_weights import WeightsHeader, load_transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.rollout import rollout
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.checkpoints.safetensors_file import computed
from shotstream.checkpoints.safetensors_file import write_safetensors

path, preset = Path(sys.argv[1]), WAN_1_3B.sized("96x64")
with torch.device("meta"):
    empty = Transformer(preset.transformer)
products, tensors = empty.matmul_names(), {}
for name, parameter in empty.named_parameters():
    make = lambda shape=parameter.shape: torch.randn(shape) / (shape[-1] ** 0.5 if len(shape) > 1 else 10)
    tensors[name] = computed(make, torch.bfloat16 if name in products else torch.float32, tuple(parameter.shape))
header = WeightsHeader(role="student", preset=preset.name, config=preset.transformer)
write_safetensors(path, tensors, {"shotstream": header.model_dump_json()})
model, _ = load_transformer(path, dtype=torch.bfloat16)
geometry = preset.geometry
with torch.no_grad():
    context = ContextFrames(
        latents=torch.randn(1, geometry.context_frames, *geometry.latent_shape),
        shot_index=torch.arange(geometry.context_frames),
        captions=torch.randn(1, geometry.context_frames, 512, preset.transformer.text_dim),
        caption_index=torch.arange(geometry.context_frames),
    )
    shot = StreamingShot(model, context, max_frames=2 * geometry.block_frames)
    shot.read(torch.randn(1, 512, preset.transformer.text_dim))
    shape = (geometry.block_frames, *geometry.latent_shape)
    solver = sampler(preset.student, preset.schedule)
    blocks = list(rollout(shot, solver, NamedNoise(1, shot=0), blocks=2, block_shape=shape))
told = {
    "parameters": sum(one.numel() for one in model.parameters()),
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "finite": all(bool(block.isfinite().all()) for block in blocks),
    "deviation": float(torch.stack(blocks).std()),
}
print(json.dumps(told))
"""


@pytest.mark.soak
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss counts otherwise elsewhere")
def test_two_blocks_of_the_published_size(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "student.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert round(told["parameters"] / 1e9, 2) == 1.42
    assert told["finite"] and told["deviation"] > 0.1
    assert told["peak"] < ALLOWED
