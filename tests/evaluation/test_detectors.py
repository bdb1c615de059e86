"""Cuts are found on exported files, where they were put."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from shotstream.core.errors import InputError
from shotstream.evaluation import detectors
from shotstream.evaluation.detectors import DETECTORS, detector, installed_detectors


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_finds_hard_cuts_to_the_frame(name: str, film: Path) -> None:
    if name not in installed_detectors():
        pytest.skip(f"{name} is not installed")
    assert detector(name).cuts(film) == (21, 54)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_cuts_are_counted_in_frames_whatever_the_timestamps(name: str, film: Path, tmp_path: Path) -> None:
    """The same pictures on another clock: slow at first, then fast."""
    if name not in installed_detectors():
        pytest.skip(f"{name} is not installed")
    uneven = tmp_path / "uneven.mp4"
    with av.open(str(film)) as source, av.open(str(uneven), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        step = stream.duration // stream.frames
        for packet in source.demux(stream):
            if packet.pts is not None:
                packet.pts += min(packet.pts, 40 * step)
                packet.dts += min(packet.dts, 40 * step)
                packet.stream = copy
                target.mux(packet)
    assert detector(name).cuts(uneven) == (21, 54)


def test_a_detector_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DETECTORS, "pyscenedetect", "no_such_library")
    assert "pyscenedetect" not in installed_detectors()
    with pytest.raises(InputError, match="pyscenedetect is not installed; pip install scenedetect-headless"):
        detector("pyscenedetect")


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(InputError, match="known: transnetv2, pyscenedetect"):
        detectors.detector("eyes")


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("no film")
    with pytest.raises(InputError, match=r"film\.mp4"):
        detector("pyscenedetect").cuts(path)
