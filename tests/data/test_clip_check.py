"""A manifest of clips: every fault is named with its line, nothing is evaluated, and shots are cut by the rule."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shotstream.core.errors import InputError
from shotstream.data.clip_check import Findings, check_manifest, trained_frames
from shotstream.data.clip_frames import fitted, shots_of
from shotstream.data.clip_manifest import COLUMNS, read_clips
from shotstream.models.presets import WAN_1_3B

GEOMETRY = WAN_1_3B.geometry
SMALL = GEOMETRY.sized(64, 32)
Change = Callable[[dict[str, object]], None]


def video(path: Path, frames: int, width: int = 96, height: int = 32) -> None:
    """Frame n is grey of level 2 n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=16, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        for number in range(frames):
            picture = np.full((height, width, 3), 2 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 16)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    video(folder / "a.mp4", 30)
    captions = {"global_caption": "A fox.", "shot1": "It walks.", "shot2": "It sits."}
    (folder / "a.json").write_text(json.dumps(captions))
    (folder / "one.json").write_text(json.dumps({"global_caption": "A fox.", "shot1": "It walks."}))
    (folder / "torn.json").write_text('{"global_caption": "A fox.",')
    (folder / "blank.json").write_text(json.dumps({**captions, "shot2": " "}))
    (folder / "torn.mp4").write_bytes((folder / "a.mp4").read_bytes()[:300])
    return folder


def write(folder: Path, *rows: dict[str, object], columns: tuple[str, ...] = COLUMNS) -> Path:
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as file:
        out = csv.DictWriter(file, columns)
        out.writeheader()
        out.writerows(rows)
    return manifest


def row(**changes: object) -> dict[str, object]:
    good = {"shot_num_from_caption": 2, "json_path": "a.json", "video_path": "a.mp4"}
    return {**good, "frame_number": [[0, 9], [12, 30]], **changes}


def check(manifest: Path) -> Findings:
    return check_manifest(manifest, GEOMETRY, workers=2, progress=lambda rows: None)


def test_a_good_manifest_has_no_faults_and_its_shots_are_counted(folder: Path) -> None:
    found = check(write(folder, row(), row(frame_number=[(0, 10), (12, 30)])))
    assert (found.kind, found.rows, found.shots, found.faults) == ("clips", 2, 4, [])
    assert found.latent_frames == {3: 2, 5: 2}  # 9 and 10 frames make 9, 18 make 17


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frame_number": "__import__('os').system('true')"}, "frame_number is no list"),
        ({"frame_number": "[[0, 9], [12, 30]"}, "frame_number is no list"),
        ({"frame_number": "[" * 9000}, "frame_number is no list"),
        ({"frame_number": [[0, 9.5], [12, 30]]}, "frame_number is no list"),
        ({"frame_number": [[0, 9], [8, 30]]}, r"shot 2 is \[8, 30\] after frame 9"),
        ({"frame_number": [[0, 0], [8, 30]]}, r"shot 1 is \[0, 0\]"),
        ({"frame_number": [[0, 9], [12, 31]]}, r"shot 2 is \[12, 31\], .*a.mp4 has 30 frames"),
        ({"frame_number": [[0, 9]]}, "numbers of shots differ"),
        ({"json_path": "one.json"}, "numbers of shots differ .*json_path 1"),
        ({"shot_num_from_caption": "two"}, "shot_num_from_caption is 'two'"),
        ({"json_path": "none.json"}, "json_path: .*none.json is not there"),
        ({"json_path": "torn.json"}, "torn.json"),
        ({"json_path": "blank.json"}, "blank.json"),
        ({"video_path": ""}, "video_path is empty"),
        ({"video_path": "torn.mp4"}, "torn.mp4"),
    ],
)
def test_every_fault_is_named_with_its_line_and_the_rows_around_it_are_read(
    folder: Path, changes: dict[str, object], said: str
) -> None:
    manifest = write(folder, row(), row(**changes), row())
    found = check(manifest)
    assert found.rows == 3 and len(found.faults) == 1
    assert found.faults[0].startswith(f"{manifest}:3: ") and "\n" not in found.faults[0]

    assert re.search(said, found.faults[0]), found.faults[0]


def test_what_is_no_manifest_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"manifest.csv:1: lacks the column json_path"):
        check(write(folder, columns=("video_path", "shot_num_from_caption")))
    with pytest.raises(InputError, match="has no rows"):
        check(write(folder))
    (folder / "latin.csv").write_bytes(b"video_path,\xff\n")
    with pytest.raises(InputError, match=r"latin.csv:1: cannot be read as CSV \(not UTF-8\)"):
        check(folder / "latin.csv")
    with pytest.raises(InputError, match="no such file"):
        check(folder / "none.csv")


def test_latents_are_opened_and_pickles_are_not(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"states": torch.zeros(2)}, folder / "good.safetensors")
    (folder / "bad.safetensors").write_bytes(b"xx")
    (folder / "old.pt").write_bytes(b"xx")
    names = ("good.safetensors", "bad.safetensors", "old.pt", "none.safetensors")
    found = check(write(folder, *({"latent_path": name} for name in names), columns=("latent_path",)))
    assert (found.kind, found.rows) == ("latents", 4)
    assert [fault.split(": ")[0][-2:] for fault in found.faults] == [":3", ":4", ":5"]
    assert "is damaged" in found.faults[0] and "pickles are not read" in found.faults[1]


@given(st.integers(1, 2000))
def test_a_shot_is_strided_then_cut_then_trimmed(frames: int) -> None:
    stride, kept = trained_frames(frames, GEOMETRY)
    assert 1 <= kept <= 81 and (kept - 1) % 4 == 0
    assert stride * (kept - 1) < frames
    assert (stride == 1) == (frames < 162)
    if frames >= 81:
        assert kept == 81


def test_frames_are_those_of_the_ranges(folder: Path) -> None:
    (clip,) = read_clips(write(folder, row(frame_number=[[1, 11], [13, 30]])))
    shots = list(shots_of(clip, SMALL))
    assert [shot.shape for shot in shots] == [(9, 32, 64, 3), (17, 32, 64, 3)]
    assert [shot[:, 0, 0, 0].tolist() for shot in shots] == [list(range(2, 20, 2)), list(range(26, 60, 2))]
    assert clip.prompts == ["A fox. It walks.", "A fox. It sits."]


def test_pictures_are_covered_and_their_middle_is_kept() -> None:
    wide = np.zeros((20, 80, 3), np.uint8)
    wide[:, 30:50] = 200
    assert fitted(wide, 20, 20).min() > 190
    assert fitted(np.zeros((7, 5, 3), np.uint8), 32, 64).shape == (64, 32, 3)
