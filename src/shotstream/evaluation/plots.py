"""Plots of a suite's scores: quality against shot index, and against speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from shotstream.core.files import whole_file
from shotstream.evaluation.scores import SuiteScores


def plot_by_shot(scores: SuiteScores, path: Path) -> None:
    """Two panels against the shot's index: text alignment, and how unlike true films the pictures are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    panels = (
        (left, "text alignment", {name: row.alignment_by_shot for name, row in scores.systems.items()}),
        (right, "strangeness (true films: 1)", {name: row.strangeness_by_shot for name, row in scores.systems.items()}),
    )
    for axes, title, lines in panels:
        _lines(axes, lines)
        axes.set(xlabel="shot", ylabel=title)
    right.set(yscale="log")
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=5)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def plot_speed(scores: SuiteScores, path: Path) -> bool:
    """Text alignment against frames per second; False, and nothing is written, if no system generated anything."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {name: row.measures for name, row in scores.systems.items() if "end_to_end_fps" in row.measures}
    if not rows:
        return False
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, measures in rows.items():
        speed, quality = measures["end_to_end_fps"].mean, measures["text_alignment"].mean
        axes.plot([speed], [quality], "o", label=name)
    axes.set(xlabel="frames per second", ylabel="text alignment", xlim=(0, None), ylim=(0, 1))
    axes.legend(fontsize=8)
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return True


def _lines(axes: object, lines: Mapping[str, Sequence[float]]) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    for name, values in lines.items():
        axes.plot(range(len(values)), values, marker=".", label=name)
