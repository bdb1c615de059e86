"""The Python client against a real server with a real, tiny model: a film made, edited, exported, and every refusal."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image
from pypdf import PdfReader
from studio_rig import Painter, Server

import shotstream
from shotstream.core.errors import InputError
from shotstream.film.stored import read_stored
from shotstream.media.video import read_info
from shotstream.serving import protocol
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
        assert studio.ready().name == "tiny"
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
    assert read_info(tmp_path / "fox.mp4").frames == 18
    record, store = read_stored(tmp_path / "fox.film")
    assert record.shots[0].chosen == first and [take.seed for take in record.shots[0].takes][1] == 9
    assert np.abs(store.frames(record.shots[0].takes[0]).astype(int) - frames).mean() < 8  # JPEG of noise


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
        assert archive.namelist() == ["film.otio", "film_clips/shot_000.mp4", "film_clips/shot_001.mp4"]
        archive.extractall(tmp_path / "cut")
    timeline = otio.adapters.read_from_file(str(tmp_path / "cut/film.otio"))
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
    refused("nothing_running", "no shot is being made", lambda: film.do(protocol.Cut()))
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
        film.do(protocol.Stop())
        painter.fail = 100
        film.shoot("it sits")
        with pytest.raises(StudioError, match="the film is paused"):
            film.wait(60)
