"""From judged films to a suite's table: means with intervals, distances, and the scale from floor to ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.evaluation.measures import (
    CEILING,
    FLOORS,
    MEASURES,
    REFERENCE,
    TEACHER,
    Interval,
    Typical,
    bootstrap,
    bootstrap_deficit,
    bootstrap_of,
    bootstrap_scaled,
    by_shot,
    drift,
    frechet_distance,
    scaled,
)
from shotstream.evaluation.run import StoryRecord, SuiteRun
from shotstream.evaluation.suites import SuiteStory


class SystemScores(Config):
    """One system's row. What could not be measured is not in it.

    ``scaled``: (x - floor) / (ceiling - floor), where both were run, over the stories that all three have filmed.
    ``behind``: the share by which it is behind the teacher, where higher is better, over the stories both have filmed.
    ``recognised``: share of right answers by attribute. ``alignment_by_shot`` and ``strangeness_by_shot``: means over
    the stories that have such a shot.
    """

    stories: int
    missing: tuple[str, ...]
    measures: dict[str, Interval]
    scaled: dict[str, Interval]
    behind: dict[str, Interval]
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
    rows, values = {}, {}
    for name in systems:
        done = _done(run, name, count)
        if done:
            features = [run.features(name, story) for story, _ in done]
            strange = [by_shot(one, typical) for one in features]
            values[name] = _values(done, strange)
            rows[name] = _row(run.missing(name, count), done, values[name], features, strange, reference)
    rows = {
        name: row.model_copy(update={"scaled": _scaled(name, rows, values), "behind": _behind(name, values)})
        for name, row in rows.items()
    }
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
    if not features:
        raise InputError(
            f"no film of the system {REFERENCE} is measured yet, which all others are compared with; run "
            f"shotstream eval suite {run.suite.name} first"
        )
    cloud = np.concatenate([_flat(one) for one in features.values()])
    return Typical.of(cloud), features


def _values(done: list[tuple[SuiteStory, StoryRecord]], strange: list[np.ndarray]) -> dict[str, dict[int, float]]:
    """By measure and story number, what is a number per story."""
    found: dict[str, dict[int, float]] = {}
    for (story, record), by_shots in zip(done, strange, strict=True):
        first, memory = record.seconds_to_first_frame, record.memory_bytes
        own = {
            "drift": drift(by_shots),
            "end_to_end_fps": record.fps,
            "first_frame_ms": None if first is None else 1e3 * first,
            "memory_mb": None if memory is None else memory / 1e6,
            **record.judgement.measures,
        }
        for key, value in own.items():
            if value is not None:
                found.setdefault(key, {})[story.number] = value
    return found


def _row(
    missing: tuple[str, ...],
    done: list[tuple[SuiteStory, StoryRecord]],
    values: dict[str, dict[int, float]],
    features: list[np.ndarray],
    strange: list[np.ndarray],
    reference: dict[int, np.ndarray],
) -> SystemScores:
    truths = [reference[story.number] for story, _ in done if story.number in reference]
    measures = {key: bootstrap(list(numbers.values())) for key, numbers in values.items()}
    if len(truths) == len(features):
        measures["frechet_distance"] = _frechet(features, truths)
    recognised, share = _recognised([record for _, record in done])
    return SystemScores(
        stories=len(done),
        missing=missing,
        measures={measure.key: measures[measure.key] for measure in MEASURES if measure.key in measures},
        scaled={},
        behind={},
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


def _scaled(
    name: str, rows: dict[str, SystemScores], values: dict[str, dict[str, dict[int, float]]]
) -> dict[str, Interval]:
    found = {}
    for measure in MEASURES:
        key, trio = measure.key, (name, measure.floor, CEILING)
        if any(system is None or system not in rows or key not in rows[system].measures for system in trio):
            continue
        by_story = [values[str(system)].get(key, {}) for system in trio]
        common = sorted(set.intersection(*(set(one) for one in by_story)))
        if common:
            ours, floors, ceilings = ([one[story] for story in common] for one in by_story)
            interval = bootstrap_scaled(ours, floors, ceilings)
        else:  # a distance between clouds is no mean of stories: floor and ceiling as they are
            own, floor, ceiling = (rows[str(system)].measures[key] for system in trio)
            interval = _between(own, floor.mean, ceiling.mean)
        if interval is not None:
            found[key] = interval
    return found


def _behind(name: str, values: dict[str, dict[str, dict[int, float]]]) -> dict[str, Interval]:
    """The paired deficits of a system against the teacher; none for truths and floors."""
    found: dict[str, Interval] = {}
    if TEACHER not in values or name in (TEACHER, REFERENCE, CEILING, *FLOORS):
        return found
    for measure in (measure for measure in MEASURES if measure.higher_is_better):
        ours, theirs = (values[system].get(measure.key, {}) for system in (name, TEACHER))
        common = sorted(set(ours) & set(theirs))
        if not common:
            continue
        deficit = bootstrap_deficit([ours[story] for story in common], [theirs[story] for story in common])
        if deficit is not None:
            found[measure.key] = deficit
    return found


def _between(own: Interval, floor: float, ceiling: float) -> Interval | None:
    ends = [scaled(end, floor, ceiling) for end in (own.low, own.mean, own.high)]
    known = [end for end in ends if end is not None]
    return Interval(mean=known[1], low=min(known), high=max(known)) if len(known) == len(ends) else None
