"""A person's own clips and pictures in a film: cuts, rates, sizes, memory, undo, and what is refused."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from shotstream.core.errors import InputError, StorageError
from shotstream.film.disk.own_material import ClipPart, find_shots
from shotstream.film.film import Film
from shotstream.media.video import iterate_frames

FOX = "the fox: a red fox with a blue hat"


def clip_of(path: Path, *shots: int, fps: int = 16, size: tuple[int, int] = (64, 32)) -> Path:
    """A video, written by OpenCV: shots of so many frames, a square that moves over a colour of its own."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
    for shot, frames in enumerate(shots):
        for frame in range(frames):
            picture = np.full((size[1], size[0], 3), (40 + 70 * shot, 200 - 80 * shot, 90 * (shot % 2)), np.uint8)
            picture[4:14, 2 + frame : 12 + frame] = 255
            writer.write(picture)
    writer.release()
    return path


def still_of(path: Path, colour: tuple[int, ...] = (200, 30, 30), size: tuple[int, int] = (64, 32)) -> Path:
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(path)
    return path


def test_every_shot_of_a_clip_becomes_a_take(film: Film, tmp_path: Path) -> None:
    clip = clip_of(tmp_path / "mine.mp4", 20, 30, 13)
    takes = film.place(clip, ["It sits.", "It walks.", "It sleeps."])
    assert [take.frame_count for take in takes] == [20, 30, 13]
    assert [shot.caption for shot in film.shots] == ["It sits.", "It walks.", "It sleeps."]
    assert np.array_equal(np.concatenate([take.frames for take in takes]), np.stack(list(iterate_frames(clip))))
    assert [len(block.frames) for block in takes[1]] == [9, 12, 9]
    assert find_shots(clip, film.geometry) == [(0, 1.25), (1.25, 3.125), (3.125, 3.9375)]
    assert film.stale == () and film.undoable == "place"
    film.undo()
    assert film.shots == ()
    film.redo()
    assert np.array_equal(film.shots[2].chosen.frames, takes[2].frames)


def test_a_part_of_a_clip_at_another_rate_shows_what_a_player_shows(film: Film, tmp_path: Path) -> None:
    clip = clip_of(tmp_path / "mine.mp4", 30, 60, fps=30, size=(128, 64))
    (take,) = film.place(clip, "It walks.", part=ClipPart(start=0.5, stop=2.5, cuts=False))
    assert take.frame_count == 32
    shown = [cv2.resize(frame, (64, 32), interpolation=cv2.INTER_AREA) for frame in iterate_frames(clip)]
    for number, frame in enumerate(take.frames):
        expected = shown[int((0.5 + number / 16) * 30 + 1e-6)].astype(int)
        assert np.abs(frame.astype(int) - expected).mean() < 4
    with pytest.raises(InputError, match=r"mine\.mp4: lasts 3\.00 s; there is nothing from 3 to 3 s"):
        film.place(clip, "It walks.", part=ClipPart(start=3.0))


def test_pictures_are_turned_cropped_and_shown_on_black(film: Film, tmp_path: Path) -> None:
    turned = Image.new("RGB", (32, 64), (255, 0, 0))
    turned.paste((0, 0, 255), (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    (take,) = film.place(tmp_path / "turned.jpg", "It sits.")
    assert take.frame_count == film.geometry.shot_frames(film.geometry.default_blocks)
    left, right = take.frames[0][16, 8], take.frames[-1][16, 56]
    assert right[2] > 240 > 20 > right[0] and left[0] > 240 > 20 > left[2]
    (clear,) = film.place(still_of(tmp_path / "clear.png", (200, 100, 50, 128)), "It sits.", part=ClipPart(seconds=0.6))
    assert clear.frame_count == 9 and np.abs(clear.frames[0, 0, 0] - np.array([100, 50, 25])).max() <= 1
    tall = still_of(tmp_path / "tall.png", size=(1, 4096))
    assert film.place(tall, "It sits.")[0].frames.shape[1:] == (32, 64, 3)


def test_shots_of_ones_own_stand_between_made_ones_and_condition_them(film: Film, tmp_path: Path) -> None:
    film.shot("It sits.").wait()
    film.shot("It sleeps.").wait()
    (own,) = film.place(clip_of(tmp_path / "mine.mp4", 20), "The owl walks.", at=1)
    assert [shot.caption for shot in film.shots] == ["It sits.", "The owl walks.", "It sleeps."]
    assert film.stale == (2,)
    remade = film.remake(2).wait()
    assert own.id in {seen.take for seen in remade.record.saw} and film.stale == ()
    film.retell("A blue owl.")
    assert film.stale == (0, 2)  # what the model did not make cannot be made again
    with pytest.raises(InputError, match=r"shot 1 is from mine\.mp4, not made by the model; retake it"):
        film.remake(1)
    assert film.retake(1).wait().record.source == "" and film.shots[1].chosen.record.source == ""
    film.choose(1, own)
    assert film.story().shots[1].caption == "The owl walks."


def test_a_pinned_picture_conditions_the_shots_that_name_it(film: Film, engine: Any, tmp_path: Path) -> None:
    for _ in range(3):
        film.shot("It sits.").wait()
    pinned = film.pin(still_of(tmp_path / "fox.png"), FOX).picture
    assert film.stale == (0, 1, 2)  # the global caption names the fox
    film.undo()
    owl = film.pin(still_of(tmp_path / "owl.png"), "The old owl: a grey owl.").picture
    assert owl.id > pinned.id and film.stale == ()
    named = film.shot("The OLD Owl flies.").wait().record.saw
    assert len(named) == 6 and named[0].take == owl.id and [seen.take for seen in named].count(owl.id) == 1
    usual = film.shot("The owl flies.").wait().record.saw  # it is not called that
    assert owl.id not in {seen.take for seen in usual}
    film.unpin("The old owl")
    assert film.references == () and film.stale == (3, 4)
    film.undo()
    assert film.stale == ()


def test_before_a_first_shot_a_picture_is_all_there_is(film: Film, engine: Any, tmp_path: Path) -> None:
    bare = film.shot("It sits.").wait().frames
    picture = film.pin(still_of(tmp_path / "fox.png"), FOX).picture
    film.prepare()
    first = film.remake(0).wait()
    assert [seen.take for seen in first.record.saw] == [picture.id]
    assert not np.array_equal(first.frames, bare)


def test_it_is_kept_in_folder_and_file(engine: Any, tmp_path: Path) -> None:
    film = Film.new(engine, "A red fox in a forest.", 7, tmp_path / "film")
    film.pin(still_of(tmp_path / "fox.png"), FOX)
    film.place(clip_of(tmp_path / "mine.mp4", 20, 20), "It walks.")
    last = film.shot("It sleeps.").wait().frames
    film.save(tmp_path / "film.film")
    film.clean(unchosen=True)
    film.close()
    for again in (Film.reopen(engine, tmp_path / "film"), Film.reopen(engine, tmp_path / "film.film")):
        assert again.repairs == () and again.stale == ()
        assert again.references[0].name == "the fox" and again.shots[1].chosen.record.source == "mine.mp4"
        assert np.array_equal(again.remake(2).wait().frames, last)
        again.close()


def test_lost_footage_of_ones_own_is_told(engine: Any, tmp_path: Path) -> None:
    film = Film.new(engine, "A red fox in a forest.", 7, tmp_path / "film")
    picture = film.pin(still_of(tmp_path / "fox.png"), FOX).picture
    (own,) = film.place(clip_of(tmp_path / "mine.mp4", 20), "It walks.")
    paths = [film.store.path(picture), film.store.path(own.record)]
    film.close()
    for path in paths:
        path.write_bytes(b"")
    again = Film.reopen(engine, tmp_path / "film")
    assert again.repairs == (
        "the reference image of 'the fox' is missing or damaged; pin it again",
        "the footage of take 1 of shot 0, from mine.mp4, is missing or damaged; put the file in again, or the model "
        "makes the shot",
    )
    assert again.references == () and again.queue[0].wait().record.source == ""


def bomb() -> bytes:
    """The head of a PNG of ten thousand million pixels."""
    target = io.BytesIO()
    Image.new("RGB", (1, 1)).save(target, "png")
    data = bytearray(target.getvalue())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no picture at all", "cannot be read as a video"),
        (bomb(), "has more than 64 million pixels; make it smaller"),
        (None, "damaged picture"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_line(film: Film, tmp_path: Path, data: bytes | None, said: str) -> None:
    path = tmp_path / "mine"
    if data is None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(path, "png")
        data = path.read_bytes()[:-4000]
    path.write_bytes(data)
    for act in (lambda: film.place(path, "It walks."), lambda: film.pin(path, FOX)):
        with pytest.raises(InputError, match=said) as raised:
            act()
        assert "\n" not in str(raised.value)
    assert film.shots == () and film.undoable is None
    assert list(film.store.folder.iterdir()) == []


def test_what_is_said_of_it_is_checked(film: Film, tmp_path: Path) -> None:
    clip, still = clip_of(tmp_path / "mine.mp4", 20, 20), still_of(tmp_path / "fox.png")
    film.pin(still, FOX)
    for act, said in (
        (lambda: film.place(clip, ["a", "b", "c"]), "has 2 shots, and 3 captions were given"),
        (lambda: film.place(clip, " "), "caption is blank"),
        (lambda: film.place(clip, "a", at=1), "0 to 0, not at 1"),
        (lambda: film.place(clip, "a", part=ClipPart(seconds=2)), "seconds applies to still images only"),
        (lambda: film.place(tmp_path / "none.mp4", "a"), "no such file"),
        (lambda: film.pin(still, "a red fox"), "names nothing"),
        (lambda: film.pin(still, "The Fox: another"), "is pinned already"),
        (lambda: film.unpin("the owl"), "no reference image is called 'the owl'; there are: 'the fox'"),
        (lambda: film.snapshot().place(clip, "a"), "this is a snapshot"),
    ):
        with pytest.raises(InputError, match=said):
            act()
    assert film.undoable == "pin" and len(film.record.all_takes()) == 1
    film.close()
    with pytest.raises(StorageError, match="closed"):
        film.place(clip, "a")
