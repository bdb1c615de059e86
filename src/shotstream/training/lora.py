"""Low-rank adapters of a role (arXiv 2106.09685), by peft: put in, merged for release, exported for others.

The adapters sit on every linear layer of every transformer layer; all else is frozen.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import nn

from shotstream.core.errors import InputError
from shotstream.core.files import whole_file, write_text
from shotstream.training.settings import LoraSettings

_ADAPTER = re.compile(r"\.(lora_[AB])\.default\.")
_PEFT_PREFIX = "base_model.model."


def add_adapters(module: nn.Module, settings: LoraSettings) -> None:
    """Put adapters into ``module``, in place, and freeze the rest. A new adapter changes nothing yet.

    Raises :class:`InputError` if peft is not installed or the module has no layers to adapt.
    """
    peft = _peft()
    targets = [name for name, part in module.named_modules() if isinstance(part, nn.Linear) and "blocks." in name]
    if not targets:
        raise InputError("lora: this role has no transformer layers; take lora out of its recipe")
    config = peft.LoraConfig(r=settings.rank, lora_alpha=settings.alpha or settings.rank, target_modules=targets)
    peft.inject_adapter_in_model(config, module)


def merged(module: nn.Module) -> nn.Module:
    """A copy of ``module`` in which adapters are added to the weights they adapt: W + (alpha / r) B A."""
    from peft.tuners.lora import LoraLayer

    plain = copy.deepcopy(module)
    for name, part in list(plain.named_modules()):
        if isinstance(part, LoraLayer):
            part.merge()
            parent, _, place = name.rpartition(".")
            setattr(plain.get_submodule(parent), place, part.get_base_layer())
    return plain


def export_adapters(module: nn.Module, folder: Path, settings: LoraSettings) -> None:
    """Write the adapters of ``module`` into ``folder`` in peft's own layout, for other programs to load."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {
        _PEFT_PREFIX + _ADAPTER.sub(r".\1.", name): value.detach().cpu().contiguous()
        for name, value in module.state_dict().items()
        if _ADAPTER.search(name)
    }
    with whole_file(folder / "adapter_model.safetensors") as temporary:
        save_file(tensors, temporary)
    described = {
        "peft_type": "LORA",
        "r": settings.rank,
        "lora_alpha": settings.alpha or settings.rank,
        "target_modules": sorted({name.removeprefix(_PEFT_PREFIX).rsplit(".lora_", 1)[0] for name in tensors}),
    }
    write_text(folder / "adapter_config.json", json.dumps(described, indent=2) + "\n")


def _peft() -> ModuleType:
    try:
        import peft
    except ImportError as fault:
        raise InputError("lora needs peft; install it with: pip install 'shotstream[train]'") from fault
    return peft
