"""Export of captions as subtitles, SRT (SubRip) or VTT (W3C WebVTT)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shotstream.core.files import write_text
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: from frame ``start`` of the film to before frame ``end``."""

    start: int
    end: int
    text: str


def cues(timeline: Timeline) -> Iterator[Cue]:
    """A cue per prompt; a shot that was changed while it was made has several. White space becomes single spaces."""
    for shot in timeline.shots:
        ends = [prompt.frame for prompt in shot.prompts[1:]] + [shot.frames]
        for prompt, end in zip(shot.prompts, ends, strict=True):
            if end > prompt.frame:
                yield Cue(shot.start + prompt.frame, shot.start + end, " ".join(prompt.caption.split()))


def write_srt(timeline: Timeline, path: Path) -> None:
    """Raises :class:`StorageError`."""
    fps = timeline.video.fps
    blocks = [
        f"{number}\n{_clock(cue.start, fps, ',')} --> {_clock(cue.end, fps, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(timeline), 1)
    ]
    write_text(path, "\n".join(blocks))


def write_vtt(timeline: Timeline, path: Path) -> None:
    """The global caption stands in a note. Raises :class:`StorageError`."""
    fps = timeline.video.fps
    note = f"{timeline.tags.story.global_caption}\n\n{timeline.tags.as_metadata()['comment']}"
    blocks = [f"NOTE\n{_vtt_text(line)}\n" for line in note.split("\n\n")]
    for cue in cues(timeline):
        blocks.append(f"{_clock(cue.start, fps, '.')} --> {_clock(cue.end, fps, '.')}\n{_vtt_text(cue.text)}\n")
    write_text(path, "\n".join(["WEBVTT\n", *blocks]))


def _vtt_text(text: str) -> str:
    """WebVTT has markup; a note must not hold an arrow either."""
    plain = " ".join(text.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(frame: int, fps: int, point: str) -> str:
    """When ``frame`` begins, to the nearest millisecond: hours:minutes:seconds and ``point`` before the rest."""
    seconds, milliseconds = divmod(round(1000 * frame / fps), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{milliseconds:03d}"


FORMATS = (
    Format(name="srt", suffixes=(".srt",), kind="application/x-subrip", write=write_srt),
    Format(name="vtt", suffixes=(".vtt",), kind="text/vtt", write=write_vtt),
)
