"""EDL and OTIO, read by OpenTimelineIO: they agree on every cut to the frame, and lead to clips that are there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import opentimelineio as otio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timeline_rig import make_timeline

from shotstream.core.errors import InputError
from shotstream.media.exports.edl import timecode, timecode_rate
from shotstream.media.exports.formats import write_export
from shotstream.media.exports.timeline import Timeline
from shotstream.media.h264 import VideoFormat
from shotstream.media.video import read_info


def cuts(told: otio.schema.Timeline, fps: int) -> list[tuple[float, float]]:
    """First frame and end of every clip of the only track, in frames of the film."""
    (track,) = told.video_tracks()
    ranges = [clip.range_in_parent() for clip in track.find_clips()]
    return [(one.start_time.rescaled_to(fps).value, one.end_time_exclusive().rescaled_to(fps).value) for one in ranges]


def true_cuts(timeline: Timeline) -> list[tuple[float, float]]:
    return [(shot.start, shot.start + shot.frames) for shot in timeline.shots]


def read_edl(path: Path, fps: int) -> otio.schema.Timeline:
    return otio.adapters.read_from_file(str(path), adapter_name="cmx_3600", rate=timecode_rate(fps))


def test_they_agree_on_every_cut_and_lead_to_the_clips(timeline: Timeline, tmp_path: Path) -> None:
    files = write_export(timeline, tmp_path / "my fox.otio")
    assert files[0] == tmp_path / "my fox.otio" and all(path.is_file() for path in files)
    write_export(timeline, tmp_path / "my fox.edl")
    told = otio.adapters.read_from_file(str(files[0]))
    list_ = read_edl(tmp_path / "my fox.edl", 16)
    assert cuts(told, 16) == cuts(list_, 16) == true_cuts(timeline)
    (track,) = told.video_tracks()
    (old,) = list_.video_tracks()
    for clip, event, shot in zip(track.find_clips(), old.find_clips(), timeline.shots, strict=True):
        for one in (clip, event):
            media = tmp_path / unquote(urlsplit(one.media_reference.target_url).path)
            assert read_info(media).frames == shot.frames
            source = one.trimmed_range()
            assert source.start_time.value == 0
            assert source.duration.rescaled_to(16).value == shot.frames
        assert clip.available_range() == clip.source_range
        assert event.metadata["cmx_3600"]["reel"] == f"SHOT{shot.index:04d}"
        assert event.name == shot.clip
        assert clip.metadata["shotstream"]["caption"] == shot.caption
        assert [marker.name for marker in clip.markers] == [prompt.caption for prompt in shot.prompts]
        assert [marker.marked_range.start_time.value for marker in clip.markers] == [p.frame for p in shot.prompts]
    assert told.metadata["shotstream"]["synthetic"] is True


def test_an_edl_is_plain_letters_on_short_lines(timeline: Timeline, tmp_path: Path) -> None:
    write_export(timeline, tmp_path / "fox.edl")
    text = (tmp_path / "fox.edl").read_bytes().decode("ascii")
    assert text.startswith("TITLE: my fox\nFCM: NON-DROP FRAME\n\n001  SHOT0000 V ")
    assert text.count("* COMMENT: timecode of this list counts 48 to the second\n") == 1
    assert "002  SHOT0002 V     C        00:00:00:00 00:00:02:03 00:00:00:27 00:00:02:30\n" in text
    assert "* COMMENT: Fuchslein schlaft.\n" in text


@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4).map(tuple),
    fps=st.sampled_from([8, 10, 12, 16, 24, 25]),
)
def test_they_agree_whatever_the_cut(lengths: tuple[int, ...], fps: int, tmp_path_factory) -> None:
    timeline = make_timeline(lengths, VideoFormat(width=16, height=16, fps=fps))
    folder = tmp_path_factory.mktemp("cut")
    for name in ("a.otio", "a.edl"):
        write_export(timeline, folder / name)
    told = otio.adapters.read_from_file(str(folder / "a.otio"))
    assert cuts(told, fps) == cuts(read_edl(folder / "a.edl", fps), fps) == true_cuts(timeline)


def test_timecode_is_that_of_opentimelineio() -> None:
    for rate in (24, 25, 30, 48, 50, 60):
        for count in (0, 1, rate - 1, rate, 61 * rate + 3, 3600 * rate * 5 + 59 * rate + 7):
            assert timecode(count, rate) == otio.opentime.to_timecode(otio.opentime.RationalTime(count, rate), rate)


def test_what_no_edl_can_hold(timeline: Timeline, tmp_path: Path) -> None:
    assert [timecode_rate(fps) for fps in (16, 24, 25, 15, 12, 20, 60)] == [48, 24, 25, 30, 24, 60, 60]
    with pytest.raises(InputError, match=r"no rate of timecode divides by 7 frames/s; export the timeline as \.otio"):
        timecode_rate(7)
    many = make_timeline((1,) * 1000, VideoFormat(width=16, height=16, fps=16))
    with pytest.raises(InputError, match=r"an EDL holds 999 shots, the film has 1000; export \.otio"):
        write_export(many, tmp_path / "many.edl")
    assert not list(tmp_path.iterdir())
