"""Two paths, one truth: whole sequences with a layout, and passes over caches, must agree."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor

from shotstream.models.caches import (
    CaptionCache,
    ContextCache,
    DenseStorage,
    GradientStorage,
    KeyValueStorage,
    ShotCache,
    Storage,
)
from shotstream.models.config import TransformerConfig
from shotstream.models.rope import rotary_angles, rotation
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import block_causal, clean_and_noisy, clean_then_noisy, everything, next_shot

CONDITION, FRAMES, BLOCK, TOKENS = 2, 6, 3, 6  # TOKENS per frame of 4 x 6 latents


def exactly(ours: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(ours, other, atol=2e-5, rtol=2e-5)


class Story:
    """A shot of two blocks behind two condition frames, one timestep per frame."""

    def __init__(self, batch: int = 1) -> None:
        torch.manual_seed(1)
        frames = CONDITION + FRAMES
        self.latents = torch.randn(batch, frames, 4, 4, 6)
        self.captions = torch.randn(batch, 3, 5, 8)
        self.timesteps = torch.tensor([0.0, 0, 700, 700, 700, 300, 300, 300]).expand(batch, -1)
        self.index = torch.tensor([0, 1, 2, 2, 2, 2, 2, 2])

    def run(self, model: Transformer, frames: slice = slice(None), **options: object) -> Tensor:
        """A pass over ``frames`` with everything else as it is."""
        return model(
            self.latents[:, frames],
            self.timesteps[:, frames],
            self.captions,
            caption_index=self.index[frames],
            shot_index=self.index[frames],
            positions=torch.arange(CONDITION + FRAMES)[frames],
            **options,
        )


def memory(config: TransformerConfig, kind: str) -> Storage:
    if kind == "gradient":
        return GradientStorage(config.layers)
    return (DenseStorage if kind == "dense" else KeyValueStorage).allocate(
        config, batch=1, capacity=(CONDITION + FRAMES) * TOKENS, device=torch.device("cpu"), dtype=torch.float32
    )


@pytest.mark.parametrize("kind", ["preallocated", "dense", "gradient"])
@torch.no_grad()
def test_block_by_block_over_caches_equals_the_masked_pass(model: Transformer, kind: str) -> None:
    story = Story()
    masked = story.run(model, layout=block_causal(CONDITION, FRAMES, BLOCK))
    context = ContextCache(memory(model.config, kind))
    parts = [story.run(model, slice(0, CONDITION), cache=context)]
    context.commit(CONDITION * TOKENS)
    shot = ShotCache(context)
    for start in range(CONDITION, CONDITION + FRAMES, BLOCK):
        story.run(model, slice(start, start + BLOCK), cache=shot)  # a pass without commit leaves no trace
        parts.append(story.run(model, slice(start, start + BLOCK), cache=shot))
        shot.commit(BLOCK * TOKENS)
    exactly(torch.cat(parts, dim=1), masked)


@torch.no_grad()
def test_a_causal_model_that_sees_everything_is_the_bidirectional_one(model: Transformer) -> None:
    story = Story()
    exactly(story.run(model, layout=block_causal(0, 8, 8)), story.run(model))
    exactly(story.run(model, layout=everything(8)), story.run(model))


@pytest.mark.parametrize("kind", ["preallocated", "dense", "gradient"])
@torch.no_grad()
def test_refresh_and_first_step_in_one_pass_equal_two_passes(model: Transformer, kind: str) -> None:
    story = Story()
    first, second, both = slice(2, 5), slice(5, 8), slice(2, 8)
    contexts = []
    for _ in range(2):
        contexts.append(ContextCache(memory(model.config, kind)))
        story.run(model, slice(0, CONDITION), cache=contexts[-1])
        contexts[-1].commit(CONDITION * TOKENS)
    apart, fused = (ShotCache(context) for context in contexts)
    story.run(model, first, cache=apart)
    apart.commit(BLOCK * TOKENS)
    expected = story.run(model, second, cache=apart)
    ours = story.run(model, both, cache=fused, layout=clean_then_noisy(BLOCK, BLOCK))
    fused.commit(BLOCK * TOKENS)
    exactly(ours[:, BLOCK:], expected)
    for kept, other in zip(fused.tensors(), apart.tensors(), strict=True):
        exactly(torch.stack(kept), torch.stack(other))


@torch.no_grad()
def test_clean_and_noisy_training_equals_streaming(model: Transformer) -> None:
    """Noisy blocks behind clean history in one sequence == cached passes that remember the clean blocks."""
    story = Story()
    clean = torch.randn_like(story.latents[:, CONDITION:])
    frames = torch.cat([torch.arange(CONDITION + FRAMES), torch.arange(CONDITION, CONDITION + FRAMES)])
    sequence = model(
        torch.cat([story.latents[:, :CONDITION], clean, story.latents[:, CONDITION:]], dim=1),
        torch.cat([torch.zeros(1, CONDITION + FRAMES), story.timesteps[:, CONDITION:]], dim=1),
        story.captions,
        caption_index=story.index[frames],
        shot_index=story.index[frames],
        positions=frames,
        layout=clean_and_noisy(CONDITION, FRAMES, BLOCK),
    )
    context = ContextCache(memory(model.config, "preallocated"))
    story.run(model, slice(0, CONDITION), cache=context)
    context.commit(CONDITION * TOKENS)
    shot = ShotCache(context)
    for start in (CONDITION, CONDITION + BLOCK):
        block = slice(start, start + BLOCK)
        exactly(sequence[:, start + FRAMES : start + FRAMES + BLOCK], story.run(model, block, cache=shot))
        remembered = Story()
        remembered.latents = torch.cat([story.latents[:, :CONDITION], clean], dim=1)
        remembered.timesteps = torch.zeros_like(story.timesteps)
        remembered.run(model, block, cache=shot)
        shot.commit(BLOCK * TOKENS)


@torch.no_grad()
def test_a_batch_is_its_samples(model: Transformer) -> None:
    story = Story(batch=2)
    index = torch.stack([story.index, torch.tensor([0, 0, 1, 1, 1, 1, 1, 1])])
    options = {"layout": next_shot(CONDITION, FRAMES)}
    both = model(story.latents, story.timesteps, story.captions, caption_index=index, shot_index=index + 3, **options)
    for i in range(2):
        one = model(
            story.latents[i, None],
            story.timesteps[i, None],
            story.captions[i, None],
            caption_index=index[i],
            shot_index=index[i] + 3,
            **options,
        )
        exactly(both[i, None], one)


@torch.no_grad()
def test_captions_encoded_once_serve_every_pass(model: Transformer) -> None:
    story = Story()
    expected = story.run(model)
    cached = model.encode_captions(story.captions)
    ours = model(story.latents, story.timesteps, cached, caption_index=story.index, shot_index=story.index)
    assert torch.equal(ours, expected)


@torch.no_grad()
def test_a_frame_reads_its_own_caption_and_no_other(model: Transformer) -> None:
    story = Story()
    layout = next_shot(CONDITION, FRAMES)
    before = story.run(model, layout=layout)
    story.captions[:, 2] += 1  # the new shot's
    after = story.run(model, layout=layout)
    assert torch.equal(before[:, :CONDITION], after[:, :CONDITION])
    assert not torch.allclose(before[:, CONDITION:], after[:, CONDITION:])


@torch.no_grad()
def test_phase_and_caption_are_two_fields(model: Transformer) -> None:
    story = Story()
    plain = story.run(model)
    shifted = model(
        story.latents, story.timesteps, story.captions, caption_index=story.index, shot_index=story.index * 2
    )
    assert not torch.allclose(plain, shifted)
    same_differences = model(
        story.latents, story.timesteps, story.captions, caption_index=story.index, shot_index=story.index + 5
    )
    exactly(same_differences, plain)  # rotary attention only sees differences of phase


def test_gradients_flow_through_what_the_cache_remembers(model: Transformer) -> None:
    story = Story()
    story.latents.requires_grad_()
    context = ContextCache(GradientStorage(model.config.layers))
    story.run(model, slice(0, CONDITION), cache=context)
    context.commit(CONDITION * TOKENS)
    shot = ShotCache(context)
    story.run(model, slice(2, 5), cache=shot)
    shot.commit(BLOCK * TOKENS)
    story.run(model, slice(5, 8), cache=shot).square().sum().backward()
    cached = story.latents.grad
    assert cached is not None
    assert (cached.abs().sum((0, 2, 3, 4)) > 0).all()
    story.latents.grad = None
    masked = story.run(model, layout=block_causal(CONDITION, FRAMES, BLOCK))
    masked[:, 5:].square().sum().backward()
    exactly(cached, story.latents.grad)


def test_bfloat16_is_close_under_autocast_and_with_narrow_weights(model: Transformer) -> None:
    story = Story()
    exact = story.run(model)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = story.run(model)
    mixed.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    narrow = story.run(model.narrow_(torch.bfloat16))
    for ours in (mixed, narrow):
        assert ours.dtype == torch.float32
        assert (ours - exact).norm() / exact.norm() < 2e-2
    assert model.dtype == torch.bfloat16
    assert {p.dtype for p in model.time_projection.parameters()} == {torch.float32}


def test_the_same_call_gives_the_same_bits(model: Transformer) -> None:
    with torch.no_grad():
        assert torch.equal(Story().run(model), Story().run(model))


@pytest.mark.parametrize("kind", [KeyValueStorage, DenseStorage])
def test_a_full_cache_says_how_much_was_needed(
    config: TransformerConfig, kind: type[KeyValueStorage] | type[DenseStorage]
) -> None:
    storage = kind.allocate(config, batch=1, capacity=4, device=torch.device("cpu"), dtype=torch.float32)
    k = torch.zeros(1, 3, config.heads, config.head_dim)
    cache = ContextCache(storage)
    cache.append(0, k, k)
    cache.commit(3)
    with pytest.raises(ValueError, match="holds 4 tokens; 6 were needed"):
        cache.append(0, k, k)
    cache.reset()
    assert cache.end == 0
    assert cache.bytes == 2 * 4 * config.layers * 4 * config.dim


def test_names_are_wans(model: Transformer) -> None:
    names = set(model.state_dict())
    expected = {"patch_embedding.weight", "head.head.weight", "head.modulation", "time_projection.1.weight"}
    expected |= {f"{part}.{i}.bias" for part in ("text_embedding", "time_embedding") for i in (0, 2)}
    layer = "blocks.1."
    expected |= {layer + "modulation", layer + "norm3.weight", layer + "ffn.0.weight", layer + "ffn.2.bias"}
    for attention in ("self_attn", "cross_attn"):
        expected |= {f"{layer}{attention}.{part}.weight" for part in ("q", "k", "v", "o", "norm_q", "norm_k")}
    assert expected <= names


@pytest.mark.filterwarnings("ignore")  # the compiler trips over warnings of its own
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_compiled_layers_compute_the_same(model: Transformer) -> None:
    """Training passes through the compiler; loss and gradients are those of the written-out layers."""
    story = Story()

    def gradients() -> tuple[Tensor, list[Tensor]]:
        flow = model(
            story.latents, story.timesteps, story.captions, caption_index=story.index[:2], shot_index=story.index
        )
        return flow, list(torch.autograd.grad(flow.square().sum(), list(model.parameters())))

    plain, plain_gradients = gradients()
    model.compile_layers()
    compiled, compiled_gradients = gradients()
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(compiled_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_frames_behind_the_caption_index_read_the_last_caption(model: Transformer) -> None:
    story = Story(batch=2)
    options = {"shot_index": story.index}
    named = model(story.latents, story.timesteps, story.captions, caption_index=story.index, **options)
    short = model(story.latents, story.timesteps, story.captions, caption_index=story.index[:2], **options)
    exactly(short, named)


@torch.no_grad()
def test_a_rotation_worked_out_before_is_the_one_worked_out_here(model: Transformer) -> None:
    story = Story()
    angles = rotary_angles(torch.arange(CONDITION + FRAMES), story.index, 2, 3, model.config)
    rotations = rotation(angles, torch.device("cpu"))
    for frames in (slice(0, 8), slice(2, 5)):
        tokens = slice(frames.start * TOKENS, frames.stop * TOKENS)
        ours = model(
            story.latents[:, frames],
            story.timesteps[:, frames],
            story.captions,
            caption_index=story.index[frames],
            rotations=rotations[tokens],
        )
        assert torch.equal(ours, story.run(model, frames))


@torch.no_grad()
def test_a_network_that_predicts_clean_latents_gives_their_flow_frame_by_frame(model: Transformer) -> None:
    story = Story(batch=2)
    head = story.run(model)
    clean = Transformer(model.config.model_copy(update={"prediction": "x0", "x0_sigma": 0.4}))
    clean.load_state_dict(model.state_dict())
    flow = story.run(clean)
    for frame, sigma in enumerate(story.timesteps[0].tolist()):
        held = max(sigma / 1000, 0.4)
        exactly(flow[:, frame], (story.latents[:, frame] - head[:, frame]) / held)


def padded(lengths: tuple[int, ...], room: int) -> Tensor:
    """Captions [1, S, room, 8] of so many tokens each, zeros behind them; the same tokens whatever the room."""
    captions = torch.zeros(1, len(lengths), room, 8)
    for place, length in enumerate(lengths):
        captions[0, place, :length] = torch.randn(length, 8, generator=torch.Generator().manual_seed(place))
    return captions


@torch.no_grad()
def test_hidden_padding_is_as_if_it_were_not_there(model: Transformer) -> None:
    story = Story()
    hiding = Transformer(model.config.model_copy(update={"caption_padding": "hidden"})).eval()
    hiding.load_state_dict(model.state_dict())
    made = []
    for room in (5, 9):
        story.captions = padded((2, 5, 3), room)
        made.append(story.run(hiding))
    exactly(*made)
    # A caption alone, cut to its own length, is what a model reads that knows of no padding.
    story.captions, story.index = padded((3,), 9), torch.zeros(CONDITION + FRAMES, dtype=torch.long)
    ours = story.run(hiding)
    story.captions = story.captions[:, :, :3]
    exactly(ours, story.run(model))
    # Layers that are compiled for each shape see few lengths.
    hiding.compile_layers()
    assert hiding.encode_captions(padded((3, 5), 9)).keys[0].shape[2] == 9
    assert [hiding.encode_captions(padded((said,), 80)).keys[0].shape[2] for said in (3, 32, 33)] == [32, 32, 64]


@torch.no_grad()
def test_captions_of_other_lengths_read_alone_serve_together(model: Transformer) -> None:
    story = Story()
    hiding = Transformer(model.config.model_copy(update={"caption_padding": "hidden"})).eval()
    hiding.load_state_dict(model.state_dict())
    captions = padded((2, 5, 3), 9)
    story.captions = captions
    expected = story.run(hiding)
    alone = [hiding.encode_captions(captions[:, place, None]) for place in range(3)]
    assert [one.keys[0].shape[2] for one in alone] == [2, 5, 3] and alone[0].bias is None
    story.captions = CaptionCache.joined(alone, dim=1)  # type: ignore[assignment]
    exactly(story.run(hiding), expected)
    both = CaptionCache.joined([alone[1], hiding.encode_captions(torch.zeros(1, 1, 9, 8))], dim=0)
    assert both.keys[0].shape[:3] == (2, 1, 5)
    story.captions = both  # type: ignore[assignment]
    story.index = torch.zeros(CONDITION + FRAMES, dtype=torch.long)
    story.latents, story.timesteps = story.latents.repeat(2, 1, 1, 1, 1), story.timesteps.repeat(2, 1)
    together = story.run(hiding)
    for place, one in enumerate((captions[:, 1, None, :5], torch.zeros(1, 1, 1, 8))):
        half = model(
            story.latents[:1],
            story.timesteps[:1],
            one,
            shot_index=story.index,
            positions=torch.arange(CONDITION + FRAMES),
        )
        exactly(together[place, None], half)
