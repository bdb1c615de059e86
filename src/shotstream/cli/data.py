"""``shotstream data``: make and look at training data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shotstream.cli import options
from shotstream.cli.console import err, put, put_json

app = typer.Typer(help="Make and look at training data.", rich_markup_mode=None)


Split = Annotated[
    Literal["train", "held-out"],
    typer.Option(help="held-out: combinations of look and light that training never sees."),
]
Stories = Annotated[int, typer.Option(min=1, help="How many stories.", metavar="N")]


@app.command()
def world(
    stories: Stories,
    out: Annotated[
        Path, typer.Option(help="Folder to write to; made when missing, extended when there.", metavar="DIR")
    ],
    seed: options.Seed = 0,
    split: Split = "train",
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw; 0 stays in this one.", metavar="N")] = 2,
) -> None:
    """Write stories of the procedural world with their exact truth, in the reference's CSV, JSON and MP4 form."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from shotstream.data.world.dataset import write_dataset
    from shotstream.models.presets import STORYWORLD

    with Progress(TextColumn("stories"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err) as bars:
        task = bars.add_task("stories", total=stories)
        manifest = write_dataset(
            out,
            stories=stories,
            seed=seed or 0,
            split=split,
            geometry=STORYWORLD.geometry,
            progress=lambda done, total: bars.update(task, completed=done, total=total),
            workers=workers,
        )
    put(str(manifest))


@app.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="The CSV that lists clips, or latents.", metavar="CSV")],
    model: Annotated[str, typer.Option(help="Whose lengths of shots to count by: wan-1.3b, ...", metavar="PRESET")] = (
        "wan-1.3b"
    ),
    workers: Annotated[int, typer.Option(min=1, help="Files looked at side by side.", metavar="N")] = 8,
    as_json: options.Json = False,
) -> None:
    """List every bad row of a training set, with its line and what to do about it; exit 1 if there is any."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from shotstream.data.clip_check import check_manifest
    from shotstream.models.presets import preset

    geometry = preset(model).geometry
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=err, transient=True) as bars:
        task = bars.add_task("rows", total=None)
        found = check_manifest(
            manifest,
            geometry,
            workers=workers,
            progress=lambda rows: bars.update(task, description=f"{rows} rows"),
        )
    lengths = dict(sorted(found.latent_frames.items()))
    if as_json:
        summary = {"kind": found.kind, "rows": found.rows, "shots": found.shots, "latent_frames": lengths}
        put_json({"manifest": str(manifest), **summary, "faults": found.faults, "ok": not found.faults})
    else:
        for fault in found.faults:
            put(fault)
        put(f"{found.rows} rows ({found.kind}), {found.shots} shots, {len(found.faults)} bad rows")
        for length, count in lengths.items():
            put(f"{count} shots of {length} latent frames")
    if found.faults:
        raise typer.Exit(1)


@app.command()
def sheet(
    out: Annotated[Path, typer.Option(help="The picture to write.", metavar="SHEET.png")],
    stories: Stories = 8,
    seed: options.Seed = 0,
    split: Split = "train",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing picture.")] = False,
) -> None:
    """Draw a contact sheet of the procedural world: a row per story, a frame per shot, captions beneath."""
    import io

    from shotstream.core.files import ready_to_write, write_bytes
    from shotstream.data.world.contact_sheet import contact_sheet
    from shotstream.data.world.stories import make_story
    from shotstream.models.presets import STORYWORLD

    ready_to_write(out, force=force)
    told = [make_story((seed or 0) + number, split=split) for number in range(stories)]
    data = io.BytesIO()
    contact_sheet(told, STORYWORLD.geometry).save(data, "PNG")
    write_bytes(out, data.getvalue())
    put(str(out))
