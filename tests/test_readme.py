"""The README's commands, run in order in an empty folder with the packaged model: each finds what it needs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from shotstream.cli.main import main
from shotstream.media.video import count_frames

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
NOT_HERE = ("shotstream studio",)  # runs until it is ended


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("shotstream ")]
    return [shlex.split(line, comments=True)[1:] for line in lines if not line.startswith(NOT_HERE)]


def test_the_commands_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scenedetect")
    monkeypatch.chdir(tmp_path)
    (story,) = blocks("yaml")
    Path("story.yaml").write_text(story)
    assert len(commands()) >= 4
    for words in commands():
        assert main(words) == 0, (words, capfd.readouterr().err)
    assert count_frames(Path("frog.mp4")) > 0 and count_frames(Path("film.mp4")) > 0
    assert Path("frog.png").is_file() and Path("film.png").is_file()
