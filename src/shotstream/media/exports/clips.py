"""Films and clips: the timeline as one MP4 with a chapter per shot, or every shot as an MP4 of its own."""

from __future__ import annotations

from pathlib import Path

from shotstream.core.errors import StorageError
from shotstream.media.exports.timeline import Timeline
from shotstream.media.mp4 import write_film


def write_mp4(timeline: Timeline, path: Path) -> None:
    """All shots in one MP4, whole or not at all. Raises :class:`StorageError`."""
    with write_film(path, timeline.picture, timeline.tags) as writer:
        for shot in timeline.shots:
            writer.add_shot(shot.caption, shot.read(None))


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
