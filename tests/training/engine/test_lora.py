"""Adapters: nothing at first, merged they are the weights they adapt, and peft reads what is exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from shotstream.core.errors import InputError
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.training.engine.role_state import add_adapters, export_adapters, with_adapters_added
from shotstream.training.engine.stage import LoraSettings

CONFIG = TransformerConfig(in_channels=4, dim=24, ffn_dim=32, heads=2, layers=2, freq_dim=16, text_dim=12)
SETTINGS = LoraSettings(rank=3, alpha=6)


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    nn.init.normal_(model.head.head.weight, std=0.3)
    return model


def flow(model: nn.Module) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    latents, captions = (torch.randn(shape, generator=generator) for shape in ((1, 3, 4, 2, 4), (1, 1, 5, 12)))
    with torch.no_grad():
        return model(latents, torch.tensor([500.0]), captions)


def trained(model: Transformer) -> Transformer:
    """``model`` with adapters that do something."""
    add_adapters(model, SETTINGS)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    return model


def test_new_adapters_change_nothing_and_alone_learn(model: Transformer) -> None:
    before = flow(model)
    add_adapters(model, SETTINGS)
    assert torch.equal(flow(model), before)
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning and all("lora_" in name and name.startswith("blocks.") for name in learning)
    assert len(learning) == 2 * sum(isinstance(part, nn.Linear) for part in Transformer(CONFIG).blocks.modules())


def test_merging_keeps_the_function_and_the_names_and_leaves_the_original_alone(model: Transformer) -> None:
    adapted = trained(model)
    plain = with_adapters_added(adapted)
    torch.testing.assert_close(flow(plain), flow(adapted), atol=1e-5, rtol=1e-5)
    assert plain.state_dict().keys() == Transformer(CONFIG).state_dict().keys()
    assert any("lora_" in name for name in adapted.state_dict())


def test_peft_itself_loads_the_export(model: Transformer, tmp_path: Path) -> None:
    from peft import PeftModel

    adapted = trained(model)
    expected = flow(adapted)
    export_adapters(adapted, tmp_path, SETTINGS)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["lora_alpha"] == 6
    assert all(".default" not in name for name in load_file(tmp_path / "adapter_model.safetensors"))
    torch.manual_seed(0)
    fresh = Transformer(CONFIG)
    nn.init.normal_(fresh.head.head.weight, std=0.3)
    assert not torch.allclose(flow(fresh), expected)
    torch.testing.assert_close(flow(PeftModel.from_pretrained(fresh, str(tmp_path))), expected)


def test_a_module_without_layers_is_refused() -> None:
    with pytest.raises(InputError, match="no transformer layers"):
        add_adapters(nn.Linear(2, 2), SETTINGS)
