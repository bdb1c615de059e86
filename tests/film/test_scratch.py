"""What programs that were killed have left is cleaned when the next one starts; what others are at is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from shotstream.core.files import whole_file, write_text
from shotstream.film.disk import scratch
from shotstream.film.disk.folder import remove_unborn
from shotstream.film.disk.scratch import ScratchFolder, clean_scratch

HOLDS_FOLDER = """import sys
from pathlib import Path
from shotstream.film.disk.scratch import ScratchFolder
held = ScratchFolder(Path(sys.argv[1]))
(held.path / "takes").mkdir()
print(held.path, flush=True)
sys.stdin.read()
"""
WRITES_FILE = """import sys
from pathlib import Path
from shotstream.core.files import whole_file
with whole_file(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    sys.stdin.read()
"""


@contextmanager
def at_work(program: str, path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that works on ``path``, and the file or folder it has there."""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_goes_with_its_program_or_at_the_next_start(tmp_path: Path) -> None:
    with at_work(HOLDS_FOLDER, tmp_path) as (process, folder):
        assert clean_scratch(tmp_path) == 0 and (folder / "takes").is_dir()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert folder.is_dir()
    scratch._clean_once.cache_clear()  # as in the next program
    with ScratchFolder(tmp_path) as own:
        assert list(tmp_path.iterdir()) == [own]
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    fresh = tmp_path / f"{scratch.PREFIX}plans"  # made just now: it may still get its lock
    fresh.mkdir()
    (tmp_path / "shotstream-plans").mkdir()  # a person's, only called so
    assert clean_scratch(tmp_path) == 0
    long_ago = time.time() - 2 * scratch.JUST_MADE
    for folder in tmp_path.iterdir():
        os.utime(folder, (long_ago, long_ago))
    assert clean_scratch(tmp_path) == 1 and [one.name for one in tmp_path.iterdir()] == ["shotstream-plans"]


@pytest.mark.skipif(os.name == "nt", reason="nobody can be asked there whether a process runs")
def test_half_a_file_goes_when_the_same_is_written_again(tmp_path: Path) -> None:
    target = tmp_path / "fox.mp4"
    with at_work(WRITES_FILE, target) as (process, half):
        write_text(target, "whole")
        assert half.exists()  # somebody is at it
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with whole_file(target) as own:
        assert not half.exists() and own.exists()
        write_text(target, "another")  # at the same time, by ourselves
        assert own.exists()
    assert [one.name for one in tmp_path.iterdir()] == ["fox.mp4"]


def test_a_folder_that_never_became_a_film_goes_unless_somebody_is_at_it(tmp_path: Path) -> None:
    killed, old, fresh, busy, film = (tmp_path / name for name in ("killed", "old", "fresh", "busy", "film"))
    for folder in (killed, old, fresh, busy, film):
        (folder / "takes").mkdir(parents=True)
    for folder in (killed, busy, film):
        (folder / ".lock").touch()
    (killed / ".journal.jsonl.part").touch()
    (film / "journal.jsonl").touch()
    os.utime(old, (0, 0))
    with FileLock(str(busy / ".lock")):
        for folder in (killed, old, fresh, busy, film):
            remove_unborn(folder)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["busy", "film", "fresh"]
