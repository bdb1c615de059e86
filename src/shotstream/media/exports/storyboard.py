"""Export as a storyboard: frames of every shot on one PNG."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from shotstream.core.files import write_bytes
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline, TimelineShot
from shotstream.media.storyboard import FRAMES_PER_SHOT, Panel, draw_storyboard, png, spread_over


def panel_of(shot: TimelineShot, fps: int, count: int = FRAMES_PER_SHOT) -> Panel:
    """``count`` frames of ``shot``, from the first to the last, and its caption."""
    frames = shot.read(spread_over(shot.frames, count))
    return Panel(caption=shot.caption, frames=frames, start=shot.start / fps, seconds=shot.frames / fps)


def footer_of(timeline: Timeline) -> str:
    """What stands at the foot of a sheet: which model, which seed."""
    return f"{timeline.tags.model} {timeline.tags.model_version}, seed {timeline.tags.seed}"


def draw_board(timeline: Timeline, most: int | None = None) -> Image.Image:
    """The sheet, of at most ``most`` shots."""
    panels = [panel_of(shot, timeline.video.fps) for shot in timeline.shots[:most]]
    return draw_storyboard(timeline.tags.story.global_caption, panels, footer_of(timeline))


def write_board(timeline: Timeline, path: Path) -> None:
    """Write the sheet, whole or not at all. Raises :class:`StorageError`."""
    write_bytes(path, png(draw_board(timeline)))


FORMATS = (Format(name="storyboard", suffixes=(".png",), kind="image/png", write=write_board),)
