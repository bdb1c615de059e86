"""Picks device and number format: what was asked for, checked, or the best this machine has."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from shotstream.core.errors import InputError

KINDS = ("cpu", "cuda", "mps")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def pick_device(name: str | torch.device) -> torch.device:
    """The device called ``name`` (cpu, cuda, cuda:1, mps), or that device; ``auto`` is the first there is of
    cuda, mps, cpu.

    Raises :class:`InputError` if there is none of that name here.
    """
    if isinstance(name, torch.device):
        name = str(name)
    if not isinstance(name, str):
        raise InputError(f"device {name!r}: give its name, such as cuda:1, or a torch.device")
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if _count(kind)))
    kind, _, number = name.partition(":")
    if kind not in KINDS or (number and not number.isdecimal()):
        raise InputError(f"no device is called {name!r}; use auto, cpu, cuda, cuda:1 or mps")
    if int(number or 0) >= _count(kind):
        there = ", ".join(f"{known} ({_count(known)})" for known in KINDS if _count(known))
        raise InputError(f"device {name!r} is not here (torch {torch.__version__} sees: {there}); use auto or cpu")
    return torch.device(name)


def pick_dtype(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The number format called ``name`` (float32, bfloat16), or that format; ``auto`` is bfloat16 where
    ``device`` is faster in it.

    Raises :class:`InputError` for other names.
    """
    if isinstance(name, torch.dtype):
        name = str(name).removeprefix("torch.")
    if name == "auto":
        return torch.bfloat16 if _fast_bfloat16(device) else torch.float32
    if name not in DTYPES:
        raise InputError(f"no number format is called {name!r}; use auto, float32 or bfloat16")
    return DTYPES[name]


def mixed_precision(name: str, device: torch.device) -> torch.autocast:
    """Matmuls on ``device`` in the number format called ``name`` (see :func:`pick_dtype`), weights as they are.

    Raises :class:`InputError` for other names.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=pick_dtype(name, device) is torch.bfloat16)


def _count(kind: str) -> int:
    """How many devices of this kind torch can use."""
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "mps":
        return int(torch.backends.mps.is_available())
    return 1


def _fast_bfloat16(device: torch.device) -> bool:
    """Has ``device`` instructions that multiply in bfloat16? An older torch cannot say of a CPU: then no."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and "get_capabilities" in torch.cpu.__all__:
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False


def wait_for(device: torch.device) -> None:
    """Come back when all that was asked of ``device`` is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on ``device`` now; for a CPU, main memory. None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    told = Path("/proc/meminfo")
    if not told.is_file():
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", told.read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
