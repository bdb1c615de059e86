"""Compiled layers for training, where the machine can compile at all."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import torch
from torch import nn
from torch._dynamo.exc import BackendCompilerFailed

from shotstream.models.transformer import Transformer

log = logging.getLogger(__name__)


def compile_layers(modules: Iterable[nn.Module]) -> None:
    """Compile the layers of every transformer among ``modules``; without a working compiler say so and go on."""
    transformers = [module for module in modules if isinstance(module, Transformer)]
    try:
        torch.compile(torch.sin)(torch.ones(2))
    except BackendCompilerFailed as failure:
        log.warning("layers are not compiled, training goes on slower: %s", str(failure).splitlines()[0])
        return
    for transformer in transformers:
        transformer.compile_layers()
