"""What a student's own shots leave behind is exactly what the director would recall of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from shotstream.checkpoints.codec_weights import load_autoencoder, load_text_encoder
from shotstream.codecs.video_autoencoder import LightVideoCodec
from shotstream.core.context_budget import POLICIES
from shotstream.families.preset import ContextSettings, Preset
from shotstream.sampling.context import ContextBuilder, to_frames
from shotstream.training.stages.inter_shot import RolledHistory

PROMPTS = ("a red fox in the snow", "it walks", "it sleeps in the forest", "a blue owl")


class PlayedShot:
    """A finished shot of a film: every frame is there."""

    def __init__(self, index: int, frames: np.ndarray) -> None:
        self.index, self.prompt, self.frame_count, self._frames = index, PROMPTS[index], len(frames), frames
        self.key = index

    def read_frames(self, frames: Sequence[int]) -> np.ndarray:
        return self._frames[list(frames)]


@pytest.fixture
def codec(tiny_model: Path) -> LightVideoCodec:
    geometry = Preset.model_validate_json((tiny_model / "preset.json").read_bytes()).geometry
    return LightVideoCodec(load_autoencoder(tiny_model / "autoencoder.safetensors"), geometry)


@pytest.mark.parametrize("settings", [ContextSettings(), ContextSettings(policy="first-last", captions="target")])
@pytest.mark.parametrize("shots", [0, 1, 2, 3])
def test_it_is_the_directors_context(
    shots: int, settings: ContextSettings, codec: LightVideoCodec, tiny_model: Path
) -> None:
    text = load_text_encoder(tiny_model / "text_encoder.safetensors")
    generator = torch.Generator().manual_seed(0)
    history, played = RolledHistory(codec, settings), []
    for shot in range(shots):
        latents = torch.randn(1, 3 * (1 + shot % 2), *codec.geometry.latent_shape, generator=generator)
        history.add(latents, text.encode([PROMPTS[shot]]))
        played.append(PlayedShot(shot, to_frames(codec.decode(latents)[0])))
    restored = RolledHistory(codec, settings)
    restored.restore(history.extra_state())
    builder = ContextBuilder(codec, text, POLICIES[settings.policy], captions=settings.captions)
    expected = builder.encode(builder.choose(played, PROMPTS[shots]))
    for ours in (history.context(text.encode([PROMPTS[shots]])), restored.context(text.encode([PROMPTS[shots]]))):
        torch.testing.assert_close(ours.latents, expected.latents)
        torch.testing.assert_close(ours.captions, expected.captions)
        assert torch.equal(ours.shot_index, expected.shot_index)
        assert torch.equal(ours.caption_index, expected.caption_index)
