"""Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shotstream.core.errors import InputError, StorageError
from shotstream.core.files import fingerprint, ready_to_write, whole_file, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert not path.exists()
        assert temporary.parent == path.parent
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.skipif(os.name == "nt", reason="no permissions of this kind")
def test_it_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with whole_file(tmp_path / "a.bin") as temporary:  # as a library does that writes a file of its own
        (tmp_path / "own").write_bytes(b"new")
        (tmp_path / "own").chmod(0o600)
        (tmp_path / "own").replace(temporary)
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file(tmp_path: Path, fault: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(fault), whole_file(path) as temporary:
        temporary.write_text("half")
        raise fault
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "theirs").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="folder does not exist"):
        write_bytes(tmp_path / "no" / "a", b"")
    with pytest.raises(StorageError, match="folder does not exist"):
        ready_to_write(tmp_path / "no" / "a", force=False)


def test_ready_to_write(tmp_path: Path) -> None:
    ready_to_write(tmp_path / "new.mp4", force=False)
    assert names(tmp_path) == []
    (tmp_path / "old.mp4").touch()
    with pytest.raises(InputError, match=r"already exists.*--force"):
        ready_to_write(tmp_path / "old.mp4", force=False)
    ready_to_write(tmp_path / "old.mp4", force=True)
    with pytest.raises(InputError, match="is a folder"):
        ready_to_write(tmp_path, force=True)
    with pytest.raises(InputError, match="not a plain file"):
        ready_to_write(Path(os.devnull), force=True)
    with pytest.raises(StorageError, match="name is too long"):
        ready_to_write(tmp_path / ("x" * 300), force=False)


def test_a_long_name_still_has_room_for_a_temporary_one(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("x" * 250), b"data")


def test_a_disk_without_room(tmp_path: Path) -> None:
    """The kernel's limit on file sizes stands in for a full disk: the write itself fails, late."""
    program = (
        "import resource, sys; from pathlib import Path; from shotstream.core.files import write_bytes\n"
        "from shotstream.core.errors import StorageError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_bytes(Path(sys.argv[1]), bytes(2000))\n"
        "except StorageError as fault: sys.exit(str(fault))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(str(tmp_path / "a")), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert names(tmp_path) == []


def test_fingerprints_tell_files_apart_small_and_large(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"fox")
    assert fingerprint(small) == hashlib.sha256(b"fox").hexdigest()[:12]
    prints = set()
    for size, place in ((70 << 20, None), (70 << 20, 0), (70 << 20, (70 << 20) - 1), ((70 << 20) + 1, None)):
        path = tmp_path / "large"
        with path.open("wb") as file:
            file.truncate(size)
            if place is not None:
                file.seek(place)
                file.write(b"!")
        prints.add(fingerprint(path))
    assert len(prints) == 4
