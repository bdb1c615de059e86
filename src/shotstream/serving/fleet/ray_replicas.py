"""Replicas placed by Ray, on any machine of a cluster that can read the films' folder.

Ray places, watches and ends them; what viewers send and see goes past it, over HTTP and the live socket. Ray Serve is
not used: its router only prefers the replica that holds a film's caches, and a film must be at exactly one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from shotstream.film.ray_cluster import ray, start_ray
from shotstream.serving.fleet.processes import PATIENCE, Launcher, ProcessReplica, Replica, ReplicaSettings

ANSWER = 10.0  # seconds after which a replica that does not answer is dead
START = 600.0


class Holder:
    """An actor that holds a replica's process on its machine, with the cores and the GPU Ray gave it."""

    def __init__(self, settings: str) -> None:
        own = ReplicaSettings.model_validate_json(settings)
        self._local = own.host == "127.0.0.1"
        self._process = ProcessReplica(
            own if self._local else own.model_copy(update={"host": ray.util.get_node_ip_address()}), {}
        )

    def url(self) -> str:
        return self._process.url

    def alive(self) -> bool:
        return self._process.alive()

    def pids(self) -> tuple[int, int]:
        """Of this actor, and of its replica."""
        return os.getpid(), self._process.pid

    def end(self) -> None:
        self._process.end()

    def kill(self) -> None:
        self._process.kill()


class RayReplica:
    """A :class:`Replica` behind an actor."""

    def __init__(self, holder: Any) -> None:
        self.holder = holder
        self.url: str = ray.get(holder.url.remote(), timeout=START)

    def alive(self) -> bool:
        try:
            return bool(ray.get(self.holder.alive.remote(), timeout=ANSWER))
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            return False

    def end(self) -> None:
        self._ask(self.holder.end, PATIENCE + ANSWER)

    def kill(self) -> None:
        self._ask(self.holder.kill, ANSWER)

    def _ask(self, last: Any, patience: float) -> None:
        """The ``last`` thing its holder is asked. With the holder goes its replica, if it is still there."""
        with suppress(ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):  # it may have gone before
            ray.get(last.remote(), timeout=patience)
        ray.kill(self.holder)


def ray_launcher(settings: ReplicaSettings, *, cpus: float, gpus: float) -> Launcher:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one on this machine; each replica gets so many of each."""
    start_ray()
    holder = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(Holder)
    alone = len(ray.nodes()) == 1

    def launch(slot: int) -> Replica:
        told = settings if alone else settings.model_copy(update={"host": "0.0.0.0"})
        return RayReplica(holder.remote(told.model_dump_json()))

    return launch
