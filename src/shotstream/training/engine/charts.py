"""Loss curves as JSON lines and PNG, and small bar charts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from shotstream.core.files import whole_file, write_bytes


def read_curve(path: Path) -> dict[str, list[tuple[int, float]]]:
    """(update, loss) of every role. A line torn by a crash ends the reading; an update run twice counts once."""
    roles: dict[str, dict[int, float]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break
        if "loss" in entry:
            roles[entry["role"]][entry["update"]] = entry["loss"]
    return {role: sorted(points.items()) for role, points in roles.items()}


def mend_curve(path: Path) -> None:
    """Cut off a line torn by a crash, so that what a resumed run writes begins a line of its own."""
    if path.exists():
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            write_bytes(path, whole)


def draw_curve(source: Path, target: Path) -> None:
    """Draw every role's loss against the update, smoothed over a fiftieth of the run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for role, points in read_curve(source).items():
        window = max(1, len(points) // 50)
        chunks = [points[start : start + window] for start in range(0, len(points), window)]
        updates = [chunk[-1][0] for chunk in chunks]
        axes.plot(updates, [sum(loss for _, loss in chunk) / len(chunk) for chunk in chunks], label=role)
    axes.set(xlabel="update", ylabel="loss", yscale="log")
    axes.legend()
    with whole_file(target) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def bars(values: Mapping[str, float], title: str) -> Image.Image:
    """Horizontal bars of shares in [0, 1], with their values."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 0.28 * len(values) + 1), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    drawn = axes.barh(list(values), list(values.values()))
    axes.bar_label(drawn, fmt="{:.3f}", padding=3)
    axes.set(xlim=(0, 1.12), title=title)
    axes.invert_yaxis()
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
