"""A film's exports come from what is stored: nothing is made again, and what is on them is what the film shows."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest
import srt
from PIL import Image

from shotstream.cli.main import main
from shotstream.core.errors import InputError
from shotstream.film.disk.archive import read_stored
from shotstream.film.film import Film
from shotstream.film.timeline import timeline_of
from shotstream.media.exports.formats import FORMATS
from shotstream.media.exports.scene_clips import scene_clips
from shotstream.media.story_file import read_story
from shotstream.media.video import read_info


@pytest.fixture
def made(film: Film) -> Film:
    """Shot 0 with two takes, the first chosen; shot 1 changed in its middle; shot 2 cut; shot 3 not made."""
    film.shot("It walks.", seconds=1.3).wait()
    film.retake(0).wait()
    film.choose(0, 0)
    changing = film.shot("It sits.", seconds=2.0)
    iterator = iter(changing)
    next(iterator)
    changing.change("It rains.")
    changing.wait()
    cut = film.shot("It sleeps.", seconds=2.0)
    next(iter(cut))
    cut.cut()
    film.shot("It wakes up.")
    return film


def test_every_format_without_making_anything(made: Film, engine, tmp_path: Path) -> None:
    blocks = engine.blocks
    for one in FORMATS.values():
        for suffix in one.suffixes:
            files = made.export(tmp_path / f"fox{suffix}")
            assert files[0] == tmp_path / f"fox{suffix}" and all(path.stat().st_size for path in files)
    assert made.export(tmp_path / "fox.film") == [tmp_path / "fox.film"]
    assert engine.blocks == blocks
    with pytest.raises(InputError, match="cannot tell what to export"):
        made.export(tmp_path / "fox.doc")


def test_the_timeline_is_the_film(made: Film) -> None:
    timeline = timeline_of(made.record, made.store, "fox")
    assert [(shot.index, shot.start, shot.frames) for shot in timeline.shots] == [(0, 0, 21), (1, 21, 33), (2, 54, 9)]
    np.testing.assert_array_equal(
        np.concatenate([shot.read(None) for shot in timeline.shots]), np.stack([*made.frames()])
    )
    prompts = [[(prompt.frame, prompt.caption) for prompt in shot.prompts] for shot in timeline.shots]
    assert prompts == [[(0, "It walks.")], [(0, "It sits."), (9, "It rains.")], [(0, "It sleeps.")]]
    assert [shot.seed for shot in timeline.shots] == [view.chosen.seed for view in made.shots[:3]]


def test_subtitles_cuts_and_chapters_agree(made: Film, tmp_path: Path) -> None:
    for suffix in ("mp4", "srt", "otio"):
        made.export(tmp_path / f"fox.{suffix}")
    starts = [round(chapter.start * 16) for chapter in read_info(tmp_path / "fox.mp4").chapters]
    (track,) = otio.adapters.read_from_file(str(tmp_path / "fox.otio")).video_tracks()
    assert [clip.range_in_parent().start_time.value for clip in track.find_clips()] == starts == [0, 21, 54]
    cues = list(srt.parse((tmp_path / "fox.srt").read_text(), ignore_errors=False))
    assert [round(cue.start.total_seconds() * 16) for cue in cues] == [0, 21, 30, 54]


def test_one_shot_alone(made: Film, tmp_path: Path) -> None:
    made.export(tmp_path / "one.mp4", shot=1)
    made.export(tmp_path / "one.gif", shot=1)
    assert read_info(tmp_path / "one.mp4").frames == 33
    with Image.open(tmp_path / "one.gif") as image:
        assert image.n_frames == 33
    with pytest.raises(InputError, match="there is no made shot 3; made are 0, 1, 2"):
        made.export(tmp_path / "one.webp", shot=3)


def test_the_script_makes_the_film_again(made: Film, engine, tmp_path: Path) -> None:
    made.choose(1, 0)
    made.export(tmp_path / "fox.yaml")
    story = read_story(tmp_path / "fox.yaml")
    again = Film.new(engine, story.global_caption, story.seed)
    for shot in story.shots[:1]:
        again.shot(shot.caption, shot.seconds, shot.seed).wait()
    np.testing.assert_array_equal(again.shots[0].chosen.frames, made.shots[0].chosen.frames)


def test_stored_films_need_no_model(made: Film, engine, tmp_path: Path) -> None:
    made.save(tmp_path / "fox.film")
    Film.reopen(engine, tmp_path / "fox.film", tmp_path / "kept")
    for path in (tmp_path / "fox.film", tmp_path / "kept"):
        record, store = read_stored(path)
        timeline = timeline_of(record, store, "fox")
        assert timeline.frames == 63
        np.testing.assert_array_equal(timeline.shots[0].read([3, 1]), made.shots[0].chosen.frames[[3, 1]])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no film is kept here"):
        read_stored(tmp_path / "empty")


def test_nothing_made_is_nothing_to_export(film: Film, tmp_path: Path) -> None:
    film.shot("It walks.")
    for suffix in ("mp4", "otio", "pdf", "srt"):
        with pytest.raises(InputError, match="the film has no made shot yet"):
            film.export(tmp_path / f"fox.{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_film_file_is_readable_without_us(made: Film, tmp_path: Path) -> None:
    """With a zip reader, a JSON reader, a video player and a picture viewer."""
    made.save(tmp_path / "fox.film")
    with zipfile.ZipFile(tmp_path / "fox.film") as archive:
        archive.extractall(tmp_path / "out")
    record = json.loads((tmp_path / "out/film.json").read_text(encoding="utf-8"))
    assert [shot["caption"] for shot in record["shots"]] == ["It walks.", "It sits.", "It sleeps.", "It wakes up."]
    shown = []
    for shot in record["shots"]:
        if shot["chosen"] is not None:
            with av.open(str(tmp_path / f"out/takes/{shot['chosen']:05d}.mp4")) as video:
                shown += [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    np.testing.assert_array_equal(np.stack(shown), np.stack([*made.frames()]))
    with Image.open(tmp_path / "out/storyboard.png") as board:
        assert board.format == "PNG" and board.height > 3 * 100


def test_trimmed_shots_and_markers_in_timelines(made: Film, tmp_path: Path) -> None:
    """The second shot was told otherwise from its frame 9 on; trimmed to 12, it was so from its beginning."""
    first, second = (made.shots[index].chosen for index in (0, 1))
    made.trim(first, 3, 20)
    made.trim(second, 12, 30)
    made.mark(second, 15, "rain begins")
    made.mark(second, 32, "is not shown")
    made.set_context_policy("first-last")
    timeline = timeline_of(made.record, made.store, "fox")
    assert [(shot.start, shot.frames) for shot in timeline.shots] == [(0, 17), (17, 18), (35, 9)]
    np.testing.assert_array_equal(
        np.concatenate([shot.read(None) for shot in timeline.shots]), np.stack([*made.frames()])
    )
    np.testing.assert_array_equal(timeline.shots[1].read([0, 17]), second.frames[[12, 29]])
    assert [(one.frame, one.caption) for one in timeline.shots[1].prompts] == [(0, "It rains.")]
    assert [(one.frame, one.text) for one in timeline.shots[1].notes] == [(3, "rain begins")]
    story, told = made.story(), timeline.tags.story  # to make it again: whole takes, chosen context frames and all
    assert told == story.model_copy(update={"shots": story.shots[:3]}) and told.context_policy == "first-last"
    assert [(one.seconds, one.caption) for one in told.shots[1].changes or ()] == [(9 / 16, "It rains.")]
    made.export(tmp_path / "fox.otio", force=True)
    clip = list(otio.adapters.read_from_file(str(tmp_path / "fox.otio")).find_clips())[1]
    assert [(one.name, one.marked_range.start_time.value) for one in clip.markers][-1] == ("rain begins", 3)
    made.export(tmp_path / "fox.edl", force=True)
    assert "* LOC: 00:00:01:12 GREEN   rain begins" in (tmp_path / "fox.edl").read_text()  # frame 20 of 16 a second


def test_a_film_of_a_benchmarks_script_is_cut_into_its_clips(
    film: Film, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scenes = [
        {"scene_num": 1, "video_prompts": ["It walks.", "It sits."], "cut": [True, False]},
        {"scene_num": 4, "video_prompts": ["It sleeps."], "cut": [True]},
    ]
    script = tmp_path / "fox.json"
    script.write_text(json.dumps({"story_overview": film.global_caption, "scenes": scenes}))
    for shot in read_story(script).shots:
        film.add(shot).wait()
    clips = scene_clips(timeline_of(film.record, film.store, "fox"), script, tmp_path / "out")
    assert [path.name for path in clips] == ["01_01.mp4", "01_02.mp4", "04_01.mp4"]
    pixels = [piece.shots[0].read(None) for piece in clips.values()]
    assert [len(one) for one in pixels] == [81, 84, 81]
    np.testing.assert_array_equal(np.concatenate(pixels), np.stack([*film.frames()]))

    film.save(tmp_path / "fox.film")
    script.write_text(json.dumps({"story_name": "episode", "scenes": scenes}))
    command = ["eval", "clips", str(tmp_path / "fox.film"), str(script), "-o", str(tmp_path / "out")]
    assert main(command) == 0
    files = [tmp_path / "out" / "episode" / f"{name}.mp4" for name in ("001_001", "001_002", "004_001")]
    assert capfd.readouterr().out.splitlines() == [str(file) for file in files]
    assert [read_info(file).frames for file in files] == [81, 84, 81]
    assert main(command) == 2 and "001_001.mp4" in capfd.readouterr().err  # it is there
    script.write_text(json.dumps({"scenes": [{"video_prompts": ["It eats."] * 3, "cut": [True] * 3}]}))
    assert main(command) == 2 and "the film shows another prompt here" in capfd.readouterr().err
