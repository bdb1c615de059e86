"""Small plots that runs leave beside their curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image


def bars(values: Mapping[str, float], title: str) -> Image.Image:
    """Horizontal bars of shares in [0, 1], with their figures."""
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
