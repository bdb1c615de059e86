"""Counted by the system itself: how many pages a process asks for again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from shotstream.core.allocator import keep_freed_pages
from shotstream.models.presets import preset
from shotstream.training.material import open_video
if sys.argv[1] == "keep":
    assert keep_freed_pages()
geometry = preset("storyworld").geometry
decoder = open_video("bundled", geometry)[0].decoder()
latents = torch.zeros(1, geometry.block_frames, *geometry.latent_shape)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        decoder.push(latents)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 4
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator, which is left as it is")
def test_a_block_is_decoded_in_the_pages_of_the_one_before() -> None:
    def faults(how: str) -> float:
        ran = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        return float(ran.stdout)

    kept, left = faults("keep"), faults("leave")
    assert kept < left / 4  # here: 48 and 4,200, of 4 KB each
