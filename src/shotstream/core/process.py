"""This process: what the allocator does with freed memory, and how much memory it holds. Loads no torch."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

# malloc.h of glibc: what to set, and the sizes in bytes.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_OWN_PAGES_FROM = 32 << 20  # the most every glibc takes: larger blocks come from the system and go back to it
_KEPT_AT_MOST = 256 << 20  # free memory at the heap's end beyond which it goes back
_ASKED_AHEAD = 16 << 20
_MOST = (1 << 31) - 1  # an int


def keep_freed_pages(*, all_of_it: bool = False) -> bool:
    """Let glibc keep what it is given back; False where there is another allocator, which is left as it is.

    By default blocks of some megabytes go back to the system when they are freed, and every page of the next one is
    cleared anew: a fifth of what the autoencoder's decoder takes on a CPU (development/log.md).
    all_of_it: for a process that does one thing, such as training, whose passes free gigabytes and ask for them again.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    own, kept = (_MOST, _MOST) if all_of_it else (_OWN_PAGES_FROM, _KEPT_AT_MOST)
    settings = ((_MMAP_THRESHOLD, own), (_TRIM_THRESHOLD, kept), (_TOP_PAD, _ASKED_AHEAD))
    taken = [mallopt(what, size) for what, size in settings]
    return 0 not in taken


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory held so far: on a CUDA device what torch allocated there, else this process's resident bytes."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def held_memory_bytes(device: torch.device) -> int:
    """The memory held right now, by the same measure."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)
