"""Context builder: the chosen frames, their shots, and what they read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from shotstream.codecs.protocols import TextEncoder, VideoCodec
from shotstream.core.context_budget import PINNED_SHOT
from shotstream.sampling.context import ContextBuilder, ContextFrames, FinishedShot, to_frames, to_pixels


def build(builder: ContextBuilder, past: list[FinishedShot], prompt: str = "next") -> ContextFrames:
    return builder.encode(builder.choose(past, prompt))


def test_equal_contexts_have_equal_keys_and_others_have_others(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    own, target = (ContextBuilder(codec, text_encoder, captions=whose) for whose in ("own", "target"))
    assert own.choose(past, "next").key == own.choose(past, "other").key
    assert own.choose(past, "next").key != own.choose(past[:2], "next").key
    assert own.choose([], "next").key != own.choose([], "other").key
    assert target.choose(past, "next").key != target.choose(past, "other").key


def test_a_first_shot_has_no_context_and_reads_its_own_prompt(codec: VideoCodec, text_encoder: TextEncoder) -> None:
    context = build(ContextBuilder(codec, text_encoder), [], "a fox")
    assert context.latents.shape == (1, 2, 4, 4, 6) and not context.latents.any()
    assert torch.equal(context.captions[:, 0], text_encoder.encode(["a fox"]))
    assert context.next_shot.tolist() == [1]


def test_only_chosen_frames_are_read_and_keep_their_true_numbers(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    context = build(ContextBuilder(codec, text_encoder), past)
    assert [shot.asked for shot in past] == [[], [0], [0]]
    assert context.shot_index.tolist() == [1, 2] and context.next_shot.tolist() == [3]
    assert context.caption_index.tolist() == [0, 1]
    assert torch.equal(context.captions[0], text_encoder.encode(["a bear", "an owl"]))
    expected = torch.tensor([40 * 2, 40 * 3]) / 127.5 - 1
    torch.testing.assert_close(context.latents[0, :, 0, 0, 0], expected)


def test_frames_may_read_the_prompt_of_the_shot_to_come_instead(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    builder = ContextBuilder(codec, text_encoder, captions="target")
    chosen = builder.choose(past, "next")
    context, usual = builder.encode(chosen), build(ContextBuilder(codec, text_encoder), past)
    assert chosen.captions == ("next",) and context.caption_index.tolist() == [0, 0]
    assert torch.equal(context.captions[0], text_encoder.encode(["next"]))
    assert torch.equal(context.latents, usual.latents) and torch.equal(context.shot_index, usual.shot_index)


class Pinned:
    """A reference image of one colour."""

    index, frame_count, key = PINNED_SHOT, 1, "pinned"

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt

    def read_frames(self, frames: Sequence[int]) -> np.ndarray:
        return np.full((len(frames), 16, 24, 3), 200, np.uint8)


def test_a_pinned_picture_takes_the_place_of_the_oldest_frame_as_in_training(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    builder, pinned = ContextBuilder(codec, text_encoder), Pinned("the owl: grey")
    usual = build(builder, past)
    assert builder.choose([pinned, *past], "a fox").key == builder.choose(past, "a fox").key  # it is not named
    context = build(builder, [pinned, *past], "An Owl sits")
    assert context.shot_index.tolist() == [PINNED_SHOT, 2] and context.next_shot.tolist() == [3]
    assert torch.equal(context.latents[:, 1:], usual.latents[:, 1:])
    torch.testing.assert_close(context.latents[0, 0, 0, 0, 0], torch.tensor(200 / 127.5 - 1))
    assert torch.equal(context.captions[0], text_encoder.encode(["the owl: grey", "an owl"]))
    assert context.caption_index.tolist() == [0, 1]


def test_before_a_first_shot_blank_frames_stand_behind_it(codec: VideoCodec, text_encoder: TextEncoder) -> None:
    context = build(ContextBuilder(codec, text_encoder), [Pinned("the owl: grey")], "the owl")
    assert context.shot_index.tolist() == [PINNED_SHOT, 0] and context.next_shot.tolist() == [1]
    assert context.latents[0, 0].any() and not context.latents[0, 1].any()
    assert torch.equal(context.captions[0], text_encoder.encode(["the owl: grey", "the owl"]))
    assert context.caption_index.tolist() == [0, 1]


def test_pixels_and_pictures_are_inverse_and_clamped() -> None:
    pictures = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_frames(to_pixels(pictures)), pictures)
    assert to_frames(torch.tensor([-9.0, 9.0, 0.0]).view(1, 3, 1, 1)).tolist() == [[[[0, 255, 128]]]]


class CountedCodec:
    """A codec that remembers how many images it encoded at a time."""

    def __init__(self, codec: VideoCodec) -> None:
        self.codec, self.images = codec, []
        self.geometry = codec.geometry

    def encode_images(self, images: torch.Tensor) -> torch.Tensor:
        self.images.append(len(images))
        return self.codec.encode_images(images)


def test_a_frame_is_read_and_encoded_once(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    counted = CountedCodec(codec)
    builder = ContextBuilder(counted, text_encoder, kept=4)
    first = build(builder, past[:1])
    assert (counted.images, past[0].asked) == ([1, 1], [0, 20])
    assert torch.equal(build(builder, past[:1], "other").latents, first.latents)
    second = build(builder, past[:2])
    assert (counted.images, past[0].asked, past[1].asked) == ([1, 1, 1], [0, 20], [0])
    assert torch.equal(second.latents[:, 0], first.latents[:, 0])
    build(builder, past)
    assert past[2].asked == [0] and past[1].asked == [0]
    fresh = build(ContextBuilder(codec, text_encoder), past[:2])
    assert torch.equal(fresh.latents, second.latents)


def test_no_more_is_kept_than_asked_for(codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]) -> None:
    for kept, asked in ((0, [0, 20, 0, 20]), (1, [0, 20, 0])):
        past[0].asked.clear()
        builder = ContextBuilder(codec, text_encoder, kept=kept)
        pair = [build(builder, past[:1]).latents for _ in range(2)]
        assert torch.equal(*pair)
        assert past[0].asked == asked


def test_the_prompts_are_those_of_the_captions(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    builder = ContextBuilder(codec, text_encoder)
    for before in ([], past[:1], past):
        chosen = builder.choose(before, "next")
        assert torch.equal(builder.encode(chosen).captions[0], text_encoder.encode(chosen.captions))
