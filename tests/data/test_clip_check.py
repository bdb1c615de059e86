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

from shotstream.core.context_budget import pickable_frames
from shotstream.core.errors import InputError
from shotstream.data.clip_manifest import COLUMNS, Findings, check_manifest, read_clips, shots_of, trained_frames
from shotstream.families.wan import WAN_1_3B
from shotstream.media.display import fitted

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
    assert [shot.video.shape for shot in shots] == [(9, 32, 64, 3), (17, 32, 64, 3)]
    assert [shot.video[:, 0, 0, 0].tolist() for shot in shots] == [list(range(2, 20, 2)), list(range(26, 60, 2))]
    assert [shot.frames for shot in shots] == [10, 17]
    assert clip.story.prompts == ["A fox. It walks.", "A fox. It sits."]


@pytest.mark.parametrize(("max_blocks", "learned"), [(1, [0, 3, 6, 9, 12, 15, 18, 21, 24]), (2, list(range(21)))])
def test_condition_frames_are_chosen_over_the_whole_shot_before_stride_and_cut(
    folder: Path, max_blocks: int, learned: list[int]
) -> None:
    cut = SMALL.model_copy(update={"max_blocks": max_blocks})  # 9 or 21 frames at most
    text = row(json_path="one.json", shot_num_from_caption=1, frame_number=[[2, 29]])
    (clip,) = read_clips(write(folder, text))
    (shot,) = shots_of(clip, cut)
    assert (shot.frames, shot.video[:, 0, 0, 0].tolist()) == (27, [2 * (2 + frame) for frame in learned])
    # Budget 6: one, two, three or six frames of the shot, from its first to its last (linspace, rounded).
    wanted = {0, 26} | {13} | {round(26 * place / 5) for place in range(6)}
    shown = (shot.pickable[:, 0, 0, 0] // 2 - 2).tolist()
    assert shown == pickable_frames(27, 6) and wanted <= set(shown)


def test_pictures_are_covered_and_their_middle_is_kept() -> None:
    wide = np.zeros((20, 80, 3), np.uint8)
    wide[:, 30:50] = 200
    assert fitted(wide, 20, 20).min() > 190
    assert fitted(np.zeros((7, 5, 3), np.uint8), 32, 64).shape == (64, 32, 3)


@pytest.mark.parametrize(
    ("text", "shots"),
    [
        ('{columns}\n2,a.json,a.mp4,"[[0, 9], [12, 30]]"\n', 2),
        ("{columns}\n2;a.json;a.mp4;[[0, 9], [12, 30]]\n", 2),
        ("{columns}\n2\ta.json\ta.mp4\t[[0, 9], [12, 30]]\n", 2),
        ('\ufeff{columns}\r\n2, a.json, a.mp4,"[(0, 9), (12, 30)]"\r\n\r\n', 2),
        (
            '{columns}\n2,sub\\b.json,sub\\b, 1 ä.mp4,"[[0, 9], [12, 30]]"\n'.replace(
                "sub\\b, 1 ä.mp4", '"sub\\b, 1 ä.mp4"'
            ),
            2,
        ),
        ('{columns}\n1,a.json,a.mp4,"[[0, 9]]"\n', 1),
        ("sep=;\r\n{columns}\r\n2;a.json;a.mp4;[[0, 9], [12, 30]]\r\n;;;\r\n ; ;;\r\n", 2),
    ],
)
def test_what_spreadsheets_and_other_systems_write_is_read(folder: Path, text: str, shots: int) -> None:
    (folder / "sub").mkdir(exist_ok=True)
    (folder / "sub" / "b.json").write_bytes((folder / "a.json").read_bytes())
    (folder / "sub" / "b, 1 ä.mp4").write_bytes((folder / "a.mp4").read_bytes())
    manifest = folder / "other.csv"
    delimiter = next(sign for sign in ";\t," if sign in text.replace("sep=;\r\n", "").split("\n")[1])
    manifest.write_bytes(text.replace("{columns}", delimiter.join(COLUMNS)).encode())
    assert (check(manifest).faults, [len(clip.story.shots) for clip in read_clips(manifest)]) == ([], [shots])


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_is_read_as_spreadsheets_write_it(folder: Path, order: str) -> None:
    text = "\ufeff" + "\t".join(COLUMNS) + "\r\n2\ta.json\ta.mp4\t[[0, 9], [12, 30]]\r\n"
    manifest = folder / "unicode.csv"
    manifest.write_bytes(text.encode(f"utf-16-{order}"))
    assert check(manifest).faults == [] and len(read_clips(manifest)) == 1
    manifest.write_bytes(text.encode(f"utf-16-{order}")[:-1])
    with pytest.raises(InputError, match=r"unicode\.csv:\d: cannot be read as CSV \(not UTF-8\); save it"):
        read_clips(manifest)


def test_a_column_that_is_there_twice_is_refused(folder: Path) -> None:
    manifest = folder / "twice.csv"
    manifest.write_text(f"{','.join(COLUMNS)},json_path\n" + '2,a.json,a.mp4,"[[0, 9], [12, 30]]",one.json\n')
    with pytest.raises(InputError, match=r"twice\.csv:1: has the column json_path twice"):
        read_clips(manifest)


def test_paths_may_be_relative_to_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "lists").mkdir(exist_ok=True)
    manifest = write(folder, row()).rename(folder / "lists" / "manifest.csv")
    assert len(check(manifest).faults) == 1
    monkeypatch.chdir(folder)
    assert check(manifest).faults == []


def test_paths_may_be_relative_to_a_given_root(folder: Path, tmp_path: Path) -> None:
    manifest = write(folder, row()).rename(tmp_path / "manifest.csv")
    assert "name the folder it is in as the root" in check(manifest).faults[0]
    found = check_manifest(manifest, GEOMETRY, workers=1, progress=lambda rows: None, root=folder)
    assert found.faults == [] and read_clips(manifest, folder)[0].video == folder / "a.mp4"
    with pytest.raises(InputError, match="none: no such folder; the root"):
        read_clips(manifest, folder / "none")


def test_prompts_without_videos_are_counted_and_are_no_clips(folder: Path) -> None:
    columns = ("shot_num_from_caption", "json_path", "frame_number")
    told = {"shot_num_from_caption": 2, "json_path": "a.json", "frame_number": [[0, 9], [12, 30]]}
    manifest = write(folder, told, columns=columns)
    found = check(manifest)
    assert (found.kind, found.shots, found.faults) == ("prompts", 2, [])
    with pytest.raises(InputError, match="lists prompts, not clips"):
        read_clips(manifest)


def test_what_training_would_stumble_over_is_found(folder: Path) -> None:
    data = bytearray((folder / "a.mp4").read_bytes())
    middle = data.index(b"mdat") + 200
    data[middle : middle + 400] = bytes(400)
    (folder / "broken.mp4").write_bytes(data)
    found = check(write(folder, row(video_path="broken.mp4")))
    assert len(found.faults) == 1 and "damaged video" in found.faults[0]


def test_pictures_are_as_far_apart_in_time_as_a_player_shows_them(folder: Path) -> None:
    """Every frame lasts a sixteenth of a second, but the ninth lasts seven: it is seen again and again."""
    with av.open(str(folder / "uneven.mp4"), "w") as container:
        stream = container.add_stream("libx264rgb", rate=16, options={"crf": "0", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "rgb24"
        stream.codec_context.time_base = Fraction(1, 16)
        for number, time in enumerate([*range(9), *range(15, 24)]):
            frame = av.VideoFrame.from_ndarray(np.full((32, 64, 3), 2 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 16)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (clip,) = read_clips(write(folder, row(video_path="uneven.mp4", frame_number=[[0, 9], [9, 18]])))
    assert [shot.video[:, 0, 0, 0].tolist() for shot in shots_of(clip, SMALL)] == [
        [*range(0, 18, 2)],
        [*range(18, 36, 2)],
    ]
    (whole,) = read_clips(
        write(
            folder, row(json_path="one.json", shot_num_from_caption=1, video_path="uneven.mp4", frame_number=[[0, 18]])
        )
    )
    (shot,) = shots_of(whole, SMALL)
    wanted = [min([*range(9), *range(15, 24)], key=lambda time: abs(time - 23 / 17 * step)) for step in range(17)]
    shown = [2 * [*range(9), *range(15, 24)].index(time) for time in wanted]
    assert shot.video[:, 0, 0, 0].tolist() == shown and len(set(shown)) < 17
