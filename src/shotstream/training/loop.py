"""The training loop: one for every stage. Rerun the same command and it goes on where it stopped."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shotstream.core.devices import mixed_precision
from shotstream.core.errors import ShotStreamError
from shotstream.training.activation_checkpoints import checkpoint_layers
from shotstream.training.boards import open_board
from shotstream.training.compiled import compile_layers
from shotstream.training.curve import draw_curve, mend_curve, read_curve
from shotstream.training.lora import export_adapters
from shotstream.training.processes import ALONE, Processes
from shotstream.training.role_state import RoleState
from shotstream.training.run_state import find_checkpoint, restore, write_checkpoint
from shotstream.training.stage import Remembering, Stage
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
    """One stage being trained in one folder: state, curve, pictures, and released weights.

    Several processes train together when each makes a Run of the same stage; the first writes what is looked at.
    """

    def __init__(self, stage: Stage, folder: Path, processes: Processes = ALONE) -> None:
        self.stage = stage
        self.folder = folder
        self.update = 0
        self._processes = processes
        self._roles = {name: RoleState(name, role, stage.loop, processes) for name, role in stage.roles.items()}
        if stage.loop.compile:
            compile_layers(role.module for role in stage.roles.values())
        if stage.loop.checkpoint_activations:
            checkpoint_layers(role.module for role in stage.roles.values())
        self._last_good: Path | None = None
        self._watchman = Watchman(stage.loop.diverged)
        if processes.first:
            folder.mkdir(parents=True, exist_ok=True)
            mend_curve(folder / "curve.jsonl")
        processes.wait()
        self._board = open_board(folder, stage.loop.tensorboard and processes.first)

    def resume(self) -> bool:
        """Take up the newest checkpoint, by however many processes it was written; False if there is none."""
        found = find_checkpoint(self.folder, self._processes)
        if found is None:
            return False
        self._last_good = found
        self.update, memories = restore(found, self._roles)
        if isinstance(self.stage, Remembering):
            for memory in memories:
                self.stage.recall(memory)
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
        averaged = self._averaged()
        if self._processes.first:
            self._release(averaged)
        self._processes.wait()

    def _step(self) -> Progress:
        settings = self.stage.loop
        began = time.perf_counter()
        name = self.stage.turn(self.update)
        role = self._roles[name]
        role.module.train()
        for one in self._roles.values():
            one.spread.gather()
        with ExitStack() as as_packed:
            for one in self._roles.values():
                as_packed.enter_context(one.as_packed())
            mine = [self._part(name, part) for part in self._processes.parts(settings.accumulate)]
        reports = sorted(chain(*self._processes.exchange(mine)), key=itemgetter("part"))
        loss = sum(report["loss"] for report in reports) / len(reports)
        alarm = self._watchman.alarm(name, loss)
        if alarm:
            raise TrainingStopped(
                f"{self.folder}: the loss of {name} {alarm} at update {self.update}; last good checkpoint: "
                f"{self._last_good or 'none'}; lower the rate or look at the data, then rerun"
            )
        role.spread.reduce(role.optimiser.parameters)
        for one in self._roles.values():
            one.spread.settle()
        norm = role.step(settings.rate_factor(self.update))
        self.update += 1
        rate = sum(report["samples"] for report in reports) / (time.perf_counter() - began)
        means = mean_figures([report["figures"] for report in reports])
        figures = {"loss": loss, "norm": norm, "samples_per_second": rate, **means}
        self._record({"update": self.update, "role": name, **figures})
        self._board.write(self.update, {f"{name}/{figure}": value for figure, value in figures.items()})
        return Progress(self.update, settings.updates, loss, name, rate)

    def _part(self, name: str, part: int) -> dict[str, Any]:
        """Gradients of one part of the update; what is to be said of it."""
        settings = self.stage.loop
        with mixed_precision(settings.dtype, self._processes.device):
            report = self.stage.loss(self.update, name, part)
        (report.loss / settings.accumulate).backward()
        loss = float(report.loss.detach())
        return {"part": part, "loss": loss, "samples": report.samples, "figures": dict(report.figures)}

    def save(self) -> None:
        """Write a checkpoint of everything a resumed run needs."""
        parts = self._processes.parts(self.stage.loop.accumulate)
        memory = self.stage.memory(parts) if isinstance(self.stage, Remembering) else None
        self._last_good = write_checkpoint(self.folder, self.update, self._roles, memory, self._processes)

    def look(self) -> None:
        """Write a sample picture, the loss curve, and the released weights as they stand."""
        averaged = self._averaged()
        if not self._processes.first:
            return
        with torch.no_grad():
            plain = {name: self._roles[name].settled(module) for name, module in averaged.items()}
            picture, figures = self.stage.look(plain)
        picture.save(self.folder / f"look-{self.update:08d}.png")
        self._record({"update": self.update, "look": dict(figures)})
        log.info("update %d: %s", self.update, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        draw_curve(self.folder / "curve.jsonl", self.folder / "curve.png")
        self._release(averaged)

    def _release(self, averaged: Mapping[str, nn.Module]) -> None:
        """Leave the weights; ``averaged`` with adapters still beside them where there are any."""
        plain = {name: self._roles[name].settled(module) for name, module in averaged.items()}
        self.stage.release(plain, self.folder)
        for name, role in self.stage.roles.items():
            if role.optimiser.lora:
                export_adapters(averaged[name], self.folder / f"{name}-lora", role.optimiser.lora)

    def _averaged(self) -> dict[str, nn.Module]:
        """The averaged weights of every role, whole; all processes must ask."""
        return {name: role.average.averaged() for name, role in self._roles.items()}

    def _record(self, line: dict[str, Any]) -> None:
        if not self._processes.first:
            return
        with (self.folder / "curve.jsonl").open("a") as curve:
            curve.write(json.dumps(line) + "\n")


def mean_figures(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Every figure of an update's parts, averaged over the parts that have it."""
    names = {name for figures in parts for name in figures}
    values = {name: [figures[name] for figures in parts if name in figures] for name in sorted(names)}
    return {name: sum(found) / len(found) for name, found in values.items()}
