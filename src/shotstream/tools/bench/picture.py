"""A picture of where one block's time goes: on the clock, and by kind of operation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shotstream.core.files import whole_file
from shotstream.tools.bench.figures import BlockTime

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bar = tuple[str, float, float]  # name, start, length; milliseconds
LABELLED = 0.05  # of the whole: narrower bars have their names in the legend alone
REST = "rest"
COLOURS = ("#8fb8de", "#f2b880", "#a9d18e", "#e79a9a", "#c3b1e1", "#d9c6a5", "#f4c2d7", "#bfbfbf", "#dfe08b", "#9adbd9")


def draw_block(block: BlockTime, path: Path) -> None:
    """Write a PNG to ``path``. Raises :class:`StorageError`; ModuleNotFoundError without matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1)
    _draw(upper, on_the_clock(block), f"One block of {block.frames} frames on the clock")
    _draw(lower, by_operation(block), "Passes and decoding of a block by kind of operation (profiled)")
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def on_the_clock(block: BlockTime) -> list[Bar]:
    """The block's stretches one behind the other, and what lies between them as one bar at the end."""
    bars = [(one.name, 1e3 * one.start, 1e3 * (one.end - one.start)) for one in block.timeline]
    end = max(start + length for _, start, length in bars)
    rest = end - sum(length for _, _, length in bars)
    return [*bars, (REST, end, max(0.0, rest))]


def by_operation(block: BlockTime) -> list[Bar]:
    """Kinds of operations, the longest first."""
    bars: list[Bar] = []
    start = 0.0
    for name, seconds in block.operations.items():
        bars.append((name, start, 1e3 * seconds))
        start += 1e3 * seconds
    return bars


def _draw(axes: Axes, bars: Sequence[Bar], title: str) -> None:
    """One row of bars; a name is one colour."""
    names = list(dict.fromkeys(name for name, _, _ in bars))
    whole = max(start + length for _, start, length in bars)
    seen: set[str] = set()
    for name, start, length in bars:
        colour = COLOURS[names.index(name) % len(COLOURS)]
        label = "_" if name in seen else name  # one line of the legend per name
        seen.add(name)
        axes.barh([0], [length], left=[start], color=colour, edgecolor="white", label=label)
        if length > LABELLED * whole:
            axes.text(start + length / 2, 0, f"{length:.1f}", ha="center", va="center", fontsize=8)
    axes.set(yticks=[], xlim=(0, whole), xlabel="milliseconds", title=title)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.legend(fontsize=8, ncols=len(names), loc="upper center", bbox_to_anchor=(0.5, -0.35), frameon=False)
