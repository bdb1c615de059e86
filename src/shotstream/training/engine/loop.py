"""The training loop: one for every stage. Rerun the same command and it goes on where it stopped.

Layers may be checkpointed (arXiv 1604.06174): of a layer only what enters it is kept, and it is run again when the
backward pass comes to it. Half as much computation more, and memory for one layer instead of all. A layer that writes
to a cache sees, when it is run again, the cache as it was then, and writes nothing.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._dynamo.exc import BackendCompilerFailed
from torch.utils.checkpoint import checkpoint

from shotstream.core.devices import mixed_precision
from shotstream.core.errors import ShotStreamError
from shotstream.models.caches import Cache, CaptionsRead, GradientStorage
from shotstream.models.layers import Pass
from shotstream.models.transformer import Transformer
from shotstream.training.distributed import ALONE, Processes
from shotstream.training.engine.checkpoints import (
    draw_curve,
    find_checkpoint,
    mend_curve,
    read_curve,
    restore,
    write_checkpoint,
)
from shotstream.training.engine.role_state import RoleState, export_adapters
from shotstream.training.engine.stage import KeepsState, Stage

log = logging.getLogger(__name__)
WINDOW = 20  # updates of one role, over which the divergence monitor takes the mean


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
        self._monitor = DivergenceMonitor(stage.loop.diverged)
        if processes.first:
            folder.mkdir(parents=True, exist_ok=True)
            mend_curve(folder / "curve.jsonl")
        processes.wait()

    def resume(self) -> bool:
        """Take up the newest checkpoint, by however many processes it was written; False if there is none."""
        found = find_checkpoint(self.folder, self._processes)
        if found is None:
            return False
        self._last_good = found
        self.update, extras = restore(found, self._roles)
        if isinstance(self.stage, KeepsState):
            for extra in extras:
                self.stage.restore(extra)
        self._watch_again()
        return True

    def _watch_again(self) -> None:
        """Show the monitor the losses before the checkpoint: it judges a resumed run as the uninterrupted one."""
        curve = self.folder / "curve.jsonl"
        for role, points in read_curve(curve).items() if curve.exists() else ():
            for update, loss in points:
                if update <= self.update:
                    self._monitor.alarm(role, loss)

    def train(self, watch: Callable[[Progress], None]) -> None:
        """Run to the recipe's last update, saving and looking on the way; release the averaged weights at the end.

        SIGTERM ends the run behind the update at hand: it is saved, and SystemExit(143) is raised.
        """
        settings = self.stage.loop
        with _told_to_end() as told:
            saved = time.monotonic()
            while self.update < settings.updates:
                watch(self._step())
                overdue = time.monotonic() - saved > 60 * settings.save_minutes
                asked = self._processes.exchange((told.is_set(), overdue))
                end, overdue = any(end for end, _ in asked), asked[0][1]
                last = self.update == settings.updates
                if self.update % settings.save_every == 0 or overdue or end or last:
                    self.save()
                    saved = time.monotonic()
                if end and not last:
                    log.info("%s: told to end; saved at update %d", self.folder, self.update)
                    raise SystemExit(128 + signal.SIGTERM)
                if self.update % settings.look_every == 0 or last:
                    self.look()
        self.release()

    def release(self) -> None:
        """Leave the averaged weights as they stand; all processes must ask."""
        averaged = self._averaged()
        if self._processes.first:
            self._release(averaged)
        self._processes.wait()

    def _step(self) -> Progress:
        settings = self.stage.loop
        began = time.perf_counter()
        name = self.stage.learner(self.update)
        role = self._roles[name]
        role.module.train()
        for one in self._roles.values():
            one.spread.gather()
        with ExitStack() as rounding:
            for one in self._roles.values():
                rounding.enter_context(one.as_released())
            mine = [self._part(name, part) for part in self._processes.parts(settings.accumulate)]
        reports = sorted(chain(*self._processes.exchange(mine)), key=itemgetter("part"))
        loss = sum(report["loss"] for report in reports) / len(reports)
        alarm = self._monitor.alarm(name, loss)
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
        means = mean_metrics([report["metrics"] for report in reports])
        metrics = {"loss": loss, "norm": norm, "samples_per_second": rate, **means}
        self._record({"update": self.update, "role": name, **metrics})
        return Progress(self.update, settings.updates, loss, name, rate)

    def _part(self, name: str, part: int) -> dict[str, Any]:
        """Gradients of one part of the update; what is to be said of it."""
        settings = self.stage.loop
        with mixed_precision(settings.dtype, self._processes.device):
            report = self.stage.loss(self.update, name, part)
        (report.loss / settings.accumulate).backward()
        loss = float(report.loss.detach())
        return {"part": part, "loss": loss, "samples": report.samples, "metrics": dict(report.metrics)}

    def save(self) -> None:
        """Write a checkpoint of everything a resumed run needs."""
        parts = self._processes.parts(self.stage.loop.accumulate)
        extra = self.stage.extra_state(parts) if isinstance(self.stage, KeepsState) else None
        self._last_good = write_checkpoint(self.folder, self.update, self._roles, extra, self._processes)

    def look(self) -> None:
        """Write a sample picture, the loss curve, and the released weights as they stand."""
        averaged = self._averaged()
        if not self._processes.first:
            return
        with torch.no_grad():
            plain = {name: self._roles[name].settled(module) for name, module in averaged.items()}
            picture, metrics = self.stage.look(plain)
        picture.save(self.folder / f"look-{self.update:08d}.png")
        self._record({"update": self.update, "look": dict(metrics)})
        log.info("update %d: %s", self.update, ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
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


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """Meanwhile SIGTERM sets the event, where this is the thread that hears signals."""
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.set())
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)


def mean_metrics(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Every metric of an update's parts, averaged over the parts that have it."""
    names = {name for metrics in parts for name in metrics}
    values = {name: [metrics[name] for metrics in parts if name in metrics] for name in sorted(names)}
    return {name: sum(found) / len(found) for name, found in values.items()}


class DivergenceMonitor:
    """Notices a loss that is no number, or one that has left its range for good.

    It keeps each role's last losses and the lowest mean a full window of them ever had.
    """

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


def checkpoint_layers(modules: Iterable[nn.Module]) -> None:
    """Checkpoint the layers of every transformer among ``modules``."""
    for module in modules:
        if isinstance(module, Transformer):
            module.run_layers_by(_run_layer)


def _run_layer(layer: nn.Module, x: Tensor, time: Tensor, captions: CaptionsRead, call: Pass, index: int) -> Tensor:
    cache = call.cache
    if not torch.is_grad_enabled() or (cache is not None and not isinstance(cache.storage, GradientStorage)):
        return cast(Tensor, layer(x, time, captions, call, index))
    if cache is not None:
        call = replace(call, cache=_Rerun(cache))
    return cast(
        Tensor,
        checkpoint(layer, x, time, captions, call, index, use_reentrant=False, preserve_rng_state=False),
    )


class _Rerun(Cache):
    """A cache for one layer of one pass: the first append goes to ``cache``, later ones to what that held before."""

    def __init__(self, cache: Cache) -> None:
        super().__init__(cache.storage)
        self._cache = cache
        self._place = cache.end
        self._before: GradientStorage | None = None

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if self._before is not None:
            return self._before.write(layer, self._place, k, v)
        self._before = cast(GradientStorage, self.storage).as_it_is()
        return self._cache.append(layer, k, v)


def compile_layers(modules: Iterable[nn.Module]) -> None:
    """Compile the layers of every transformer among ``modules``; without a working compiler say so and go on."""
    transformers = [module for module in modules if isinstance(module, Transformer)]
    try:
        torch.compile(torch.sin)(torch.ones(2))
    except BackendCompilerFailed as failure:
        log.warning("layers are not compiled, training goes on slower: %s", str(failure).splitlines()[0])
        return
    for transformer in transformers:
        transformer.compile_layers()
