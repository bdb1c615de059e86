"""Recognisers look at what a student predicts: at the right moment, in the right place, for the right answers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from shotstream.checkpoints.codec_weights import load_autoencoder
from shotstream.codecs.video_autoencoder import LightVideoCodec, fitted
from shotstream.core.errors import InputError
from shotstream.data.recognition.network import Recogniser, RecogniserConfig, load_recogniser, save_recogniser
from shotstream.data.world.render import render_shot
from shotstream.families.storyworld import STORYWORLD
from shotstream.sampling.context import ContextFrames
from shotstream.training.data.material import MaterialSettings, find_weights
from shotstream.training.data.next_shot_batches import NextShotBatch
from shotstream.training.data.story_sources import WorldStories
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.methods.recognition_loss import RecognitionLoss, RecognitionSettings
from shotstream.training.stages.causal_flow import CausalFlowRecipe

GEOMETRY = STORYWORLD.geometry
STORIES = WorldStories(seed=5, split="train", decoded_share=0.0, preset=STORYWORLD)
BLOCKS = 2
SHOTS = ((0, 0), (1, 1), (2, 0))


@pytest.fixture(scope="module")
def codec() -> LightVideoCodec:
    return LightVideoCodec(fitted(load_autoencoder(find_weights("bundled", "autoencoder")), GEOMETRY), GEOMETRY)


@pytest.fixture(scope="module")
def recognisers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The packaged ones with a grain of noise: they read as well, and are another file."""
    network, _ = load_recogniser(find_weights("bundled", "recognisers"))
    with torch.no_grad():
        network.to_place.bias.add_(0.01)
    path = tmp_path_factory.mktemp("weights") / "recognisers.safetensors"
    save_recogniser(network, path, {})
    return str(path)


@pytest.fixture(scope="module")
def batch(codec: LightVideoCodec) -> NextShotBatch:
    """True shots; the last one's caption is dropped."""
    frames = GEOMETRY.shot_frames(BLOCKS)
    size = {"width": GEOMETRY.width, "height": GEOMETRY.height, "fps": GEOMETRY.fps}
    videos = [render_shot(STORIES.story(story), shot, frames=frames, **size)[0] for story, shot in SHOTS]
    pixels = torch.stack([torch.from_numpy(video) for video in videos]).permute(0, 1, 4, 2, 3) / 127.5 - 1
    captions = torch.ones(len(SHOTS), 4, 8)
    captions[-1] = 0
    index = torch.zeros(len(SHOTS), GEOMETRY.context_frames, dtype=torch.long)
    latents = torch.zeros(len(SHOTS), GEOMETRY.context_frames, *GEOMETRY.latent_shape)
    context = ContextFrames(latents=latents, shot_index=index, captions=captions[:, None], caption_index=index)
    return NextShotBatch(context, captions, codec.encode(pixels), shots=SHOTS)


def test_true_latents_are_read_rightly_and_foreign_ones_are_not(
    recognisers: str, codec: LightVideoCodec, batch: NextShotBatch
) -> None:
    look = RecognitionLoss(RecognitionSettings(recognisers=recognisers, moments=2), STORIES, codec)
    for seed in range(4):  # both blocks of the shots are looked at
        loss, metrics = look(random.Random(seed), batch, batch.target, batch.target)
        assert metrics["features"] == 0 and metrics["answers"] < 0.4
        assert float(loss) == pytest.approx(0.1 * metrics["answers"])
        _, foreign = look(random.Random(seed), batch, batch.target.roll(1, dims=0), batch.target)
        assert foreign["answers"] > 3 * metrics["answers"] and foreign["features"] > 0.1


def test_descending_it_mends_what_is_looked_at_and_nothing_else(
    recognisers: str, codec: LightVideoCodec, batch: NextShotBatch
) -> None:
    look = RecognitionLoss(RecognitionSettings(recognisers=recognisers, answers=1, features=1), STORIES, codec)
    x0 = (0.5 * batch.target).requires_grad_()
    loss, before = look(random.Random(3), batch, x0, batch.target)
    (gradient,) = torch.autograd.grad(loss, x0)
    size = GEOMETRY.block_frames
    blocks = gradient.unflatten(1, (BLOCKS, size)).flatten(2).abs().sum(-1)
    assert (blocks[:2] > 0).sum(1).tolist() == [1, 1]  # one block of each sample with a caption
    assert not blocks[2].any()
    better = (x0 - 0.01 * gradient / gradient.square().mean().sqrt()).detach()
    _, after = look(random.Random(3), batch, better, batch.target)
    assert after["answers"] < before["answers"] and after["features"] < before["features"]


def test_it_is_added_to_what_a_stage_has_of_its_own(
    recognisers: str, codec: LightVideoCodec, batch: NextShotBatch
) -> None:
    look = RecognitionLoss(RecognitionSettings(recognisers=recognisers, moments=2), STORIES, codec)
    seen, metrics = look(random.Random(5), batch, batch.target, batch.target)
    report = look.added_to(torch.tensor(2.0), random.Random(5), batch, batch.target, batch.target)
    assert float(report.loss) == pytest.approx(2 + float(seen)) and report.samples == len(SHOTS)
    assert report.metrics == {"own": 2.0, **metrics}


def test_judges_are_no_teachers(recognisers: str, codec: LightVideoCodec, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the packaged ones judge films"):
        RecognitionLoss(RecognitionSettings(recognisers="bundled"), STORIES, codec)
    small = tmp_path / "small.safetensors"
    save_recogniser(Recogniser(RecogniserConfig(width=128, height=80)), small, {})
    with pytest.raises(InputError, match="128x80"):
        RecognitionLoss(RecognitionSettings(recognisers=str(small)), STORIES, codec)
    with pytest.raises(ValidationError, match="recognition: clips do not tell"):
        CausalFlowRecipe(
            material=MaterialSettings(autoencoder="bundled", text_encoder="bundled", clips="clips.csv"),
            start="bundled",
            optimiser=OptimiserSettings(rate=1e-3),
            loop=LoopSettings(updates=1),
            recognition=RecognitionSettings(recognisers=recognisers),
        )
