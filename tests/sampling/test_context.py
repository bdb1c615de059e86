"""Context memory: the chosen frames, their shots, and what they read."""

from __future__ import annotations

import numpy as np
import torch

from shotstream.sampling.context import ContextMemory, to_pictures, to_pixels


def test_a_first_shot_remembers_nothing_and_reads_its_own_prompt(codec: VideoCodec, text_encoder: TextEncoder) -> None:
    context = ContextMemory(codec, text_encoder).recall([], "a fox")
    assert context.latents.shape == (1, 2, 4, 4, 6) and not context.latents.any()
    assert torch.equal(context.captions[:, 0], text_encoder.encode(["a fox"]))
    assert context.next_shot.tolist() == [1]


def test_only_chosen_frames_are_read_and_keep_their_true_numbers(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    context = ContextMemory(codec, text_encoder).recall(past, "next")
    assert [shot.asked for shot in past] == [[], [0], [0]]
    assert context.shot_index.tolist() == [1, 2] and context.next_shot.tolist() == [3]
    assert context.caption_index.tolist() == [0, 1]
    assert torch.equal(context.captions[0], text_encoder.encode(["a bear", "an owl"]))
    expected = torch.tensor([40 * 2, 40 * 3]) / 127.5 - 1
    torch.testing.assert_close(context.latents[0, :, 0, 0, 0], expected)


def test_frames_may_read_the_prompt_of_the_shot_to_come_instead(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    memory = ContextMemory(codec, text_encoder, captions="target")
    context, texts = memory.recall_texts(past, "next")
    usual = ContextMemory(codec, text_encoder).recall(past, "next")
    assert texts == ["next"] and context.caption_index.tolist() == [0, 0]
    assert torch.equal(context.captions[0], text_encoder.encode(["next"]))
    assert torch.equal(context.latents, usual.latents) and torch.equal(context.shot_index, usual.shot_index)


def test_pixels_and_pictures_are_inverse_and_clamped() -> None:
    pictures = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_pictures(to_pixels(pictures)), pictures)
    assert to_pictures(torch.tensor([-9.0, 9.0, 0.0]).view(1, 3, 1, 1)).tolist() == [[[[0, 255, 128]]]]


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
    memory = ContextMemory(counted, text_encoder, kept=4)
    first = memory.recall(past[:1], "next")
    assert (counted.images, past[0].asked) == ([1, 1], [0, 20])
    assert torch.equal(memory.recall(past[:1], "other").latents, first.latents)
    second = memory.recall(past[:2], "next")
    assert (counted.images, past[0].asked, past[1].asked) == ([1, 1, 1], [0, 20], [0])
    assert torch.equal(second.latents[:, 0], first.latents[:, 0])
    memory.recall(past, "next")
    assert past[2].asked == [0] and past[1].asked == [0]
    fresh = ContextMemory(codec, text_encoder).recall(past[:2], "next")
    assert torch.equal(fresh.latents, second.latents)


def test_no_more_is_kept_than_asked_for(codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]) -> None:
    for kept, asked in ((0, [0, 20, 0, 20]), (1, [0, 20, 0])):
        past[0].asked.clear()
        memory = ContextMemory(codec, text_encoder, kept=kept)
        pair = [memory.recall(past[:1], "next").latents for _ in range(2)]
        assert torch.equal(*pair)
        assert past[0].asked == asked


def test_the_prompts_are_those_of_the_captions(
    codec: VideoCodec, text_encoder: TextEncoder, past: list[FinishedShot]
) -> None:
    memory = ContextMemory(codec, text_encoder)
    for before in ([], past[:1], past):
        frames, texts = memory.recall_texts(before, "next")
        assert torch.equal(frames.captions[0], text_encoder.encode(texts))
