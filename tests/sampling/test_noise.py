"""Noise: named, batched, recorded."""

from __future__ import annotations

import torch

from shotstream.sampling.rollout import BatchNoise, NamedNoise, RecordedNoise

SHAPE = (3, 4, 2, 2)


def test_a_name_is_its_noise_and_every_part_of_it_counts() -> None:
    first = NamedNoise(7, shot=1, take=0).draw(2, 0, SHAPE)
    assert torch.equal(first, NamedNoise(7, shot=1, take=0).draw(2, 0, SHAPE))
    others = [
        NamedNoise(8, shot=1).draw(2, 0, SHAPE),
        NamedNoise(7, shot=2).draw(2, 0, SHAPE),
        NamedNoise(7, shot=1, take=1).draw(2, 0, SHAPE),
        NamedNoise(7, shot=1).draw(3, 0, SHAPE),
        NamedNoise(7, shot=1).draw(2, 1, SHAPE),
    ]
    assert not any(torch.equal(first, other) for other in others)


def test_a_batch_is_its_samples() -> None:
    sources = [NamedNoise(seed, shot=0) for seed in range(3)]
    both = BatchNoise(sources).draw(1, 2, SHAPE)
    assert both.shape == (3, *SHAPE)
    assert all(torch.equal(both[i, None], source.draw(1, 2, SHAPE)) for i, source in enumerate(sources))


def test_recorded_noise_is_used_in_order() -> None:
    start, renoise = torch.randn(1, 6, 4, 2, 2), torch.randn(6, *SHAPE)
    recorded = RecordedNoise(start, renoise, draws_per_block=3)
    assert torch.equal(recorded.draw(1, 0, SHAPE), start[:, 3:])
    assert torch.equal(recorded.draw(1, 2, SHAPE), renoise[None, 4])
