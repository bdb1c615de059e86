"""The library's front door, with a whole model of random weights: nothing here depends on the shipped ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import shotstream
from shotstream.api import render_story
from shotstream.checkpoints.model_files import find_model
from shotstream.core.errors import InputError, PromptWarning, StorageError, WeightsError
from shotstream.core.story import make_story
from shotstream.data.world.render import render_shot
from shotstream.data.world.stories import make_story as make_world_story
from shotstream.families.preset import read_preset, write_preset
from shotstream.families.storyworld import STORYWORLD
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.film.report import Progress
from shotstream.media.video import read_info, read_video

STORY = {
    "global_caption": "A red fox in the forest.",
    "seed": 7,
    "shots": [
        {"caption": "Wide shot. It walks.", "seconds": 1.0},
        {"caption": "The fox sits."},
        {"caption": "It sleeps, zzz.", "seconds": 0.5},
    ],
}


@pytest.fixture
def director(tiny_model: Path) -> Director:
    return shotstream.load(tiny_model, device="cpu", dtype="float32")


def frames_of(film: Film) -> np.ndarray:
    return np.stack(list(film.frames()))


def test_load_says_what_it_loaded(director, tiny_model):
    assert (director.model_name, str(director.device), director.dtype) == ("tiny", "cpu", torch.float32)
    assert (director.geometry.width, director.geometry.height) == (64, 32)
    assert director.unknown_words("A red dragon sits, dragon!") == ["dragon"]
    again = shotstream.load(str(tiny_model), device="cpu")
    assert again.model_version == director.model_version
    teacher = shotstream.load(tiny_model, device="cpu", role="teacher")
    assert teacher.model_version.startswith("teacher-")
    assert teacher.model_version[8:] != director.model_version[8:]


def test_the_same_weights_sampled_otherwise_are_another_version(director, tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    chosen = read_preset(folder / "preset.json")
    student = chosen.student.model_copy(update={"guidance": chosen.student.guidance + 1})
    write_preset(chosen.model_copy(update={"student": student}), folder)
    assert shotstream.load(folder, device="cpu").model_version != director.model_version


def test_the_embedded_model_has_no_light_decoder_and_says_so():
    with pytest.raises(WeightsError, match=r"light_decoder: only Wan's codecs have one"):
        shotstream.load(device="cpu", light_decoder=True)


def test_the_packaged_autoencoder_shows_frames_of_the_world():
    codec = shotstream.load(device="cpu", dtype="float32").generator.codec
    geometry = codec.geometry
    size = {"width": geometry.width, "height": geometry.height, "fps": geometry.fps}
    frames, _ = render_shot(make_world_story(11), 0, frames=geometry.shot_frames(1), **size)
    video = torch.from_numpy(frames).permute(0, 3, 1, 2)[None].float() / 127.5 - 1
    assert 10 * np.log10(4 / float((codec.decode(codec.encode(video)) - video).square().mean())) > 22


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_fewer_steps_are_fewer_passes_and_another_version(director, tiny_model, steps):
    fewer = shotstream.load(tiny_model, device="cpu", dtype="float32", steps=steps)
    assert fewer.model_version != director.model_version
    assert fewer.generator.settings.timesteps == {1: (1000,), 2: (1000, 500), 3: (1000, 667, 333)}[steps]
    passes = []
    fewer.generator.model.register_forward_pre_hook(lambda _, inputs: passes.append(inputs[0].shape[1]))
    fewer.open(global_caption="A fox.").shot("It walks.", seconds=0.5).wait()
    assert passes == [6, *[3] * steps]  # the context, then one block


@pytest.mark.parametrize("asked", [{"window": 2}, {"refresh": False}])
def test_what_a_block_looks_back_on_makes_another_version(director, tiny_model, asked):
    hurried = shotstream.load(tiny_model, device="cpu", dtype="float32", **asked)
    assert hurried.model_version != director.model_version
    tokens = []
    hurried.generator.model.register_forward_pre_hook(
        lambda _, inputs, given: tokens.append((inputs[0].shape[1], given["cache"].end)), with_kwargs=True
    )
    hurried.open(global_caption="A fox.").shot("It walks.", seconds=2).wait()
    frame = director.geometry.tokens_per_frame
    if "window" in asked:  # the context's six frames and one block before the one being made
        assert max(behind for _, behind in tokens) == (6 + 3) * frame
    else:
        assert [frames for frames, _ in tokens] == [6, *[3] * 12]


@pytest.mark.parametrize("asked", [{"window": 8}, {"window": 1}])
def test_a_window_that_is_none_is_refused(tiny_model, asked):
    with pytest.raises(InputError, match=r"window \d: give 2 to 7 blocks"):
        shotstream.load(tiny_model, device="cpu", **asked)


def test_the_packaged_model_is_sampled_as_its_preset_says():
    assert find_model(STORYWORLD.name, "student").described is None  # a copy beside the weights would go stale


def test_a_weight_file_alone_finds_its_neighbours(director, tiny_model):
    assert shotstream.load(tiny_model / "student.safetensors").model_version == director.model_version


@pytest.mark.parametrize("role", ["student", "teacher"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_take_is_the_same_to_the_bit(tiny_model, role, dtype):
    films = []
    for _ in range(2):
        director = shotstream.load(tiny_model, device="cpu", dtype=dtype, role=role)
        film = director.open(global_caption="A red fox.", seed=3)
        for caption in ("It walks.", "It sits."):
            film.shot(caption).wait()
        films.append(frames_of(film))
    assert films[0].shape == (42, 32, 64, 3)
    assert films[0].std() > 1
    np.testing.assert_array_equal(*films)


def test_generate_is_the_stream_consumed(director, tiny_model):
    film = director.open(global_caption=STORY["global_caption"], seed=7)
    streamed = [block.frames for shot in STORY["shots"] for block in film.shot(**shot)]
    assert [len(frames) for frames in streamed] == [9, 12, 9, 12, 9]
    batch = shotstream.generate(STORY, model=tiny_model, device="cpu", dtype="float32")
    np.testing.assert_array_equal(frames_of(batch), np.concatenate(streamed))
    other = shotstream.generate(STORY, model=tiny_model, device="cpu", dtype="float32", seed=8)
    assert (frames_of(other) != frames_of(batch)).any()


def test_what_was_before_changes_what_comes(director):
    """Condition frames matter: another first shot, another second shot, though its noise is the same."""
    films = [director.open(global_caption="A red fox.", seed=3) for _ in range(2)]
    for film, seed in zip(films, (1, 2), strict=True):
        film.shot("It walks.", seed=seed).wait()
        film.shot("It sits.", seed=5).wait()
    one, other = (film.shots[1].chosen.frames for film in films)
    assert (one != other).any()


def test_closing_and_reopening_changes_nothing(director, tiny_model, tmp_path):
    film = director.open(global_caption="A red fox.", seed=3)
    film.shot("It walks.").wait()
    film.save(tmp_path / "fox.film")
    again = shotstream.load(tiny_model, device="cpu", dtype="float32").reopen(tmp_path / "fox.film")
    for one in (film, again):
        one.shot("It sits.").wait()
        one.retake(0).wait()
        one.remake(1).wait()
    np.testing.assert_array_equal(frames_of(film), frames_of(again))
    assert film.record == again.record


def test_a_shot_longer_than_the_model_was_trained_for(tiny_model, tmp_path):
    """Nine blocks of the seven it was trained for; the teacher, which makes a shot as a whole, refuses."""
    long = {"global_caption": "a red fox", "seed": 7, "shots": [{"caption": "it walks", "seconds": 6.56}]}
    report = render_story(long, tmp_path / "a.mp4", model=tiny_model, device="cpu", dtype="float32")
    assert report.frames == 105 == len(read_video(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match=r"6.56 s: the teacher makes shots of at most 5.06 s"):
        render_story(long, tmp_path / "b.mp4", model=tiny_model, device="cpu", role="teacher")
    assert not (tmp_path / "b.mp4").exists()


def test_words_that_a_long_prompt_loses_are_a_warning(tiny_model):
    film = shotstream.load(tiny_model, device="cpu", dtype="float32").open(global_caption="the red fox " * 17)
    with pytest.warns(PromptWarning, match=r"\(48 tokens\); 5 words are not read: the red fox the red"):
        film.shot("it sits", seconds=0.6).wait()
    take = film.shot("it sits", seconds=1.3)
    with pytest.warns(PromptWarning, match=r"12 words are not read: "):
        for block in take:
            if block.index == 0:
                take.change("wide shot. the owl sleeps in the forest")


def test_words_that_are_not_known_are_a_warning_once(tiny_model):
    film = shotstream.load(tiny_model, device="cpu", dtype="float32").open(global_caption="the red zeppelin")
    with pytest.warns(PromptWarning, match="words the model does not know: zeppelin, quacks") as told:
        film.shot("it quacks", seconds=0.6).wait()
        film.shot("the zeppelin quacks", seconds=0.6).wait()
    assert len(told) == 1


def test_render_writes_a_film_with_chapters_and_a_report(tiny_model, tmp_path):
    seen: list[Progress] = []
    output = tmp_path / "fox.mp4"
    report = render_story(STORY, output, model=tiny_model, device="cpu", dtype="float32", on_progress=seen.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fox.mp4", "fox.png"]
    assert (report.output, report.storyboard) == (str(output), str(tmp_path / "fox.png"))
    assert (report.model, report.device, report.dtype, report.seed) == ("tiny", "cpu", "float32", 7)
    assert (report.width, report.height, report.fps, report.frames) == (64, 32, 16, 51)
    assert [(shot.first_frame, shot.frames) for shot in report.shots] == [(0, 21), (21, 21), (42, 9)]
    assert report.unknown_words == ("zzz",)
    for shot in report.shots:
        assert 0 < shot.seconds_to_first_frame <= shot.seconds
    assert report.seconds_to_first_frame == report.shots[0].seconds_to_first_frame
    assert report.denoise_fps > report.end_to_end_fps > 0
    assert report.peak_memory_bytes > 1_000_000
    assert [(one.shot, one.blocks_done, one.blocks) for one in seen] == [
        *((0, done, 2) for done in range(3)),
        *((1, done, 2) for done in range(3)),
        *((2, done, 1) for done in range(2)),
    ]
    info = read_info(output)
    assert [(chapter.title, round(chapter.start * 16)) for chapter in info.chapters] == [
        ("Wide shot. It walks.", 0),
        ("The fox sits.", 21),
        ("It sleeps, zzz.", 42),
    ]
    assert info.tags is not None
    assert (info.tags.seed, info.tags.model_version) == (7, report.model_version)
    assert "trainedAlgorithmicMedia" in info.metadata["synthetic"]


def test_what_is_rendered_is_what_is_generated(tiny_model, tmp_path):
    film = shotstream.generate(STORY, model=tiny_model, device="cpu", dtype="float32", seed=4)
    film.export(tmp_path / "library.mp4", storyboard=tmp_path / "library.png")
    report = render_story(
        STORY, tmp_path / "command.mp4", model=tiny_model, device="cpu", dtype="float32", seed=4, storyboard=False
    )
    assert (report.storyboard, report.seed) == (None, 4)
    np.testing.assert_array_equal(read_video(tmp_path / "library.mp4"), read_video(tmp_path / "command.mp4"))
    assert (tmp_path / "library.png").exists()
    with av.open(str(tmp_path / "library.mp4")) as container:
        keys = [frame.pts for frame in container.decode(video=0) if frame.key_frame]
        step = round(1 / (container.streams.video[0].time_base * 16))
    assert {0, 21 * step, 42 * step} <= set(keys)


class Interrupted:
    """Presses Ctrl-C when block 0 of shot 1 has arrived."""

    def __call__(self, progress: Progress) -> None:
        if (progress.shot, progress.blocks_done) == (1, 1):
            raise KeyboardInterrupt


@pytest.mark.parametrize(("keep", "left"), [(False, []), (True, ["fox.mp4"])])
def test_ctrl_c_leaves_nothing_or_whole_shots(tiny_model, tmp_path, keep, left):
    with pytest.raises(KeyboardInterrupt):
        render_story(
            STORY, tmp_path / "fox.mp4", model=tiny_model, device="cpu", keep_shots=keep, on_progress=Interrupted()
        )
    assert [path.name for path in tmp_path.iterdir()] == left
    if keep:
        assert len(read_video(tmp_path / "fox.mp4")) == 21


def test_a_film_that_exists_is_not_replaced_unasked(tiny_model, tmp_path):
    output = tmp_path / "fox.mp4"
    output.write_bytes(b"old")
    with pytest.raises(InputError, match="already exists"):
        render_story(STORY, output, model=tiny_model, device="cpu")
    assert output.read_bytes() == b"old"
    render_story(STORY, output, model=tiny_model, device="cpu", force=True)
    assert len(read_video(output)) == 51
    with pytest.raises(StorageError, match="folder does not exist"):
        render_story(STORY, tmp_path / "none" / "fox.mp4", model=tiny_model)


def test_a_story_may_be_a_file_an_object_or_data(tiny_model, tmp_path):
    path = tmp_path / "story.yaml"
    path.write_text("global_caption: A red fox.\nshots:\n  - caption: It walks.\n    seconds: 0.5\n")
    data = {"global_caption": "A red fox.", "shots": [{"caption": "It walks.", "seconds": 0.5}]}
    films = [frames_of(shotstream.generate(one, model=tiny_model)) for one in (path, str(path), data, make_story(data))]
    for film in films[1:]:
        np.testing.assert_array_equal(film, films[0])
    with pytest.raises(InputError, match=r"shots\[0\].caption is blank"):
        shotstream.generate({"global_caption": "x", "shots": [{"caption": ""}]}, model=tiny_model)


@pytest.mark.parametrize(
    ("arguments", "fault", "said"),
    [
        ({"model": "storywrld"}, InputError, "did you mean 'storyworld'"),
        ({"model": "nothing like it"}, InputError, "known: storyworld"),
        ({"model": "wan-1.3b"}, WeightsError, "give the folder"),
        ({"device": "gpu"}, InputError, "no device is called 'gpu'"),
        ({"device": "cuda:99"}, InputError, "'cuda:99' is not here"),
        ({"device": "cpu:-1"}, InputError, "no device"),
        ({"dtype": "float16"}, InputError, "no number format"),
        ({"role": "critic"}, InputError, "no role"),
        ({"steps": 0}, InputError, "steps 0: give 1 to 4"),
        ({"steps": 5}, InputError, "steps 5: give 1 to 4"),
        ({"steps": 2, "role": "teacher"}, InputError, "setting of the student"),
    ],
)
def test_impossible_wishes_are_one_clear_line(tiny_model, arguments, fault, said):
    with pytest.raises(fault, match=said) as caught:
        shotstream.load(**{"model": tiny_model, **arguments})
    assert "\n" not in str(caught.value)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("name", ["student", "autoencoder", "text_encoder"])
@pytest.mark.parametrize("damage", [cut_short, Path.unlink, lambda path: path.write_bytes(b"")])
def test_damaged_weights_are_named(tiny_model, tmp_path, name, damage):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    damage(folder / f"{name}.safetensors")
    with pytest.raises(WeightsError, match=f"{name}.safetensors") as caught:
        shotstream.load(folder)
    assert "\n" not in str(caught.value)


def test_codecs_the_model_was_not_trained_on_are_refused(tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    path = folder / "autoencoder.safetensors"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"autoencoder.safetensors: is autoencoder .* was trained on"):
        shotstream.load(folder)


def test_missing_and_swapped_weights(tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "student.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"student.safetensors: no such file"):
        shotstream.load(folder)
    shutil.copy(folder / "autoencoder.safetensors", folder / "student.safetensors")
    with pytest.raises(WeightsError, match=r"student.safetensors"):
        shotstream.load(folder)


def test_weights_that_do_not_belong_together(tiny_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    text = (folder / "preset.json").read_text()
    (folder / "preset.json").write_text(
        text.replace('"latent_channels":4', '"latent_channels":8').replace('"in_channels":4', '"in_channels":8')
    )
    with pytest.raises(WeightsError, match="latent channels 4, but 8 in tiny"):
        shotstream.load(folder)
    (folder / "preset.json").unlink()
    with pytest.raises(WeightsError, match=r"student.safetensors: made for preset 'tiny'; put its preset.json"):
        shotstream.load(folder)
    (folder / "preset.json").write_text("{")
    with pytest.raises(WeightsError, match=r"preset.json: not a preset"):
        shotstream.load(folder)
