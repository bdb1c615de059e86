"""Films on disk, read back by us, by OpenCV, and byte by byte."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import pytest

from shotstream.core.errors import InputError, StorageError
from shotstream.media.film_paths import only_writer, shots_left
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import write_film
from shotstream.media.provenance import SOURCE_TYPE, XMP_BOX, FilmTags
from shotstream.media.video import iterate_frames, read_info, read_video

Shots = list[tuple[str, np.ndarray]]


def write(path: Path, video: VideoFormat, tags: FilmTags, shots: Shots) -> Path:
    with write_film(path, video, tags) as film:
        for caption, frames in shots:
            film.add_shot(caption, frames)
    return path


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.fixture
def film(tmp_path: Path, video: VideoFormat, tags: FilmTags, shots: Shots) -> Path:
    return write(tmp_path / "fox.mp4", video, tags, shots)


def test_frames_survive(film: Path, shots: Shots) -> None:
    wanted = np.concatenate([frames for _, frames in shots])
    found = read_video(film)
    assert found.shape == wanted.shape
    assert psnr(found, wanted) > 34
    assert np.abs((found.astype(float) - wanted).mean((0, 1, 2))).max() < 0.5, "a tint: wrong matrix or range"
    np.testing.assert_array_equal(read_video(film, 5, 12), found[5:12])
    assert sum(1 for _ in iterate_frames(film)) == len(wanted)


def test_opencv_sees_the_same_film(film: Path, shots: Shots) -> None:
    wanted = np.concatenate([frames for _, frames in shots])
    capture = cv2.VideoCapture(str(film))
    assert capture.get(cv2.CAP_PROP_FPS) == 16
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    capture.release()
    assert len(frames) == len(wanted)
    assert psnr(np.stack(frames), wanted) > 30


def test_every_shot_is_a_chapter_that_starts_with_a_key_frame(film: Path) -> None:
    info = read_info(film)
    assert [chapter.title for chapter in info.chapters] == [
        "Wide shot. The fox — it walks.",
        "Close-up. The fox waves.",
    ]
    assert [(round(16 * chapter.start, 1), round(16 * chapter.end, 1)) for chapter in info.chapters] == [
        (0, 9),
        (9, 30),
    ]
    with av.open(str(film)) as container:
        keys = {
            round(frame.time * 16) for frame in container.decode(video=0) if frame.key_frame and frame.time is not None
        }
    assert {0, 9} <= keys


def test_the_film_says_what_it_is(film: Path, tags: FilmTags) -> None:
    info = read_info(film)
    assert (info.width, info.height, info.fps, info.frames) == (96, 64, 16, 30)
    assert info.tags == tags
    assert info.metadata["title"] == "fox"
    assert json.loads(info.metadata["synthetic"]) == {"synthetic": True, "digitalSourceType": SOURCE_TYPE}
    assert "generative model" in info.metadata["comment"]


def test_colours_are_declared(film: Path) -> None:
    with av.open(str(film)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 1, 1, 1)
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_boxes_index_first_and_the_iptc_mark_last(film: Path) -> None:
    data, boxes, position = film.read_bytes(), [], 0
    while position < len(data):
        size, kind = struct.unpack(">I4s", data[position : position + 8])
        boxes.append((kind, data[position + 8 : position + size]))
        position += size
    kinds = [kind for kind, _ in boxes]
    assert position == len(data)
    assert kinds.index(b"moov") < kinds.index(b"mdat"), "a browser should play it before it is all there"
    assert kinds[-1] == b"uuid"
    identity, packet = boxes[-1][1][:16], boxes[-1][1][16:]
    assert identity == XMP_BOX.bytes
    root = ElementTree.fromstring(packet.decode())
    marks = root.iter("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert [mark.text for mark in marks] == [SOURCE_TYPE]


def test_the_same_film_is_the_same_bytes(
    tmp_path: Path, film: Path, video: VideoFormat, tags: FilmTags, shots: Shots
) -> None:
    assert write(tmp_path / "again.mp4", video, tags, shots).read_bytes() == film.read_bytes()


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("keep", [False, True])
def test_interrupted(
    tmp_path: Path, video: VideoFormat, tags: FilmTags, shots: Shots, keep: bool, fault: type[BaseException]
) -> None:
    path = tmp_path / "fox.mp4"
    with pytest.raises(fault), write_film(path, video, tags, keep_shots=keep) as film:
        film.add_shot(*shots[0])
        raise fault
    assert [found.name for found in tmp_path.iterdir()] == (["fox.mp4"] if keep else [])
    if keep:
        assert read_info(path).frames == 9
        assert len(read_info(path).chapters) == 1


def test_interrupted_before_the_first_shot_nothing_is_kept(tmp_path: Path, video: VideoFormat, tags: FilmTags) -> None:
    with pytest.raises(KeyboardInterrupt), write_film(tmp_path / "a.mp4", video, tags, keep_shots=True):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path: Path, tags: FilmTags, video: VideoFormat) -> None:
    with (
        pytest.raises(InputError, match="even sizes"),
        write_film(tmp_path / "a.mp4", VideoFormat(width=95, height=64, fps=16), tags),
    ):
        pass
    with (
        pytest.raises(StorageError, match="folder does not exist"),
        write_film(tmp_path / "no" / "a.mp4", video, tags),
    ):
        pass
    with pytest.raises(ValueError, match="uint8"), write_film(tmp_path / "a.mp4", video, tags) as film:
        film.add_shot("x", np.zeros((9, 64, 95, 3), np.uint8))


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from shotstream.core.errors import StorageError
from shotstream.core.story import Shot, Story
from shotstream.media.film_paths import only_writer, shots_left
from shotstream.media.h264 import VideoFormat
from shotstream.media.mp4 import write_film
from shotstream.media.provenance import FilmTags
story = Story(global_caption="g", shots=(Shot(caption="c"),))
tags = FilmTags(title="t", story=story, seed=0, model="m", model_version="1")
noise = np.random.default_rng(0).integers(0, 256, (33, 64, 96, 3), dtype=np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with write_film(Path(sys.argv[1]), VideoFormat(width=96, height=64, fps=16), tags, keep_shots=True) as film:
        film.add_shot("noise", noise)
        film.add_shot("noise", noise)
except StorageError as fault:
    sys.exit(str(fault))
"""


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(str(tmp_path / "a.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_video(tmp_path: Path, film: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_video(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(InputError, match="cannot be read as a video"):
        read_info(tmp_path / "text.mp4")
    with pytest.raises(InputError, match="fewer frames"):
        read_video(film, 20, 40)
    assert read_info(film).tags is not None


def test_one_film_has_one_writer(tmp_path: Path) -> None:
    """Whatever the name it is called by; another process is refused at once, and may come in afterwards."""
    film = tmp_path / "a.mp4"
    (tmp_path / "link.mp4").symlink_to(film)
    code = "import sys; from pathlib import Path; from shotstream.media.film_paths import only_writer\n"
    code += "with only_writer(Path(sys.argv[1])): print('in')"
    with only_writer(film):
        for name in (film, tmp_path / "link.mp4", tmp_path / ".." / tmp_path.name / "a.mp4"):
            ran = subprocess.run([sys.executable, "-c", code, str(name)], capture_output=True, text=True)
            assert ran.returncode == 1 and "another program is making this film" in ran.stderr
        with pytest.raises(InputError, match=r"a\.mp4: another program"), only_writer(film):
            pass
        with only_writer(tmp_path / "b.mp4"):
            pass
    assert subprocess.run([sys.executable, "-c", code, str(film)], capture_output=True, text=True).stdout == "in\n"


def test_what_an_interrupted_render_kept_is_known(
    tmp_path: Path, video: VideoFormat, tags: FilmTags, shots: Shots
) -> None:
    whole, half = write(tmp_path / "a.mp4", video, tags, shots), write(tmp_path / "b.mp4", video, tags, shots[:1])
    other = tags.story.model_copy(update={"seed": 8})
    (tmp_path / "c.mp4").write_text("mine")
    assert [shots_left(film, tags.story) for film in (whole, half, tmp_path / "c.mp4")] == [0, 1, 0]
    assert shots_left(half, other) == 0
