"""Interlaced video, transparency beside the picture, and damage of which decoders say nothing. Each made here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from shotstream.core.errors import InputError
from shotstream.media import decoding
from shotstream.media.display import displayed
from shotstream.media.video import count_frames, read_video

WIDTH, HEIGHT, FRAMES = 192, 128, 12


def written(path: Path, codec: str, frames: list[np.ndarray], form: str = "yuv420p", **options: str) -> Path:
    """``frames`` uint8 [height, width, 3 or 4] as a video of 24 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], form
        for index, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.shape[2] == 3 else "rgba")
            picture = picture.reformat(format=form)
            picture.pts, picture.time_base = index, Fraction(1, 24)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def moved(by: float) -> np.ndarray:
    """A bright bar over soft colours, ``by`` pixels to the right."""
    across = np.arange(WIDTH)[None]
    down = np.arange(HEIGHT)[:, None]
    picture = np.stack(
        [90 + 40 * np.sin(across / 20) + 0 * down, 80 + 0.4 * across + 0 * down, 0.8 * down + 0 * across]
    )
    picture[:, :, round(20 + by) : round(44 + by)] = 230
    return np.moveaxis(picture, 0, -1).astype(np.uint8)


def woven(early: np.ndarray, late: np.ndarray) -> np.ndarray:
    """One picture of two fields, the lower first, as FFmpeg's encoders take it where nobody says otherwise."""
    both = late.copy()
    both[1::2] = early[1::2]
    return both


def combs(picture: np.ndarray) -> float:
    """How much a row differs from those above and below it, which agree with each other."""
    luma = picture.astype(float).mean(axis=2)
    return float(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_fields_are_taken_apart(tmp_path: Path, codec: str) -> None:
    """Fields of two moments, as a camcorder's: the picture shown is the first moment's, whole."""
    options = {"x264-params": "tff=1", "crf": "10"} if codec == "libx264" else {"flags": "+ilme+ildct", "qscale": "2"}
    frames = [woven(moved(8 * index), moved(8 * index + 4)) for index in range(FRAMES)]
    film = written(tmp_path / "a.mkv", codec, frames, "yuv422p", **options)
    with av.open(str(film)) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))
    shown = read_video(film)
    assert len(shown) == count_frames(film) == FRAMES
    for index in range(1, FRAMES - 1):
        assert combs(shown[index]) < combs(frames[index]) / 5
        assert np.abs(shown[index].astype(int) - moved(8 * index)).mean() < 4


def test_progressive_video_is_left_as_it_is(tmp_path: Path) -> None:
    film = written(tmp_path / "a.mkv", "libx264", [moved(8 * index) for index in range(FRAMES)], crf="10")
    with av.open(str(film)) as container:
        plain = [displayed(frame, 1.0, "a") for frame in container.decode(video=0)]
    np.testing.assert_array_equal(read_video(film), np.stack(plain))


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_transparency_beside_the_picture_is_black(tmp_path: Path, codec: str) -> None:
    picture = np.dstack([moved(0), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    picture[: HEIGHT // 2, :, 3] = 0
    film = written(
        tmp_path / "a.webm", codec, [picture] * 3, "yuva420p", **{"auto-alt-ref": "0", "crf": "10", "b": "0"}
    )
    shown = read_video(film)
    assert shown.shape == (3, HEIGHT, WIDTH, 3)
    assert shown[:, : HEIGHT // 2 - 4].max() <= 4
    assert np.abs(shown[:, HEIGHT // 2 + 4 :].astype(int) - picture[HEIGHT // 2 + 4 :, :, :3]).mean() < 8


def test_transparency_that_nobody_here_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.dstack([moved(0), np.full((HEIGHT, WIDTH), 99, np.uint8)])
    film = written(tmp_path / "a.webm", "libvpx-vp9", [picture], "yuva420p", **{"auto-alt-ref": "0"})
    monkeypatch.setitem(decoding._ALPHA_DECODERS, "vp9", "no-such")
    with pytest.raises(InputError, match=r"a\.webm: its transparency cannot be read here"):
        read_video(film)


def noisy(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(moved(4 * index) + rng.normal(0, 14, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        for index in range(count)
    ]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"crf": "16"}),
        ("a.mkv", "libx264", {"crf": "16", "coder": "vlc"}),
        ("a.mov", "libx265", {"crf": "16", "x265-params": "log-level=none"}),
    ],
)
def test_what_a_disk_lost_is_told_wherever_it_lies(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    """Zeros in the place of a few hundred bytes: no unit of these formats holds them, and decoders draw something."""
    film = written(tmp_path / name, codec, noisy(FRAMES), **options)
    data = film.read_bytes()
    with av.open(str(film)) as container:
        places = [(one.pos, one.size) for one in container.demux(video=0) if one.size > 400]
    assert len(places) >= 8
    for start, size in places:
        at = start + size // 2
        film.write_bytes(data[:at] + bytes(100) + data[at + 100 :])
        for read in (read_video, count_frames):
            with pytest.raises(InputError, match="damaged video"):
                read(film)


def test_checksums_are_heeded_where_there_are_any(tmp_path: Path) -> None:
    film = written(tmp_path / "a.mkv", "ffv1", noisy(4), level="3", slicecrc="1")
    data = film.read_bytes()
    before = len(read_video(film))
    for at in range(len(data) // 4, len(data) * 3 // 4, len(data) // 16):
        film.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(InputError, match="a checksum does not fit"):
            read_video(film)
    assert before == 4 and av.logging.get_level() is None


def test_the_cover_of_music_is_no_video(tmp_path: Path) -> None:
    music = tmp_path / "a.m4a"
    with av.open(str(music), "w", format="mp4") as container:
        sound, cover = container.add_stream("aac", rate=44_100), container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.rate, silence.pts = 44_100, 0
        picture = av.VideoFrame.from_ndarray(moved(0)).reformat(format="yuvj420p")
        picture.pts = 0
        for stream, frame in ((sound, silence), (cover, picture)):
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"a\.m4a: has no picture track"):
        read_video(music)


def test_dolby_vision_without_a_plain_picture_is_refused(tmp_path: Path) -> None:
    film = written(tmp_path / "a.mp4", "libx265", [moved(0)] * 2, **{"x265-params": "log-level=none"})
    data = film.read_bytes()
    assert len(read_video(film)) == 2 and data.count(b"hev1") == 1
    film.write_bytes(data.replace(b"hev1", b"dvhe"))
    for read in (read_video, count_frames):
        with pytest.raises(InputError, match=r"a\.mp4: is high dynamic range video \(Dolby Vision\)"):
            read(film)
