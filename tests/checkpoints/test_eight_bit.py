"""Weights held in eight bits: nearly the same flow, in the memory that the plan says."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
import torch
from wan_rig import TINY_WAN, transformer_weights

import shotstream
from shotstream.checkpoints.memory_plan import LoadOptions, plan_memory, plan_of
from shotstream.checkpoints.quantisation import EightBit, EightBitLinear, Fp8Linear, keep_in_eight_bits
from shotstream.checkpoints.transformer_weights import build
from shotstream.core.errors import InputError
from shotstream.families.wan import WAN_1_3B, published_sizes
from shotstream.models.transformer import Transformer


def small(dtype: torch.dtype = torch.float32) -> Transformer:
    model = build(TINY_WAN.transformer, transformer_weights(), "here")
    return model.narrow_(dtype).requires_grad_(False).eval().fuse_()


def flow_of(model: Transformer) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 3, *TINY_WAN.geometry.latent_shape, generator=generator)
    captions = torch.randn(1, 1, 5, TINY_WAN.transformer.text_dim, generator=generator)
    with torch.no_grad():
        return model(latents, torch.tensor([500.0]), captions)


# Half a level of 127 and half of a bit of three, in rows that sum dozens of numbers.
@pytest.mark.parametrize(("form", "most"), [("int8", 0.01), ("fp8", 0.04), ("fp8-matmuls", 0.06)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_flow_is_nearly_the_same(form: EightBit, most: float, dtype: torch.dtype) -> None:
    true, packed = flow_of(small()), flow_of(keep_in_eight_bits(small(dtype), form))
    error = float((packed - true).norm() / true.norm())
    assert 1e-4 < error < most + (0.02 if dtype is torch.bfloat16 else 0)


def test_int8_is_the_matrix_rounded_row_by_row() -> None:
    layer = torch.nn.Linear(6, 4)
    packed = EightBitLinear(layer, "int8")
    step = layer.weight.abs().amax(1, keepdim=True) / 127
    x = torch.randn(3, 6)
    true = torch.nn.functional.linear(x, (layer.weight / step).round() * step, layer.bias)
    torch.testing.assert_close(packed(x), true)


@pytest.mark.parametrize("form", ["int8", "fp8", "fp8-matmuls"])
def test_the_plan_counts_the_bytes_that_are_held(form: EightBit) -> None:
    model = keep_in_eight_bits(small(torch.bfloat16), form)
    held = sum(one.nbytes for one in chain(model.parameters(), model.buffers()))
    cpu = torch.device("cpu")
    asked = LoadOptions(device=cpu, dtype=torch.bfloat16, free=None, eight_bit=form)
    assert plan_memory(TINY_WAN, published_sizes, asked).weights == held
    assert model.dtype == torch.bfloat16


def test_wan_at_its_own_size_fits_eight_gigabytes() -> None:
    wanted = {"device": "cuda", "dtype": "bfloat16", "size": None, "memory": 8, "light_decoder": False}
    whole, packed = (plan_of(WAN_1_3B.name, **wanted, eight_bit=form) for form in (None, "int8"))  # type: ignore[arg-type]
    assert not whole.fits and packed.fits and packed.cache_place == "host"
    assert whole.weights - packed.weights == pytest.approx(1.39e9, rel=0.03)


def test_a_film_is_made_with_them_and_is_known_by_another_version(tiny_wan: Path, home: Path) -> None:
    whole, packed = (shotstream.load(tiny_wan, device="cpu", eight_bit=form) for form in (None, "int8"))  # type: ignore[arg-type]
    frames = [
        one.open(global_caption="A fox.", seed=1).shot("It walks.", seconds=0.5).wait().frames
        for one in (whole, packed)
    ]
    assert frames[0].shape == frames[1].shape and (frames[0] != frames[1]).any()
    assert packed.model_version == f"{whole.model_version}-int8"


def test_what_does_not_fit_is_told_of_them(tiny_wan: Path, home: Path) -> None:
    plans: list[object] = []
    shotstream.load(tiny_wan, device="cpu", dtype="float32", memory=1, on_plan=plans.append)
    whole = plans[0].on_device  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="--eight-bit int8"):
        shotstream.load(tiny_wan, device="cpu", dtype="float32", memory=(whole - 1000) / 1e9)


def by_hand(layer: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
    """The layer in float64, of tokens and rows that are rounded to fp8 at the scale of their largest number."""

    def rounded(rows: torch.Tensor) -> torch.Tensor:
        scale = rows.double().abs().amax(-1, keepdim=True).clamp(min=1e-30) / 448  # the largest number of e4m3
        step = (rows.double() / scale).float().to(torch.float8_e4m3fn).double()
        return step * scale

    return rounded(x) @ rounded(layer.weight).T + layer.bias.double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fp8_matmuls_scale_every_token_and_every_row(dtype: torch.dtype) -> None:
    """Numbers of very different sizes in different tokens: one scale for all of them would lose the small ones."""
    layer = torch.nn.Linear(48, 32).requires_grad_(False)
    x = torch.randn(2, 5, 48) * torch.tensor([1e-3, 1, 30, 1e3, 0])[:, None]
    found = Fp8Linear(layer, "fp8-matmuls")(x.to(dtype))
    true = by_hand(layer, x.to(dtype))
    size = true.norm(dim=-1)
    assert found.dtype == dtype and found.shape == (2, 5, 32)
    assert float(((found.double() - true).norm(dim=-1) / size).max()) < 0.01  # of bfloat16 outputs
    exact = torch.nn.functional.linear(x, layer.weight, layer.bias)
    assert 1e-3 < float((found.double() - exact).norm() / exact.norm()) < 0.05


def test_fp8_matmuls_are_refused_where_no_gpu_makes_them(tiny_wan: Path) -> None:
    with pytest.raises(InputError, match=r"^eight_bit fp8-matmuls: needs a CUDA GPU .* cpu does not\. Take fp8"):
        shotstream.load(tiny_wan, device="cpu", eight_bit="fp8-matmuls")
