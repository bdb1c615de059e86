"""The Python client against a real server with a real, tiny model: a film made, edited, exported, and every refusal."""

from __future__ import annotations

import json
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image
from pypdf import PdfReader
from studio_rig import Painter, Server, until

import shotstream
from shotstream.core.errors import InputError
from shotstream.core.story import ShotChange
from shotstream.film.disk.archive import read_stored
from shotstream.media.video import read_info
from shotstream.serving import client_messages as messages
from shotstream.serving.client import StudioClient, StudioError


@pytest.fixture
def studio(server_of: Callable[[Callable[[], object]], Server]) -> Iterator[StudioClient]:
    """A studio with a painter for a model."""
    with StudioClient(server_of(Painter).url) as client:
        client.ready()
        yield client


def test_a_film_is_made_edited_and_exported(server_of, tiny_model: Path, tmp_path: Path) -> None:
    server = server_of(lambda: shotstream.load(tiny_model, device="cpu"))
    with StudioClient(server.url) as studio:
        model = studio.ready()
        assert model.name == "tiny" and model.steps == model.most_steps
        film = studio.begin("a red fox in the forest", seed=7)
        first = film.shoot("wide shot. it walks", seconds=0.6)
        film.shoot("it sits", seconds=0.6)
        film.wait()
        second = film.retake(0, seed=9)
        assert first is not None and second is not None
        assert film.wait().shots[0].chosen == second
        film.choose(0, first)
        frames = film.frames(first)
        assert frames.shape == (9, 32, 64, 3) and frames.dtype == np.uint8
        film.fetch(tmp_path / "fox.mp4")
        film.fetch(tmp_path / "fox.film")
        assert [one.id for one in studio.films()] == [film.id]
        film.do(messages.Steps(steps=2))  # is said with the model, as takes made from now on say it
        until(lambda: studio.model().version == f"{model.version} in 2 steps")
        assert studio.model().steps == 2
    assert read_info(tmp_path / "fox.mp4").frames == 18
    record, store = read_stored(tmp_path / "fox.film")
    assert record.shots[0].chosen == first and [take.seed for take in record.shots[0].takes][1] == 9
    assert np.abs(store.frames(record.shots[0].takes[0]).astype(int) - frames).mean() < 8  # JPEG of noise


def test_takes_are_made_with_the_adapters_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    monkeypatch.setattr(Painter, "adapters", ("neon", "old film"))
    studio: StudioClient = request.getfixturevalue("studio")
    assert studio.model().lora == {"neon": 1.0, "old film": 1.0}
    film = studio.begin("a fox")
    film.shoot("it walks", seconds=0.6)
    film.set_lora({"neon": 0.5})
    film.shoot("it sits", seconds=0.6)
    film.shoot("it walks", seconds=0.6, lora={"old film": -1.0})
    film.do(messages.Insert(at=0, caption="it sits", seconds=0.6, lora={}))
    view = film.wait()
    assert [shot.takes[0].lora for shot in view.shots][2:] == [{"neon": 0.5}, {"old film": -1.0}]
    assert view.shots[0].takes[0].lora == {} and view.lora == {"neon": 0.5}
    film.do(messages.Retake(shot=0, lora={"neon": 0.1}))
    assert film.wait().shots[0].takes[1].lora == {"neon": 0.1}
    with pytest.raises(StudioError, match="lora"):
        film.set_lora({"neon": 5})
    story = tmp_path / "fox.yaml"
    story.write_text(
        "global_caption: a fox\nlora: {neon: 0.2}\nshots: [{caption: it sits, seconds: 0.6, lora: {neon: 1}}]\n"
    )
    view = studio.open(story).wait()
    assert (view.lora, view.shots[0].takes[0].lora) == ({"neon": 0.2}, {"neon": 1.0})
    film.set_lora({"none": 1.0})
    film.shoot("it sits", seconds=0.6)
    until(lambda: film.view().paused)  # it says what is missing, and waits


def test_a_film_has_a_context_policy_of_its_own_and_may_change_it(studio: StudioClient, tmp_path: Path) -> None:
    film = studio.begin("a fox", context_policy="retrieval")
    for caption in ("in the forest", *["it sits"] * 6, "in the forest, it walks"):
        take = film.shoot(caption, seconds=0.6)
    view = film.wait()
    assert view.context_policy == "retrieval"
    first = view.shots[0].chosen
    assert first in [seen.take for seen in view.shots[-1].takes[0].saw] and view.shots[-1].chosen == take
    film.do(messages.SetContextPolicy())
    view = film.view()
    assert (view.context_policy, view.undo) == (None, "context_policy") and view.shots[-1].stale
    story = tmp_path / "fox.yaml"
    story.write_text("context_policy: first-last\nglobal_caption: a fox\nshots: [{caption: it sits, seconds: 0.6}]\n")
    assert studio.open(story).view().context_policy == "first-last"


def write_tone(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((10_000 * np.sin(np.arange(8000) / 3)).astype("<i2").tobytes())


def test_a_shot_is_planned_with_captions_that_take_over_in_its_middle(studio: StudioClient, tmp_path: Path) -> None:
    film = studio.begin("a fox")
    film.shoot("it walks", seconds=2.0625, changes={1.3125: "it sits"})
    [take] = film.wait().shots[0].takes
    assert (take.caption, take.changes) == ("it walks", ("it sits",))
    film.shoot("it walks", seconds=3, changes=[ShotChange(seconds=0.6, caption="it sits", blend=1.5)])
    film.wait()
    film.fetch(tmp_path / "fox.yaml")
    assert "blend: 1.5" in (tmp_path / "fox.yaml").read_text()
    film.shoot("it walks", seconds=0.6, endless=True)
    until(lambda: film.view().shots[-1].takes[0].frames > 40)
    film.shoot("it sits", seconds=0.6)
    assert film.wait().shots[-2].takes[0].state == "finished"
    write_tone(tmp_path / "tone.wav")
    film.fetch(tmp_path / "fox.mp4", fps=24, sound=tmp_path / "tone.wav")
    with av.open(str(tmp_path / "fox.mp4")) as container:
        assert (container.streams.video[0].average_rate, len(container.streams.audio)) == (24, 1)
    with pytest.raises(StudioError, match="the file: has no sound track"):
        film.fetch(tmp_path / "other.mp4", sound=film.fetch(tmp_path / "mute.mp4"))
    with pytest.raises(StudioError, match="no shot is being made"):
        film.change("it sleeps", blend=1)
    with pytest.raises(StudioError, match="has a change when it is over"):
        film.shoot("it walks", seconds=1.0, changes={1.5: "it sits"})
    scene = {"video_prompts": ["it walks", "it sits", "it walks"], "cut": [True, False, True]}
    text = json.dumps({"story_overview": "a fox", "scenes": [scene]})
    script = studio.ask("POST", "/api/script", json={"text": text}).json()
    assert [(shot["caption"], shot["seconds"]) for shot in script["shots"]] == [
        ("it walks", 81 / 16),
        ("it sits", 84 / 16),
        ("it walks", 81 / 16),
    ]
    assert script["told"] == ["1 captions of it take over in mid-shot; here each is a shot. Open it as a file instead."]


def test_every_format_is_fetched(studio: StudioClient, tmp_path: Path) -> None:
    film = studio.begin("a fox")
    for caption in ("it walks", "it sits"):
        film.shoot(caption, seconds=0.6)
    film.wait()
    for name in ("a.mp4", "a.gif", "a.webp", "a.png", "a.pdf", "a.srt", "a.vtt", "a.yaml"):
        assert film.fetch(tmp_path / name).stat().st_size
    for name in ("clips", "otio", "edl"):
        film.fetch(tmp_path / f"{name}.zip", name)
    assert len(PdfReader(tmp_path / "a.pdf").pages) == 1
    film.fetch(tmp_path / "one.gif", shot=1)
    with Image.open(tmp_path / "one.gif") as one, Image.open(tmp_path / "a.gif") as whole:
        assert sum(frame_times(one)) < sum(frame_times(whole)) == pytest.approx(18 / 16 * 1000, abs=5)
    with zipfile.ZipFile(tmp_path / "otio.zip") as archive:
        assert archive.namelist() == ["a-fox.otio", "a-fox_clips/shot_000.mp4", "a-fox_clips/shot_001.mp4"]
        archive.extractall(tmp_path / "cut")
    timeline = otio.adapters.read_from_file(str(tmp_path / "cut/a-fox.otio"))
    for clip in timeline.find_clips():
        assert read_info(tmp_path / "cut" / clip.media_reference.target_url).frames == 9


def frame_times(image: Image.Image) -> list[int]:
    found = []
    for frame in range(image.n_frames):
        image.seek(frame)
        found.append(image.info["duration"])
    return found


def test_stories_and_films_are_opened(studio: StudioClient, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompts": ["a fox", "it sits"]}\n{"prompts": ["it walks"]}\n')
    film = studio.open(f"{tmp_path / 'p.jsonl'}:1")
    assert [shot.caption for shot in film.wait().shots] == ["a fox", "it sits"]
    film.fetch(tmp_path / "fox.film")
    again = studio.open(tmp_path / "fox.film")
    assert again.id != film.id and again.view().shots == film.view().shots
    assert studio.film(again.id).view() == again.view()
    with pytest.raises(InputError, match="holds 2 stories"):
        studio.open(tmp_path / "p.jsonl")


def test_refusals_have_names(studio: StudioClient, tmp_path: Path) -> None:
    film = studio.begin("a fox")

    def refused(code: str, said: str, ask: Callable[[], object]) -> None:
        with pytest.raises(StudioError) as fault:
            ask()
        assert fault.value.code == code and said in str(fault.value) and "\n" not in str(fault.value)

    refused("no_such_film", "there is no such film", lambda: studio.film("0123456789ab"))
    refused("malformed", "id", lambda: studio.film("nonsense"))
    refused("malformed", "caption", lambda: film.shoot(""))
    refused("refused", "there is no shot 4", lambda: film.retake(4))
    refused("nothing_running", "no shot is being made", lambda: film.do(messages.Cut()))
    refused("refused", "no made shot yet", lambda: film.fetch(tmp_path / "a.pdf"))
    film.shoot("it walks", seconds=0.6)
    film.wait()
    refused("refused", "there is no made shot 3", lambda: film.fetch(tmp_path / "a.gif", shot=3))
    refused("refused", "srt: is of the whole film", lambda: film.fetch(tmp_path / "a.srt", shot=0))
    for name, format, said in (
        ("a.avi", None, "cannot tell what to export"),
        ("a.otio", None, "otio comes as .zip"),
        ("a.mp4", "clips", "clips comes as .zip"),
        ("a.gif", "mp4", "mp4 comes as .mp4"),
    ):
        with pytest.raises(InputError, match=said):
            film.fetch(tmp_path / name, format)
    assert not list(tmp_path.glob("a.*"))


def test_nobody_there() -> None:
    with StudioClient("http://127.0.0.1:9", timeout=5) as client, pytest.raises(StudioError) as fault:
        client.films()
    assert fault.value.code == "no_studio" and "start one with `shotstream studio`" in str(fault.value)


def test_waiting_ends(server_of) -> None:
    painter = Painter()
    with StudioClient(server_of(lambda: painter).url) as studio:
        studio.ready()
        film = studio.begin("a fox")
        painter.gate.clear()
        film.shoot("it walks")
        with pytest.raises(StudioError, match="the film is not done after 0 s; wait longer"):
            film.wait(0)
        painter.gate.set()
        assert film.wait().shots[0].chosen is not None
        film.do(messages.Stop())
        painter.fail = 100
        film.shoot("it sits")
        with pytest.raises(StudioError, match="the film is paused"):
            film.wait(60)
