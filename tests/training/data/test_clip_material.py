"""A Wan stage trains on a manifest of videos: read, cut, coded once by Wan's codecs, refused at the first bad row."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from runs import ignore
from wan_rig import TINY_WAN

from shotstream.core.errors import InputError
from shotstream.training.data.latent_store import SHARD
from shotstream.training.data.material import Material, MaterialSettings
from shotstream.training.data.next_shot_batches import NextShotSampler, NextShotSettings
from shotstream.training.engine.checkpoints import read_curve
from shotstream.training.engine.loop import Run
from shotstream.training.engine.stage import LoopSettings, OptimiserSettings
from shotstream.training.stages.teacher import TeacherRecipe, TeacherStage

GEOMETRY = TINY_WAN.geometry
CLIPS = SHARD + 3
RANGES = [[0, 9], [10, 31]]  # 9 and 21 frames: 3 and 6 latent frames


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    with av.open(str(folder / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(31):
            picture = np.full((64, 64, 3), 8 * number % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 16)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (folder / "a.json").write_text(json.dumps({"global_caption": "a fox", "shot1": "it walks", "shot2": "a wide shot"}))
    header = "shot_num_from_caption,json_path,video_path,frame_number"
    row = f'2,a.json,a.mp4,"{RANGES}"'
    (folder / "clips.csv").write_text("\n".join([header, *[row] * CLIPS]) + "\n")
    return folder / "clips.csv"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the latents of the manifest are kept: coded by the first test, read by the others."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def settings(manifest: Path, tiny_wan: Path, home: Path) -> MaterialSettings:
    codecs = {"autoencoder": str(tiny_wan), "text_encoder": str(tiny_wan)}
    return MaterialSettings(**codecs, clips=str(manifest), held_out_stories=1, decoded_share=0.0)


def test_a_stage_learns_from_clips_and_codes_them_once(
    settings: MaterialSettings, tiny_wan: Path, data: Path, tmp_path: Path
) -> None:
    recipe = TeacherRecipe(
        preset=str(tiny_wan / "preset.json"),
        material=settings,
        samples=NextShotSettings(batch=2, lengths={3: 0.5, 6: 0.5}, first_share=0.0),
        optimiser=OptimiserSettings(kind="adamw", rate=1e-3),
        loop=LoopSettings(updates=3, warmup=0, save_every=100, look_every=100, checkpoint_activations=True),
    )
    told: list[tuple[int, int]] = []
    stage = TeacherStage(recipe, data, lambda done, total: told.append((done, total)))
    assert told[-1] == (1, 1) and (CLIPS - 1, CLIPS - 1) in told
    told.clear()
    run = Run(TeacherStage(recipe, data, lambda done, total: told.append((done, total))), tmp_path / "run")
    assert not told
    run.look = ignore  # type: ignore[method-assign]  # needs shots of the default length held out
    run.train(ignore)
    assert len(read_curve(tmp_path / "run" / "curve.jsonl")["teacher"]) == 3
    assert stage.roles.keys() == {"teacher"}


def test_latents_are_those_of_the_frames_in_the_ranges(settings: MaterialSettings, data: Path) -> None:
    material = Material(settings, TINY_WAN, data, ignore)
    assert len(material.train.shown) == CLIPS - 1 and len(material.held_out.shown) == 1
    assert [material.train.frames(SHARD + 1, shot) for shot in range(2)] == [3, 6]
    shot = material.train.shot(SHARD + 1, 1)
    assert torch.equal(shot.latents[0], material.train.shot(0, 1).latents[0])
    assert shot.caption.shape == (material.text.text_len, material.text.text_dim)
    greys = [8 * number / 127.5 - 1 for number in (10, 11, 12, 13, 14)]
    video = torch.tensor(greys)[None, :, None, None, None].expand(1, 5, 3, GEOMETRY.height, GEOMETRY.width)
    torch.testing.assert_close(shot.latents[:2], material.codec.encode(video)[0], atol=0.1, rtol=0.05)


def test_prompts_are_in_the_presets_form_and_condition_frames_of_the_whole_shot(
    settings: MaterialSettings, tmp_path: Path
) -> None:
    form = {"prompt_form": "{global_caption}shot{shot}:{caption}", "negative_prompt": "-"}
    short = GEOMETRY.model_copy(update={"max_blocks": 1})  # a shot is cut to nine frames
    preset = TINY_WAN.model_copy(update={**form, "geometry": short})
    material = Material(settings, preset, tmp_path, ignore)
    shot = material.held_out.shot(0, 1)
    told, negative = material.text.encode(["a foxshot1:a wide shot", "-"])
    torch.testing.assert_close(shot.caption, told, atol=1e-3, rtol=1e-3)
    assert material.unconditional is not None and torch.equal(material.unconditional, negative)
    assert material.held_out.frames(0, 1) == 3 and shot.frames == 21
    chosen = [0, 4, 8, 12, 16, 20]  # the six of a lone shot of 21 frames
    values = torch.tensor([8 * (10 + frame) / 127.5 - 1 for frame in chosen])
    pictures = values[:, None, None, None].expand(6, 3, GEOMETRY.height, GEOMETRY.width)
    singles = shot.singles[[shot.picked[frame] for frame in chosen]]
    torch.testing.assert_close(singles, material.codec.encode_images(pictures), atol=0.15, rtol=0.1)


def test_a_length_no_shot_has_is_refused_and_so_is_a_bad_row(
    settings: MaterialSettings, manifest: Path, data: Path, tmp_path: Path
) -> None:

    material = Material(settings, TINY_WAN, data, ignore)
    sampler = NextShotSampler(material.train, TINY_WAN, NextShotSettings(lengths={21: 1.0}))
    with pytest.raises(InputError, match="lengths: 21 latent frames; the longest shot there is has 3"):
        sampler.batch(random.Random(1))
    bad = manifest.with_name("bad.csv")
    bad.write_text(manifest.read_text().replace("a.json", "b.json", 2).replace("b.json", "a.json", 1))
    with pytest.raises(InputError, match=r"bad.csv:3: json_path: .*b.json is not there"):
        Material(settings.model_copy(update={"clips": str(bad)}), TINY_WAN, tmp_path / "bad", ignore)
    few = settings.model_copy(update={"held_out_stories": CLIPS})
    with pytest.raises(InputError, match=f"has {CLIPS} rows, of which held_out_stories={CLIPS} are held out"):
        Material(few, TINY_WAN, tmp_path / "few", ignore)
