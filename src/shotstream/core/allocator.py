"""Memory that is freed stays with the process, for the tensors of the next pass."""

from __future__ import annotations

import ctypes
import platform

# malloc.h of glibc: what to set, and the sizes in bytes.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_OWN_PAGES_FROM = 32 << 20  # the most every glibc takes: larger blocks come from the system and go back to it
_KEPT_AT_MOST = 256 << 20  # free memory at the heap's end beyond which it goes back
_ASKED_AHEAD = 16 << 20


def keep_freed_pages() -> bool:
    """Let glibc keep what it is given back; False where there is another allocator, which is left as it is.

    By default blocks of some megabytes go back to the system when they are freed, and every page of the next one is
    cleared anew: a fifth of what the autoencoder's decoder takes on a CPU (docs/performance.md).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_THRESHOLD, _OWN_PAGES_FROM), (_TRIM_THRESHOLD, _KEPT_AT_MOST), (_TOP_PAD, _ASKED_AHEAD))
    return all([mallopt(what, size) == 1 for what, size in settings])
