"""The calculated roofline, against figures worked out by hand from the published sizes."""

from __future__ import annotations

import pytest

from shotstream.core.errors import InputError
from shotstream.families.wan import WAN_1_3B
from shotstream.tools.bench.roofline import plan, shot_flops


@pytest.mark.parametrize(
    ("gpu", "fps"),
    [
        ("H100", (62.9, 37.8, 25)),
        ("B200", (143, 86, 57)),
        ("A100", (19.9, 11.9, 8)),
        ("rtx 5090", (13.4, 8, 5.4)),
        ("RTX-4090", (10.5, 6.3, 4.2)),
    ],
)
def test_frames_per_second_at_full_size(gpu: str, fps: tuple[float, ...]) -> None:
    full = plan(gpu).sizes[0]
    assert (full.width, full.height, full.tokens_per_frame) == (832, 480, 1560)
    assert list(full.fps) == ["100%", "60%", "40%"]
    assert list(full.fps.values()) == pytest.approx(fps, rel=0.012)


def test_a_shot_and_a_frame() -> None:
    assert shot_flops(WAN_1_3B) == pytest.approx(1273e12, rel=1e-3)
    full, small = plan("H100").sizes
    assert full.flops_per_frame == pytest.approx(15.7e12, rel=2e-3)
    assert small.flops_per_frame == pytest.approx(3.36e12, rel=2e-3)
    assert plan("RTX 4090").sizes[1].fps["100%"] == pytest.approx(49, rel=0.01)


def test_memory() -> None:
    full, small = plan("RTX 4090").sizes
    assert full.weight_bytes == pytest.approx(2.8e9, rel=0.02)
    assert full.cache_bytes == pytest.approx(7.76e9, rel=1e-3)
    assert full.caption_bytes == pytest.approx(7 * 94.4e6, rel=1e-3)
    assert full.memory_bytes == full.weight_bytes + full.cache_bytes + full.caption_bytes
    assert small.cache_bytes / full.cache_bytes == pytest.approx(576 / 1560)
    assert full.fits and small.fits


def test_an_unknown_gpu_is_one_line_that_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"--plan H9000: .* H100, H200"):
        plan("H9000")


def test_what_each_measure_is_expected_to_bring_on_an_h100() -> None:
    """Against the engines' own figures, where they made the same frames: FlashDreams' 12 in 418 ms look back on 18
    latent frames, ours on 18 on average, too."""
    full = plan("H100").sizes[0]
    seen = {one.measure.partition(" ")[0]: one for one in full.expectations}
    assert seen["as"].fps == pytest.approx(15.95, rel=0.02)  # the paper's
    assert seen["no"].fps > seen["compiled"].fps > seen["as"].fps
    graphs, fewer = full.expectations[2], full.expectations[5]
    assert graphs.fps == pytest.approx(12 / 0.418, rel=0.05)
    assert fewer.fps / graphs.fps == pytest.approx(5 / 3)
