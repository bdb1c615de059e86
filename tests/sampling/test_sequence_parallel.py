"""Two real processes that share every pass make what one makes, in half of the caches each."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
import two_processes

import shotstream
from shotstream.cli.main import main
from shotstream.core.errors import InputError
from shotstream.sampling.gpu_speedups import check_speedups
from shotstream.sampling.layer_runners import join_processes

Found = tuple[dict[str, tuple[torch.Tensor, int]], list[str]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What each process has made."""
    folder = tmp_path_factory.mktemp("shared")
    script, paths = two_processes.__file__, os.pathsep.join(path for path in sys.path if path)
    words = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        script,
        str(folder),
    ]
    done = subprocess.run(
        words,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", two_processes.CASES)
def test_both_have_what_one_process_makes_and_half_of_its_caches(name: str, found: list[Found]) -> None:
    fuse, guidance = two_processes.CASES[name]
    alone, size = two_processes.made(fuse=fuse, guidance=guidance, shared=False)
    for cases, _ in found:
        latents, own = cases[name]
        torch.testing.assert_close(latents, alone, rtol=1e-4, atol=1e-5)
        assert 2 * own == size
    assert torch.equal(found[0][0][name][0], found[1][0][name][0])


def test_what_cannot_be_shared_evenly_is_refused_in_a_line(found: list[Found]) -> None:
    for _, said in found:
        assert said == [
            "sequence-parallel: 3 heads cannot be shared by 2 processes evenly",
            "sequence-parallel: 7 tokens of a frame cannot be shared by 2 processes evenly",
            "",
        ]


def test_alone_without_a_gpu_and_from_the_command_line_it_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(InputError, match="sequence-parallel: start a process for each GPU with torchrun"):
        join_processes("cuda")
    with pytest.raises(InputError, match="sequence-parallel: needs a CUDA device, and this is cpu"):
        shotstream.load(device="cpu", speedups=["sequence-parallel"])
    with pytest.raises(InputError, match="sequence-parallel: was never tried with compile or cuda-graphs"):
        check_speedups(["cuda-graphs", "sequence-parallel"], "cuda")
    words = ["generate", "--prompt", "A fox.", "--shot", "It walks.", "--with", "sequence-parallel"]
    assert main(words) == 2
    assert "every process would write the same film; docs/wan.md has a script" in capfd.readouterr().err
