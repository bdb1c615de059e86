"""A shot that outgrows its window, and one whose prompt changes: what the caches hold then."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from shotstream.core.geometry import Geometry
from shotstream.models.transformer import Transformer
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.streaming import StreamingShot


@pytest.fixture
def blocks(geometry: Geometry) -> list[Tensor]:
    torch.manual_seed(5)
    return [torch.randn(1, geometry.block_frames, *geometry.latent_shape) for _ in range(6)]


def play(shot: StreamingShot, blocks: list[Tensor]) -> Tensor:
    """Finish every block as given; returns the flow of the last."""
    for block in blocks:
        flow = shot.flow(block, 500)
        shot.finish(block)
    return flow


def short(model: Transformer, context: ContextFrames, caption: Tensor, blocks: int, **options: bool) -> StreamingShot:
    shot = StreamingShot(model, context, max_frames=3 * blocks, **options)
    shot.read(caption)
    return shot


@torch.no_grad()
def test_nothing_changes_while_there_is_room(model, context, caption, blocks) -> None:
    roomy = play(short(model, context, caption, 9), blocks[:4])
    assert torch.equal(play(short(model, context, caption, 4), blocks[:4]), roomy)


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_the_window_keeps_sinks_and_the_latest_at_positions_it_was_trained_for(
    model, context, caption, blocks, guidance
) -> None:
    """The first layer's keys depend on nothing but a block and its position: they must be those of a fresh shot."""
    rolled, fresh = (StreamingShot(model, context, max_frames=12, guidance=guidance) for _ in range(2))
    for shot in (rolled, fresh):
        shot.read(caption)
    play(rolled, blocks)
    play(fresh, [blocks[0], *blocks[3:]])
    for ours, theirs in zip(rolled.shot_cache.tensors(), fresh.shot_cache.tensors(), strict=True):
        torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-5)
        assert ours[1].shape == theirs[1].shape
    assert (rolled.frames, fresh.frames) == (12, 12)


@torch.no_grad()
def test_a_changed_prompt_is_as_if_it_had_been_there_all_along(model, context, caption, blocks) -> None:
    changed, always = short(model, context, caption, 4), short(model, context, 2 * caption, 4)
    play(changed, blocks[:3])
    changed.change(2 * caption)
    play(always, blocks[:3])
    assert torch.equal(changed.flow(blocks[3], 500), always.flow(blocks[3], 500))


@torch.no_grad()
def test_a_change_in_a_rolled_window(model, context, caption, blocks) -> None:
    changed, always = short(model, context, caption, 4), short(model, context, 2 * caption, 4)
    play(changed, blocks[:5])
    changed.change(2 * caption)
    play(always, [blocks[0], *blocks[2:5]])
    always.change(2 * caption)
    torch.testing.assert_close(changed.flow(blocks[5], 500), always.flow(blocks[5], 500), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_fused_pass_rolls_too(model, context, caption, blocks) -> None:
    plain, fused = (play(short(model, context, caption, 4, fuse=fuse), blocks) for fuse in (False, True))
    torch.testing.assert_close(plain, fused, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("refresh", [True, False])
@pytest.mark.parametrize("size", [2, 3])
def test_the_latest_block_is_never_forgotten(model, context, caption, blocks, size, refresh) -> None:
    rolled, fresh = (short(model, context, caption, size, refresh=refresh) for _ in range(2))
    play(rolled, blocks)
    play(fresh, [*blocks[:1], *blocks[-2:]][-size:])
    for ours, theirs in zip(rolled.shot_cache.tensors(), fresh.shot_cache.tensors(), strict=True):
        torch.testing.assert_close(ours[0], theirs[0], atol=1e-5, rtol=1e-5)
    assert rolled.frames == fresh.frames == 3 * size


@torch.no_grad()
def test_a_window_of_one_block_says_so(model, context, caption, blocks) -> None:
    with pytest.raises(ValueError, match="cannot roll"):
        play(short(model, context, caption, 1), blocks)


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_caches_in_main_memory_hold_the_same(model, context, caption, blocks, guidance) -> None:
    """Through a full window and beyond it, and through a change of the prompt."""
    here, there = (
        StreamingShot(model, context, max_frames=12, guidance=guidance, cache_place=place)
        for place in ("device", "host")
    )
    for shot in (here, there):
        shot.read(caption)
    assert torch.equal(play(here, blocks), play(there, blocks))
    for shot in (here, there):
        shot.change(2 * caption)
    assert torch.equal(here.flow(blocks[0], 500), there.flow(blocks[0], 500))
    for ours, theirs in zip(here.shot_cache.tensors(), there.shot_cache.tensors(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
