"""The memory plan against a count of what really is held, and what it does when there is too little."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from memory_count import MemoryCount
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from shotstream.checkpoints.codec_weights import READER
from shotstream.checkpoints.memory_plan import LoadOptions, MemoryPlan, plan_memory, plan_of, refuse_what_does_not_fit
from shotstream.codecs import tiny_decoder, wan_vae
from shotstream.codecs.tiny_decoder import TinyDecoder, TinyNetwork
from shotstream.core.errors import InputError, WeightsError
from shotstream.families.preset import Preset
from shotstream.families.wan import WAN_1_3B, find, published_sizes
from shotstream.models import attention
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.prompts import Branches, PromptCache
from shotstream.tools.bench.setups import GappedCaches

CUDA = torch.device("cuda")


def asked(free: float | None = None, **others: Any) -> LoadOptions:
    dtype = others.pop("dtype", torch.bfloat16)
    return LoadOptions(device=CUDA, dtype=dtype, free=None if free is None else int(free * 1e9), **others)


def plan(free: float | None = None, preset: Preset = WAN_1_3B, **others: Any) -> MemoryPlan:
    return plan_memory(preset, published_sizes, asked(free, **others))


class BlankText:
    """A text encoder of the published width that says nothing."""

    text_len, text_dim = 512, 4096

    def encode(self, captions: Sequence[str]) -> Tensor:
        return torch.empty(len(captions), self.text_len, self.text_dim)

    def lost_words(self, text: str) -> list[str]:
        return []

    def unknown_words(self, text: str) -> list[str]:
        return []


def held_by_a_shot(preset: Preset, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Bytes of a whole shot's caches, and the most held beside weights and caches, counted on fake tensors."""
    monkeypatch.setitem(attention._KERNELS, "sdpa", lambda q, *_: torch.empty_like(q))  # a fused kernel holds nothing
    geometry, count, prompts = preset.geometry, MemoryCount(), [str(number) for number in range(8)]
    kept = geometry.context_frames
    with FakeTensorMode(), torch.no_grad(), count:
        model = Transformer(preset.transformer, backend="sdpa").narrow_(dtype).requires_grad_(False)
        reader = PromptCache(model, BlankText(), Branches(1), kept=kept + 2)
        context = ContextFrames(
            latents=torch.empty(1, kept, *geometry.latent_shape),
            shot_index=torch.arange(kept),
            captions=torch.empty(1, kept, 512, preset.transformer.text_dim),
            caption_index=torch.arange(kept),
        )
        gc.collect()
        before, count.peak = count.live, 0
        for prompt in prompts:
            reader.read([prompt])
        frames = geometry.max_blocks * geometry.block_frames
        # its caches as they are on a GPU
        shot = GappedCaches(model, context, max_frames=frames, fuse=True, captions=reader.read(prompts[:kept]))
        shot.read(reader.read(prompts[-1:]))
        for _ in range(geometry.max_blocks):
            block = torch.empty(1, geometry.block_frames, *geometry.latent_shape)
            shot.flow(block, 500.0)
            shot.finish(block)
    return shot.context_cache.bytes, count.peak - before - shot.context_cache.bytes


@pytest.mark.parametrize("size", ["832x480", "512x288"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_plan_of_a_shot_is_what_a_shot_holds(
    size: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three layers of the published width: work space does not grow with depth, caches and captions do evenly."""
    shallow = WAN_1_3B.transformer.model_copy(update={"layers": 3})
    preset = WAN_1_3B.model_copy(update={"transformer": shallow}).sized(size)
    caches, work = held_by_a_shot(preset, dtype, monkeypatch)
    planned = plan(preset=preset, dtype=dtype)
    assert planned.caches == caches
    assert work <= planned.captions + planned.activations <= 1.35 * work


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("light", [False, True])
def test_the_plan_of_a_codec_is_what_it_holds(light: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import AutoencoderKLWan

    geometry, count = WAN_1_3B.sized("256x160").geometry, MemoryCount()
    module = tiny_decoder if light else wan_vae
    default = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        with FakeTensorMode(), torch.no_grad(), count:
            if light:
                decoder: Any = TinyDecoder(TinyNetwork(16, (256, 128, 64, 64)))
            else:
                codec = wan_vae.WanVideoCodec(AutoencoderKLWan(), geometry)
                decoder = codec.decoder()
            gc.collect()
            before = count.live
            for _ in range(3):
                gc.collect()
                count.peak = 0
                decoder.push(torch.empty(1, 2, *geometry.latent_shape))
            gc.collect()
            work, carried = count.peak - before, count.live - before
            if not light:
                count.peak, now = 0, count.live
                codec.encode_images(torch.empty(6, 3, geometry.height, geometry.width))
                assert count.peak - now < work
    finally:
        torch.set_default_dtype(default)
    numbers = geometry.width * geometry.height * dtype.itemsize
    assert 0.8 * work <= module.WORK_PER_PIXEL * numbers <= 1.2 * work
    assert 0.9 * carried <= module.CARRIED_PER_PIXEL * numbers <= 1.2 * carried


def test_published_sizes_are_those_of_the_published_modules() -> None:
    from diffusers import AutoencoderKLWan
    from transformers import UMT5Config, UMT5EncoderModel

    xxl = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    with torch.device("meta"):
        vae, text = AutoencoderKLWan(), UMT5EncoderModel(UMT5Config(**xxl, feed_forward_proj="gated-gelu"))
    sizes = published_sizes(WAN_1_3B.geometry, torch.bfloat16, False)
    assert sizes.video == 2 * sum(one.numel() for one in vae.parameters())
    assert sizes.text == 2 * sum(one.numel() for one in text.parameters())
    layer = 2 * sum(one.numel() for one in text.encoder.block[0].parameters())
    assert layer < sizes.text_layer < 3 * layer


def test_places_are_given_up_one_by_one_as_memory_shrinks() -> None:
    found = {free: plan(free) for free in (40, 24, 17, 12, 9)}
    places = {free: (one.text_placement, one.cache_place) for free, one in found.items()}
    assert places == {
        40: ("device", "device"),
        24: ("streamed", "device"),
        17: ("streamed", "device"),
        12: ("streamed", "host"),
        9: ("streamed", "host"),
    }
    assert all(one.fits for one in found.values())
    assert not plan(8).fits and plan(8, light_decoder=True).fits
    assert all("832x480" in one.lines()[0] for one in found.values())
    assert found[12].in_main_memory == found[12].text_encoder + found[12].caches
    assert plan(None).text_placement == "device"  # nobody knows: nothing is given up
    cpu = plan_memory(WAN_1_3B, published_sizes, LoadOptions(device=torch.device("cpu"), dtype=torch.bfloat16, free=1))
    assert (cpu.text_placement, cpu.cache_place, cpu.fits) == ("cpu", "device", False)


def test_an_apple_gpu_is_planned_for_in_the_memory_it_shares() -> None:
    """No cache is moved out of it, for there is nowhere else; and float32, which it runs in unasked, is advised
    against."""
    mps = LoadOptions(device=torch.device("mps"), dtype=torch.float32, free=int(16e9))
    found = plan_memory(WAN_1_3B, published_sizes, mps)
    assert (found.text_placement, found.cache_place, found.fits) == ("streamed", "device", False)
    with pytest.raises(InputError, match=r"on mps, 16\.0 GB are free; try .*--size "):
        refuse_what_does_not_fit(found, WAN_1_3B, published_sizes, mps)
    small = WAN_1_3B.sized("640x368")
    with pytest.raises(InputError, match=r"try .*--dtype bfloat16 \(") as caught:
        refuse_what_does_not_fit(plan_memory(small, published_sizes, mps), small, published_sizes, mps)
    assert plan_memory(small, published_sizes, replace(mps, dtype=torch.bfloat16)).fits, caught.value
    named: dict[str, Any] = {"device": "mps", "size": "512x288", "memory": 16, "light_decoder": False}
    half, whole = (plan_of("wan-1.3b", dtype=dtype, **named) for dtype in ("bfloat16", "auto"))
    assert (half.device, half.dtype, whole.dtype) == ("mps", "bfloat16", "float32")
    assert half.fits and half.cache_place == "device" and half.on_device < whole.on_device


def test_too_little_is_refused_with_advice_that_fits() -> None:
    small = plan(6)
    with pytest.raises(InputError, match=r"832x480 in bfloat16 needs .* GB on cuda, 6\.0 GB are free; try ") as caught:
        refuse_what_does_not_fit(small, WAN_1_3B, published_sizes, asked(6))
    said = str(caught.value)
    assert "--light-decoder" in said and "--size " in said
    size = said.split("--size ")[1].split()[0]
    assert plan(6, WAN_1_3B.sized(size)).fits and plan(6, light_decoder=True).fits
    with pytest.raises(InputError, match="a device with more memory"):
        refuse_what_does_not_fit(plan(1), WAN_1_3B, published_sizes, asked(1))
    refuse_what_does_not_fit(plan(24), WAN_1_3B, published_sizes, asked(24))
    assert plan(24, light_decoder=True).on_device < plan(24).on_device
    assert plan(24, teacher=True).caches == 0


def test_a_plan_by_name_needs_neither_weights_nor_device(home: Path, tiny_wan: Path) -> None:
    wanted: dict[str, Any] = {"device": "auto", "dtype": "auto", "size": "480x832", "light_decoder": False}
    found = plan_of("wan-1.3b", memory=16, **wanted)
    assert (found.width, found.height, found.device, found.dtype, found.free) == (
        480,
        832,
        "cuda",
        "bfloat16",
        16_000_000_000,
    )
    tiny = plan_of(str(tiny_wan), memory=16, **{**wanted, "size": None})
    assert tiny.on_device < 100_000_000
    with pytest.raises(InputError, match="no device is called 'gpu'"):
        plan_of("wan-1.3b", memory=16, **{**wanted, "device": "gpu"})
    with pytest.raises(InputError, match="plans are for large ones"):
        plan_of("storyworld", memory=None, **wanted)


def test_a_folder_with_half_of_the_codecs_is_named(tiny_wan: Path, tmp_path: Path) -> None:
    assert find(tmp_path, READER) is None
    (tmp_path / "vae").symlink_to(tiny_wan / "vae")
    with pytest.raises(WeightsError, match="lacks text_encoder/, tokenizer/"):
        find(tmp_path, READER)
