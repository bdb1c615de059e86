"""What a run leaves on disk: loss curves; its state, atomic, the last two kept, a damaged one skipped with a warning.

One process writes a file, ``state-00000500.pt``; several write a folder of safetensors, ``state-00000500``, by
torch.distributed.checkpoint: every process its shards, and any number of processes reads them back. The folder has
another name until all of it is on the disk, and lists its files with their sizes and checksums.
"""

from __future__ import annotations

import io
import json
import logging
import pickle
import shutil
import warnings
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from PIL import Image
from torch import Tensor

from shotstream.core.errors import WeightsError
from shotstream.core.files import explained, sync, whole_file, write_bytes, write_text
from shotstream.training.distributed import Processes
from shotstream.training.engine.role_state import RoleState


def read_curve(path: Path) -> dict[str, list[tuple[int, float]]]:
    """(update, loss) of every role. A line torn by a crash ends the reading; an update run twice counts once."""
    roles: dict[str, dict[int, float]] = defaultdict(dict)
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break
        if "loss" in entry:
            roles[entry["role"]][entry["update"]] = entry["loss"]
    return {role: sorted(points.items()) for role, points in roles.items()}


def mend_curve(path: Path) -> None:
    """Cut off a line torn by a crash, so that what a resumed run writes begins a line of its own."""
    if path.exists():
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            write_bytes(path, whole)


def draw_curve(source: Path, target: Path) -> None:
    """Draw every role's loss against the update, smoothed over a fiftieth of the run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for role, points in read_curve(source).items():
        window = max(1, len(points) // 50)
        chunks = [points[start : start + window] for start in range(0, len(points), window)]
        updates = [chunk[-1][0] for chunk in chunks]
        axes.plot(updates, [sum(loss for _, loss in chunk) / len(chunk) for chunk in chunks], label=role)
    axes.set(xlabel="update", ylabel="loss", yscale="log")
    axes.legend()
    with whole_file(target) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def bars(values: Mapping[str, float], title: str) -> Image.Image:
    """Horizontal bars of shares in [0, 1], with their values."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 0.28 * len(values) + 1), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(values), list(values.values()))
    axes.bar_label(drawn, fmt="{:.3f}", padding=3)
    axes.set(xlim=(0, 1.12), title=title)
    axes.invert_yaxis()
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return Image.open(png).convert("RGB")


log = logging.getLogger(__name__)
KEPT = 2  # the newest checkpoints
CONTENTS = "contents.json"
_CHUNK = 1 << 22  # bytes


def find_checkpoint(folder: Path, processes: Processes) -> Path | None:
    """The newest whole checkpoint of ``folder``, file or folder: the first process looks, all hear the same."""
    found = None
    if processes.first:
        found = next((path.name for path in newest_first(folder) if is_whole(path)), None)
    name = processes.exchange(found)[0]
    return None if name is None else folder / name


def restore(path: Path, roles: Mapping[str, RoleState]) -> tuple[int, list[dict[str, Any]]]:
    """Fill ``roles`` from the checkpoint ``path``, by however many processes it was written and is read.

    Returns the update it was written after and the stage's extra state of every process that wrote.
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
    folder: Path, update: int, roles: Mapping[str, RoleState], extra: dict[str, Any] | None, processes: Processes
) -> Path:
    """The checkpoint of ``update``. ``extra``: the stage's own state of this process's parts, None for nothing."""
    kept = {} if extra is None else {"memory": extra}  # its key in training states from the beginning
    if processes.count == 1:
        state = {"update": update, "roles": {name: role.alone() for name, role in roles.items()}}
        return save_state(folder, update, state | kept)
    rest = {
        "update": update,
        "average_updates": {name: role.average.updates for name, role in roles.items()},
        **kept,
    }
    return save_together(folder, update, _tensors(roles), rest, processes)


def _tensors(roles: Mapping[str, RoleState]) -> dict[str, Any]:
    return {f"{role}.{name}": value for role, state in roles.items() for name, value in state.tensors().items()}


def state_path(folder: Path, update: int) -> Path:
    """Where the checkpoint of ``update`` is, without an ending."""
    return folder / f"state-{update:08d}"


def save_state(folder: Path, update: int, state: dict[str, Any]) -> Path:
    """Write ``state`` as the checkpoint of ``update`` and drop all but the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    path = state_path(folder, update).with_suffix(".pt")
    with whole_file(path) as temporary:
        torch.save(state, temporary)
    keep_last(folder)
    return path


def read_state(path: Path) -> dict[str, Any] | None:
    """What the file ``path`` holds; None, with a warning, if it is damaged. Nothing is unpickled (``weights_only``)."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, pickle.UnpicklingError) as fault:
        passed_over(path, str(fault).splitlines()[0])
        return None
    return state


def passed_over(path: Path, why: str) -> None:
    """Say that a checkpoint is not used."""
    log.warning("%s: damaged (%s); trying the checkpoint before it", path, why)


def newest_first(folder: Path) -> list[Path]:
    """All checkpoints of ``folder``, files and folders."""
    return sorted(_found(folder), key=lambda path: path.stem, reverse=True)


def keep_last(folder: Path) -> None:
    """Drop all but the last two checkpoints."""
    for old in newest_first(folder)[KEPT:]:
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()


def _found(folder: Path) -> Iterator[Path]:
    for path in folder.glob("state-*"):
        if path.is_dir() or path.suffix == ".pt":
            yield path


def save_together(
    folder: Path, update: int, tensors: Mapping[str, Tensor], rest: Mapping[str, Any], processes: Processes
) -> Path:
    """Write the checkpoint of ``update``: ``tensors`` are everyone's (or shards of them), ``rest`` is this process's.

    Raises :class:`StorageError`. All processes must see the same ``folder``.
    """
    path = state_path(folder, update)
    partial = folder / f".{path.name}.part"
    if processes.first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    processes.wait()
    with explained(partial):
        dcp.save(dict(tensors), storage_writer=dcp.HuggingFaceStorageWriter(str(partial), save_distributed=True))
        torch.save(dict(rest), partial / f"process-{processes.rank:05d}.pt")
    processes.wait()
    if processes.first:
        _publish(partial, path)
        keep_last(folder)
    processes.wait()
    return path


def load_together(path: Path, tensors: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Fill ``tensors``, whole or sharded as they are, from the folder ``path``; returns the rest of all that saved."""
    alone = not torch.distributed.is_initialized()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # one process: that is meant
        dcp.load(dict(tensors), storage_reader=dcp.HuggingFaceStorageReader(str(path)), no_dist=alone)
    return [torch.load(file, weights_only=True, map_location="cpu") for file in sorted(path.glob("process-*.pt"))]


def is_whole(path: Path) -> bool:
    """Is the checkpoint ``path``, file or folder, what was written? Says so if it is not."""
    if path.is_file():
        return read_state(path) is not None
    try:
        contents = json.loads((path / CONTENTS).read_text())
    except (OSError, ValueError) as fault:
        passed_over(path, str(fault))
        return False
    for name, expected in contents.items():
        file = path / name
        if not file.is_file() or _described(file) != expected:
            passed_over(path, f"{name} is not what was written")
            return False
    return True


def _publish(partial: Path, path: Path) -> None:
    """Give a finished folder its name; one that is there already, from a run that went on from before it, goes."""
    with explained(path):
        files = sorted(partial.iterdir())
        write_text(partial / CONTENTS, json.dumps({file.name: _described(file) for file in files}, indent=1))
        for file in files:
            sync(file)
        sync(partial)
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)
        sync(path.parent)


def _described(file: Path) -> dict[str, int]:
    crc = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return {"bytes": file.stat().st_size, "crc32": crc}
