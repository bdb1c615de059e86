"""From single films to a suite's table: means with intervals, distances between clouds of films, and the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shotstream.core.config import Config
from shotstream.evaluation.drift import Typical, by_shot, drift
from shotstream.evaluation.frechet import frechet_distance
from shotstream.evaluation.intervals import Interval, bootstrap, bootstrap_of, scaled
from shotstream.evaluation.measures import CEILING, MEASURES, REFERENCE
from shotstream.evaluation.run import StoryRecord, SuiteRun
from shotstream.evaluation.suites import SuiteStory


class SystemScores(Config):
    """One system's row. What could not be measured is not in it.

    ``scaled``: (x - floor) / (ceiling - floor), where both were run. ``recognised``: share of right answers by
    attribute. ``alignment_by_shot`` and ``strangeness_by_shot``: means over the stories that have such a shot.
    """

    stories: int
    missing: tuple[str, ...]
    measures: dict[str, Interval]
    scaled: dict[str, float]
    asked_recognised: float
    recognised: dict[str, float]
    alignment_by_shot: tuple[float, ...]
    strangeness_by_shot: tuple[float, ...]


class SuiteScores(Config):
    """Everything a report shows."""

    suite: str
    suite_version: str
    stories: int
    recognisers: str
    detector: str
    absent: dict[str, str]
    systems: dict[str, SystemScores]

    def as_json(self) -> dict[str, Any]:
        """The stable object of ``--json``: ``systems`` holds the measures, ``details`` all the rest."""
        whole = self.model_dump(mode="json")
        rows = whole.pop("systems")
        measures = {name: row.pop("measures") for name, row in rows.items()}
        return {**whole, "systems": measures, "details": rows}


def score(run: SuiteRun, systems: Sequence[str], count: int | None, absent: dict[str, str]) -> SuiteScores:
    """Score what is on disk. The reference's films must be there; systems without any film are left out."""
    typical, reference = _reference(run, count)
    rows = {}
    for name in systems:
        done = _done(run, name, count)
        if done:
            rows[name] = _row(run, name, done, count, typical, reference)
    rows = {name: row.model_copy(update={"scaled": _scaled(row, rows)}) for name, row in rows.items()}
    return SuiteScores(
        suite=run.suite.name,
        suite_version=run.suite.version,
        stories=len(run.suite.first(count)),
        recognisers=run.recognisers.name,
        detector=run.detector.name,
        absent=absent,
        systems=rows,
    )


def _done(run: SuiteRun, system: str, count: int | None) -> list[tuple[SuiteStory, StoryRecord]]:
    found = [(story, run.record(system, story)) for story in run.suite.first(count)]
    return [(story, record) for story, record in found if record is not None]


def _reference(run: SuiteRun, count: int | None) -> tuple[Typical, dict[int, np.ndarray]]:
    features = {story.number: run.features(REFERENCE, story) for story, _ in _done(run, REFERENCE, count)}
    cloud = np.concatenate([_flat(one) for one in features.values()])
    return Typical.of(cloud), features


def _row(
    run: SuiteRun,
    name: str,
    done: list[tuple[SuiteStory, StoryRecord]],
    count: int | None,
    typical: Typical,
    reference: dict[int, np.ndarray],
) -> SystemScores:
    features = [run.features(name, story) for story, _ in done]
    truths = [reference[story.number] for story, _ in done if story.number in reference]
    strange = [by_shot(one, typical) for one in features]
    values: dict[str, list[float]] = {
        "drift": [drift(one) for one in strange],
        "end_to_end_fps": [record.fps for _, record in done if record.fps is not None],
        "first_frame_ms": [1e3 * one for _, record in done if (one := record.seconds_to_first_frame) is not None],
        "memory_mb": [one / 1e6 for _, record in done if (one := record.memory_bytes) is not None],
    }
    for key in done[0][1].judgement.measures:
        found = [record.judgement.measures.get(key) for _, record in done]
        values[key] = [value for value in found if value is not None]
    measures = {key: bootstrap(numbers) for key, numbers in values.items() if numbers}
    if len(truths) == len(features):
        measures["frechet_distance"] = _frechet(features, truths)
    recognised, share = _recognised([record for _, record in done])
    return SystemScores(
        stories=len(done),
        missing=run.missing(name, count),
        measures={measure.key: measures[measure.key] for measure in MEASURES if measure.key in measures},
        scaled={},
        asked_recognised=share,
        recognised=recognised,
        alignment_by_shot=_by_index([record.judgement.alignment_by_shot for _, record in done]),
        strangeness_by_shot=_by_index([one.tolist() for one in strange]),
    )


def _frechet(features: list[np.ndarray], truths: list[np.ndarray]) -> Interval:
    def distance(picks: np.ndarray) -> float:
        ours = np.concatenate([_flat(features[pick]) for pick in picks])
        return frechet_distance(ours, np.concatenate([_flat(truths[pick]) for pick in picks]))

    return bootstrap_of(len(features), distance)


def _flat(features: np.ndarray) -> np.ndarray:
    """[S, M, P] as [S M, P]."""
    return features.reshape(-1, features.shape[-1])


def _recognised(records: list[StoryRecord]) -> tuple[dict[str, float], float]:
    """Share of right answers by attribute, and over all that was asked."""
    hits: dict[str, int] = {}
    asked: dict[str, int] = {}
    for record in records:
        for name, (right, times) in record.judgement.attributes.items():
            hits[name] = hits.get(name, 0) + right
            asked[name] = asked.get(name, 0) + times
    return {name: hits[name] / asked[name] for name in hits}, sum(hits.values()) / sum(asked.values())


def _by_index(stories: Sequence[Sequence[float]]) -> tuple[float, ...]:
    longest = max(len(one) for one in stories)
    return tuple(float(np.mean([one[index] for one in stories if index < len(one)])) for index in range(longest))


def _scaled(row: SystemScores, rows: dict[str, SystemScores]) -> dict[str, float]:
    found = {}
    for measure in MEASURES:
        if measure.floor not in rows or CEILING not in rows or measure.key not in row.measures:
            continue
        floor, ceiling = rows[measure.floor].measures.get(measure.key), rows[CEILING].measures.get(measure.key)
        if floor is not None and ceiling is not None:
            value = scaled(row.measures[measure.key].mean, floor.mean, ceiling.mean)
            if value is not None:
                found[measure.key] = value
    return found
