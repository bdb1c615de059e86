"""Transition control: do cuts fall where the story plans them, and nowhere else?

A cut is the index of the first frame of a new shot. The paper's shot cut accuracy (section 4, after HoloCine) is
SCA = exp(-NSD), NSD = (E_matched + E_penalty) / F_total. What the paper leaves open is defined here: every cut
that stays alone, missed or extra, costs one mean planned shot, F_total / (planned cuts + 1); E_matched is the sum
of the matched pairs' distances in frames; and the one-to-one matching is the one that makes the sum least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from shotstream.core.geometry import Geometry

NEAR = 3  # frames; a detected cut farther than this from every planned one is false


@dataclass(frozen=True, slots=True)
class Matching:
    """``pairs`` of (planned, detected) cuts in film order; the rest of either side stays alone."""

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    extra: tuple[int, ...]

    @property
    def distance(self) -> int:
        """E_matched, in frames."""
        return sum(abs(planned - detected) for planned, detected in self.pairs)


def match_cuts(planned: Sequence[int], detected: Sequence[int], penalty: float) -> Matching:
    """The one-to-one matching with the least sum of distances and ``penalty`` (frames) per cut that stays alone.

    Pairs never cross, so it is an edit distance between the two sorted lists.
    """
    rows, columns = sorted(planned), sorted(detected)
    best: list[list[tuple[float, Matching]]] = []
    for row in range(len(rows) + 1):
        best.append([])
        for column in range(len(columns) + 1):
            options: list[tuple[float, Matching]] = [] if row or column else [(0.0, Matching((), (), ()))]
            if row and column:
                cost, so_far = best[row - 1][column - 1]
                pair = (rows[row - 1], columns[column - 1])
                options.append(
                    (cost + abs(pair[0] - pair[1]), Matching((*so_far.pairs, pair), so_far.missed, so_far.extra))
                )
            if row:
                cost, so_far = best[row - 1][column]
                missed = (*so_far.missed, rows[row - 1])
                options.append((cost + penalty, Matching(so_far.pairs, missed, so_far.extra)))
            if column:
                cost, so_far = best[row][column - 1]
                extra = (*so_far.extra, columns[column - 1])
                options.append((cost + penalty, Matching(so_far.pairs, so_far.missed, extra)))
            best[row].append(min(options, key=lambda option: option[0]))
    return best[-1][-1][1]


def shot_cut_accuracy(planned: Sequence[int], detected: Sequence[int], frames: int) -> float:
    """SCA in (0, 1] of a film of ``frames`` frames; 1 when every planned cut is there to the frame and no other."""
    if frames < 1:
        raise ValueError(f"{frames} frames; a film has at least one")
    penalty = frames / (len(planned) + 1)
    matching = match_cuts(planned, detected, penalty)
    alone = len(matching.missed) + len(matching.extra)
    return math.exp(-(matching.distance + alone * penalty) / frames)


def false_cuts(planned: Sequence[int], detected: Sequence[int]) -> tuple[int, ...]:
    """Detected cuts that are farther than ``NEAR`` frames from every planned one."""
    return tuple(cut for cut in detected if all(abs(cut - wanted) > NEAR for wanted in planned))


def planned_cuts(lengths: Sequence[int]) -> tuple[int, ...]:
    """First frames of all shots but the first; ``lengths``: frames per shot."""
    return tuple(sum(lengths[:shot]) for shot in range(1, len(lengths)))


def block_seams(lengths: Sequence[int], geometry: Geometry) -> int:
    """How many seams between blocks lie inside the shots of ``lengths`` frames."""
    per_block = geometry.temporal * geometry.block_frames
    return sum(-(-length // per_block) - 1 for length in lengths)
