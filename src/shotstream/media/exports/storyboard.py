"""The storyboard of an edit: frames of every shot on one PNG."""

from __future__ import annotations

from pathlib import Path

from shotstream.media.exports.edit import Edit, EditShot
from shotstream.media.storyboard import FRAMES_PER_SHOT, Panel, spread_over, write_storyboard


def panel_of(shot: EditShot, fps: int, count: int = FRAMES_PER_SHOT) -> Panel:
    """``count`` frames of ``shot``, from the first to the last, and its caption."""
    pictures = shot.read(spread_over(shot.frames, count))
    return Panel(caption=shot.caption, frames=pictures, start=shot.start / fps, seconds=shot.frames / fps)


def footer_of(edit: Edit) -> str:
    """What stands at the foot of a sheet: which model, which seed."""
    return f"{edit.tags.model} {edit.tags.model_version}, seed {edit.tags.seed}"


def write_board(edit: Edit, path: Path) -> None:
    """Raises :class:`StorageError`."""
    panels = [panel_of(shot, edit.picture.fps) for shot in edit.shots]
    write_storyboard(path, edit.tags.story.global_caption, panels, footer_of(edit))
