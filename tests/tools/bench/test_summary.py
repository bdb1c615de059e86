"""What ``bench`` prints for a person."""

from __future__ import annotations

from shotstream.tools.bench.figures import Figures, busy, lines_of


def test_the_figures_as_lines(figures: Figures) -> None:
    lines = lines_of(figures)
    for line in (
        "end to end: 100.0 frames/s (at least 96)",
        "prompt to first frame, p50 / p95: 100 ms / 140 ms (p95 at most 150 ms)",
        "first frame sooner than the plain implementation's: 12.0x (at least 10x)",
        "cost of shots 46-50 over 2-6: 1.010 (at most 1.05)",
        "  denoising: 5.00 (50.0%)",
        "  bf16: 1.50x, 1.75x, 1.25x  bfloat16 products  ",
        "  compile: –, –, –  torch.compile  did not run: no compiler",
    ):
        assert line in lines


def test_a_busy_machine_and_a_quick_look_are_said(figures: Figures) -> None:
    assert not busy(figures)
    loaded = figures.model_copy(update={"quick": True, "machine": figures.machine.model_copy(update={"load": 1.2})})
    assert busy(loaded)
    first = lines_of(loaded)[0]
    assert "these figures are too low" in first and "A quick look" in first and "too low" not in lines_of(figures)[0]
