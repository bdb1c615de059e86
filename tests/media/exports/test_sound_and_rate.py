"""Another rate shows the same pictures for the same time; sound is heard where it belongs, as FFmpeg reads it."""

from __future__ import annotations

import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from timeline_rig import make_timeline

from shotstream.core.errors import InputError
from shotstream.media.exports.formats import write_export
from shotstream.media.exports.timeline import retimed
from shotstream.media.sound import read_sound
from shotstream.media.video import read_info, read_video

LOW, HIGH = 440, 1760  # hertz, before and behind the first cut


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """Two seconds, mono, 44.1 kHz: a low tone up to frame 9 of 16 a second, then a high one."""
    time = np.arange(2 * 44_100) / 44_100
    heard = np.where(time < 9 / 16, np.sin(2 * np.pi * LOW * time), np.sin(2 * np.pi * HIGH * time))
    path = tmp_path / "tones.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes((heard * 20_000).astype("<i2").tobytes())
    return path


def heard(path: Path, start: float, stop: float) -> tuple[float, float]:
    """The loudest frequency between two times, in hertz, and how loud it is on the whole (0 to 1)."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        found = [(float(frame.time), frame.to_ndarray()[0], frame.sample_rate) for frame in container.decode(stream)]
    rate = found[0][2]
    samples = np.concatenate([piece for at, piece, _ in found if at >= 0])[round(start * rate) : round(stop * rate)]
    peak = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax()
    return float(peak * rate / len(samples)), float(np.sqrt(np.square(samples).mean()))


def test_sound_is_heard_as_long_as_the_film_and_silence_behind_it(tones: Path, tmp_path: Path) -> None:
    timeline = replace(make_timeline(), sound=read_sound(tones))  # 63 frames: 3.94 s
    write_export(timeline, tmp_path / "fox.mp4")
    info = read_info(tmp_path / "fox.mp4")
    assert (info.frames, len(info.chapters)) == (63, 3)
    low, high, after = (heard(tmp_path / "fox.mp4", *part) for part in ((0.1, 0.5), (0.7, 1.8), (2.2, 3.8)))
    assert low[0] == pytest.approx(LOW, abs=5) and high[0] == pytest.approx(HIGH, abs=5)
    assert low[1] > 0.2 and after[1] < 0.005
    with av.open(str(tmp_path / "fox.mp4")) as container:
        stream = container.streams.audio[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(63 / 16, abs=0.05)


def test_the_clip_of_a_shot_has_its_part_of_the_sound(tones: Path, tmp_path: Path) -> None:
    timeline = replace(make_timeline(), sound=read_sound(tones))
    write_export(timeline, tmp_path / "clips", "clips")
    assert heard(tmp_path / "clips" / "shot_000.mp4", 0.05, 0.5)[0] == pytest.approx(LOW, abs=5)
    assert heard(tmp_path / "clips" / "shot_002.mp4", 0.05, 1.3)[0] == pytest.approx(HIGH, abs=5)


def test_what_has_no_sound_is_refused(tmp_path: Path) -> None:
    write_export(make_timeline((9,)), tmp_path / "mute.mp4")
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\nhttp://127.0.0.1/a.mp3\n")
    for name, said in (
        ("mute.mp4", "has no sound track"),
        ("gone.wav", "no such file"),
        ("noise.mp3", "its sound"),
        ("list.m3u8", "its sound cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            read_sound(tmp_path / name)


@pytest.mark.parametrize("fps", [8, 24, 30, 60])
def test_another_rate_shows_the_same_pictures_for_the_same_time(fps: int) -> None:
    timeline = make_timeline()
    other = retimed(timeline, fps)
    assert other.frames == round(Fraction(63 * fps, 16))
    assert [shot.start for shot in other.shots] == [0, *np.cumsum([shot.frames for shot in other.shots])[:-1]]
    for shot, was in zip(other.shots, timeline.shots, strict=True):
        frames, made = shot.read(None), was.read(None)
        shown = [next(index for index, one in enumerate(made) if np.array_equal(one, frame)) for frame in frames]
        middle = [(shot.start + frame + 0.5) / fps - was.start / 16 for frame in range(len(frames))]
        assert all(
            abs((index + 0.5) / 16 - at) <= 1.01 * max(0.5 / 16, 0.5 / fps)
            for index, at in zip(shown, middle, strict=True)
        )
        assert shown == sorted(shown) and np.array_equal(shot.read([2]), frames[2:3])
        assert set(shown) == set(range(was.frames)) or fps < 16


def test_a_retimed_film_says_so(tmp_path: Path) -> None:
    timeline = retimed(make_timeline(), 24)
    write_export(timeline, tmp_path / "fox.mp4")
    info = read_info(tmp_path / "fox.mp4")
    assert (info.fps, info.frames) == (24, len(read_video(tmp_path / "fox.mp4")))
    assert "Made at 16 frames/s, retimed without new frames." in info.metadata["comment"]
    assert info.tags is not None and info.tags.made_fps == 16
    write_export(timeline, tmp_path / "fox.srt")
    assert "00:00:01,875 --> " in (tmp_path / "fox.srt").read_text()  # (9 + 21) / 16: its caption changes there
    assert retimed(make_timeline(), 16).tags.made_fps is None
    for fps in (0, 121, 24.5, "24", True):
        with pytest.raises(InputError, match="1 to 120 frames/s"):
            retimed(make_timeline(), fps)
