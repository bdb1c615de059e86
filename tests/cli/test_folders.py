"""``shotstream generate DIR``: a folder of stories, done once, gone on with, and side by side on a Ray cluster."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import shotstream
from shotstream.film.batch import Renderer, jobs_of
from shotstream.media.video import read_info

Command = Callable[..., Any]


def write(folder: Path, name: str, seed: int) -> None:
    folder.mkdir(exist_ok=True)
    shots = [{"caption": "wide shot. it walks", "seconds": 0.6}, {"caption": "it sits", "seconds": 1.3}]
    (folder / name).write_text(json.dumps({"global_caption": "a red fox", "seed": seed, "shots": shots}))


def test_a_folder_is_rendered_and_gone_on_with(run: Command, tmp_path: Path, tiny_model: Path) -> None:
    stories, films = tmp_path / "stories", tmp_path / "films"
    write(stories, "a.json", 1)
    write(stories, "b.yaml", 2)
    (stories / "c.yml").write_text("shots: 3\n")
    (stories / "._a.json").write_bytes(bytes(82))  # macOS leaves such files on other disks
    ran = run("generate", stories, "-o", films, "--model", tiny_model, "--json")
    told = json.loads(ran.out)
    assert ran.code == 2 and told["there"] == 0
    assert [(Path(one["film"]).name, bool(one["fault"])) for one in told["films"]] == [
        ("a.mp4", False),
        ("b.mp4", False),
        ("c.mp4", True),
    ]
    assert ran.err.index("c.yml") < ran.err.index("1 of 2")  # before anything was rendered
    assert sorted(path.name for path in films.iterdir()) == ["a.mp4", "a.png", "b.mp4", "b.png"]
    assert read_info(films / "a.mp4").frames == 30
    before = (films / "a.mp4").stat().st_mtime_ns
    write(stories, "c.yml", 3)
    ran = run("generate", stories, "-o", films, "--model", tiny_model, "--json")
    told = json.loads(ran.out)
    assert ran.code == 0 and told["there"] == 2 and len(told["films"]) == 1
    assert (films / "a.mp4").stat().st_mtime_ns == before


def test_a_folder_is_checked_whole_before_any_of_it_is_rendered(run: Command, tmp_path: Path) -> None:
    """The last story's faults are told before the first story's film is begun; one the model cannot read is refused."""
    stories, films = tmp_path / "stories", tmp_path / "films"
    stories.mkdir()
    for name, caption in (("a", "Wide shot. The fox quaffs."), ("b", "Кошка сидит."), ("c", "")):
        shots = [{"caption": caption, "seconds": 0.6}]
        scene = "A red fox." if name != "b" else "Кошка."
        (stories / f"{name}.json").write_text(json.dumps({"global_caption": scene, "shots": shots}))
    ran = run("generate", stories, "-o", films, "--no-storyboard")
    assert ran.code == 2 and [path.name for path in films.iterdir()] == ["a.mp4"]
    told = [ran.err.index(word) for word in ("quaffs", "knows no word of its prompt", "c.json", "1 of 3 stories")]
    assert told == sorted(told) and ran.err.index("1 of 1") > told[-1]


def test_a_story_without_an_end_is_told_before_the_others_are_rendered(tmp_path: Path) -> None:
    shots = [{"caption": "it walks", "endless": True}]
    (tmp_path / "a.json").write_text(json.dumps({"global_caption": "a fox", "shots": shots}))
    [job] = jobs_of(tmp_path, tmp_path)
    assert "a.json: shots[0] is endless" in Renderer(partial(shotstream.load, "none")).check(job).fault


def test_what_is_wrong_with_a_folder(run: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no story" in run("generate", tmp_path / "empty").err
    write(tmp_path / "twice", "a.json", 1)
    write(tmp_path / "twice", "a.yaml", 1)
    assert "rename one" in run("generate", tmp_path / "twice").err
    assert "renders a folder" in run("generate", tmp_path / "twice" / "a.json", "--engine", "ray").err


def test_a_film_whose_renderer_died_untold_is_made_again(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path / "stories", "a.json", 1)
    [job] = jobs_of(tmp_path / "stories", tmp_path)
    renderer = Renderer(partial(shotstream.load, tiny_model, device="cpu"))
    assert renderer.render(job).fault == ""
    made = Path(job.film).read_bytes()
    assert "already exists" in renderer.render(job).fault
    assert renderer.render(job, again=True).fault == ""
    assert Path(job.film).read_bytes() == made


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_ray_renders_a_folder_though_an_actor_is_killed(tmp_path: Path, tiny_model: Path, monkeypatch, capsys) -> None:
    ray = pytest.importorskip("ray")
    from shotstream.film.batch_ray import RayCrew

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for index in range(6):
        write(tmp_path / "stories", f"{index}.json", index)
    jobs = jobs_of(tmp_path / "stories", tmp_path / "films")
    (tmp_path / "films").mkdir()
    (tmp_path / "alone").mkdir()
    load = partial(shotstream.load, tiny_model, device="cpu")
    killer = threading.Thread(target=kill_one_actor)
    try:
        crew = RayCrew(partial(Renderer, load), workers=2, cpus=0.5, gpus=0)
        assert [one.fault for one in crew.check(jobs)] == [""] * 6
        killer.start()
        done = list(crew.render(jobs))
        crew.close()
    finally:
        killer.join()
        ray.shutdown()
    assert [one.fault for one in done] == [""] * 6
    alone = Renderer(load)
    for job in jobs_of(tmp_path / "stories", tmp_path / "alone"):
        assert alone.render(job).fault == ""
        assert Path(job.film).read_bytes() == (tmp_path / "films" / Path(job.film).name).read_bytes()
    with capsys.disabled():
        print("\nRay: 6 stories, an actor killed; the same bytes as rendered one after the other")


def kill_one_actor() -> None:
    """The first that turns up. Ray names its workers after what they run."""
    import psutil

    end = time.monotonic() + 300
    while time.monotonic() < end:
        for process in psutil.Process().children(recursive=True):
            try:
                if "_Actor" in " ".join(process.cmdline()):
                    time.sleep(1)
                    os.kill(process.pid, signal.SIGKILL)
                    return
            except (psutil.Error, OSError):
                continue
        time.sleep(0.2)
