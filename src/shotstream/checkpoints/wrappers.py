"""Strips what training code and other programs put around a network's parameter names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

# Modules that hold another one and add nothing: FSDP, torch.compile, activation checkpointing, DeepSpeed.
_INSIDE = ("_fsdp_wrapped_module", "_orig_mod", "_checkpoint_wrapped_module", "_forward_module")


def unwrapped(name: str) -> str:
    """``name`` without the wrappers that may stand anywhere in it."""
    return ".".join(part for part in name.split(".") if part not in _INSIDE)


def by_prefix(tensors: Mapping[str, T], anchors: tuple[str, ...]) -> dict[str, dict[str, T]]:
    """The networks in ``tensors``: whatever stands before a name that ends in one of the ``anchors`` is a prefix, and
    its network all that stands behind it. Without any anchor all is one network, behind no prefix."""
    plain = {unwrapped(name): tensor for name, tensor in tensors.items()}
    prefixes = {
        name.removesuffix(anchor)
        for name in plain
        for anchor in anchors
        if name == anchor or name.endswith("." + anchor)
    }
    if len(plain) != len(tensors) or not prefixes:
        return {"": dict(tensors)}
    return {
        prefix: {name.removeprefix(prefix): one for name, one in plain.items() if name.startswith(prefix)}
        for prefix in sorted(prefixes)
    }
