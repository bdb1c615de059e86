"""Joins or starts a Ray cluster. Import this instead of ``ray``, which reads its security settings at import.

A cluster that is started here is for this machine alone: it listens on loopback, and asks everybody for a token that
only this program and what it starts know. One that ``RAY_ADDRESS`` names is secured by whoever runs it.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys

OWN = not os.environ.get("RAY_ADDRESS") and "ray" not in sys.modules
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 is behind everything else; films are made in real time
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
if OWN:
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # its switch for: no other machine, so loopback

import ray  # noqa: E402  what it reads stands above

__all__ = ["ray", "start_ray"]


def start_ray() -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one on this machine."""
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
