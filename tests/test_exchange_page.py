"""The examples of docs/exchange.md run as they are written, with a tiny model in the place of those they name."""

from __future__ import annotations

import json
import re
import shlex
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from studio_rig import Server

import shotstream
from shotstream.cli.main import main
from shotstream.core.errors import InputError
from shotstream.media.story_file import parse_story
from shotstream.media.video import read_info
from shotstream.serving.client import StudioClient
from shotstream.serving.client_messages import Cut

PAGE = (Path(__file__).parents[1] / "docs" / "exchange.md").read_text(encoding="utf-8")
FOX = "global_caption: A red fox.\nshots:\n- {caption: It walks., seconds: 1}\n- {caption: It sits., seconds: 1}\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def run_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_model: Path) -> Callable[[str], None]:
    """Run the commands of the example that holds a text, whose model is the tiny one."""
    monkeypatch.chdir(tmp_path)

    def run(holding: str) -> None:
        (block,) = [block for block in blocks("sh") if holding in block]
        for line in block.replace("\\\n", " ").splitlines():
            name, *words = shlex.split(line)
            assert name == "shotstream"
            if words[0] == "generate":
                words += ["--model", str(tiny_model), "--force"]  # the model knows few words
            assert main(words) == 0, line

    return run


def test_sound_under_a_film_and_its_export(run_commands: Callable[..., None]) -> None:
    Path("fox.yaml").write_text(FOX)
    with wave.open("song.wav", "wb") as song:
        song.setparams((1, 2, 8000, 0, "NONE", ""))
        song.writeframes(bytes(16_000))
    run_commands("--sound")
    for name, rate in (("fox.mp4", 16), ("fox24.mp4", 24)):
        with av.open(name) as container:
            assert (container.streams.video[0].average_rate, len(container.streams.audio)) == (rate, 1)


def test_a_benchmarks_script_becomes_its_clips(run_commands: Callable[..., None]) -> None:
    scene = {"scene_num": 1, "video_prompts": ["It walks.", "It sits."], "cut": [True, True]}
    Path("episode.json").write_text(json.dumps({"story_overview": "A red fox.", "scenes": [scene]}))
    run_commands("episode.json")
    assert len(list(Path("results").rglob("*.mp4"))) == 2


def test_a_shot_that_blends_from_one_prompt_into_another(tiny_model: Path) -> None:
    (text,) = [block for block in blocks("yaml") if "blend:" in block]
    film = shotstream.generate(parse_story(text), model=tiny_model, device="cpu")
    (take,) = [shot.chosen for shot in film.shots]
    told = [(film.geometry.shot_seconds(one.block), one.caption[15:], one.blend) for one in take.record.changes]
    assert told == [(2.0625, "fox sits down.", 0), (2.8125, "fox sits at night.", 1)]
    assert (take.blocks_made, take.frame_count / film.geometry.fps) == (5, 3.5625)


@pytest.fixture
def studio(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of one that is ready, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    server = Server(lambda: shotstream.load(tiny_model, device="cpu"), tmp_path / "films")
    try:
        with StudioClient(server.url) as client:
            client.ready()
        yield server.url
    finally:
        server.stop()


def test_a_shot_without_an_end_is_played_until_it_is_cut(tiny_model: Path, studio: str) -> None:
    (text,) = [block for block in blocks("yaml") if "endless:" in block]
    with pytest.raises(InputError, match=r"shots\[1\] is endless"):
        shotstream.generate(parse_story(text), model=tiny_model, device="cpu")
    Path("run.yaml").write_text(text)
    with StudioClient(studio) as client:
        film = client.open("run.yaml")
        while (shot := film.view().shots[-1]).takes[0].frames < 150:
            assert shot.endless
            time.sleep(0.05)  # a studio refuses more than a hundred questions a second
        film.do(Cut())
        take = film.wait().shots[-1].takes[0]
    assert take.state == "cut" and take.changes == ("Wide shot. The fox runs at night.",)


def test_the_client_of_a_running_studio(studio: str) -> None:
    (code,) = blocks("python")
    exec(compile(code.replace("http://127.0.0.1:7860", studio), "exchange.md", "exec"), {})
    assert read_info(Path("fox.mp4")).frames == 33


def test_no_example_is_left_out() -> None:
    assert [len(blocks(language)) for language in ("sh", "yaml", "python")] == [
        3,
        2,
        1,
    ]  # a chat model's: media/test_script_writer
