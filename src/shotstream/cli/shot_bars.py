"""Progress of a film: a bar per shot on a terminal, a line per shot in a log."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from shotstream.film import report

NARROW = 70  # columns of a terminal below which only what is needed is shown
FIXED = 44  # columns of a line before the caption
SHOWN = 8  # shots at a time, the latest
SHORTEST = 12  # letters of a caption worth showing


class ShotBars:
    """Shows progress as it comes: ``with ShotBars(console) as bars: bars.show(progress)``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._letters = console.width - FIXED - 1
        self._bars = Progress(*_columns(console.width), console=console)
        self._film: TaskID | None = None
        self._shots: dict[int, TaskID] = {}
        self.finished = 0  # shots whose last block is done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._film is not None:
            self._bars.stop()

    def show(self, progress: report.Progress) -> None:
        """Move the bar of the shot that is being made, and the film's when the shot is finished."""
        done = progress.blocks_done == progress.blocks
        self.finished += done
        if not self._console.is_terminal:
            if done:
                self._console.print(f"shot {progress.shot} is made ({self.finished} of {progress.shots})")
            return
        if self._film is None:  # not before: an error at the start should stand alone on the screen
            self._bars.start()
            self._film = self._bars.add_task("", total=progress.shots, name="film", unit="shots")
        if progress.shot not in self._shots:
            self._shots[progress.shot] = self._bars.add_task(
                self._shortened(progress.caption), total=progress.blocks, name=f"shot {progress.shot}", unit="blocks"
            )
            for bar in list(self._shots.values())[:-SHOWN]:  # what is above the screen could not be drawn again
                self._bars.update(bar, visible=False)
        self._bars.update(self._shots[progress.shot], total=progress.blocks, completed=progress.blocks_done)
        self._bars.update(self._film, completed=self.finished)

    def _shortened(self, caption: str) -> str:
        words = " ".join(caption.split())
        if self._letters < SHORTEST:
            return ""
        return escape(words if len(words) <= self._letters else words[: self._letters - 1] + "…")


def _columns(width: int) -> list[ProgressColumn]:
    """Never more than ``width`` wide: a line that wraps cannot be drawn again in place."""
    name = TextColumn("{task.fields[name]:<8}", table_column=Column(no_wrap=True))
    if width < NARROW:
        return [name, BarColumn(bar_width=max(4, min(12, width - 28))), MofNCompleteColumn(), TimeElapsedColumn()]
    unit = TextColumn("{task.fields[unit]:<6}", table_column=Column(no_wrap=True))
    text = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    return [name, BarColumn(bar_width=12), MofNCompleteColumn(), unit, TimeElapsedColumn(), text]
