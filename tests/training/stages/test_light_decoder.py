"""The light decoder: made on the student's latents beside true frames, released, and used in films."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from runs import ignore

import shotstream
from shotstream.codecs.weights import load_light_decoder
from shotstream.core.errors import WeightsError
from shotstream.data.world.render import render_shot
from shotstream.models.presets import read_preset
from shotstream.models.weights import load_transformer
from shotstream.sampling.noise import NamedNoise
from shotstream.sampling.rollout import rollout
from shotstream.sampling.solvers import sampler
from shotstream.sampling.streaming import StreamingShot
from shotstream.training import decoder_pairs, latent_store, story_sources
from shotstream.training.decoder_pairs import DENOISED, OWN, TRUE, streamed
from shotstream.training.material import Material, MaterialSettings
from shotstream.training.next_shot_batches import NextShotSampler, NextShotSettings
from shotstream.training.settings import LoopSettings, OptimiserSettings
from shotstream.training.stages.light_decoder import LightDecoderRecipe, LightDecoderStage
from shotstream.training.story_sources import WorldStories

STORIES, UPDATES = 4, 150


def recipe(material: MaterialSettings, preset_file: str, tiny_model: Path, **changes: object) -> LightDecoderRecipe:
    settings: dict[str, object] = {
        "preset": preset_file,
        "material": material,
        "student": str(tiny_model / "student.safetensors"),
        "widths": (8, 8, 16),
        "depths": (1, 1, 1),
        "head_width": 16,
        "batch": 4,
        "crop": (2, 2),
        "optimiser": OptimiserSettings(kind="adamw", rate=5e-3, ema=0.5),
        "loop": LoopSettings(updates=UPDATES, warmup=2, dtype="float32", look_every=1000),
    }
    return LightDecoderRecipe.model_validate(settings | changes)


@pytest.fixture(scope="module", autouse=True)
def small_shards() -> Iterator[None]:
    """Pairs need frames that go with the latents, so the real world is drawn: four stories of it will do."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (latent_store, story_sources, decoder_pairs):
            patch.setattr(module, "SHARD", STORIES)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data, made by the first stage that looks for it."""
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module")
def material(material: MaterialSettings) -> MaterialSettings:
    return material.model_copy(update={"stories": STORIES, "held_out_stories": STORIES})


@pytest.fixture
def stage(material: MaterialSettings, preset_file: str, tiny_model: Path, drawn: Path) -> LightDecoderStage:
    return LightDecoderStage(recipe(material, preset_file, tiny_model), drawn, ignore)


def test_pairs_are_the_worlds_frames_beside_the_students_latents(
    stage: LightDecoderStage, material: MaterialSettings, tiny_model: Path, drawn: Path
) -> None:
    preset, pairs = stage.preset, stage._pairs
    geometry = preset.geometry
    found = Material(material, geometry, drawn, ignore)
    length = 2 * geometry.block_frames
    long_enough = [
        (story, shot)
        for story in range(found.train.stories)
        for shot in range(found.train.shots(story))
        if found.train.frames(story, shot) >= length
    ]
    assert len(pairs) == len(long_enough)
    story, shot = long_enough[3]
    pair, coded = pairs[3], found.train.shot(story, shot)
    assert torch.equal(pair.latents[TRUE], coded.latents[:length])
    source = WorldStories(seed=material.seed, split="train", decoded_share=0, geometry=geometry)
    size = {"width": geometry.width, "height": geometry.height, "fps": geometry.fps}
    frames, truths = render_shot(source.story(story), shot, frames=geometry.pixel_frames(length), **size)
    assert np.array_equal(pair.frames.numpy(), frames)
    assert pair.boxes[0, 0].tolist() == pytest.approx(list(truths[0].characters[0].box), abs=1e-6)
    apart = [(pair.latents[version] - pair.latents[TRUE]).square().mean() for version in (OWN, DENOISED)]
    assert min(apart) > 0 and apart[0] != apart[1]


@torch.no_grad()
def test_from_the_first_step_on_it_is_the_students_own_rollout(
    stage: LightDecoderStage, material: MaterialSettings, tiny_model: Path, drawn: Path
) -> None:
    preset = read_preset(tiny_model / "preset.json")
    model, _ = load_transformer(tiny_model / "student.safetensors")
    found = Material(material, preset.geometry, drawn, ignore)
    block = preset.geometry.block_frames
    batch = NextShotSampler(found.train, preset, NextShotSettings()).of(0, 1, block)
    made = streamed(model, preset, batch, NamedNoise(7, shot=1), 0)
    shot = StreamingShot(model, batch.context, max_frames=block)
    shot.read(batch.caption)
    (films,) = rollout(
        shot,
        sampler(preset.student, preset.schedule),
        NamedNoise(7, shot=1),
        blocks=1,
        block_shape=(block, *preset.geometry.latent_shape),
    )
    torch.testing.assert_close(made, films[0])
    late = streamed(model, preset, batch, NamedNoise(7, shot=1), len(preset.student.listed) - 1)
    assert not torch.allclose(late, made)


def test_it_learns_and_a_film_can_be_decoded_with_what_is_left(
    stage: LightDecoderStage, tiny_model: Path, tmp_path: Path, train: Callable[..., object]
) -> None:
    folder = tmp_path / "run"
    decoder = {"decoder": stage.roles["decoder"].module}
    _, before = stage.look(decoder)
    train(stage, folder)
    _, after = stage.look(decoder)
    assert after["psnr_true_light"] > before["psnr_true_light"] + 0.5
    assert after["psnr_true_full"] == before["psnr_true_full"]
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    shutil.copy(folder / "light_decoder.safetensors", model)
    light, full = (shotstream.load(model, device="cpu", light_decoder=wanted) for wanted in (True, False))
    assert light.model_version != full.model_version
    shown, usual = (
        [block.frames for block in one.open(global_caption="A red fox.", seed=1).shot("It walks.", seconds=1)]
        for one in (light, full)
    )
    assert [one.shape for one in shown] == [one.shape for one in usual]
    assert not np.array_equal(shown[0], usual[0])


def test_an_update_depends_on_its_number_alone(
    stage: LightDecoderStage, material: MaterialSettings, preset_file: str, tiny_model: Path, drawn: Path
) -> None:
    again = LightDecoderStage(recipe(material, preset_file, tiny_model), drawn, ignore)
    stage.loss(3, "decoder")
    assert torch.equal(stage.loss(7, "decoder").loss, again.loss(7, "decoder").loss)


def test_a_decoder_of_other_latents_is_refused(stage: LightDecoderStage, tmp_path: Path) -> None:
    stage.release({"decoder": stage.roles["decoder"].module}, tmp_path)
    path = tmp_path / "light_decoder.safetensors"
    with pytest.raises(WeightsError, match="reads the latents of autoencoder"):
        load_light_decoder(path, "another")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(WeightsError, match="not a readable weight file"):
        load_light_decoder(path, "another")


def test_clips_are_refused(material: MaterialSettings, preset_file: str, tiny_model: Path) -> None:
    clips = material.model_copy(update={"clips": "clips.csv"})
    with pytest.raises(ValidationError, match="leave clips out"):
        recipe(clips, preset_file, tiny_model)
