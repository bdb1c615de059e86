"""Films on a disk that fails them: torn and damaged journals, damaged footage, full disks, crashes at every step."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from shotstream.core.errors import InputError, StorageError
from shotstream.film.disk import folder as film_folder
from shotstream.film.disk.journal import scan
from shotstream.film.film import Film
from shotstream.film.record.events import Deleted
from shotstream.film.record.film_record import FilmRecord
from shotstream.film.record.history import History


@pytest.fixture
def fox(engine, tmp_path) -> Path:
    """The folder of a film of three shots, one with two takes; closed."""
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox")
    for caption in ("It walks.", "It sits.", "It sleeps."):
        film.shot(caption, seconds=0.5).wait()
    film.retake(1).wait()
    film.close()
    return tmp_path / "fox"


def journal_of(folder: Path) -> Path:
    return folder / "journal.jsonl"


def copy_of(folder: Path) -> Path:
    target = folder.parent / "copy"
    shutil.rmtree(target, ignore_errors=True)
    return shutil.copytree(folder, target)


def prefixes(folder: Path) -> list[FilmRecord]:
    """The film after its first record, its first two, and so on."""
    founded, *events = [film_folder.EVENT.validate_json(line) for line in scan(journal_of(folder)).lines]
    history = History(founded)
    found = [history.record]
    for event in events:
        history.add(event)
        found.append(history.record)
    return found


def test_a_torn_last_record_is_dropped_and_said(engine, fox):
    data, states = journal_of(fox).read_bytes(), prefixes(fox)
    start = data.rstrip(b"\n").rindex(b"\n") + 1
    for length in {start + 1, start + 9, (start + len(data)) // 2, len(data) - 1}:
        torn = copy_of(fox)
        journal_of(torn).write_bytes(data[:length])
        film = Film.reopen(engine, torn)
        assert film.repairs == ("the last line of the journal was cut short and is dropped",)
        assert film.record == states[-2]
        film.retake(0)
        film.close()
        again = Film.reopen(engine, torn)
        assert (again.repairs, len(again.record.shots[0].takes)) == ((), 2)


def test_zeros_behind_the_last_record_are_dropped(engine, fox):
    with journal_of(fox).open("ab") as file:
        file.write(bytes(4096))
    film = Film.reopen(engine, fox)
    assert len(film.repairs) == 1 and film.record == prefixes(fox)[-1]


def test_whatever_byte_of_the_journal_is_damaged_nothing_wrong_is_believed(engine, fox):
    data, states = journal_of(fox).read_bytes(), prefixes(fox)
    places = np.random.default_rng(0).choice(len(data), 40, replace=False).tolist()
    for place in places:
        damaged = copy_of(fox)
        flipped = bytearray(data)
        flipped[place] ^= 0x5A
        journal_of(damaged).write_bytes(flipped)
        whole = data[:place].count(b"\n")
        if whole == 0:
            with pytest.raises(InputError, match=r"journal.jsonl: damaged from its first line on|film file version"):
                Film.reopen(engine, damaged)
            assert journal_of(damaged).read_bytes() == bytes(flipped)
            continue
        film = Film.reopen(engine, damaged)
        assert film.record == states[whole - 1] and len(film.repairs) == 1
        aside = damaged / "journal.jsonl.damaged-0"
        if whole < len(states) - 1:
            assert "put aside in journal.jsonl.damaged-0" in film.repairs[0]
            assert aside.read_bytes() == bytes(flipped)[len(b"".join(data.splitlines(True)[:whole])) :]
        else:
            assert not aside.exists()
        film.close()


def test_a_record_from_elsewhere_or_out_of_order_breaks_the_chain(engine, fox):
    lines = journal_of(fox).read_bytes().splitlines(True)
    for mixed in ([*lines[:3], lines[4], lines[3], *lines[5:]], [*lines[:3], *lines[4:]], [*lines, lines[-1]]):
        journal_of(fox).write_bytes(b"".join(mixed))
        assert len(scan(journal_of(fox)).lines) == (3 if len(mixed) <= len(lines) else len(lines))


def test_whole_records_that_do_not_fit_are_refused_and_left_alone(engine, fox):
    film = Film.reopen(engine, fox)
    film.ledger.write(Deleted(shot=17))
    film.close()
    data = journal_of(fox).read_bytes()
    with pytest.raises(
        InputError, match=r"journal.jsonl: line 14 does not fit the lines before it \(there is no shot 17"
    ):
        Film.reopen(engine, fox)
    assert journal_of(fox).read_bytes() == data


# footage


@pytest.mark.parametrize("damage", ["flipped", "cut short", "missing"])
def test_damaged_footage_is_said_and_made_again_the_same(engine, fox, damage):
    film = Film.reopen(engine, fox)
    copy = film.duplicate(1)
    before, pictures = film.record, [film.store.frames(take) for take in film.record.takes()]
    path = film.store.path(copy.record)
    film.close()
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        half = len(data) // 2
        path.write_bytes(data[:half] + (bytes([data[half] ^ 1]) + data[half + 1 :] if damage == "flipped" else b""))
    film = Film.reopen(engine, fox)
    assert film.repairs == ("the footage of take 3 of shot 2 is missing or damaged; it will be made again",)
    assert [take.id for take in film.queue] == [3, 4]
    list(film.play())
    np.testing.assert_array_equal(film.store.frames(film.record.find(3)[1]), pictures[2])
    assert film.shots[1].chosen.id == 3 and film.record.shots[0] == before.shots[0]
    film.close()
    assert Film.reopen(engine, fox).repairs == ()


def test_a_lost_take_that_was_cut_or_changed_comes_out_the_same(engine, tmp_path):
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox")
    take = film.shot("It walks.", seconds=2)
    blocks = iter(take)
    next(blocks)
    take.change("It sits.")
    next(blocks)
    pictures = take.cut().frames
    film.close()
    (tmp_path / "fox" / "takes" / "00000.mp4").unlink()
    film = Film.reopen(engine, tmp_path / "fox")
    list(film.play())
    np.testing.assert_array_equal(film.shots[0].chosen.frames, pictures)


def test_footage_that_only_undo_needs_is_looked_after_too(engine, fox):
    film = Film.reopen(engine, fox)
    film.delete(2)
    film.close()
    (fox / "takes" / "00002.mp4").unlink()
    film = Film.reopen(engine, fox)
    assert film.repairs == ("the footage of take 2 is missing or damaged; it will be made again",)
    film.undo()
    assert [take.id for take in film.queue] == [2]


# one at a time


def test_a_film_is_open_once(engine, fox):
    film = Film.reopen(engine, fox)
    again = Film.reopen(engine, fox)
    with pytest.raises(StorageError, match="the film is closed; open it again"):
        film.retake(0)
    again.retake(0)
    assert film_folder.open_here(fox)
    code = "import sys; from shotstream.film.disk.folder import FilmFolder, Path; FilmFolder.open(Path(sys.argv[1]))"
    other = subprocess.run([sys.executable, "-c", code, fox], capture_output=True, text=True, check=False)
    assert "the film is open in another program; close it there first" in other.stderr
    again.close()
    assert subprocess.run([sys.executable, "-c", code, fox], check=False).returncode == 0


# older and later versions


def test_a_journal_of_a_later_version_is_refused_and_left_alone(engine, fox):
    text = scan(journal_of(fox)).lines[0].replace(b'"version":2', b'"version":3')
    film_folder.Journal.create(journal_of(fox), text).close()
    data = journal_of(fox).read_bytes()
    with pytest.raises(InputError, match="version 3, this program reads 2; update shotstream"):
        Film.reopen(engine, fox)
    assert journal_of(fox).read_bytes() == data


# crashes


class Moments:
    """Copies a folder whenever something is about to reach the disk, and halfway through every line."""

    def __init__(self, folder: Path, copies: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.copies = folder, copies
        self.seen: list[str] = []
        fsync, replace, unlink = os.fsync, os.replace, os.unlink
        patch.setattr(os, "fsync", lambda handle: (self.copy(f"fsync {self._name(handle)}"), fsync(handle))[1])
        patch.setattr(os, "replace", lambda *paths: (self.copy("replace"), replace(*paths))[1])
        patch.setattr(os, "unlink", lambda *paths: (self.copy("unlink"), unlink(*paths))[1])
        patch.setattr("shotstream.film.disk.journal._write", self._write)

    def _name(self, handle: int) -> str:
        return Path(os.readlink(f"/proc/self/fd/{handle}")).name if sys.platform == "linux" else ""

    def _write(self, file, data: bytes) -> None:
        file.write(data[: len(data) // 2])
        self.copy("half a line")
        file.write(data[len(data) // 2 :])

    def copy(self, what: str) -> None:
        if self.folder.exists():
            shutil.copytree(self.folder, self.copies / f"{len(self.seen):04d}")
            self.seen.append(what)


def test_after_a_crash_at_any_step_the_film_is_what_was_acknowledged_or_one_event_more(
    engine, tmp_path, monkeypatch
) -> None:
    folder, copies = tmp_path / "fox", tmp_path / "copies"
    acknowledged: list[tuple[int, FilmRecord]] = []  # how many copies there were when a command was done; the film
    with monkeypatch.context() as patch:
        moments = Moments(folder, copies, patch)
        film = Film.new(engine, "A red fox.", 7, folder)
        take = film.shot("It walks.", seconds=1.3)
        for do in (
            lambda: next(iter(take)),
            lambda: take.change("It sits."),
            lambda: take.wait(),
            lambda: film.duplicate(0),
            lambda: film.undo(),
            lambda: film.retake(0, seed=3).wait(),
            lambda: film.clean(unchosen=True),
            lambda: film.shot("It sleeps."),
        ):
            do()
            acknowledged.append((len(moments.seen), film.record))
        film.close()
    states = [None, *(record for _, record in acknowledged)]
    for number, _ in enumerate(moments.seen):
        copy = copies / f"{number:04d}"
        before = sum(moment <= number for moment, _ in acknowledged)
        if not film_folder.holds_film(copy):
            assert before == 0
            continue
        again = Film.reopen(engine, copy)
        assert all("cut short" in said for said in again.repairs), moments.seen[number]
        if before:
            assert_between(again.record, states[before], states[min(before + 1, len(states) - 1)])
        for made in again.record.all_takes():
            if made.made:
                again.store.frames(made)
        assert not list(copy.rglob("*.part"))
        again.close()


def assert_between(now: FilmRecord, before: FilmRecord, after: FilmRecord) -> None:
    """``now`` is the film before a command, after it, or after some of its events: never anything else."""
    if now in (before, after):
        return
    ids = [{take.id for take in one.all_takes()} for one in (before, now, after)]
    assert ids[0] <= ids[1] <= ids[2] or ids[2] <= ids[1] <= ids[0]
    assert {take.id for take in now.all_takes() if take.made} <= {
        take.id for one in (before, after) for take in one.all_takes() if take.made
    }


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files come from /proc")
def test_nothing_counts_before_it_is_on_the_disk(engine, tmp_path, monkeypatch) -> None:
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox")
    take = film.shot("It walks.", seconds=0.5)
    with monkeypatch.context() as patch:
        moments = Moments(tmp_path / "fox", tmp_path / "copies", patch)
        take.wait()
    begun, footage = ["half a line", "fsync journal.jsonl"], moments.seen[2:5]
    assert moments.seen[:2] == begun and moments.seen[5:] == begun
    assert footage[0].startswith("fsync .00000.mp4.") and footage[1:] == ["replace", "fsync takes"]


# full disks


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def until_full(command: Callable[[int], object]) -> int:
    """How often it could be done."""
    for number in range(1000):
        try:
            command(number)
        except StorageError as fault:
            assert "the disk is full; make room" in str(fault) and "\n" not in str(fault)
            return number
    raise AssertionError("the disk is not full")


def test_a_disk_that_fills_up_takes_nothing_with_it(engine, small_disk) -> None:
    film = Film.new(engine, "A red fox.", 7, small_disk / "fox")
    made = until_full(lambda number: film.shot(f"It walks {number}.", seconds=0.5).wait())
    assert made > 1
    until_full(lambda number: film.shot("x" * 3000))
    before, room = film.record, os.statvfs(small_disk)
    assert room.f_bavail * room.f_bsize < 8192
    with pytest.raises(StorageError):
        film.save(small_disk / "fox.film")
    assert [path.name for path in small_disk.iterdir()] == ["fox"]
    film.close()
    film = Film.reopen(engine, small_disk / "fox")
    assert (film.record, film.repairs) == (before, ())
    assert sum(shot.chosen is not None for shot in film.shots) == made
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    film.delete(made)
    film.insert(0, "It sits.", seconds=0.5).wait()
    film.save(small_disk / "fox.film")


def test_a_journal_that_cannot_be_synced_takes_the_line_back(engine, tmp_path, monkeypatch) -> None:
    film = Film.new(engine, "A red fox.", 7, tmp_path / "fox")
    data = journal_of(tmp_path / "fox").read_bytes()

    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            film.shot("It walks.")
    assert journal_of(tmp_path / "fox").read_bytes() == data and film.shots == ()
    film.shot("It walks.")
    film.close()
    assert len(Film.reopen(engine, tmp_path / "fox").shots) == 1
