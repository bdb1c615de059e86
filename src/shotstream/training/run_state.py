"""A run's checkpoints: found, read and written, by one process as a file, by several as a folder of shards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shotstream.core.errors import WeightsError
from shotstream.training.checkpoints import newest_first, read_state, save_state
from shotstream.training.processes import Processes
from shotstream.training.role_state import RoleState
from shotstream.training.shared_checkpoints import is_whole, load_together, save_together


def find_checkpoint(folder: Path, processes: Processes) -> Path | None:
    """The newest whole checkpoint of ``folder``, file or folder: the first process looks, all hear the same."""
    found = None
    if processes.first:
        found = next((path.name for path in newest_first(folder) if is_whole(path)), None)
    name = processes.exchange(found)[0]
    return None if name is None else folder / name


def restore(path: Path, roles: Mapping[str, RoleState]) -> tuple[int, list[dict[str, Any]]]:
    """Fill ``roles`` from the checkpoint ``path``, by however many processes it was written and is read.

    Returns the update it was written after and what the stage remembered, once for every process that wrote.
    """
    if path.is_file():
        state = read_state(path)
        if state is None:
            raise WeightsError(f"{path}: damaged since it was found; run again, and the one before it is used")
        for name, role in roles.items():
            role.take_up(state["roles"][name])
        return state["update"], [state["memory"]] if "memory" in state else []
    rests = load_together(path, _tensors(roles))
    for name, role in roles.items():
        role.average.updates = rests[0]["average_updates"][name]
    return rests[0]["update"], [rest["memory"] for rest in rests if "memory" in rest]


def write_checkpoint(
    folder: Path, update: int, roles: Mapping[str, RoleState], memory: dict[str, Any] | None, processes: Processes
) -> Path:
    """The checkpoint of ``update``. ``memory``: what the stage remembers for this process's parts, None for nothing."""
    remembered = {} if memory is None else {"memory": memory}
    if processes.count == 1:
        state = {"update": update, "roles": {name: role.alone() for name, role in roles.items()}}
        return save_state(folder, update, state | remembered)
    rest = {
        "update": update,
        "average_updates": {name: role.average.updates for name, role in roles.items()},
        **remembered,
    }
    return save_together(folder, update, _tensors(roles), rest, processes)


def _tensors(roles: Mapping[str, RoleState]) -> dict[str, Any]:
    return {f"{role}.{name}": value for role, state in roles.items() for name, value in state.tensors().items()}
