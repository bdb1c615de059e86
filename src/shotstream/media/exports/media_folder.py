"""Where a timeline's clips are: a folder beside it, so that both can be moved together."""

from __future__ import annotations

from pathlib import Path


def media_folder(timeline: Path) -> Path:
    """The folder of the clips that ``timeline`` (an .otio or .edl) refers to."""
    return timeline.with_name(f"{timeline.stem}_clips")
