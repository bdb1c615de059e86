"""Learning through rounded weights: what is left survives packing, and is better than rounding afterwards."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from runs import LineStage, ignore
from safetensors.torch import load_file
from torch import nn

from shotstream.checkpoints.quantisation import LEVELS as FORMS
from shotstream.checkpoints.quantisation import Form, matrix_names, pack, rounded, unpack
from shotstream.core.errors import InputError
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.training.engine.loop import Run
from shotstream.training.engine.role_state import rounded_copy, rounded_weights
from shotstream.training.engine.stage import LoraSettings, OptimiserSettings, Role

LEVELS = 2  # so coarse that it shows
FORM: Form = "int4"


@pytest.fixture(autouse=True)
def every_matrix_is_worth_packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tests' networks are small."""
    monkeypatch.setattr("shotstream.checkpoints.quantisation.WORTH", 1)


def line_stage(updates: int, form: Form | None) -> LineStage:
    """A line whose coefficients (1, 1, 1) no row scale fits exactly once noise is on them."""
    stage = LineStage(updates)
    settings = OptimiserSettings(kind="adamw", rate=0.05, ema=0.5, quantised=form)
    stage.roles = {name: Role(nn.Linear(3, 1), settings) for name in stage.roles}
    return stage


def test_weights_are_rounded_meanwhile_and_come_back_to_the_bit() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)).to(memory_format=torch.channels_last)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with rounded_weights(net, LEVELS):
        for name, value in net.named_parameters():
            wanted = rounded(before[name], LEVELS) if name in ("0.weight", "2.weight") else before[name]
            assert torch.equal(value, wanted) and value.stride() == before[name].stride()
        net(torch.ones(1, 3, 5, 5)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_a_step_goes_along_the_gradient_at_the_rounded_weights() -> None:
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 0.1]]))
    with rounded_weights(net, 1):  # (1, 0)
        (net(torch.tensor([[1.0, 3.0]])) ** 2).sum().backward()
    assert net.weight.grad is not None
    assert net.weight.grad.tolist() == [[2.0, 6.0]]  # 2 y x with y = 1, not 1.3


def test_what_is_left_is_already_packed(tmp_path: Path) -> None:
    run = Run(line_stage(9, FORM), tmp_path)
    run.train(ignore)
    left = load_file(tmp_path / "student.safetensors")["weight"]
    torch.testing.assert_close(unpack(*pack(left, FORMS[FORM])), left, rtol=1e-6, atol=0)
    own = run.stage.roles["student"].module.weight
    assert not torch.equal(unpack(*pack(own, FORMS[FORM])), own)  # what learns is not


def test_learning_through_rounding_beats_rounding_afterwards() -> None:
    torch.manual_seed(0)
    x = torch.randn(512, 8) @ torch.randn(8, 16)  # inputs that depend on each other
    y = torch.tanh(x @ torch.randn(16, 16) / 4) @ torch.randn(16, 4)

    def fit(through_rounding: bool) -> float:
        torch.manual_seed(2)
        net = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 4))
        optimiser, updates, rate = torch.optim.Adam(net.parameters()), 300, 0.02
        for update in range(updates):
            optimiser.param_groups[0]["lr"] = rate * (1 - update / updates)
            optimiser.zero_grad()
            with rounded_weights(net, LEVELS) if through_rounding else nullcontext():
                (net(x) - y).square().mean().backward()
            optimiser.step()
        return float((rounded_copy(net, LEVELS)(x) - y).square().mean())

    assert fit(True) < 0.5 * fit(False)


def test_a_copy_is_rounded_and_its_original_is_not() -> None:
    torch.manual_seed(0)
    net = nn.Linear(6, 3)
    before = net.weight.clone()
    copy = rounded_copy(net, LEVELS)
    assert torch.equal(net.weight, before)
    assert torch.equal(copy.get_parameter("weight"), rounded(before, LEVELS))
    assert torch.equal(copy.get_parameter("bias"), net.bias)


def test_every_matrix_of_a_transformer_is_meant_and_nothing_else() -> None:
    model = Transformer(
        TransformerConfig(in_channels=4, dim=24, ffn_dim=32, heads=2, layers=2, freq_dim=16, text_dim=12)
    )
    named = {name for name, value in model.state_dict().items() if value.ndim > 1 and "modulation" not in name}
    assert matrix_names(model) == named
    assert {"time_embedding.0.weight", "patch_embedding.weight", "blocks.0.ffn.2.weight"} <= named


def test_shards_and_adapters_are_refused(tmp_path: Path) -> None:
    stage = line_stage(3, FORM)
    stage.loop = stage.loop.model_copy(update={"sharded": True})
    with pytest.raises(InputError, match=r"student: quantised does not go with sharded"):
        Run(stage, tmp_path)
    with pytest.raises(ValidationError, match="take out one of them"):
        OptimiserSettings(quantised=FORM, lora=LoraSettings(rank=2))
