"""Fréchet distance, intervals, drift and consistency against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from shotstream.evaluation.measures import (
    Typical,
    between,
    bootstrap,
    bootstrap_deficit,
    bootstrap_of,
    bootstrap_scaled,
    by_shot,
    drift,
    frechet_distance,
    inter,
    intra,
    motion,
    moves,
    scaled,
    within,
)


def _cloud(mean: list[float], deviation: list[float], seed: int) -> np.ndarray:
    """Samples whose mean and diagonal covariance are exactly these."""
    raw = np.random.default_rng(seed).standard_normal((200, len(mean)))
    raw = raw - raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return white * deviation + mean


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form() -> None:
    one, two = _cloud([0, 1, 2], [1, 2, 3], 0), _cloud([1, 1, 0], [2, 2, 1], 1)
    assert frechet_distance(one, two) == pytest.approx((1 + 0 + 4) + (1 + 0 + 4))  # means, then deviations
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_turned_gaussians_agrees_with_the_eigenvalues_of_the_product() -> None:
    rng = np.random.default_rng(3)
    one, two = (rng.standard_normal((50, 4)) @ rng.standard_normal((4, 4)) for _ in range(2))
    first, second = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    expected = np.square(one.mean(0) - two.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * roots
    assert frechet_distance(one, two) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(5, 65), (1, 3), (5,)])
def test_frechet_distance_refuses_what_it_cannot_estimate(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="give"):
        frechet_distance(np.zeros(shape), np.zeros(shape))


def test_frechet_distance_refuses_what_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="not a number"):
        frechet_distance(np.full((4, 2), np.nan), np.zeros((4, 2)))


def test_an_interval_of_many_values_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(3, 1, 400)
    found = bootstrap(values.tolist())
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), abs=0.02)
    assert bootstrap_of(400, lambda picks: float(values[picks].mean())).low == pytest.approx(found.low, abs=0.05)


def test_a_mean_of_nothing_is_refused() -> None:
    for values in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="needs numbers"):
            bootstrap(values)


def test_the_scale_runs_from_floor_to_ceiling_whichever_is_larger() -> None:
    assert scaled(0.5, floor=0.2, ceiling=0.8) == pytest.approx(0.5)
    assert scaled(10, floor=30, ceiling=10) == pytest.approx(1)
    assert scaled(1, floor=2, ceiling=2) is None


def test_drift_is_the_slope() -> None:
    assert drift(np.array([1.0, 1.5, 2.0, 2.5])) == pytest.approx(0.5)
    assert drift(np.array([7.0])) == 0


def test_true_films_are_typical_and_far_ones_strange() -> None:
    cloud = _cloud([0, 5], [1, 3], 4)
    typical = Typical.of(cloud)
    assert np.sqrt(np.square(typical.strangeness(cloud)).mean()) == pytest.approx(1, abs=0.01)
    story = np.stack([cloud[:4] + 0, cloud[:4] + 10, cloud[:4] + 20])
    assert drift(by_shot(story, typical)) > 2


def test_consistency_of_known_angles() -> None:
    east, north = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    assert within(np.stack([east, east, north])) == pytest.approx((2 + 0) / 4)  # steps 1, 0; to the first 1, 0
    assert within(east[None]) == 1
    assert between([east[None], north[None], east[None]]) == pytest.approx(1 / 3)
    assert between([east[None]]) is None
    assert inter([("fox", east[None]), ("owl", north[None]), ("fox", north[None])]) == pytest.approx(0)
    assert inter([("fox", east[None]), ("owl", north[None])]) is None
    assert intra([]) is None


def test_what_moves_is_dynamic_and_what_stands_is_not() -> None:
    rng = np.random.default_rng(0)
    field = np.repeat(np.repeat(rng.integers(0, 256, (10, 16), dtype=np.uint8), 16, 0), 16, 1)
    still = np.repeat(field[None, ..., None], 12, 0).repeat(3, -1)
    sliding = np.stack([np.roll(frame, 3 * index, axis=1) for index, frame in enumerate(still)])
    grain = np.clip(still + rng.normal(0, 3, still.shape), 0, 255).astype(np.uint8)
    assert moves(sliding, 16)
    assert not moves(still, 16)
    assert not moves(grain, 16)
    assert motion(still[:1], 16) == 0


def test_the_scale_s_interval_knows_that_stories_are_hard_or_easy_for_all() -> None:
    """Two thirds of the way in every story: certain, however much the stories differ; without pairs it would not be."""
    rng = np.random.default_rng(0)
    floors = rng.normal(0.2, 0.2, 30)
    ceilings = floors + rng.uniform(0.3, 0.6, 30)
    exact = bootstrap_scaled(floors + (ceilings - floors) * 2 / 3, floors, ceilings)
    assert exact is not None
    assert exact.low == pytest.approx(2 / 3) and exact.mean == pytest.approx(2 / 3) == exact.high
    assert bootstrap_scaled(floors, floors, floors) is None
    with pytest.raises(ValueError):
        bootstrap_scaled([1.0], floors, ceilings)


def test_the_scale_s_interval_is_that_of_the_mean_where_floor_and_ceiling_do_not_vary() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.1, 40)
    plain, found = bootstrap(values.tolist()), bootstrap_scaled(values, [0.1] * 40, [0.9] * 40)
    assert found is not None
    for end in ("mean", "low", "high"):
        assert getattr(found, end) == pytest.approx((getattr(plain, end) - 0.1) / 0.8)


def test_a_deficit_is_of_the_same_stories() -> None:
    theirs = np.random.default_rng(2).uniform(0.2, 0.9, 30)  # stories differ by far more than the two do
    exact = bootstrap_deficit(0.9 * theirs, theirs)
    assert exact is not None
    assert exact.low == pytest.approx(0.1) == exact.high and exact.mean == pytest.approx(0.1)
    better = bootstrap_deficit(theirs + 0.05, theirs)
    assert better is not None and better.high < 0
    assert bootstrap_deficit(theirs, -theirs) is None
    with pytest.raises(ValueError):
        bootstrap_deficit([1.0], theirs)


def test_the_range_of_a_distance_holds_it_and_mostly_the_true_one() -> None:
    """Two normal clouds one apart: the squared distance is 1. Resampling alone would put the range above it."""
    held = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        one, two = rng.normal(size=(40, 3, 4)), rng.normal(loc=(1, 0, 0, 0), size=(40, 3, 4))

        def distance(picks: np.ndarray, one: np.ndarray = one, two: np.ndarray = two) -> float:
            return frechet_distance(one[picks].reshape(-1, 4), two[picks].reshape(-1, 4))

        found = bootstrap_of(40, distance)
        assert 0 <= found.low <= found.mean <= found.high
        held += found.low <= 1 <= found.high
    assert held >= 16
