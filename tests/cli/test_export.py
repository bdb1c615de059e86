"""``shotstream export``: files beside the film, in one piece, and one line for whatever is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
from PIL import Image

from shotstream.film.disk.archive import pack
from shotstream.film.disk.store import TakeStore
from shotstream.film.record.film_record import FilmRecord, ShotRecord, TakeRecord
from shotstream.media.exports.formats import FORMATS
from shotstream.media.story_file import read_story
from shotstream.media.video import read_info

Command = Callable[..., Any]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A film file of two shots, one of them made twice, and a third that is not made."""
    geometry = {"width": 64, "height": 32, "fps": 16, "global_caption": "A fox.", "seed": 7}
    store = TakeStore.of(FilmRecord(**geometry))
    sums = [store.add(at, [np.full((21, 32, 64, 3), 60 * at, np.uint8)]) for at in range(3)]
    takes = [TakeRecord(id=at, seed=at, state="finished", block_frames=(9, 12), crc32=sums[at]) for at in range(3)]
    shots = (
        ShotRecord(caption="It walks.", blocks=2, takes=tuple(takes[:2]), chosen=1),
        ShotRecord(caption="It sits.", blocks=2, takes=(takes[2],), chosen=2),
        ShotRecord(caption="It sleeps.", blocks=2, takes=(TakeRecord(id=3, seed=3),)),
    )
    record = FilmRecord(**geometry, shots=shots)
    pack(record, store, tmp_path / "fox.film")
    return tmp_path / "fox.film"


def names(film: Path) -> list[str]:
    """What stands beside the film."""
    return sorted(path.relative_to(film.parent).as_posix() for path in film.parent.rglob("*") if path != film)


def test_an_mp4_beside_the_film(run: Command, film: Path) -> None:
    ran = run("export", film, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == {"files": [str(film.with_suffix(".mp4"))], "shots": 2, "frames": 42, "fps": 16}
    assert [chapter.title for chapter in read_info(film.with_suffix(".mp4")).chapters] == ["It walks.", "It sits."]


def test_every_format_by_name(run: Command, film: Path) -> None:
    for name in FORMATS:
        assert run("export", film, "--format", name, "--force").code == 0, name
    clips = ["fox_clips", "fox_clips/shot_000.mp4", "fox_clips/shot_001.mp4"]
    assert names(film) == sorted(f"fox{one.suffixes[0]}" for one in FORMATS.values() if one.suffixes) + clips


def test_several_at_once(run: Command, film: Path) -> None:
    outputs = [film.with_name(name) for name in ("a.otio", "a.edl", "b.srt", "c.yaml", "d.film")]
    ran = run("export", film, *(part for path in outputs for part in ("-o", path)))
    assert ran.code == 0
    assert set(map(str, outputs)) < set(ran.out.split("\n"))
    assert (film.parent / "a_clips/shot_001.mp4").is_file()
    assert len(otio.adapters.read_from_file(str(outputs[0])).video_tracks()[0]) == 2
    assert [shot.caption for shot in read_story(outputs[3]).shots] == ["It walks.", "It sits."]
    assert outputs[4].read_bytes()[:2] == b"PK"


def test_one_shot(run: Command, film: Path) -> None:
    assert run("export", film, "-o", film.with_name("one.gif"), "--shot", 1).code == 0
    with Image.open(film.with_name("one.gif")) as image:
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - 120).max() < 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{film}.x"], "fox.film.x: no such file"),
        (["{film}", "-o", "{folder}/a.avi"], "a.avi: cannot tell what to export; a name ends in .edl"),
        (["{film}", "--format", "avi"], "no format is called 'avi'; known: clips, edl"),
        (["{film}", "--format", "gif", "-o", "{folder}/a.mp4"], "a.mp4: a gif export's name ends in .gif"),
        (["{film}", "--shot", "1", "-o", "{folder}/a.srt"], "srt: is of the whole film; one shot can be"),
        (["{film}", "--shot", "2", "-o", "{folder}/a.gif"], "there is no made shot 2; made are 0, 1"),
        (["{film}", "-o", "{film}"], "fox.film: is the film itself; name another"),
        (["{film}", "-o", "{folder}/none/a.gif"], "a.gif: its folder does not exist"),
        (["{film}", "-o", "{folder}/none/a.otio"], "a.otio: its folder does not exist"),
        (
            ["{film}", "-o", "{folder}/taken.otio"],
            "shot_001.mp4: already exists; name another or replace it with --force",
        ),
        (["{film}", "-o", "{folder}/new.gif", "-o", "{folder}/taken.gif"], "taken.gif: already exists"),
        (["{film}", "-o", "{folder}/taken.gif", "--format", "clips"], "taken.gif"),
        (["{folder}"], "no film is kept here"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(run: Command, film: Path, arguments, said) -> None:
    (film.parent / "taken.gif").write_bytes(b"mine")
    (film.parent / "taken_clips").mkdir()
    (film.parent / "taken_clips/shot_001.mp4").write_bytes(b"mine")
    before = names(film)
    ran = run("export", *(part.format(film=film, folder=film.parent) for part in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err and ran.err.count("\n") == 1
    assert names(film) == before
    assert (film.parent / "taken.gif").read_bytes() == b"mine"


def test_no_model_and_no_torch(film: Path) -> None:
    words = ["export", str(film), "-o", f"{film}.pdf"]
    check = f"import sys; from shotstream.cli.main import main; sys.exit(main({words}) or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
    assert film.with_name("fox.film.pdf").is_file()


def test_a_video_is_not_the_film_itself(run: Callable[..., Any], tmp_path: Path) -> None:
    video = tmp_path / "film.mp4"
    video.write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    ran = run("export", video, "-o", tmp_path / "a.gif")
    assert ran.code == 2 and ran.err.count("\n") == 1
    assert "film.mp4: is a video; this needs the film itself, which `generate --film FILE.film`" in ran.err
