"""Export as OpenTimelineIO that refers to the exported clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from shotstream.core.errors import InputError
from shotstream.core.files import write_text
from shotstream.media.exports.clips import media_folder, with_clips, write_clips
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline, TimelineShot
from shotstream.media.provenance import SOURCE_TYPE

if TYPE_CHECKING:
    import opentimelineio as otio


def write_otio(timeline: Timeline, path: Path) -> None:
    """Write the clips beside ``path``, then the timeline: times in the film's frames, markers of prompts and notes.

    Raises :class:`InputError` if opentimelineio is not installed, :class:`StorageError` when the disk refuses.
    """
    try:
        from opentimelineio import schema
    except ModuleNotFoundError as fault:
        raise InputError(f"{path}: needs opentimelineio; pip install 'shotstream[edit]'") from fault

    folder = media_folder(path)
    told = schema.Timeline(timeline.tags.title)
    told.metadata["shotstream"] = _about(timeline)
    track = schema.Track("V1", kind="Video")
    track.extend([_clip(shot, timeline.video.fps, folder) for shot in timeline.shots])
    told.tracks.append(track)
    write_clips(timeline, folder)
    write_text(path, told.to_json_string(indent=2))


def _about(timeline: Timeline) -> dict[str, object]:
    """The film's origin, as its MP4 has it."""
    tags = timeline.tags
    return {
        "synthetic": True,
        "digitalSourceType": SOURCE_TYPE,
        "global_caption": tags.story.global_caption,
        "seed": str(tags.seed),  # as text: the number may be larger than other programs can hold
        "model": tags.model,
        "model_version": tags.model_version,
    }


def _clip(shot: TimelineShot, fps: int, folder: Path) -> otio.schema.Clip:
    from opentimelineio.opentime import RationalTime, TimeRange
    from opentimelineio.schema import Clip, ExternalReference, Marker

    def time(frames: int) -> RationalTime:
        return RationalTime(frames, fps)

    whole = TimeRange(time(0), time(shot.frames))
    media = ExternalReference(f"{quote(folder.name)}/{shot.clip}", whole)
    markers = [
        Marker(prompt.caption, TimeRange(time(prompt.frame), time(0)))
        for prompt in shot.prompts
        if prompt.frame < shot.frames
    ]
    markers += [Marker(note.text, TimeRange(time(note.frame), time(1)), "GREEN") for note in shot.notes]
    about = {"shotstream": {"shot": shot.index, "caption": shot.caption, "seed": str(shot.seed)}}
    return Clip(Path(shot.clip).stem, media, whole, about, markers=markers)


FORMATS = (Format(name="otio", suffixes=(".otio",), kind="application/json", write=write_otio, files=with_clips),)
