"""The wheel alone, outside the checkout: everything is in it, and it makes a film."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ["py.typed", "core/story.schema.json"]
SHIPPED_SUFFIXES = {".safetensors", ".yaml", ".json", ".html", ".css", ".js", ".svg"}
PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import shotstream
assert shotstream.__file__.startswith(sys.path[0]), shotstream.__file__
from shotstream.cli.main import run
run()
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def unpacked(wheel: Path) -> Path:
    folder = wheel.parent / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def shotstream(unpacked: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command of the unpacked wheel in ``folder``, blind to the checkout."""
    command = [sys.executable, "-I", "-c", PROGRAM, str(unpacked), *arguments]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_everything_is_in_the_wheel(unpacked: Path) -> None:
    source, package = ROOT / "src" / "shotstream", unpacked / "shotstream"
    expected = {
        path.relative_to(source)
        for path in source.rglob("*")
        if path.suffix in {".py", *SHIPPED_SUFFIXES} or path.name == "py.typed"
    }
    assert {Path(name) for name in SHIPPED} <= expected
    assert expected == {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    assert next(unpacked.glob("*.dist-info/licenses/LICENSE")).read_text().lstrip().startswith("Apache License")


def test_the_wheel_makes_a_film(unpacked: Path, tmp_path: Path) -> None:
    words = ["--prompt", "A red fox in a forest at night.", "--shot", "Wide shot. The fox walks to the left.", "--json"]
    done = shotstream(unpacked, tmp_path, "generate", *words)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "film.png"]
    capture = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == report["frames"] == 33
    capture.release()
