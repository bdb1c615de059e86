"""``shotstream generate``: what it asks the library for, what it prints, what it refuses before any work."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shotstream.core.story import Shot, Story

Command = Callable[..., Any]
Renders = list[dict[str, Any]]
STORY = "global_caption: A fox.\nshots:\n- caption: It walks.\n- caption: It waves to a zebra.\n"
KEYS = ["output", "storyboard", "model", "model_version", "device", "dtype", "seed", "width", "height", "fps", "frames"]
KEYS += ["shots", "unknown_words", "end_to_end_fps", "denoise_fps", "seconds_to_first_frame", "peak_memory_bytes"]


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "fox.yaml"
    path.write_text(STORY)
    return path


def test_the_film_lands_beside_the_story(run: Command, renders: Renders, story: Path) -> None:
    ran = run("generate", story)
    assert ran.code == 0
    assert ran.out.splitlines() == [str(story.with_suffix(".mp4")), str(story.with_suffix(".png"))]
    assert "20.0 frames/s" in ran.err
    assert ran.err.startswith("warning: words the model does not know: to, zebra\n")
    [asked] = renders
    assert asked["output"] == story.with_suffix(".mp4")
    assert (asked["model"], asked["device"], asked["dtype"]) == ("storyworld", "auto", "auto")
    assert (asked["force"], asked["keep_shots"], asked["storyboard"], asked["film"]) == (False, False, True, None)


def test_what_makes_it_faster_is_handed_on(run: Command, renders: Renders, story: Path) -> None:
    names = ("steps", "light_decoder")
    assert run("generate", story).code == 0
    assert run("generate", story, "--force", "--steps", 2, "--light-decoder").code == 0
    asked = [tuple(one[name] for name in names) for one in renders]
    assert asked == [(None, False), (2, True)]


def test_the_context_policy_is_the_storys_or_the_commands(
    run: Command, renders: Renders, story: Path, tmp_path: Path
) -> None:
    run("generate", story, "--context-policy", "retrieval")
    story.write_text(f"context_policy: first-last\n{STORY}")
    run("generate", story, "-o", tmp_path / "two.mp4")
    assert [asked["story"].context_policy for asked in renders] == ["retrieval", "first-last"]
    story.write_text(f"context_policy: elephant\n{STORY}")
    ran = run("generate", story, "-o", tmp_path / "three.mp4")
    assert ran.code == 2 and "line 1: context_policy must be one of dynamic, recency" in ran.err


def test_a_story_without_an_end_is_not_rendered(run: Command, renders: Renders, story: Path) -> None:
    story.write_text(f"{STORY}  endless: true\n")
    ran = run("generate", story)
    assert (ran.code, renders) == (2, []) and f"error: {story}: shots[1] is endless, and what is rendered" in ran.err


def test_json_is_one_object_with_the_stable_keys(run: Command, renders: Renders, story: Path) -> None:
    ran = run("generate", story, "--json", "--seed", 5, "--no-storyboard")
    data = json.loads(ran.out)
    assert ran.out.count("\n") == 1
    assert list(data) == KEYS
    assert list(data["shots"][0]) == ["index", "caption", "first_frame", "frames", "seconds_to_first_frame", "seconds"]
    assert data["storyboard"] is None
    assert renders[0]["story"].seed == 5


def test_a_story_from_the_command_line(
    run: Command, renders: Renders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("generate", "--prompt", "A fox.", "--shot", "It walks.", "--shot", "It waves.").code == 0
    assert renders[0]["story"] == Story(
        global_caption="A fox.", shots=(Shot(caption="It walks."), Shot(caption="It waves."))
    )
    assert renders[0]["output"] == Path("film.mp4")


def test_a_story_from_standard_input(
    run: Command, renders: Renders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(STORY.encode())))
    assert run("generate", "-").code == 0
    assert len(renders[0]["story"].shots) == 2
    assert renders[0]["output"] == Path("film.mp4")


@pytest.mark.parametrize("there", ["fox.mp4", "fox.png"])
def test_what_exists_is_replaced_only_with_force(run: Command, renders: Renders, story: Path, there: str) -> None:
    (story.parent / there).write_text("mine")
    ran = run("generate", story)
    assert ran.code == 2
    assert ran.err == f"error: {story.parent / there}: already exists; name another or replace it with --force\n"
    assert not renders
    assert run("generate", story, "--force").code == 0
    assert renders[0]["force"]


def test_without_a_storyboard_a_picture_of_that_name_is_safe(run: Command, renders: Renders, story: Path) -> None:
    story.with_suffix(".png").write_text("mine")
    assert run("generate", story, "--no-storyboard").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a story file, or --prompt"),
        (["--shot", "It walks."], "give a story file, or --prompt"),
        (["{story}", "--prompt", "A fox."], "not both"),
        (["{story}", "-o", "{folder}/film.avi"], "a film's name ends in .mp4"),
        (["{story}", "-o", "{folder}/no/film.mp4"], "its folder does not exist; make it first"),
        (["{story}", "--seed", "-1"], "--seed"),
        (["{story}", "--seed", "x"], "--seed"),
        (["{story}", "--dtype", "int4"], "--dtype"),
        (["{story}", "--fast"], "No such option: --fast"),
        (["{folder}/none.yaml"], "no such file"),
        (["--prompt", "A fox.", "--shot", " "], "command line: shots[0].caption is blank"),
        (["--prompt", " "], "command line: global_caption is blank"),
        (["{story}", "--film", "{folder}/film.mp4"], "a saved film's name ends in .film"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    run: Command, renders: Renders, story: Path, arguments: list[str], said: str
) -> None:
    ran = run("generate", *(text.format(story=story, folder=story.parent) for text in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not renders
    assert [path.name for path in story.parent.iterdir()] == ["fox.yaml"]


def test_ctrl_c(run: Command, renders: Renders, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    ran = run("generate", "--prompt", "A fox.", "--shot", "It walks.", "--shot", "Ctrl-C", "-o", film, "--keep-shots")
    assert (ran.code, ran.out) == (130, "")
    assert ran.err.splitlines()[-2:] == [f"2 finished shots are in {film}", "interrupted"]
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("prompt", "global_caption", "caption"),
    [
        ("A fox.", "A fox.", "A fox."),
        (" A fox in snow. It is night. It walks ", "A fox in snow. It is night.", "It walks"),
        ("狐狸。它走路。", "狐狸。", "它走路。"),
        ("Version 1.5 of a fox", "Version 1.5 of a fox", "Version 1.5 of a fox"),
    ],
)
def test_a_prompt_alone_is_one_shot(
    run: Command, renders: Renders, tmp_path: Path, prompt: str, global_caption: str, caption: str
) -> None:
    assert run("generate", "--prompt", prompt, "-o", tmp_path / "a.mp4", "--force").code == 0
    assert renders[0]["story"] == Story(global_caption=global_caption, shots=(Shot(caption=caption),))


def test_the_film_itself_is_saved_when_asked_for(run: Command, renders: Renders, story: Path) -> None:
    folder = story.parent
    ran = run("generate", story, "-o", folder / "a.film")
    assert ran.out.splitlines() == [str(folder / name) for name in ("a.mp4", "a.png", "a.film")]
    assert run("generate", story, "-o", folder / "b.mp4", "--film", folder / "c.film").code == 0
    assert [(one["output"].name, one["film"].name) for one in renders] == [("a.mp4", "a.film"), ("b.mp4", "c.film")]
    (folder / "d.film").write_text("mine")
    assert "d.film: already exists" in run("generate", story, "-o", folder / "d.film").err


def test_a_shot_of_which_no_word_is_known_asks_for_force(run: Command, renders: Renders, tmp_path: Path) -> None:
    arguments = ("generate", "--prompt", "Zzz.", "--shot", "Qqq.", "-o", tmp_path / "a.mp4")
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "error: shot 0: the model knows no word of its prompt" in ran.err and "story words" in ran.err
    assert run(*arguments, "--force").code == 0


def test_words_that_a_long_prompt_loses_are_told_before_rendering(
    run: Command, renders: Renders, tmp_path: Path
) -> None:
    ran = run("generate", "--prompt", "a fox " * 40, "--shot", "it walks", "-o", tmp_path / "a.mp4")
    assert (
        ran.code == 0 and "warning: shot 0: the prompt is longer than the model reads (64 tokens); 18 words" in ran.err
    )


def test_every_line_of_a_file_of_prompts_has_a_film_of_its_own(run: Command, renders: Renders, tmp_path: Path) -> None:
    prompts = tmp_path / "p.jsonl"
    prompts.write_text('{"prompts": ["A fox."]}\n{"prompts": ["A fox walks."]}\n')
    assert [run("generate", f"{prompts}:{line}").code for line in (1, 2)] == [0, 0]
    assert [asked["output"].name for asked in renders] == ["p-1.mp4", "p-2.mp4"]
