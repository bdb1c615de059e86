"""What an export format is. Modules here list theirs in ``FORMATS``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shotstream.media.exports.timeline import Timeline


def one_file(timeline: Timeline, path: Path) -> list[Path]:
    """The files of a format that writes the one at the path asked for."""
    return [path]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One format. ``per_shot``: can it be of one shot alone? ``files``: everything it writes."""

    name: str
    suffixes: tuple[str, ...]  # none: a folder
    kind: str  # MIME type of the file at the path asked for
    write: Callable[[Timeline, Path], None]
    per_shot: bool = False
    files: Callable[[Timeline, Path], list[Path]] = one_file

    @property
    def several(self) -> bool:
        """Does it write more than the file at the path asked for?"""
        return self.files is not one_file
