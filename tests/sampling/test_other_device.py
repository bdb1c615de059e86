"""Every tensor is where it is needed, on a device that is not the CPU.

There is no such device here. Fake tensors on ``meta`` stand in for one: they hold no numbers, but an operation over
tensors of two devices fails as it would on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from wan_rig import TINY_WAN

from shotstream.codecs.tiny_decoder import TinyDecoder, TinyNetwork
from shotstream.codecs.wan_vae import WanVideoCodec
from shotstream.models.caches import CachePlace
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import block_causal
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.solvers import euler, few_step
from shotstream.sampling.streaming import StreamingShot
from shotstream.sampling.teacher import teacher_shot

ELSEWHERE = torch.device("meta")
SHAPE = TINY_WAN.geometry.latent_shape


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fake tensors; autocast, which knows no such device, is as good as off."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    with FakeTensorMode(), torch.no_grad():
        yield


@pytest.fixture
def model(fake: None) -> Transformer:
    with ELSEWHERE:
        return Transformer(TINY_WAN.transformer)


@pytest.fixture
def context(fake: None) -> ContextFrames:
    """As memory recalls it: latents from the codec's device, captions and indices on the CPU."""
    return ContextFrames(
        latents=torch.randn(1, 6, *SHAPE),
        shot_index=torch.tensor([0, 0, 1, 1, 2, 2]),
        captions=torch.randn(1, 3, 5, 32),
        caption_index=torch.tensor([0, 0, 1, 1, 2, 2]),
    ).to(ELSEWHERE)


class NoWideNumbers(TorchDispatchMode):
    """An Apple GPU: it has no float64."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and leaf.device == ELSEWHERE:
                assert leaf.dtype != torch.float64, f"{func} makes float64 on the device"
        return made


def draw(step: int) -> Tensor:
    return torch.randn(1, 3, *SHAPE).to(ELSEWHERE)


def test_two_devices_in_one_operation_are_found(fake: None) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.zeros(2, device=ELSEWHERE).index_select(0, torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("place", ["device", "host"])
def test_a_shot_rolls_on_and_changes(
    model: Transformer, context: ContextFrames, guidance: float, fuse: bool, place: CachePlace
) -> None:
    shot = StreamingShot(model, context, max_frames=6, guidance=guidance, fuse=fuse, cache_place=place)
    shot.read(torch.randn(1, 5, 32).to(ELSEWHERE))
    for block in range(4):
        if block == 2:
            shot.change(torch.randn(1, 5, 32).to(ELSEWHERE))
        clean = few_step(shot.flow, draw, timesteps=(1000.0, 740.0))
        assert clean.device == ELSEWHERE
        shot.finish(clean)


def test_nothing_on_the_device_is_in_float64(model: Transformer, context: ContextFrames) -> None:
    with NoWideNumbers():
        shot = StreamingShot(model, context, max_frames=6, guidance=2.0, fuse=True)
        shot.read(torch.randn(1, 5, 32).to(ELSEWHERE))
        for _ in range(3):  # the last rolls the window
            shot.finish(few_step(shot.flow, draw, timesteps=(1000.0, 740.0)))
        with pytest.raises(AssertionError, match="makes float64"):
            torch.zeros(1, device=ELSEWHERE).double()


@pytest.mark.parametrize("condition_time", ["zero", "same"])
def test_the_teacher(model: Transformer, context: ContextFrames, condition_time: str) -> None:
    caption = torch.randn(1, 5, 32).to(ELSEWHERE)
    shot = teacher_shot(model, context, caption, frames=3, guidance=2.0, condition_time=condition_time)  # type: ignore[arg-type]
    assert euler(shot.flow, draw, timesteps=(1000.0, 500.0, 0.0)).device == ELSEWHERE


def test_recorded_tensors_as_verify_replays_them(model: Transformer) -> None:
    """Timesteps and indices are read from a file and stay on the CPU."""
    flow = model(
        torch.randn(1, 6, *SHAPE).to(ELSEWHERE),
        torch.full((1, 6), 500.0),
        torch.randn(1, 2, 5, 32).to(ELSEWHERE),
        caption_index=torch.tensor([[0, 0, 0, 1, 1, 1]]),
        shot_index=torch.tensor([[0, 0, 0, 1, 1, 1]]),
        layout=block_causal(3, 3, 3),
    )
    assert flow.device == ELSEWHERE


@pytest.mark.parametrize("light", [False, True])
def test_the_codec_takes_what_it_is_given(fake: None, light: bool) -> None:
    from diffusers import AutoencoderKLWan

    geometry = TINY_WAN.geometry
    with ELSEWHERE:
        vae, network = AutoencoderKLWan(base_dim=4), TinyNetwork(16, (8, 8, 4, 4))
    codec = WanVideoCodec(vae, geometry, (lambda: TinyDecoder(network)) if light else None)
    pictures = torch.rand(2, 3, geometry.height, geometry.width)
    assert codec.encode_images(pictures).device == ELSEWHERE
    decoder = codec.decoder()
    for place in ("cpu", ELSEWHERE):
        assert decoder.push(torch.randn(1, 3, *SHAPE, device=place)).device == ELSEWHERE
