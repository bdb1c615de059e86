"""Asked of the allocator itself: what it holds after a tensor is freed, for the next one."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

TENSOR = 16 << 20  # bytes: as large as what the decoder frees within a block, smaller than what goes back in any case

PROGRAM = f"""
import ctypes, sys, torch
from shotstream.core.process import keep_freed_pages

class Held(ctypes.Structure):  # struct mallinfo2 of malloc.h
    _fields_ = [(name, ctypes.c_size_t) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

held = ctypes.CDLL(None).mallinfo2
held.restype = Held
if sys.argv[1] == "keep":
    assert keep_freed_pages()
before = held().fordblks
tensor = torch.ones({TENSOR}, dtype=torch.uint8)
del tensor
print(held().fordblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator, which is left as it is")
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc before 2.33 does not tell")
def test_a_freed_tensor_stays_with_the_process() -> None:
    def held(how: str) -> int:
        ran = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        return int(ran.stdout)

    assert held("keep") >= TENSOR > held("leave")
