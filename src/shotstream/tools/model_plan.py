"""The memory plan of a model by its name, also for a device that is not here."""

from __future__ import annotations

import torch

from shotstream.codecs.wan_folder import published_sizes
from shotstream.core.devices import DTYPES, KINDS, free_bytes, pick_device, pick_dtype
from shotstream.core.errors import InputError
from shotstream.core.places import model_folder
from shotstream.models.presets import WAN_1_3B, Preset
from shotstream.models.weights import read_header
from shotstream.tools.memory_plan import MemoryPlan, SizesOf, Wishes, plan_memory
from shotstream.tools.model_files import find_model


def plan_of(
    name: str, *, device: str, dtype: str, size: str | None, memory: float | None, light_decoder: bool
) -> MemoryPlan:
    """What the student of the model ``name`` will take; a published preset need not be pulled for it.

    memory: gigabytes of a device that need not be here (``auto`` is then a CUDA device). Raises :class:`InputError`,
    :class:`WeightsError`.
    """
    preset, sizes_of = _model(name)
    if memory is None:
        place = pick_device(device)
        free, numbers = free_bytes(place), pick_dtype(dtype, place)
    else:
        place = _imagined(device)
        free, numbers = int(memory * 1e9), DTYPES.get(dtype, torch.bfloat16)
    wishes = Wishes(device=place, dtype=numbers, free=free, light_decoder=light_decoder)
    return plan_memory(preset.sized(size), sizes_of, wishes)


def _imagined(name: str) -> torch.device:
    """The device called ``name``, be it here or not."""
    kind = "cuda" if name == "auto" else name.partition(":")[0]
    if kind not in KINDS:
        raise InputError(f"no device is called {name!r}; use auto, cpu, cuda, cuda:1 or mps")
    return torch.device(kind)


def _model(name: str) -> tuple[Preset, SizesOf]:
    if name == WAN_1_3B.name and not model_folder(name).is_dir():
        return WAN_1_3B, published_sizes
    files = find_model(name, "student")
    if files.wan is None:
        raise InputError(f"{name}: has codecs of its own, small enough for any device; plans are for Wan's")
    return files.preset(read_header(files.transformer).preset), files.wan.sizes
