"""Draws docs/images/stages.jpg and stages-curves.png from what runs left: the same held-out shots after every stage.

    python tests/training/stage_pictures.py teacher=RUN causal-flow=RUN guidance=RUN ...

RUN is a folder of `shotstream train`: its last look (true frames left, made ones right) and its curve are read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

IMAGES = Path(__file__).parents[2] / "docs" / "images"
ACROSS, SHRINK = 6, 0.75  # frames in a row of a look; of their size


def look_of(run: Path) -> Image.Image:
    return Image.open(max(run.glob("look-*.png"))).convert("RGB")


def middle(look: Image.Image, half: int) -> Image.Image:
    """The middle frames of a look's left (0) or right (1) half, one under the other."""
    width = look.width // ACROSS
    left = (half * ACROSS // 2 + 1) * width
    return look.crop((left, 0, left + width, look.height))


def board(runs: dict[str, Path]) -> Image.Image:
    looks = [look_of(run) for run in runs.values()]
    columns = [middle(looks[0], 0), *(middle(look, 1) for look in looks)]
    whole = Image.new("RGB", (sum(column.width for column in columns), columns[0].height))
    for index, column in enumerate(columns):
        whole.paste(column, (index * column.width, 0))
    return whole.resize((round(whole.width * SHRINK), round(whole.height * SHRINK)))


def curves(runs: dict[str, Path]) -> Figure:
    figure = Figure(figsize=(2.6 * len(runs), 2.2), layout="constrained")
    for axes, (name, run) in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs.items(), strict=True):
        lines = [json.loads(line) for line in (run / "curve.jsonl").read_text().splitlines()]
        for role in dict.fromkeys(line["role"] for line in lines if "loss" in line):
            told = [(line["update"], line["loss"]) for line in lines if line.get("role") == role and "loss" in line]
            means = [
                sum(loss for _, loss in told[at : at + 20]) / len(told[at : at + 20]) for at in range(0, len(told), 20)
            ]
            axes.plot([update for update, _ in told[::20]], means, label=role)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    given = {name: Path(folder) for name, folder in (argument.split("=", 1) for argument in sys.argv[1:])}
    board(given).save(IMAGES / "stages.jpg", quality=70)
    curves(given).savefig(IMAGES / "stages-curves.png", dpi=70)
