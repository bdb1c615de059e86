"""Export as a CMX3600 edit decision list that refers to the exported clips.

Timecode exists at a few rates only. A film's rate is often none of them (16), so the list counts in the lowest rate
that divides evenly (48): every cut is exact. Set the editor's timeline to that rate.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

from shotstream.core.errors import InputError
from shotstream.core.files import write_text
from shotstream.media.exports.clips import media_folder, with_clips, write_clips
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline, TimelineShot

RATES = (24, 25, 30, 48, 50, 60)  # SMPTE ST 12's whole rates and their doubles
MAX_EVENTS = 999  # three digits number an event


def timecode_rate(fps: int) -> int:
    """The lowest rate of timecode in which every frame at ``fps`` is a whole number of counts.

    Raises :class:`InputError` if there is none.
    """
    rate = next((rate for rate in RATES if rate % fps == 0), None)
    if rate is None:
        raise InputError(f"no rate of timecode divides by {fps} frames/s; export the timeline as .otio")
    return rate


def timecode(count: int, rate: int) -> str:
    """``count`` at ``rate`` as hours:minutes:seconds:counts, none dropped."""
    seconds, rest = divmod(count, rate)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"


def write_edl(timeline: Timeline, path: Path) -> None:
    """Write the clips beside ``path``, then the list. Raises :class:`InputError` for a film no list can hold,
    :class:`StorageError` when the disk refuses."""
    if len(timeline.shots) > MAX_EVENTS:
        raise InputError(f"{path}: an EDL holds {MAX_EVENTS} shots, the film has {len(timeline.shots)}; export .otio")
    rate = timecode_rate(timeline.video.fps)
    folder = media_folder(path)
    events = [_event(number, shot, timeline.video.fps, folder) for number, shot in enumerate(timeline.shots, 1)]
    head = [f"TITLE: {_ascii(timeline.tags.title)[:70]}", "FCM: NON-DROP FRAME", ""]
    events[0] += f"* COMMENT: timecode of this list counts {rate} to the second\n"  # no reader takes one further up
    write_clips(timeline, folder)
    write_text(path, "\n".join(head + events))


def _event(number: int, shot: TimelineShot, fps: int, folder: Path) -> str:
    """One cut: reel, track, source from and to, record from and to; then what an editor finds the clip by."""
    rate = timecode_rate(fps)
    each = rate // fps
    source = f"{timecode(0, rate)} {timecode(shot.frames * each, rate)}"
    record = f"{timecode(shot.start * each, rate)} {timecode((shot.start + shot.frames) * each, rate)}"
    lines = [
        f"{number:03d}  SHOT{shot.index:04d} V     C        {source} {record}",
        f"* FROM CLIP NAME: {shot.clip}",
        f"* FROM CLIP: {folder.name}/{shot.clip}",
        f"* COMMENT: {_ascii(shot.caption)[:200]}",
        *(
            f"* LOC: {timecode((shot.start + note.frame) * each, rate)} GREEN   {_ascii(note.text)}"
            for note in shot.notes
        ),
    ]
    return "\n".join([*lines, ""])


def _ascii(text: str) -> str:
    """``text`` on one line, in the letters a list from 1980 has: accents fall, the rest becomes ``?``."""
    plain = unicodedata.normalize("NFKD", " ".join(text.split()))
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).encode("ascii", "replace").decode()


FORMATS = (Format(name="edl", suffixes=(".edl",), kind="text/plain", write=write_edl, files=with_clips),)
