"""The one thread that owns the model. Jobs wait in a bounded queue and run between blocks."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, TypeVar

from shotstream.core.errors import PromptWarning
from shotstream.serving.library import Library
from shotstream.serving.protocol import ModelView
from shotstream.serving.session import Audience, Clock, RefusedError
from shotstream.serving.studio import Studio, StudioEngine

T = TypeVar("T")
MOST_JOBS = 256
MOST_RESTARTS = 5  # in a row: within RESTARTS_WITHIN, and no take made in between
RESTARTS_WITHIN = 600.0  # seconds
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """What a studio that died leaves: how often each film's next take has failed, which films were open, and whether
    it made a take."""

    failures: dict[str, int] = field(default_factory=dict)
    at_work: list[str] = field(default_factory=list)
    made_a_take: bool = False


@dataclass(frozen=True, order=True, slots=True)
class _Job:
    """What is asked for: in the order of ``later`` and ``number``, which no two share."""

    later: bool
    number: int
    act: Callable[[Studio], Any]
    future: Future[Any]


class Worker:
    """Loads the model with ``load`` and works until :meth:`stop`. If it dies, it is started again from the disk."""

    def __init__(
        self,
        load: Callable[[], StudioEngine],
        library: Library,
        audience: Audience,
        clock: Clock,
        on_model: Callable[[ModelView], None],
    ) -> None:
        self._load, self._library, self._audience, self._clock = load, library, audience, clock
        self._on_model = on_model
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue(MOST_JOBS)
        self._numbers = count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shotstream-worker", daemon=True)
        self.model = ModelView()
        self.engine: StudioEngine | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish the block under work, keep what was seen, and end."""
        self._stopping.set()
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, job: Callable[[Studio], T], *, urgent: bool = False) -> Future[T]:
        """Run ``job`` in the worker's thread, between blocks; all there are between the same two, in the order in which
        they came, what is ``urgent`` first. Raises :class:`RefusedError` if it cannot be taken."""
        if not self.alive or self._stopping.is_set():
            raise RefusedError("closed", self.model.fault or "the studio is closing")
        if self.model.state != "ready":
            raise RefusedError("not_ready", "the model is still being loaded; try again in a moment")
        future: Future[T] = Future()
        try:
            self._jobs.put_nowait(_Job(not urgent, next(self._numbers), job, future))
        except queue.Full:
            raise RefusedError("busy", "the studio has too much to do; try again in a moment") from None
        return future

    def _run(self) -> None:
        left = Left()
        deaths: list[float] = []  # when it died, without having made a take since
        while len(deaths) <= MOST_RESTARTS:
            try:
                studio = self._begin()
            except Exception as fault:  # noqa: BLE001  whatever it is, people are told
                _log.exception("the model cannot be loaded")
                return self._give_up(f"the model cannot be loaded: {fault}")
            try:
                studio.inherit(left.failures, left.at_work)
                return self._serve(studio)
            except Exception:  # noqa: BLE001  a studio outlives its model
                _log.exception("the worker died; it is started again")
                left = Left(studio.failures(), studio.at_work(), studio.made_a_take)
                studio.release()
            now = self._clock()
            deaths = [] if left.made_a_take else [one for one in deaths if now - one < RESTARTS_WITHIN]
            deaths.append(now)
            # What died goes before the next is loaded: if it died for want of memory, two would not fit at all.
            del studio
            self.engine = None
            gc.collect()
        self._give_up("the model keeps failing; restart the studio")

    def _begin(self) -> Studio:
        self._become(ModelView(state="loading"))
        self.engine = self._load()
        self._become(_view(self.engine, "warming"))
        warnings.simplefilter("ignore", PromptWarning)  # the page tells of words, of drafts too
        self.engine.warm_up()
        self._become(_view(self.engine, "ready"))
        return Studio(self.engine, self._library, self._audience, self._clock)

    def _serve(self, studio: Studio) -> None:
        while not self._stopping.is_set():
            due = studio.due()
            wait = 0.05 if due is None else min(0.05, due - self._clock())
            self._one_job(studio, wait)
            if studio.engine.steps != self.model.steps:
                self._become(_view(studio.engine, "ready"))
            due = studio.due()
            if due is not None and due <= self._clock():
                studio.step()
        studio.close()
        self._become(self.model.model_copy(update={"state": "stopped"}))
        self._drain("the studio is closing")

    def _one_job(self, studio: Studio, wait: float) -> None:
        """Do every job there is; wait at most ``wait`` seconds for the first."""
        try:
            job = self._jobs.get(timeout=wait) if wait > 0 else self._jobs.get_nowait()
            while True:
                if job.future.set_running_or_notify_cancel():
                    try:
                        job.future.set_result(job.act(studio))
                    except Exception as fault:  # noqa: BLE001  it is the asker's to hear
                        job.future.set_exception(fault)
                job = self._jobs.get_nowait()
        except queue.Empty:
            return

    def _give_up(self, fault: str) -> None:
        self._become(ModelView(state="stopped", fault=fault))
        self._drain(fault)

    def _drain(self, said: str) -> None:
        while True:
            try:
                future = self._jobs.get_nowait().future
            except queue.Empty:
                return
            if future.set_running_or_notify_cancel():
                future.set_exception(RefusedError("closed", said))

    def _become(self, model: ModelView) -> None:
        self.model = model
        self._on_model(model)


def _view(engine: StudioEngine, state: Literal["warming", "ready"]) -> ModelView:
    return ModelView(
        name=engine.model_name,
        version=engine.model_version,
        state=state,
        steps=engine.steps,
        most_steps=engine.most_steps,
        lora={name: one.weight for name, one in engine.loras().items()},
    )
