"""A transformer small enough to run hundreds of times a second, with a head that says something."""

from __future__ import annotations

import pytest
import torch

from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer


@pytest.fixture
def config() -> TransformerConfig:
    return TransformerConfig(in_channels=4, dim=48, ffn_dim=64, heads=2, layers=2, freq_dim=32, text_dim=8)


@pytest.fixture
def model(config: TransformerConfig) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(config)
    torch.nn.init.normal_(model.head.head.weight, std=0.1)
    return model
