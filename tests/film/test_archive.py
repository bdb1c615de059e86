"""Film files: readable by others, and hostile or damaged ones refused in one line."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from shotstream.core.errors import InputError, StorageError
from shotstream.film.disk import archive, store
from shotstream.film.film import Film

Entries = dict[str, bytes]


@pytest.fixture
def saved(film: Film, tmp_path: Path) -> Path:
    film.shot("It walks.").wait()
    film.shot("It sits.").wait()
    film.retake(0).wait()
    film.save(tmp_path / "fox.film")
    return tmp_path / "fox.film"


def entries_of(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, entries: Entries, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def refusal(engine, path: Path) -> str:
    with pytest.raises(InputError) as fault:
        Film.reopen(engine, path)
    said = str(fault.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said


def test_others_can_read_it(saved, film, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
        record = json.loads(archive.read("film.json"))
        archive.extractall(tmp_path / "out")
    assert record["synthetic"] is True
    assert [shot["caption"] for shot in record["shots"]] == ["It walks.", "It sits."]
    for shot in film.shots:
        for take in shot.takes:
            with av.open(str(tmp_path / "out" / take.record.video)) as container:
                frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            np.testing.assert_array_equal(np.stack(frames), take.frames)


def test_saving_twice_gives_the_same_bytes(saved, film, engine, tmp_path):
    Film.reopen(engine, saved).save(tmp_path / "again.film")
    assert (tmp_path / "again.film").read_bytes() == saved.read_bytes()


def test_a_film_zipped_again_by_hand_still_opens(saved, engine, film, tmp_path):
    again = write(tmp_path / "hand.film", {"takes/": b"", **entries_of(saved)}, zipfile.ZIP_DEFLATED)
    assert Film.reopen(engine, again).record == film.record


def test_a_failed_save_leaves_the_old_file(saved, film, monkeypatch):
    before = saved.read_bytes()
    (film.store.folder / "00001.mp4").unlink()
    with pytest.raises(StorageError):
        film.save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["fox.film"]


def changed(key: str, value: object) -> Callable[[Entries], None]:
    """Set ``key`` (dotted) of film.json."""

    def change(entries: Entries) -> None:
        record = json.loads(entries["film.json"])
        *steps, last = [int(step) if step.isdigit() else step for step in key.split(".")]
        place = record
        for step in steps:
            place = place[step]
        place[last] = value
        entries["film.json"] = json.dumps(record).encode()

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda entries: entries.pop("film.json"), "holds no film.json"),
        (lambda entries: entries.pop("takes/00001.mp4"), "holds no takes/00001.mp4"),
        (lambda entries: entries.update({"film.json": b"[1, 2"}), "not a film's description"),
        (lambda entries: entries.update({"film.json": b"[" * 100_000}), "not a film's description"),
        (lambda entries: entries.update({"film.json": b"\xff\xfe"}), "not a film's description"),
        (lambda entries: entries.update({"takes/00000.mp4": b"not a video"}), "00000.mp4: damaged footage"),
        (changed("format", "other"), "its format is 'other'"),
        (changed("version", 3), "version 3, this program reads 2; update"),
        (changed("width", 62), "holds 21 frames of 64x32, not 21 of 62x32"),
        (changed("fps", 25), "the film is 64x32 at 25 frames/s, the model makes 64x32 at 16"),
        (changed("extra", 1), "extra: Extra inputs are not permitted"),
        (changed("global_caption", " "), "global_caption: is blank"),
        (changed("shots.0.takes.0.block_frames", [9]), "holds 21 frames of 64x32, not 9"),
        (changed("shots.0.takes.0.block_frames", [1000] * 999), "at most 20000"),
        (changed("shots.0.takes.0.block_frames", []), "finished with 0 frames"),
        (changed("shots.0.takes.0.id", 1), "take 1 is listed twice"),
        (changed("shots.0.takes.0.id", -1), "greater than or equal to 0"),
        (changed("shots.0.chosen", 9), "chosen take 9 is none of"),
        (changed("shots.0.takes", []), "at least 1 item"),
    ],
)
def test_what_does_not_fit_is_refused(saved, engine, change, said):
    entries = entries_of(saved)
    change(entries)
    assert said in refusal(engine, write(saved, entries))


@pytest.mark.parametrize("name", ["../out.mp4", "/etc/out.mp4", "a/../../out", "..\\out.mp4", "C:out.mp4"])
def test_path_tricks_are_refused(saved, engine, name):
    entries = {**entries_of(saved), name: b"x"}
    assert "leads out of the archive" in refusal(engine, write(saved, entries))


def test_links_are_refused(saved, engine):
    with zipfile.ZipFile(saved, "a") as archive:
        link = zipfile.ZipInfo("takes/link.mp4")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "is a link" in refusal(engine, saved)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_given_twice_is_refused(saved, engine):
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr("film.json", "{}")
    assert "in it twice" in refusal(engine, saved)


def test_a_bomb_is_refused(saved, engine):
    entries = {**entries_of(saved), "zeros": b"\0" * (40 << 20)}
    assert "unpacks to far more" in refusal(engine, write(saved, entries, zipfile.ZIP_DEFLATED))


def test_a_record_that_is_too_large_is_refused(saved, engine, monkeypatch):
    monkeypatch.setattr("shotstream.film.disk.archive.MAX_RECORD_BYTES", 100)
    assert "film.json is larger" in refusal(engine, saved)


def test_a_huge_directory_is_refused_before_it_is_read(saved, engine):
    data = bytearray(saved.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    struct.pack_into("<HHI", data, end + 8, 60_000, 60_000, 0xFFFFFFF0)
    saved.write_bytes(data)
    assert "lists 60000 files" in refusal(engine, saved)


def test_encryption_is_refused(saved, engine):
    data = bytearray(saved.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark) + offset
        data[at] |= 1
    saved.write_bytes(data)
    assert "is encrypted" in refusal(engine, saved)


def test_every_truncation_and_flipped_byte_is_noticed(saved, engine, film):
    whole = saved.read_bytes()
    for length in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:length])
        refusal(engine, saved)
    places = np.random.default_rng(0).choice(len(whole), 60, replace=False)
    for place in places.tolist():
        data = bytearray(whole)
        data[place] ^= 0x5A
        saved.write_bytes(data)
        try:
            again = Film.reopen(engine, saved)
        except InputError as fault:
            assert "\n" not in str(fault)
        else:  # a byte nobody reads, such as a date: the film is unharmed
            assert again.record == film.record
            for take in again.record.takes():
                np.testing.assert_array_equal(again.store.frames(take), film.store.frames(take))


def test_no_file_and_a_folder(engine, tmp_path):
    assert "no such file" in refusal(engine, tmp_path / "none.film")
    assert "no film is kept here" in refusal(engine, tmp_path)


def test_footage_that_many_takes_share_is_looked_at_once(engine, film, tmp_path, monkeypatch) -> None:
    film.shot("It walks.").wait()
    for _ in range(12):
        film.duplicate(0)
    film.save(tmp_path / "fox.film")
    looks: list[Path] = []
    look = archive.checksum
    monkeypatch.setattr(archive, "checksum", lambda path: looks.append(path) or look(path))
    assert len(Film.reopen(engine, tmp_path / "fox.film").shots) == 13
    assert len(looks) == 1


def test_takes_that_do_not_agree_on_their_footage_are_refused(engine, film, tmp_path) -> None:
    film.shot("It walks.").wait()
    film.duplicate(0)
    film.save(tmp_path / "fox.film")
    entries = entries_of(tmp_path / "fox.film")
    record = json.loads(entries["film.json"])
    record["shots"][1]["takes"][0]["block_frames"] = [9]
    entries["film.json"] = json.dumps(record).encode()
    assert "takes 0 and 1 do not agree on it" in refusal(engine, write(tmp_path / "fox.film", entries))


def test_footage_of_an_unknown_codec_is_refused(engine, saved) -> None:
    entries = entries_of(saved)
    entries["takes/00000.mp4"] = entries["takes/00000.mp4"].replace(b"avc1", b"zzzz")
    assert "not footage" in refusal(engine, write(saved, entries))


def test_a_long_take_is_read_frame_by_frame(engine, film, monkeypatch) -> None:
    take = film.shot("It walks.", seconds=5).wait()
    seen: list[int] = []
    pixels = store._pixels
    monkeypatch.setattr(store, "_pixels", lambda *given: seen.append(1) or pixels(*given))
    frames = film.store.stream(take.record)
    next(frames)
    assert len(seen) == 1
    assert sum(1 for _ in frames) == take.record.frames - 1
    assert np.array_equal(np.stack(list(film.store.stream(take.record))), take.frames)
