"""How much memory the model's device holds, now and at most."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import torch


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory held so far: on a CUDA device what torch allocated there, else this process's resident bytes."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return _windows_memory()[0]
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def held_memory_bytes(device: torch.device) -> int:
    """The memory held right now, by the same measure."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    if sys.platform == "win32":
        return _windows_memory()[1]
    pages = Path("/proc/self/statm")
    if pages.exists():
        return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    said = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
    return int(said.stdout) * 1024


def _windows_memory() -> tuple[int, int]:
    """PeakWorkingSetSize and WorkingSetSize of PROCESS_MEMORY_COUNTERS (psapi.h)."""

    class Counters(ctypes.Structure):
        _fields_ = [
            ("cb", ctypes.c_uint32),
            ("faults", ctypes.c_uint32),
            *((f"size{n}", ctypes.c_size_t) for n in range(8)),
        ]

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo(ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.byref(counters), counters.cb)
    return int(counters.size0), int(counters.size1)
