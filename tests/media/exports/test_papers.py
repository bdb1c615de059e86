"""Subtitles, contact sheet, storyboard and script, read back by other libraries: srt, webvtt, pypdf, Pillow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unicodedata import category

import numpy as np
import pytest
import srt
import webvtt
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader
from timeline_rig import make_timeline

from shotstream.core.errors import InputError
from shotstream.core.story import Shot, Story
from shotstream.media.exports.contact_sheet import COLUMNS, DPI, contact_sheet
from shotstream.media.exports.formats import FORMATS, format_of, write_export
from shotstream.media.exports.script import write_script
from shotstream.media.exports.timeline import Prompt, Timeline
from shotstream.media.h264 import VideoFormat
from shotstream.media.story_file import read_story

CUES = [
    (0, 9, "Wide shot. The fox — it walks."),
    (9, 30, "Close-up. The fox <waves> & --> nods."),
    (30, 42, "It rains."),
    (42, 63, "Füchslein schläft."),
]


def test_srt(timeline: Timeline, tmp_path: Path) -> None:
    write_export(timeline, tmp_path / "fox.srt")
    found = list(srt.parse((tmp_path / "fox.srt").read_text(encoding="utf-8"), ignore_errors=False))
    assert [one.index for one in found] == [1, 2, 3, 4]
    assert [one.content for one in found] == [text for *_, text in CUES]
    for one, (start, end, _) in zip(found, CUES, strict=True):
        assert one.start.total_seconds() == pytest.approx(start / 16, abs=0.0006)
        assert one.end.total_seconds() == pytest.approx(end / 16, abs=0.0006)


def test_vtt(timeline: Timeline, tmp_path: Path) -> None:
    write_export(timeline, tmp_path / "fox.vtt")
    found = webvtt.read(str(tmp_path / "fox.vtt"))
    assert [one.raw_text for one in found] == [
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for *_, text in CUES
    ]
    for one, (start, end, _) in zip(found, CUES, strict=True):
        assert one.start_in_seconds == pytest.approx(start / 16, abs=1)
        assert one.start_time.in_milliseconds() == pytest.approx(1000 * start / 16, abs=0.6)
        assert one.end_time.in_milliseconds() == pytest.approx(1000 * end / 16, abs=0.6)
    assert "Made by a generative model: storyworld 1, seed 7." in (tmp_path / "fox.vtt").read_text(encoding="utf-8")


def test_contact_sheet_is_paper_to_print(tmp_path: Path) -> None:
    timeline = make_timeline((9,) * 9)
    write_export(timeline, tmp_path / "fox.pdf")
    paper = PdfReader(tmp_path / "fox.pdf")
    drawn = contact_sheet(timeline)
    assert len(paper.pages) == len(drawn) > 1
    for page, picture in zip(paper.pages, drawn, strict=True):
        assert (float(page.mediabox.width), float(page.mediabox.height)) == pytest.approx((595.3, 841.9), abs=0.5)
        (image,) = page.images
        shown = np.asarray(image.image.convert("RGB")).astype(int)
        assert np.abs(shown - np.asarray(picture)).mean() < 2
    assert paper.metadata is not None
    assert (paper.metadata.title, paper.metadata.creator) == ("my fox", "shotstream storyworld 1, seed 7")


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (96, 16)])
def test_every_shot_is_on_the_contact_sheet_once(size: tuple[int, int]) -> None:
    """Every shot has a colour of its own: its frames are there, four times, and inside the margins."""
    timeline = make_timeline((9,) * 9, VideoFormat(width=size[0], height=size[1], fps=16))
    colours = [(20 + 25 * number, 200 - 20 * number, 40) for number in range(9)]
    shots = tuple(
        _painted(shot, np.full((9, size[1], size[0], 3), colour, np.uint8))
        for shot, colour in zip(timeline.shots, colours, strict=True)
    )
    drawn = contact_sheet(Timeline(tags=timeline.tags, video=timeline.video, shots=shots))
    pages = [np.asarray(page.convert("RGBX")).view("<u4")[:, :, 0] & 0xFFFFFF for page in drawn]
    for red, green, blue in colours:
        places = [np.argwhere(page == red + (green << 8) + (blue << 16)) for page in pages]
        (where,) = [place for place in places if len(place) > 1000]
        height, width = where.max(0) - where.min(0) + 1
        assert len(where) == pytest.approx(height * width, rel=0.05)  # four frames and the gaps between them
        assert width > COLUMNS * 300
        assert where.min() > 10 / 25.4 * DPI and width < 181 / 25.4 * DPI


def _painted(shot, pixels: np.ndarray):
    return replace(shot, read=lambda wanted: pixels if wanted is None else pixels[list(wanted)])


def test_storyboard(timeline: Timeline, tmp_path: Path) -> None:
    write_export(timeline, tmp_path / "fox.png")
    with Image.open(tmp_path / "fox.png") as image:
        assert image.format == "PNG" and image.height > 3 * 160


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_the_script_is_the_story(timeline: Timeline, tmp_path: Path, suffix: str) -> None:
    write_export(timeline, tmp_path / f"fox{suffix}")
    assert read_story(tmp_path / f"fox{suffix}") == timeline.tags.story
    assert (suffix == ".json") == (tmp_path / f"fox{suffix}").read_text(encoding="utf-8").startswith("{")


CAPTION = st.text(
    st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t:#'\"- "), min_size=1, max_size=40
).filter(lambda text: any(category(sign) not in ("Cc", "Cf", "Zs", "Zl", "Zp") for sign in text))


@settings(max_examples=50, deadline=None)
@example(captions=["\ud7a4"], seed=0)  # a sign that Python's tables do not know (yet) may well be seen
@given(captions=st.lists(CAPTION, min_size=1, max_size=3), seed=st.integers(0, 2**63 - 1))
def test_any_story_survives(captions: list[str], seed: int, tmp_path_factory) -> None:
    timeline = make_timeline((9,))
    shots = tuple(Shot(caption=caption, seconds=2.0, seed=seed) for caption in captions)
    story = Story(global_caption=captions[0], seed=seed, shots=shots)
    tags = timeline.tags.model_copy(update={"story": story})
    for name in ("s.yaml", "s.json"):
        path = tmp_path_factory.getbasetemp() / name
        write_script(Timeline(tags=tags, video=timeline.video, shots=timeline.shots), path)
        assert read_story(path) == story


@settings(max_examples=50, deadline=None)
@given(caption=CAPTION)
def test_any_caption_is_one_subtitle(caption: str, tmp_path_factory) -> None:
    timeline = make_timeline((9, 9))
    shots = tuple(_said(shot, caption) for shot in timeline.shots)
    timeline = Timeline(tags=timeline.tags, video=timeline.video, shots=shots)
    folder = tmp_path_factory.getbasetemp()
    write_export(timeline, folder / "a.srt")
    write_export(timeline, folder / "a.vtt")
    assert len(list(srt.parse((folder / "a.srt").read_text(encoding="utf-8"), ignore_errors=False))) == 2
    assert len(webvtt.read(str(folder / "a.vtt"))) == 2


def _said(shot, caption: str):
    return replace(shot, prompts=(Prompt(frame=0, caption=caption),))


def test_formats_are_chosen_by_suffix_or_by_name(timeline: Timeline, tmp_path: Path) -> None:
    for name, one in FORMATS.items():
        for suffix in one.suffixes:
            assert format_of(Path(f"x{suffix.upper()}")).name == name
            assert format_of(Path(f"x{suffix}"), name).name == name
    for path, name, said in (
        ("film.avi", None, "cannot tell what to export; a name ends in .edl"),
        ("film", None, "cannot tell what to export"),
        ("film.mp4", "avi", "no format is called 'avi'; known: clips, edl"),
        ("film.mp4", "gif", "a gif export's name ends in .gif"),
    ):
        with pytest.raises(InputError, match=said):
            format_of(Path(path), name)
    with pytest.raises(InputError, match="pdf: is of the whole film; one shot can be exported as gif, mp4, webp"):
        write_export(timeline, tmp_path / "a.pdf", shot=0)
    with pytest.raises(InputError, match="there is no made shot 1; made are 0, 2, 3, counted from 0"):
        write_export(timeline, tmp_path / "a.gif", shot=1)
    assert json.dumps(sorted(FORMATS)) and not list(tmp_path.iterdir())
