"""The results page: tables in the paper's column order, plots, and storyboards side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shotstream.core.errors import InputError
from shotstream.core.files import whole_file, write_bytes, write_text
from shotstream.evaluation.judge import shots_of
from shotstream.evaluation.measures import MEASURES, Interval, Measure
from shotstream.evaluation.run import SuiteRun
from shotstream.evaluation.scores import SuiteScores, SystemScores
from shotstream.evaluation.suites import SuiteStory

BOARDS = 3  # stories shown
_FRAME = 192  # pixels across
_LABEL = 150


def write_report(run: SuiteRun, scores: SuiteScores, page: Path) -> None:
    """Write ``page`` and its pictures (``images/results-*``). Raises :class:`InputError` without results."""
    if not scores.systems:
        raise InputError(f"{run.folder}: holds no results; run shotstream eval suite {run.suite.name} first")
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    plot_by_shot(scores, images / "results-shots.png")
    has_speed = plot_speed(scores, images / "results-speed.png")
    boards: list[str] = []
    floors = {measure.floor for measure in MEASURES}  # nobody wants to look at noise
    for story in run.suite.stories:
        shown = [name for name in scores.systems if run.record(name, story)]
        if len(shown) == len(scores.systems) and len(boards) < BOARDS:
            boards.append(f"results-{story.name}.jpg")
            write_bytes(images / boards[-1], _board(run, story, [name for name in shown if name not in floors]))
    write_text(page, _page(scores, has_speed, boards))


def _page(scores: SuiteScores, has_speed: bool, boards: Sequence[str]) -> str:
    run = f"{scores.suite} --stories {scores.stories}"
    parts = [
        "# Results",
        f"Written by `shotstream eval report {run}` from `shotstream eval suite {run}`. Suite "
        f"`{scores.suite_version}`, {scores.stories} stories; cuts by {scores.detector}; attributes and features by "
        f"{scores.recognisers}. Means over stories, in brackets the range of 95% of bootstrapped means.",
        _table(scores, lambda row, measure: _cell(row.measures.get(measure.key), ".3g")),
        "Not computed: the aesthetic score and the paper's own feature networks, whose weights are not in the package.",
        "## On the scale from floor to ceiling",
        "(x - floor) / (ceiling - floor): 0 is the floor, 1 the truth through the autoencoder. Floors: "
        + ", ".join(f"{measure.title}: {measure.floor}" for measure in MEASURES if measure.floor)
        + ".",
        _table(scores, lambda row, measure: _cell(row.scaled.get(measure.key), ".2f")),
        *_against_the_teacher(scores),
        "## Recognised, by attribute",
        _attributes(scores),
        "## Along a story",
        "![Text alignment and strangeness by shot](images/results-shots.png)",
    ]
    if has_speed:
        parts += ["## Speed", "![Text alignment by speed](images/results-speed.png)"]
    parts += ["## Side by side", *(f"![The same story by every system](images/{board})" for board in boards)]
    missing = [f"- {name}: {', '.join(row.missing)}" for name, row in scores.systems.items() if row.missing]
    if missing:
        parts += ["## Stories that are missing", "\n".join(missing)]
    if scores.absent:
        parts += ["## Absent", "\n".join(f"- {name}: {why}" for name, why in scores.absent.items())]
    return "\n\n".join(parts) + "\n"


def _against_the_teacher(scores: SuiteScores) -> list[str]:
    """Nothing where there is no teacher, or nobody to hold against it."""
    rows = {name: row for name, row in scores.systems.items() if row.behind}
    if not rows:
        return []
    shown = [measure for measure in MEASURES if any(measure.key in row.behind for row in rows.values())]
    said = (
        "How far behind the teacher, as a share of what it reaches, story by story: 0.05 is five percent less, below 0"
    )
    return [
        "## Against the teacher",
        f"{said} is more. In brackets the range of 95% of means of the same stories drawn again.",
        _markdown(
            ["system", *(measure.title for measure in shown)],
            [[name, *(_cell(row.behind.get(measure.key), ".2f") for measure in shown)] for name, row in rows.items()],
        ),
    ]


def _table(scores: SuiteScores, cell: Callable[[SystemScores, Measure], str]) -> str:
    head = ["system", *(measure.title for measure in MEASURES)]
    rows = [[name, *(cell(row, measure) for measure in MEASURES)] for name, row in scores.systems.items()]
    return _markdown(head, rows)


def _cell(found: Interval | None, digits: str) -> str:
    return "-" if found is None else f"{found.mean:{digits}} [{found.low:{digits}}, {found.high:{digits}}]"


def _attributes(scores: SuiteScores) -> str:
    names = list(dict.fromkeys(name for row in scores.systems.values() for name in row.recognised))
    shares = [[f"{row.recognised.get(name, 0):.2f}" for row in scores.systems.values()] for name in names]
    overall = ["**all that is asked**", *(f"{row.asked_recognised:.3f}" for row in scores.systems.values())]
    return _markdown(
        ["attribute", *scores.systems], [overall, *([name, *row] for name, row in zip(names, shares, strict=True))]
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _board(run: SuiteRun, story: SuiteStory, systems: Sequence[str]) -> bytes:
    """A JPEG with a row per system and the middle frame of every shot."""
    rows = []
    for name in systems:
        record = run.record(name, story)
        assert record is not None
        middles = [shot[len(shot) // 2] for shot in shots_of(run.film(name, story), record.lengths)]
        rows.append(np.concatenate([_small(frame) for frame in middles], axis=1))
    sheet = Image.new("RGB", (_LABEL + rows[0].shape[1], sum(len(row) for row in rows)), "white")
    draw = ImageDraw.Draw(sheet)
    top = 0
    for name, row in zip(systems, rows, strict=True):
        draw.text((6, top + 6), name.replace("-without-", "\nwithout "), fill="black", font=ImageFont.load_default(14))
        sheet.paste(Image.fromarray(row), (_LABEL, top))
        top += len(row)
    data = io.BytesIO()
    sheet.save(data, "JPEG", quality=80)
    return data.getvalue()


def _small(frame: np.ndarray) -> np.ndarray:
    height = round(_FRAME * frame.shape[0] / frame.shape[1])
    return np.asarray(Image.fromarray(frame).resize((_FRAME, height), Image.Resampling.LANCZOS))


def plot_by_shot(scores: SuiteScores, path: Path) -> None:
    """Two panels against the shot's index: text alignment, and how unlike true films the pictures are."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
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
    from matplotlib.figure import Figure

    rows = {name: row.measures for name, row in scores.systems.items() if "end_to_end_fps" in row.measures}
    if not rows:
        return False
    figure = Figure(figsize=(6, 4), layout="constrained")
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
