"""A studio: the application with a tiny model in this process, a painter instead of a model, or a real server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uvicorn
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from shotstream.core.context_budget import POLICIES
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry
from shotstream.core.randomness import derive
from shotstream.core.story import full_prompt
from shotstream.film.record.film_record import LoraUse
from shotstream.sampling.block import Block
from shotstream.sampling.context import ContextBuilder
from shotstream.serving.app import make_app
from shotstream.serving.server import free_socket, listening_config

PORT = 7860
GEOMETRY = Geometry(width=64, height=32, spatial=8, latent_channels=4, default_blocks=2)


PATIENCE = 120.0  # seconds for anything to come about; a busy machine needs them
READS = 120  # words of a prompt that the painter reads


class Painter:
    """A model that paints one colour per prompt and block, at once. ``fail``: how many of the next blocks fail."""

    model_name, model_version = "painter", "1"
    adapters: tuple[str, ...] = ()  # LoRA adapters it has loaded

    def __init__(self, geometry: Geometry = GEOMETRY) -> None:
        self.geometry = geometry
        self.fail = 0
        self.read: list[str] = []
        self.gate = threading.Event()  # blocks wait for it
        self.gate.set()
        self.passes = threading.Semaphore(0)  # blocks that may pass while it is closed
        self.block_seconds = 0.0  # how long a block takes
        self.steps = self.most_steps = 4

    def warm_up(self) -> None:
        pass

    def known_words(self) -> frozenset[str]:
        return frozenset(("a", "fox", "it", "walks", "sits", "the", "forest"))

    def lost_words(self, prompt: str) -> list[str]:
        return prompt.split()[READS:]

    def cache_bytes(self) -> int:
        return 12345

    def sample_in(self, steps: int) -> None:
        if not 1 <= steps <= self.most_steps:
            raise InputError(f"steps {steps}: give 1 to {self.most_steps}")
        self.steps = steps

    def choose_context(self, past, prompt, policy=None):
        return ContextBuilder(self, None).choose(past, prompt, None if policy is None else POLICIES[policy])

    def prompt(self, global_caption, caption, shot):
        return full_prompt(global_caption, caption)

    def loras(self):
        return {name: LoraUse(name=name, weight=1.0, fingerprint="0" * 12) for name in self.adapters}

    def prepare(self, context):
        return object()

    def read_ahead(self, prompt):
        self.read.append(prompt)

    def make(self, plan, context, prepared=None):
        index = 0
        while index < plan.blocks:
            until(lambda: self.gate.is_set() or self.passes.acquire(blocking=False))
            time.sleep(self.block_seconds)
            if self.fail:
                self.fail -= 1
                raise RuntimeError("out of paint")
            first = self.geometry.shot_frames(index) if index else 0
            length = self.geometry.shot_frames(index + 1) - first
            noise = plan.noise.draw(index, 0, (1,)).item()
            colour = np.random.default_rng(derive(0, plan.prompt, str(noise))).integers(0, 256, 3)
            frames = np.full((length, self.geometry.height, self.geometry.width, 3), colour, np.uint8)
            frames = self.painted(plan.prompt, first, frames)
            if index == 0 and plan.on_first is not None:
                plan.on_first(frames[0])
            yield Block(index, frames)
            index += 1

    def painted(self, prompt: str, first: int, frames: np.ndarray) -> np.ndarray:
        """What becomes of ``frames``, the shot's from ``first`` on: they stay as they are."""
        return frames


@contextmanager
def client_of(load: Callable[[], object], films: Path, host: str = "testclient") -> Iterator[TestClient]:
    """The application, ready; answers to its own name alone. ``host``: where its client is."""
    with TestClient(make_app(load, films, PORT), base_url=f"http://127.0.0.1:{PORT}", client=(host, 50000)) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something that another thread brings about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


class Server:
    """A real server on a port of its own; may be stopped and started again on the same films."""

    def __init__(self, load: Callable[[], object], films: Path) -> None:
        self.load, self.films = load, films
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def app(self) -> ASGIApp:
        return make_app(self.load, self.films, self.port)

    def listening(self) -> socket.socket:
        return free_socket("127.0.0.1", self.port)

    def start(self) -> None:
        config = listening_config(self.app())
        config.log_level, config.timeout_graceful_shutdown = "error", 1
        self._server = uvicorn.Server(config)
        listening = self.listening()
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]})
        self._thread.start()
        until(lambda: self._server.started)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"
