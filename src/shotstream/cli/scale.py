"""``shotstream scale``: how many replicas so many viewers need, simulated from what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.core.geometry import Geometry
    from shotstream.tools.capacity import Work


def scale(
    figures: Annotated[
        Path | None, typer.Argument(help="What `shotstream bench --json` printed.", metavar="BENCH.json")
    ] = None,
    fps: Annotated[float | None, typer.Option(min=0.1, help="Instead of a file: frames a second it makes.")] = None,
    first: Annotated[float | None, typer.Option(min=0.001, help="And seconds to a first frame.")] = None,
    spread: Annotated[float, typer.Option(min=0, max=2, help="How much block times vary (sigma of their log).")] = 0.1,
    viewers: Annotated[list[int] | None, typer.Option(min=1, help="Viewers at once; repeat it.")] = None,
    pause: Annotated[float, typer.Option(min=0, help="Seconds a viewer pauses between shots.")] = 10,
    lead: Annotated[float, typer.Option(min=1, help="How early a block is begun, in block times.")] = 1.4,
    hold: Annotated[float, typer.Option(min=0, help="Seconds to hold back a shot's first picture.")] = 0,
    preset: Annotated[str, typer.Option(help="Whose frames and blocks.", metavar="NAME")] = "storyworld",
    seconds: Annotated[float, typer.Option(min=60, help="Seconds to simulate.")] = 3600,
    as_json: options.Json = False,
) -> None:
    """Simulate viewers who direct films: how many one replica serves well, and how many replicas are needed.

    Well: 95 of 100 first frames within 2.5 s, and a film stands still for at most 1 % of its time.
    """
    from shotstream.models.presets import preset as preset_named
    from shotstream.tools.capacity import Viewing, most_films, offered, shot_work

    geometry = preset_named(preset).geometry
    work = _work(figures, fps, first, spread, geometry)
    viewing = Viewing(pause=pause, blocks=geometry.default_blocks, lead=lead, hold=hold)
    best = most_films(work, viewing, geometry, seconds=seconds)
    share = offered(work, viewing, geometry)
    wanted = viewers or [1, 1_000, 1_000_000]
    per_minute = 60 * shot_work(work, viewing) / geometry.shot_seconds(viewing.blocks)
    needed = {count: None if best is None else -(-count // best.films) for count in wanted}
    if as_json:
        put_json(
            {
                "work": work.model_dump(),
                "offered": share,
                "seconds_per_minute_of_film": per_minute,
                "films_per_replica": None if best is None else best.model_dump(),
                "replicas": {str(count): number for count, number in needed.items()},
            }
        )
        return
    say(f"{figures or 'given'}: a block takes {work.block:.3f} s, the first of a shot {work.first_block:.3f} s")
    put(f"work per minute of film: {per_minute:.1f} s; a film asks for {share:.1%} of a replica")
    if best is None:
        put("not even one film is served well")
        return
    put(
        f"films a replica serves well: {best.films} (busy {best.busy:.0%}; first frame p50 {best.first_p50:.2f} s, "
        f"p95 {best.first_p95:.2f} s, p99 {best.first_p99:.2f} s; standing still {best.stalls:.2%})"
    )
    for count, number in needed.items():
        put(f"{count:,} viewers at once: {number:,} replicas")


def _work(figures: Path | None, fps: float | None, first: float | None, spread: float, geometry: Geometry) -> Work:
    from shotstream.tools.bench.figures import read_figures
    from shotstream.tools.capacity import Work, measured

    if figures is not None and fps is None and first is None:
        return measured(read_figures(figures), geometry)
    if figures is not None or fps is None or first is None:
        raise InputError("give a file that `shotstream bench --json` printed, or both --fps and --first")
    frames = geometry.shot_frames(2) - geometry.shot_frames(1)
    return Work(first_block=first, block=frames / fps, spread=spread)
