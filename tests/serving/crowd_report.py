"""What a crowd lived through at a studio, as figures and as a small table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROWS = (
    ("films made", "frames_per_second", "frames/s in all"),
    ("least made film", "frames_least", "frames"),
    ("most made film", "frames_most", "frames"),
    ("least / most", "share", ""),
    ("pictures, viewer with least", "pictures_least", "a second"),
    ("pictures, viewer with most", "pictures_most", "a second"),
    ("command to answer, p50", "command_p50", "s"),
    ("command to answer, p99", "command_p99", "s"),
    ("command to answer, longest", "command_longest", "s"),
    ("commands", "commands", ""),
    ("refusal (no film asked), p50", "refusal_p50", "s"),
    ("refusal (no film asked), p99", "refusal_p99", "s"),
    ("resident memory, warm", "resident_warm_mb", "MB"),
    ("resident memory grew by", "resident_growth_mb", "MB"),
    ("  in the first half by", "resident_growth_halfway_mb", "MB"),
    ("shots accepted", "accepted", ""),
    ("takes finished", "finished", ""),
)


@dataclass(frozen=True, kw_only=True)
class Lived:
    """``seconds`` of a crowd, warm-up not counted. By film: ``frames`` made in that time, takes ``accepted`` and
    frames of those ``finished`` ever. ``pictures``: got by each viewer. ``took``: seconds from question to answer.
    ``held_warm``, ``held``: bytes resident, sampled during the warm-up and behind it. ``told``: notices."""

    seconds: float
    frames: dict[str, int]
    pictures: list[int]
    took: dict[str, list[float]]
    held_warm: list[int]
    held: list[int]
    accepted: dict[str, set[int]]
    finished: dict[str, dict[int, int]]
    told: list[str]

    @property
    def growth(self) -> int:
        """Bytes by which the most held behind the warm-up is over the most held during it."""
        return max(self.held) - max(self.held_warm)

    def figures(self) -> dict[str, float]:
        commands = [*self.took["command"], *self.took["shoot"]]
        made = self.frames.values()
        return {
            "viewers": len(self.pictures),
            "films": len(self.frames),
            "seconds": self.seconds,
            "frames_per_second": sum(made) / self.seconds,
            "frames_least": min(made),
            "frames_most": max(made),
            "share": min(made) / max(made),
            "pictures_least": min(self.pictures) / self.seconds,
            "pictures_most": max(self.pictures) / self.seconds,
            "command_p50": percentile(commands, 50),
            "command_p99": percentile(commands, 99),
            "command_longest": percentile(commands, 100),
            "commands": len(commands),
            "refusal_p50": percentile(self.took["refusal"], 50),
            "refusal_p99": percentile(self.took["refusal"], 99),
            "resident_warm_mb": max(self.held_warm) / 1e6,
            "resident_growth_mb": self.growth / 1e6,
            "resident_growth_halfway_mb": (max(self.held[: len(self.held) // 2 + 1]) - max(self.held_warm)) / 1e6,
            "accepted": sum(map(len, self.accepted.values())),
            "finished": sum(map(len, self.finished.values())),
        }

    def table(self) -> str:
        found = self.figures()
        head = f"{found['viewers']:g} viewers of {found['films']:g} films, {found['seconds']:.0f} s behind the warm-up"
        rows = [f"  {said:<30}{round(found[name], 3):>10g} {unit}".rstrip() for said, name, unit in ROWS]
        return "\n".join([head, *rows])


def percentile(values: list[float], at: int) -> float:
    return float(np.percentile(values, at))
