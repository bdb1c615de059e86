"""Figures in the documents are those of their sources: bench.json, the tables of results.md, the planner of recipes."""

from __future__ import annotations

import re

import pytest
from sources import ROOT
from typer.testing import CliRunner

from shotstream.cli.main import app
from shotstream.families.family import preset
from shotstream.tools.bench.figures import lines_of, read_figures
from shotstream.tools.bench.setups import SPEEDUPS

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BENCH = read_figures(DOCS / "bench.json")


def results() -> dict[str, dict[str, float]]:
    """System to measure to mean, and attribute to share that is right, as results.md has them."""
    found: dict[str, dict[str, float]] = {}
    head: list[str] = []
    for line in (DOCS / "results.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells
        elif "scale" not in found.get("", {}):
            for name, cell in zip(head[1:], cells[1:], strict=True):
                number = re.match(r"-?[\d.]+(?:e[+-]?\d+)?", cell)
                if number and head[0] == "system":
                    found.setdefault(cells[0], {}).setdefault(name, float(number[0]))
                elif number and head[0] == "attribute":
                    found.setdefault(name, {})[cells[0]] = float(number[0])
    return found


def row(text: str, name: str) -> str:
    """The cells behind ``name`` in a table."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return line.split("|", 2)[2]


def test_the_speed_in_the_readme() -> None:
    speed = row(README, "speed, end to end")
    assert f"{BENCH.end_to_end_fps:.0f} frames/s" in speed
    assert f"implementation makes {BENCH.baseline.end_to_end_fps:.0f}" in speed
    first = row(README, "new caption to first frame, p95")
    assert f"{1000 * BENCH.prompt_to_first_frame.p95:.0f} ms" in first
    assert BENCH.shoot_to_first_frame and f"{BENCH.shoot_to_first_frame.p95:.1f} s" in first
    assert f"{BENCH.memory_growth - 1:.0%}" in row(README, "memory over 50 shots")


def test_the_quality_in_the_readme() -> None:
    found = results()
    student, truth, other = found["student"], found["autoencoder"], found["shuffled"]
    for name, measure in (
        ("captions followed (text alignment)", "text alignment"),
        ("cut accuracy (SCA)", "transition (SCA)"),
    ):
        assert f"{student[measure]:.2f}" in row(README, name)
    text = row(README, "captions followed (text alignment)")
    assert f"{truth['text alignment']:.2f}" in text and f"{other['text alignment']:.2f}" in text
    subject = row(README, "subject consistency between shots")
    assert f"{student['inter subject']:.2f}" in subject and f"{truth['inter subject']:.2f}" in subject
    asked = ("place", "focus.colour", "focus.kind", "focus.action")
    right = row(README, "places right, colours right, kinds right, actions right")
    assert ", ".join(f"{student[name]:.0%}" for name in asked) in right
    assert ", ".join(f"{truth[name]:.0%}" for name in asked) in right


def test_the_figures_of_performance() -> None:
    page = (DOCS / "performance.md").read_text(encoding="utf-8").replace("`", "")
    for line in lines_of(BENCH)[2:]:
        if not line:
            break
        value = line.split(": ", 1)[1].split(" (")[0]
        assert f"| {value} |" in page, line
    measured = {one.name for one in BENCH.effects}
    assert measured and measured <= set(SPEEDUPS) and all(f"| {name} |" in page for name in measured)


@pytest.mark.parametrize(
    "line", [line for line in (DOCS / "training.md").read_text(encoding="utf-8").splitlines() if "GB |" in line]
)
def test_what_recipes_are_planned_to_take(line: str) -> None:
    names, devices, *sizes = [cell.strip() for cell in line.strip("|").split("|")]
    for name in re.findall(r"`([\w./-]+)`", names):
        recipe = name if "/" in name else f"wan-1.3b/{name}"
        said = CliRunner().invoke(app, ["train", recipe, "--dry-run", "--devices", devices]).output
        assert all(f" {size}" in said for size in sizes), said


SCALE = (DOCS / "scale.md").read_text(encoding="utf-8")


def numbers(cells: str) -> list[float]:
    return [float(one.replace(",", "")) for one in re.findall(r"\d[\d,]*(?:\.\d+)?", cells)]


def cache_bytes(name: str) -> int:
    """Keys and values of all that a shot may see, in bfloat16."""
    chosen = preset(name)
    geometry, network = chosen.geometry, chosen.transformer
    seen = geometry.context_frames + geometry.max_blocks * geometry.block_frames
    return 2 * seen * geometry.tokens_per_frame * network.dim * network.layers * 2


def test_what_a_minute_of_film_takes() -> None:
    seconds, speed = numbers(row(SCALE, "compute"))[:2]
    assert (speed, seconds) == (round(BENCH.end_to_end_fps), round(960 / BENCH.end_to_end_fps))
    ours, wan = numbers(row(SCALE, "KV caches while a shot is made, bfloat16"))
    assert (ours, wan) == (round(cache_bytes("storyworld") / 1e6), round(cache_bytes("wan-1.3b") / 1e9, 1))
    for size, rate in zip(*[iter(numbers(row(SCALE, "sent to a viewer as JPEG")))] * 2, strict=True):
        assert rate == pytest.approx(8 * size / 60, abs=0.2)


def test_what_many_viewers_take_is_what_one_takes_so_many_times() -> None:
    """The arithmetic between the page's tables."""
    viewers = [1, 1000, 1_000_000]
    for label, cells in re.findall(r"^\| (replicas of \w+ at [^|]*films each) \|(.*)", SCALE, re.MULTILINE):
        speed, films = numbers(label)
        served = re.findall(rf"^\| [^|]*?{speed:g} frames/s[^|]*\|[^|]*\|[^|]*\|[^|]*\| (\d+) ", SCALE, re.MULTILINE)
        assert str(films).removesuffix(".0") in served, label
        assert numbers(cells) == [max(1, one / films) for one in viewers]
    sent = numbers(row(SCALE, "sent to a viewer as JPEG"))[1::2]
    assert numbers(row(SCALE, "network to viewers, storyworld / wan")) == [round(one) for one in sent] * 3
    (kept,) = numbers(row(SCALE, "kept on disk, lossless"))
    share = float(re.search(r"generating (\d+)% of the time", SCALE)[1]) / 100
    assert (
        numbers(row(SCALE, f"written to disk, storyworld, generating {100 * share:.0f}% of the time"))
        == [pytest.approx(kept * 1e3 * share / 60, abs=2)] * 3
    )
