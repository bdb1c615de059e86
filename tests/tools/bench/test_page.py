"""Figures on paper: the page between its marks, and the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from shotstream.core.errors import InputError
from shotstream.tools.bench.figures import Figures
from shotstream.tools.bench.page import BEGIN, END, busy, lines_of, write_page
from shotstream.tools.bench.picture import by_operation, draw_block, on_the_clock


def test_only_what_stands_between_the_marks_is_written(figures: Figures, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Performance\n\nBy hand.\n\n{BEGIN}\nformer figures\n{END}\n\nBehind.\n")
    for _ in range(2):
        write_page(figures, page, "images/block.png")
        text = page.read_text()
        assert text.startswith("# Performance\n\nBy hand.\n\n") and text.endswith("\n\nBehind.\n")
        assert "former" not in text and text.count(BEGIN) == text.count(END) == 1
    for line in (
        "| end to end | 100.0 frames/s | at least 96 |",
        "| prompt to first frame, p50 / p95 | 100 ms / 140 ms | p95 at most 150 ms |",
        "| first frame sooner than the naive way's | 12.0x | at least 10x |",
        "| cost of shots 46-50 over 2-6 | 1.010 | at most 1.05 |",
        "| denoising | 5.00 | 50.0% |",
        "| `bf16` | bfloat16 products | 1.50x | 1.75x | 1.25x |  |",
        "| `compile` | torch.compile | – | – | – | did not run: no compiler |",
        "| H100 | 832x480 | 62.9 | 37.8 | 25.2 | 11.3 GB of 80 |",
        "![Where one block's time goes](images/block.png)",
    ):
        assert line in text


def test_a_page_without_marks_is_left_alone(figures: Figures, tmp_path: Path) -> None:
    page = tmp_path / "notes.md"
    for text in (None, "no marks", f"{END} {BEGIN}"):
        if text is not None:
            page.write_text(text)
        with pytest.raises(InputError, match=r"notes\.md: has no lines"):
            write_page(figures, page, "block.png")
        assert (page.read_text() if page.exists() else None) == text


def test_a_busy_machine_and_a_quick_look_are_said(figures: Figures) -> None:
    assert not busy(figures)
    loaded = figures.model_copy(update={"quick": True, "machine": figures.machine.model_copy(update={"load": 1.2})})
    assert busy(loaded)
    first = lines_of(loaded)[0]
    assert "these figures are too low" in first and "A quick look" in first and "too low" not in lines_of(figures)[0]


def test_the_picture(figures: Figures, tmp_path: Path) -> None:
    bars = on_the_clock(figures.block)
    assert [name for name, _, _ in bars] == ["step", "decode", "rest"]
    assert [round(length, 3) for _, _, length in bars] == [30, 10, 20]
    assert by_operation(figures.block) == [("matrix products", 0.0, 20.0), ("norms", 20.0, 10.0)]
    draw_block(figures.block, tmp_path / "block.png")
    with Image.open(tmp_path / "block.png") as picture:
        assert picture.format == "PNG" and picture.width > 800
