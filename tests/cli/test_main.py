"""What every command owes a person: one line for a mistake, its own exit code, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shotstream import __version__
from shotstream.core.errors import StorageError, WeightsError

Command = Callable[..., Any]
CONSOLE = [sys.executable, "-c", "from shotstream.cli.main import run; run()"]
GENERATE = ["generate", "--prompt", "A fox.", "--shot", "It walks.", "-o"]


def test_version_and_help(run: Command) -> None:
    assert run("--version").out == f"{__version__}\n"
    assert run().out == run("--help").out
    assert "generate" in run("-h").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["genrate"], "did you mean 'generate'"),
        (["--nope"], "no such option: --nope"),
        (["story"], "missing command"),
        (["story", "check"], "missing argument 'story'"),
        (["verify"], "missing argument 'file'"),
        (["data", "world", "--stories", "0", "--out", "x"], "--stories"),
        (["train", "storyworld/teacher", "rate"], "rate: not an override; write key=value"),
        (["models", "info", "nothing"], "nothing: no such weights"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(run: Command, arguments: list[str], said: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err.lower()
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        (WeightsError("w.safetensors: damaged; fetch it again"), 2, "error: w.safetensors: damaged; fetch it again\n"),
        (StorageError("a.mp4: the disk is\nfull"), 2, "error: a.mp4: the disk is full\n"),
        (KeyError("oops"), 1, "error: unexpected KeyError: 'oops' (SHOTSTREAM_DEBUG=1 shows where)\n"),
        (
            ModuleNotFoundError("No module named 'skia'", name="skia"),
            2,
            "error: this command needs skia, which is not installed; pip install 'shotstream[world]'\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_whatever_happens_is_one_line(
    run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: BaseException, code: int, line: str
) -> None:
    def render_story(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setitem(sys.modules, "shotstream.api", SimpleNamespace(render_story=render_story))
    ran = run(*GENERATE, tmp_path / "film.mp4")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.strip() == line.strip()


def test_the_debug_switch_shows_where(run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "shotstream.api", SimpleNamespace(render_story=None))
    monkeypatch.setenv("SHOTSTREAM_DEBUG", "1")
    with pytest.raises(TypeError):
        run(*GENERATE, tmp_path / "film.mp4")


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, a shell has switched it off
from pathlib import Path
from types import SimpleNamespace
from shotstream.core.files import whole_file
def render_story(story, output, **options):
    with whole_file(output):
        Path(sys.argv[-1] + ".started").touch()
        while True:  # in short sleeps: a signal that comes just before one is heard only after it
            time.sleep(0.05)
sys.modules["shotstream.api"] = SimpleNamespace(render_story=render_story)
from shotstream.cli.main import run
run()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    film = tmp_path / "film.mp4"
    process = subprocess.Popen([sys.executable, "-c", SLOW, *GENERATE, str(film)], stderr=subprocess.PIPE, text=True)
    started = Path(f"{film}.started")
    while not started.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == [started.name]


def test_a_reader_that_stops_reading_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*CONSOLE, "story", "schema"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def test_python_m_is_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "shotstream", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{__version__}\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_standard_output_will_do(tmp_path: Path, encoding: str) -> None:
    story = tmp_path / "狐.yaml"
    ran = subprocess.run(
        [sys.executable, "-m", "shotstream", "story", "check", str(story)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    said = ran.stderr.decode(encoding)
    assert ran.returncode == 2 and said.count("\n") == 1 and ("狐" if encoding == "utf-8" else "\\u72d0") in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_full_or_closed_standard_output_is_one_line() -> None:
    schema = f"{sys.executable} -m shotstream story schema"
    full = subprocess.run(f"{schema} >/dev/full", shell=True, capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr.count("\n")) == (2, 1)
    assert "standard output cannot be written (No space left on device)" in full.stderr
    closed = subprocess.run(f"{schema} >&-", shell=True, capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_file_where_a_folder_should_be_is_one_line(run: Callable[..., Any], tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("mine")
    for arguments in (
        ("data", "world", "--stories", 1, "--out", blocker, "--workers", 0),
        ("films", "list", "--films", blocker),
        ("train", "nano/teacher", "--out", blocker),
    ):
        ran = run(*arguments)
        assert ran.code == 2 and ran.err.splitlines()[-1].startswith(f"error: {blocker}"), (arguments, ran.err)
    assert blocker.read_text() == "mine"


def test_listing_films_creates_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    ran = run("films", "list", "--films", tmp_path / "none")
    assert (ran.code, ran.err) == (0, "0 films, 0.0 MB\n")
    assert not (tmp_path / "none").exists()
