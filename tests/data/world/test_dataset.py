from __future__ import annotations

import ast
import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest

from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.data.world.dataset import COLUMNS, plan_dataset, write_dataset
from shotstream.data.world.render import render_shot
from shotstream.data.world.stories import StoryStyle

GEOMETRY = Geometry(width=96, height=64, spatial=16, latent_channels=4)
STYLE = StoryStyle(shot_weights=(0, 1, 1), seconds=(0.5625, 1.3125), seconds_weights=(2, 1))


def _write(out: Path, stories: int = 2, *, seed: int = 4, workers: int = 0) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    write_dataset(
        out, stories=stories, seed=seed, split="train", geometry=GEOMETRY, style=STYLE, workers=workers,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    return calls


def _rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "set"
    assert _write(out) == [(0, 2), (1, 2), (2, 2)]
    return out


def test_the_manifest_has_the_references_columns_and_relative_paths(folder: Path) -> None:
    rows = _rows(folder)
    assert len(rows) == 2 and tuple(rows[0]) == COLUMNS
    for row in rows:
        captions = json.loads((folder / row["json_path"]).read_text())
        count = int(row["shot_num_from_caption"])
        assert list(captions) == ["global_caption", *(f"shot{index + 1}" for index in range(count))]
        assert len(ast.literal_eval(row["frame_number"])) == count
        assert (folder / row["video_path"]).is_file()


def test_videos_hold_the_frames_the_ranges_promise(folder: Path) -> None:
    plan = plan_dataset(seed=4, split="train", geometry=GEOMETRY, style=STYLE)
    for number, row in enumerate(_rows(folder)):
        video = _frames(folder / row["video_path"])
        ranges = ast.literal_eval(row["frame_number"])
        assert [first for first, _ in ranges] == [0, *(last for _, last in ranges[:-1])]
        assert len(video) == ranges[-1][1]
        for shot, (first, last) in enumerate(ranges):
            assert last - first in plan.shot_frames
            drawn, _ = render_shot(plan.story(number), shot, frames=last - first, width=96, height=64, fps=16)
            errors = np.abs(video[first:last].astype(float) - drawn).mean(axis=(1, 2, 3))
            assert errors.max() < 6  # every frame is the one drawn, in its place, through H.264


def test_cuts_are_where_the_truth_says(folder: Path) -> None:
    for row in _rows(folder):
        video = _frames(folder / row["video_path"]).astype(float)
        truth = json.loads((folder / "truth" / Path(row["json_path"]).name).read_text())
        steps = np.abs(np.diff(video, axis=0)).mean(axis=(1, 2, 3))
        largest = sorted(int(at) + 1 for at in np.argsort(steps)[len(steps) - len(truth["cuts"]) :])
        assert largest == truth["cuts"]


def test_truth_has_one_box_per_role_and_frame(folder: Path) -> None:
    for path in (folder / "truth").iterdir():
        truth = json.loads(path.read_text())
        for shot, (first, last), spec in zip(
            truth["shots"], truth["frame_ranges"], truth["story"]["shots"], strict=True
        ):
            assert len(shot["frames"]) == last - first
            assert shot["identities"] == [role["character"] for role in spec["roles"]]
            for frame in shot["frames"]:
                assert len(frame["boxes"]) == len(spec["roles"])
                assert all(0 <= edge <= 1 for box in frame["boxes"] for edge in box)


def test_an_interrupted_dataset_is_continued_and_comes_out_the_same(folder: Path, tmp_path: Path) -> None:
    _write(tmp_path, 1)
    kept = tmp_path / "videos" / "story-000000.mp4"
    before = kept.stat().st_mtime_ns
    assert _write(tmp_path, 2) == [(1, 2), (2, 2)]
    assert kept.stat().st_mtime_ns == before
    (tmp_path / "truth" / "story-000001.json").unlink()  # as if killed before the last file
    _write(tmp_path, 2)
    for path in sorted(one.relative_to(folder) for one in folder.rglob("*") if one.is_file()):
        assert (tmp_path / path).read_bytes() == (folder / path).read_bytes(), path
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_spawned_workers_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert _write(tmp_path, 2, workers=2)[-1] == (2, 2)
    for path in sorted(one.relative_to(folder) for one in folder.rglob("*") if one.is_file()):
        assert (tmp_path / path).read_bytes() == (folder / path).read_bytes(), path


def test_a_folder_with_another_dataset_is_left_alone(folder: Path) -> None:
    with pytest.raises(InputError, match="other settings"):
        _write(folder, seed=5)


def test_no_stories_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one story"):
        _write(tmp_path, 0)
