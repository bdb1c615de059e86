"""A progress bar per shot."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from shotstream.film import report


class ShotBars:
    """Shows progress as it comes: ``with ShotBars(console) as bars: bars.show(progress)``."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.fields[name]}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
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
        if self._film is None:  # not before: an error at the start should stand alone on the screen
            self._bars.start()
            self._film = self._bars.add_task("", total=progress.shots, name="film  ", unit="shots")
        if progress.shot not in self._shots:
            words = " ".join(progress.caption.split())
            text = escape(words if len(words) <= 48 else words[:47] + "…")
            self._shots[progress.shot] = self._bars.add_task(
                text, total=progress.blocks, name=f"shot {progress.shot}", unit="blocks"
            )
        self._bars.update(self._shots[progress.shot], completed=progress.blocks_done)
        self.finished += progress.blocks_done == progress.blocks
        self._bars.update(self._film, completed=self.finished)
