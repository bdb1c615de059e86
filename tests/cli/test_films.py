"""``shotstream generate`` with a real, tiny model: what is on the disk in the end, however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from shotstream.cli.shot_bars import ShotBars
from shotstream.film.report import Progress
from shotstream.media.story_file import read_story
from shotstream.media.video import read_info, read_video

Command = Callable[..., Any]
STORY = """global_caption: a red fox in the forest
seed: 7
shots:
- {caption: wide shot. it walks, seconds: 0.6}
- {caption: it sleeps and snores, seconds: 1.3}
- {caption: the owl sits, seconds: 0.6}
"""
FRAMES = (9, 21, 9)


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "fox.yaml"
    path.write_text(STORY)
    return path


@pytest.fixture
def made(story: Path) -> Callable[[], list[str]]:
    """The names of what stands beside the story."""
    return lambda: sorted(path.name for path in story.parent.iterdir() if path != story)


def test_a_story_becomes_a_film(run: Command, story: Path, tiny_model: Path, made: Callable[[], list[str]]) -> None:
    ran = run("generate", story, "--model", tiny_model, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    film = story.with_suffix(".mp4")
    assert made() == ["fox.mp4", "fox.png"]
    assert tuple(shot["frames"] for shot in report["shots"]) == FRAMES
    assert {"snores", "and"} <= set(report["unknown_words"])
    assert (report["seed"], report["device"]) == (7, "cpu")
    assert report["shots"][2]["first_frame"] == 30
    info = read_info(film)
    assert (info.frames, info.width, info.height, info.fps) == (39, report["width"], report["height"], report["fps"])
    assert info.tags is not None
    assert info.tags.story == read_story(story)
    assert [chapter.title for chapter in info.chapters] == [shot.caption for shot in info.tags.story.shots]
    assert cv2.imread(str(film.with_suffix(".png"))) is not None


def test_sound_of_ones_own_is_laid_under_a_film(
    run: Command, story: Path, tiny_model: Path, made: Callable[[], list[str]]
) -> None:
    song = story.parent.parent / "song.wav"
    with wave.open(str(song), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((10_000 * np.sin(np.arange(8000) / 3)).astype("<i2").tobytes())
    arguments = ("generate", story, "--model", tiny_model, "--no-storyboard")
    for wrong, said in ((story, "its sound cannot be read"), (song.with_name("a.mp3"), "a.mp3: no such file")):
        ran = run(*arguments, "--sound", wrong)
        assert ran.code == 2 and said in ran.err and ran.err.count("\n") == 1 and made() == []
    assert "--sound" in run("generate", story.parent, "--sound", song).err
    assert run(*arguments, "--sound", song).code == 0
    with av.open(str(story.with_suffix(".mp4"))) as container:
        (track,) = container.streams.audio
        assert float(track.duration * track.time_base) == pytest.approx(sum(FRAMES) / 16, abs=0.05)
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(track)])
    assert np.abs(heard[:40_000]).mean() > 0.1 and np.abs(heard[52_000:]).max() < 0.01  # a second of it, then silence
    assert run("generate", story, "--model", tiny_model, "-o", story.with_name("mute.mp4")).code == 0
    np.testing.assert_array_equal(read_video(story.with_suffix(".mp4")), read_video(story.with_name("mute.mp4")))


def test_the_same_command_makes_the_same_bytes(run: Command, story: Path, tiny_model: Path) -> None:
    films = [story.with_name("fox.mp4"), story.parent / "again" / "fox.mp4"]
    films[1].parent.mkdir()
    for film in films:
        assert run("generate", story, "--model", tiny_model, "-o", film, "--no-storyboard").code == 0
    assert films[0].read_bytes() == films[1].read_bytes()


def test_another_seed_makes_another_film(run: Command, story: Path, tiny_model: Path) -> None:
    films = []
    for seed in (1, 2):
        film = story.with_name(f"{seed}.mp4")
        assert run("generate", story, "--model", tiny_model, "-o", film, "--seed", seed).code == 0
        films.append(read_video(film))
    assert (films[0] != films[1]).any()


@pytest.mark.parametrize("keep", [False, True])
def test_ctrl_c_in_the_second_shot(
    run: Command,
    story: Path,
    tiny_model: Path,
    made: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    keep: bool,
) -> None:
    show = ShotBars.show

    def show_and_interrupt(bars: ShotBars, progress: Progress) -> None:
        show(bars, progress)
        if (progress.shot, progress.blocks_done) == (1, 1):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ShotBars, "show", show_and_interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell switches it off in the background
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    ran = run("generate", story, "--model", tiny_model, *(["--keep-shots"] if keep else []))
    assert (ran.code, ran.out) == (130, "")
    assert ran.err.rstrip().endswith("interrupted")
    assert made() == (["fox.mp4"] if keep else [])
    if keep:
        assert "1 finished shot is in" in ran.err
        assert read_info(story.with_suffix(".mp4")).frames == FRAMES[0]
        monkeypatch.setattr(ShotBars, "show", show)
        again = run("generate", story, "--model", tiny_model, "--keep-shots")
        assert again.code == 0 and "fox.mp4: lacks 2 of its 3 shots; going on" in again.err
        assert "1 of 3 shots were made by an interrupted run" in again.err
        assert read_info(story.with_suffix(".mp4")).frames == sum(FRAMES)
        refused = run("generate", story, "--model", tiny_model, "--keep-shots")
        assert refused.code == 2 and "already exists" in refused.err  # a finished film is nobody's to replace


def test_what_ctrl_c_interrupted_is_picked_up(
    run: Command, story: Path, tiny_model: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = story.with_name("whole.mp4")
    assert run("generate", story, "--model", tiny_model, "-o", whole).code == 0
    assert not list(own_cache.glob("renders/*"))  # what is finished does not wait
    show = ShotBars.show

    def interrupt(bars: ShotBars, progress: Progress) -> None:
        show(bars, progress)
        if (progress.shot, progress.blocks_done) == (1, 1):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ShotBars, "show", interrupt)
        ran = run("generate", story, "--model", tiny_model)
        assert ran.code == 130 and "the same command goes on where this one was interrupted" in ran.err
    assert len(list(own_cache.glob("renders/*/takes/*"))) == 1
    other = run("generate", story, "--model", tiny_model, "--seed", 8, "-o", story.with_name("other.mp4"))
    assert other.code == 0 and "an interrupted run" not in other.err
    ran = run("generate", story, "--model", tiny_model, "-o", story.with_name("fox.mp4"), "--json")
    report = json.loads(ran.out)
    assert report["end_to_end_fps"] > 0 and [shot["seconds"] > 0 for shot in report["shots"]] == [False, True, True]
    assert "1 of 3 shots were made by an interrupted run" in ran.err
    assert tuple(shot["frames"] for shot in report["shots"]) == FRAMES
    assert not list(own_cache.glob("renders/*"))
    assert (read_video(whole) == read_video(story.with_name("fox.mp4"))).all()


def test_a_killed_render_is_picked_up_and_makes_the_same_bytes(story: Path, tiny_model: Path, own_cache: Path) -> None:
    film, again = story.with_suffix(".mp4"), story.parent / "again" / "fox.mp4"
    again.parent.mkdir()
    code = "import sys; from shotstream.cli.main import run; sys.argv.pop(1); run()"
    command = [sys.executable, "-c", code, "-", "generate", str(story), "--model", str(tiny_model)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not list(own_cache.glob("renders/*/takes/00001.mp4")):
            assert process.poll() is None
        process.kill()
    assert not film.exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "shots were made by an interrupted run" in done.stderr
    subprocess.run([*command, "-o", str(again)], capture_output=True, check=True)
    assert film.read_bytes() == again.read_bytes()


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from shotstream.cli.main import run
run()
"""


def test_a_disk_that_fills_up(story: Path, tiny_model: Path, made: Callable[[], list[str]]) -> None:
    command = [sys.executable, "-c", FULL, "3000", "generate", str(story), "--model", str(tiny_model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "larger than this disk" in errors[0]
    assert "Traceback" not in done.stderr
    assert made() == []


@pytest.mark.parametrize("damage", ["cut", "noise", "missing"])
def test_damaged_weights(
    run: Command,
    story: Path,
    tiny_model: Path,
    made: Callable[[], list[str]],
    tmp_path_factory: pytest.TempPathFactory,
    damage: str,
) -> None:
    folder = tmp_path_factory.mktemp(damage)
    for file in tiny_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    student = folder / "student.safetensors"
    if damage == "cut":
        student.write_bytes(student.read_bytes()[:-100])
    elif damage == "noise":
        student.write_bytes(b"\xff" * 1000)
    else:
        student.unlink()
    ran = run("generate", story, "--model", folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {student}")
    assert ran.err.count("\n") == 1
    assert made() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "storywrld"], "no model is called 'storywrld'; did you mean 'storyworld'?"),
        (["--device", "abacus"], "abacus"),
        (["--device", "cuda:99"], "cuda:99"),
    ],
)
def test_what_there_is_not(
    run: Command, story: Path, made: Callable[[], list[str]], arguments: list[str], said: str
) -> None:
    ran = run("generate", story, *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert said in ran.err
    assert made() == []


def test_story_check_knows_the_model(run: Command, story: Path, tiny_model: Path) -> None:
    data = json.loads(run("story", "check", story, "--model", tiny_model, "--json").out)
    assert tuple(shot["frames"] for shot in data["shots"]) == FRAMES
    assert "snores" in data["unknown_words"]
