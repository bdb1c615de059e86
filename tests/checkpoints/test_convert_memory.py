"""Conversions hold one tensor at a time: a file far larger than the allowance passes through."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ALLOWED = 500_000_000  # bytes above what importing takes
# 8 layers of 24 million numbers: 770 MB in float32, the largest tensor 33 MB.
WIDE = {"in_channels": 16, "dim": 1024, "ffn_dim": 8192, "heads": 8, "layers": 8, "text_dim": 64}
PROGRAM = """
import json, resource, sys
from pathlib import Path
import torch
from shotstream.checkpoints.convert import convert
from shotstream.families.preset import read_preset
from shotstream.models.transformer import Transformer
preset = sys.argv[3]
with torch.device("meta"):
    Transformer(read_preset(Path(preset)).transformer)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = convert(Path(sys.argv[1]), Path(sys.argv[2]), named=preset, to=sys.argv[4])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"bytes": done.bytes, "grown": (after - before) * 1024}))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same zeros as Wan's safetensors and as the reference's checkpoint."""
    from wan_rig import TINY_WAN

    from shotstream.checkpoints.safetensors_file import computed, write_safetensors
    from shotstream.models.config import TransformerConfig
    from shotstream.models.transformer import Transformer

    folder = tmp_path_factory.mktemp("wide")
    config = TransformerConfig.model_validate(WIDE)
    preset = TINY_WAN.model_copy(update={"name": "wide", "transformer": config})
    (folder / "wide.json").write_text(preset.model_dump_json())
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Transformer(config).state_dict().items()}
    tensors = {name: computed(lambda s=shape: torch.zeros(s), torch.float32, shape) for name, shape in shapes.items()}
    write_safetensors(folder / "wan.safetensors", tensors, {})
    checkpoint = {f"model.{name}": torch.zeros(1).expand(shape).contiguous() for name, shape in shapes.items()}
    torch.save({"generator": checkpoint}, folder / "reference.pt")
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss counts otherwise elsewhere")
@pytest.mark.parametrize(("source", "to"), [("wan.safetensors", "diffusers"), ("reference.pt", "shotstream")])
def test_a_file_larger_than_the_allowance_passes_through(files: Path, tmp_path: Path, source: str, to: str) -> None:
    command = [sys.executable, "-c", PROGRAM, files / source, tmp_path / "out", files / "wide.json", to]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bytes"] > 1.4 * ALLOWED
    assert told["grown"] < ALLOWED
