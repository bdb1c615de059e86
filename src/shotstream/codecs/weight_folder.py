"""A module from a folder in diffusers' or transformers' layout: a config and safetensors, every name and shape checked.

The libraries' own loaders start what a file lacks from random numbers and go on with a warning; this one refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shotstream.core.errors import WeightsError
from shotstream.core.weight_check import check_names_and_shapes

Module = TypeVar("Module", bound=nn.Module)


def empty_from_folder(folder: Path, make: Callable[[dict[str, Any]], Module]) -> Module:
    """The module that ``make`` makes of the folder's config, without numbers yet.

    Raises :class:`WeightsError` that names the file, or lists all that its files lack, have too much or misshaped.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        with torch.device("meta"):
            module = make(config)
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; fetch or convert the weights first") from fault
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise WeightsError(f"{path}: cannot be understood ({str(fault).splitlines()[0]}); fetch it again") from fault
    with torch.device("meta"):
        shapes = {name: torch.empty(shape) for name, shape in shapes_in(folder).items()}
    check_names_and_shapes(module, repeated(module, shapes), str(folder))
    return module.eval().requires_grad_(False)


def fill_from_folder(module: nn.Module, folder: Path, device: torch.device, dtype: torch.dtype | None = None) -> None:
    """Give ``module`` the numbers of the folder's files, on ``device``; ``dtype`` None leaves them as they are.

    What need not be moved or changed is memory-mapped: it stays on disk until it is used.
    """
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        with _opened(path) as file:
            tensors |= {name: file.get_tensor(name).to(device, dtype) for name in file.keys()}  # noqa: SIM118
    module.load_state_dict(repeated(module, tensors), assign=True)
    module.requires_grad_(False)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of ``folder``. Raises :class:`WeightsError` if there are none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise WeightsError(f"{folder}: no *.safetensors in it; fetch or convert the weights first")
    return found


def repeated(module: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` with those of tied parameters under every name they have in ``module``; files hold them once."""
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    complete = dict(tensors)
    for same in names.values():
        there = next((name for name in same if name in tensors), None)
        complete |= {name: tensors[there] for name in same if there is not None}
    return complete


def shapes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all tensors in the folder's files."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder):
        with _opened(path) as file:
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as fault:
        said = str(fault).splitlines()[0]
        raise WeightsError(f"{path}: not a readable weight file ({said}); fetch it again") from fault
