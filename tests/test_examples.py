"""The examples run as they are written, with a tiny model, and leave what they promise."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image
from studio_rig import Server

import shotstream
from shotstream.media.video import read_info

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_script(name: str, argument: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, str(argument)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def lines_of_code(name: str) -> int:
    """Lines that do something."""
    text = (EXAMPLES / name).read_text(encoding="utf-8").split('"""')[2]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.split("\n"))


def test_a_film_made_edited_and_exported(here: Path, tiny_model: Path, monkeypatch, capsys) -> None:
    run_script("direct.py", tiny_model, monkeypatch)
    assert lines_of_code("direct.py") <= 20
    said = capsys.readouterr().out.split()
    for name in ("fox.film", "fox.mp4", "fox.pdf", "fox.srt", "fox.otio", "fox.edl", "wave.gif"):
        assert (here / name).stat().st_size and name in said
    assert read_info(here / "fox.mp4").frames == 21 + 21 + 9


def test_the_same_in_a_studio(here: Path, tiny_model: Path, monkeypatch) -> None:
    server = Server(lambda: shotstream.load(tiny_model, device="cpu"), here / "films")
    try:
        run_script("direct_a_studio.py", server.url, monkeypatch)
    finally:
        server.stop()
    assert lines_of_code("direct_a_studio.py") <= 20
    assert read_info(here / "fox.mp4").frames == 21 + 9
    with Image.open(here / "wave.gif") as wave:
        assert wave.n_frames == 9


def test_the_notebook(here: Path, tiny_model: Path) -> None:
    """Every cell in order, in one namespace, as a notebook server would; the cell of parameters is replaced."""
    notebook = json.loads((EXAMPLES / "direct.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [] and cell["execution_count"] is None
        text = "".join(cell["source"])
        if "parameters" in cell["metadata"].get("tags", ()):
            text = f"{text}\nMODEL = {str(tiny_model)!r}"
        exec(compile(text, cell["id"], "exec"), names)
    assert read_info(here / "fox.mp4").frames == 21 + 9
    assert (here / "fox_clips/shot_001.mp4").is_file()
