"""Notices a run that goes wrong: a loss that is no number, or one that has left its level for good."""

from __future__ import annotations

import math
from collections import defaultdict, deque

WINDOW = 20  # updates of one role


class Watchman:
    """Keeps each role's last losses and the lowest mean a full window of them ever had."""

    def __init__(self, diverged: float) -> None:
        self._diverged = diverged
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._lowest: dict[str, float] = {}

    def alarm(self, role: str, loss: float) -> str | None:
        """Take in a loss; what is wrong in words, or None. ``diverged`` times the lowest mean is too much."""
        if not math.isfinite(loss):
            return f"is {loss}"
        recent = self._recent[role]
        recent.append(loss)
        if len(recent) < WINDOW:
            return None
        mean = sum(recent) / WINDOW
        lowest = self._lowest[role] = min(mean, self._lowest.get(role, mean))
        if lowest > 0 and mean > self._diverged * lowest:
            return f"diverges: {mean:.4g} over the last {WINDOW} updates, {lowest:.4g} at its best"
        return None
