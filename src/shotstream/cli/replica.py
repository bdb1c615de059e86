"""``shotstream replica``: one part of a studio that runs as several. Started by the studio, not by people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.film.director import Director


def replica() -> None:
    """Serve films to a studio that runs with --replicas. It tells this what to do on standard input."""
    from pydantic import ValidationError

    from shotstream.serving.fleet.replica import ReplicaSettings, serve_replica

    try:
        settings = ReplicaSettings.model_validate_json(sys.stdin.readline())
    except ValidationError as fault:
        raise InputError("this is started by `shotstream studio --replicas N`, not by hand") from fault

    def load() -> Director:
        from shotstream.api import load as load_director

        return load_director(**settings.loading)

    serve_replica(settings, load)
