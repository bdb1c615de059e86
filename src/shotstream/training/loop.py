"""The training loop: one for every stage. Rerun the same command and it goes on where it stopped."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shotstream.core.errors import ShotStreamError
from shotstream.training.boards import open_board
from shotstream.training.checkpoints import load_state, save_state
from shotstream.training.compiled import compile_layers
from shotstream.training.curve import draw_curve, mend_curve, read_curve
from shotstream.training.ema import Ema
from shotstream.training.lora import add_adapters, export_adapters, merged
from shotstream.training.optimisers import RoleOptimiser
from shotstream.training.stage import LossReport, Remembering, Stage
from shotstream.training.watchman import Watchman

log = logging.getLogger(__name__)


class TrainingStopped(ShotStreamError):
    """The loss is no longer a number, or diverges; says which checkpoint is the last good one."""


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after every update."""

    update: int
    updates: int
    loss: float
    role: str
    samples_per_second: float


class Run:
    """One stage being trained in one folder: state, curve, pictures, and released weights."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.update = 0
        for role in stage.roles.values():
            if role.optimiser.lora:
                add_adapters(role.module, role.optimiser.lora)
        self._optimisers = {name: RoleOptimiser(role.module, role.optimiser) for name, role in stage.roles.items()}
        self._averages = {name: Ema(role.module, role.optimiser.ema) for name, role in stage.roles.items()}
        if stage.loop.compile:
            compile_layers(role.module for role in stage.roles.values())
        self._last_good: Path | None = None
        self._watchman = Watchman(stage.loop.diverged)
        folder.mkdir(parents=True, exist_ok=True)
        mend_curve(folder / "curve.jsonl")
        self._board = open_board(folder, stage.loop.tensorboard)

    def resume(self) -> bool:
        """Take up the newest checkpoint; False if there is none."""
        found = load_state(self.folder)
        if found is None:
            return False
        self._last_good, state = found
        self.update = state["update"]
        for name, role in self.stage.roles.items():
            ours = state["roles"][name]
            role.module.load_state_dict(ours["module"])
            self._optimisers[name].load_state_dict(ours["optimiser"])
            self._averages[name].module.load_state_dict(ours["average"])
            self._averages[name].updates = ours["average_updates"]
        if isinstance(self.stage, Remembering):
            self.stage.recall(state["memory"])
        self._watch_again()
        return True

    def _watch_again(self) -> None:
        """Show the watchman the losses before the checkpoint: it judges a resumed run as the uninterrupted one."""
        curve = self.folder / "curve.jsonl"
        for role, points in read_curve(curve).items() if curve.exists() else ():
            for update, loss in points:
                if update <= self.update:
                    self._watchman.alarm(role, loss)

    def train(self, watch: Callable[[Progress], None]) -> None:
        """Run to the recipe's last update, saving and looking on the way; release the averaged weights at the end."""
        settings = self.stage.loop
        while self.update < settings.updates:
            watch(self._step())
            if self.update % settings.save_every == 0 or self.update == settings.updates:
                self.save()
            if self.update % settings.look_every == 0 or self.update == settings.updates:
                self.look()
        self._release()

    def _step(self) -> Progress:
        settings = self.stage.loop
        began = time.perf_counter()
        name = self.stage.turn(self.update)
        role = self.stage.roles[name]
        role.module.train()
        reports = [self._part(name, part) for part in range(settings.accumulate)]
        loss = sum(float(report.loss.detach()) for report in reports) / len(reports)
        alarm = self._watchman.alarm(name, loss)
        if alarm:
            raise TrainingStopped(
                f"{self.folder}: the loss of {name} {alarm} at update {self.update}; last good checkpoint: "
                f"{self._last_good or 'none'}; lower the rate or look at the data, then rerun"
            )
        norm = self._optimisers[name].step(settings.rate_factor(self.update))
        self._averages[name].update(role.module)
        self.update += 1
        rate = sum(report.samples for report in reports) / (time.perf_counter() - began)
        figures = {"loss": loss, "norm": norm, "samples_per_second": rate, **mean_figures(reports)}
        self._record({"update": self.update, "role": name, **figures})
        self._board.write(self.update, {f"{name}/{figure}": value for figure, value in figures.items()})
        return Progress(self.update, settings.updates, loss, name, rate)

    def _part(self, name: str, part: int) -> LossReport:
        """Loss and gradients of one part of the update."""
        settings = self.stage.loop
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.dtype == "bfloat16"):
            report = self.stage.loss(self.update, name, part)
        (report.loss / settings.accumulate).backward()
        return report

    def save(self) -> None:
        """Write a checkpoint of everything a resumed run needs."""
        roles: dict[str, Any] = {
            name: {
                "module": role.module.state_dict(),
                "optimiser": self._optimisers[name].state_dict(),
                "average": self._averages[name].module.state_dict(),
                "average_updates": self._averages[name].updates,
            }
            for name, role in self.stage.roles.items()
        }
        state = {"update": self.update, "roles": roles}
        if isinstance(self.stage, Remembering):
            state["memory"] = self.stage.memory()
        self._last_good = save_state(self.folder, self.update, state)

    def look(self) -> None:
        """Write a sample picture, the loss curve, and the released weights as they stand."""
        with torch.no_grad():
            picture, figures = self.stage.look(self._averaged())
        picture.save(self.folder / f"look-{self.update:08d}.png")
        self._record({"update": self.update, "look": dict(figures)})
        log.info("update %d: %s", self.update, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        draw_curve(self.folder / "curve.jsonl", self.folder / "curve.png")
        self._release()

    def _release(self) -> None:
        self.stage.release(self._averaged(), self.folder)
        for name, role in self.stage.roles.items():
            if role.optimiser.lora:
                export_adapters(self._averages[name].module, self.folder / f"{name}-lora", role.optimiser.lora)

    def _averaged(self) -> dict[str, torch.nn.Module]:
        """The averaged weights, adapters merged into them."""
        return {
            name: merged(average.module) if self.stage.roles[name].optimiser.lora else average.module
            for name, average in self._averages.items()
        }

    def _record(self, line: dict[str, Any]) -> None:
        with (self.folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps(line) + "\n")


def mean_figures(reports: Sequence[LossReport]) -> dict[str, float]:
    """Every figure of an update's parts, averaged over the parts that have it."""
    names = {name for report in reports for name in report.figures}
    values = {name: [report.figures[name] for report in reports if name in report.figures] for name in sorted(names)}
    return {name: sum(found) / len(found) for name, found in values.items()}
