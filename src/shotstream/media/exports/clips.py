"""Export as one MP4 with a chapter per shot, or as an MP4 per shot."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.errors import StorageError
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline
from shotstream.media.mp4 import write_film


def write_mp4(timeline: Timeline, path: Path) -> None:
    """All shots in one MP4, whole or not at all. Raises :class:`StorageError`."""
    with write_film(path, timeline.video, timeline.tags, sound=timeline.sound) as writer:
        for shot in timeline.shots:
            writer.add_shot(shot.caption, shot.pictures())


def clip_paths(timeline: Timeline, folder: Path) -> list[Path]:
    """The files :func:`write_clips` writes."""
    return [folder / shot.clip for shot in timeline.shots]


def write_clips(timeline: Timeline, folder: Path) -> None:
    """Every shot as an MP4 of its own in ``folder``, made if missing; each whole. Raises :class:`StorageError`."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as fault:
        raise StorageError(f"{folder}: cannot hold clips ({fault.strerror or fault}); choose another place") from fault
    for shot in timeline.shots:
        write_mp4(timeline.only(shot.index), folder / shot.clip)


def media_folder(timeline: Path) -> Path:
    """The folder of the clips that ``timeline`` (an .otio or .edl) refers to."""
    return timeline.with_name(f"{timeline.stem}_clips")


def with_clips(timeline: Timeline, path: Path) -> list[Path]:
    """The file ``path`` and the clips beside it that it refers to."""
    return [path, *clip_paths(timeline, media_folder(path))]


FORMATS = (
    Format(name="mp4", suffixes=(".mp4",), kind="video/mp4", write=write_mp4, per_shot=True),
    Format(name="clips", suffixes=(), kind="inode/directory", write=write_clips, files=clip_paths),
)
