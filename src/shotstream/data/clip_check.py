"""Every fault of a manifest, row by row: what it says, its captions, its videos down to their last packet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from shotstream.core.errors import InputError, ShotStreamError
from shotstream.core.geometry import Geometry
from shotstream.data.clip_manifest import LATENTS, Clip, Kind, Row, clip_of, faults_of, rows_of
from shotstream.media.video import count_frames

AHEAD = 64  # rows in work at a time


@dataclass
class Findings:
    """What a manifest holds. ``latent_frames``: how many shots there are of each length, as training would cut them."""

    kind: Kind
    rows: int = 0
    shots: int = 0
    latent_frames: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def check_manifest(manifest: Path, geometry: Geometry, *, workers: int, progress: Callable[[int], None]) -> Findings:
    """Look at every row of ``manifest``. Raises :class:`InputError` if it is none at all."""
    kind, rows = rows_of(manifest)
    found = Findings(kind)

    def look(row: Row) -> Clip | str | None:
        try:
            if kind == "clips":
                return _clip(row)
            _open_latents(row)
            return None
        except ShotStreamError as error:
            return faults_of(row, error)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        for result in _in_order(pool, look, rows):
            found.rows += 1
            if isinstance(result, str):
                found.faults.append(result)
            elif result is not None:
                _count(found, result, geometry)
            progress(found.rows)
    if not found.rows:
        raise InputError(f"{manifest}: has no rows; a manifest lists one clip per line")
    return found


def trained_frames(frames: int, geometry: Geometry) -> tuple[int, int]:
    """(stride, frames) of a shot of ``frames``: strided if it is longer than the longest, cut to that, then trimmed
    to 1 + temporal k."""
    longest = geometry.shot_frames(geometry.max_blocks)
    stride = max(1, frames // longest)
    kept = min(longest, -(-frames // stride))
    return stride, kept - (kept - 1) % geometry.temporal


def _in_order(
    pool: ThreadPoolExecutor, look: Callable[[Row], Clip | str | None], rows: Iterator[Row]
) -> Iterator[Clip | str | None]:
    """Results in the order of the rows, never far ahead: a manifest may be long."""
    waiting = []
    for row in rows:
        waiting.append(pool.submit(look, row))
        if len(waiting) >= AHEAD:
            yield waiting.pop(0).result()
    for task in waiting:
        yield task.result()


def _clip(row: Row) -> Clip:
    clip = clip_of(row)
    frames = count_frames(clip.video)
    for shot, (first, last) in enumerate(clip.ranges, start=1):
        if last > frames:
            raise InputError(
                f"{row.place}: frame_number: shot {shot} is [{first}, {last}], {clip.video} has {frames} frames; "
                "mend the range or fetch the video again"
            )
    return clip


def _open_latents(row: Row) -> None:
    path = row.path(LATENTS)
    if path.suffix != ".safetensors":
        raise InputError(
            f"{row.place}: {LATENTS}: {path} is no safetensors file; make trajectories anew with the recipe "
            "trajectories (pickles are not read)"
        )
    try:
        with safe_open(path, "pt") as file:
            file.keys()
    except (SafetensorError, OSError) as fault:
        said = str(fault).splitlines()[0]
        raise InputError(f"{row.place}: {LATENTS}: {path} is damaged ({said}); make it again") from fault


def _count(found: Findings, clip: Clip, geometry: Geometry) -> None:
    found.shots += len(clip.ranges)
    for first, last in clip.ranges:
        length = geometry.latent_frames(trained_frames(last - first, geometry)[1])
        found.latent_frames[length] = found.latent_frames.get(length, 0) + 1
